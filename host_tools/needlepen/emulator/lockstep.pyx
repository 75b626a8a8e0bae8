# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The run loop and the clock of one emulated RP2040, compiled. `engine_python.py` is the readable twin: same names,
same order of events, same results to the nanosecond."""

from libc.math cimport INFINITY, ceil, floor
from rp2040py.native._cortex_m0_core cimport CortexM0Core
from rp2040py.native._pio cimport RPPIO
from rp2040py.native._simulation_clock cimport ClockAlarm, SimulationClock

NAME = "compiled"
END, STOPPED, IDLE = 0, 2, 3

cdef double CYCLE_NS = 8.0
cdef long long NEVER_FP = <long long>1 << 62
cdef int EXCEPTION_ENTRY_CYCLES = 15


cdef class Alarm(ClockAlarm):
    """A callback at an instant of device time; scheduling it again moves it."""

    @property
    def is_scheduled(self):
        return self.scheduled

    @property
    def t_ns(self):
        return self.nanos if self.scheduled else INFINITY

    cpdef schedule_at(self, double t_ns):
        """Call back at t_ns of device time; not earlier than now."""
        cdef SimulationClock clock = self._clock
        cdef ClockAlarm item, last = None
        if self.scheduled:
            clock.unlink_alarm(self)
        t_ns = floor(t_ns * 16.0 + 0.5) / 16.0
        if t_ns < clock._nanos_counter:
            t_ns = clock._nanos_counter
        self.nanos = t_ns
        item = clock._next_alarm
        while item is not None and item.nanos <= t_ns:  # first come, first served
            last = item
            item = item.next
        self.next = item
        if last is None:
            clock._next_alarm = self
        else:
            last.next = self
        self.scheduled = True

    cpdef schedule(self, double delta_nanos):
        self.schedule_at((<SimulationClock>self._clock)._nanos_counter + delta_nanos)

    cpdef cancel(self):
        if self.scheduled:
            (<SimulationClock>self._clock).unlink_alarm(self)
            self.scheduled = False


cdef class Clock(SimulationClock):
    """Device time in ns and the alarms that wait for it."""

    cpdef ClockAlarm create_alarm(self, callback):
        return Alarm(self, callback)

    @property
    def next_ns(self):
        return INFINITY if self._next_alarm is None else self._next_alarm.nanos

    cdef int fire(self) except -1:
        cdef ClockAlarm alarm = self._next_alarm
        self._next_alarm = alarm.next
        alarm.scheduled = False
        alarm.callback()
        return 0


cdef class Lockstep:
    cdef Clock clock
    cdef CortexM0Core core
    cdef RPPIO pio0, pio1
    cdef long long ready, pio_cycle
    cdef bint asleep
    cdef unsigned int sleep_pc
    cdef public bint stopped, halted, spinning
    cdef public long long stall_cycle
    cdef public double input_due_ns
    cdef object apply_inputs
    cdef public long long instructions, pio_steps, alarms

    def __init__(self, mcu, apply_inputs):
        self.clock = mcu.clock
        self.core = mcu.core
        self.pio0, self.pio1 = mcu.pio
        self.apply_inputs = apply_inputs
        self.ready = self.pio_cycle = <long long>ceil(self.clock._nanos_counter / CYCLE_NS)
        self.asleep = self.stopped = self.halted = self.spinning = False
        self.stall_cycle = 0
        self.input_due_ns = INFINITY
        self.instructions = self.pio_steps = self.alarms = 0

    cdef inline double pio_due_ns(self, RPPIO pio) noexcept:
        if pio.stopped or pio.next_due_fp >= NEVER_FP:
            return INFINITY
        cdef long long wait_fp = pio.next_due_fp - pio.cycle_fp
        return (self.pio_cycle + ((wait_fp + 255) >> 8 if wait_fp > 0 else 0)) * CYCLE_NS

    cdef inline void advance(self, double t_ns) noexcept:
        cdef long long cycle = <long long>(t_ns / CYCLE_NS)
        if t_ns > self.clock._nanos_counter:
            self.clock._nanos_counter = t_ns
        if cycle > self.pio_cycle:
            if not self.pio0.stopped:
                self.pio0.cycle_fp += (cycle - self.pio_cycle) << 8
            if not self.pio1.stopped:
                self.pio1.cycle_fp += (cycle - self.pio_cycle) << 8
            self.pio_cycle = cycle

    cdef double cpu_due_ns(self) noexcept:
        if self.halted or self.core.waiting:
            if not self.asleep:
                self.asleep = True
                self.sleep_pc = self.core.registers[15]
            return INFINITY
        if self.asleep:
            self.asleep = False
            self.ready = <long long>ceil(self.clock._nanos_counter / CYCLE_NS)
            if self.core.registers[15] != self.sleep_pc:  # woken by an exception, not just by an event
                self.ready += EXCEPTION_ENTRY_CYCLES
        if self.stall_cycle > self.ready:
            self.ready = self.stall_cycle
        return self.ready * CYCLE_NS

    cpdef int run(self, double t_end_ns) except -1:
        """Run until device time is t_end_ns, or until `stopped` is set, or until nothing is left to happen."""
        cdef double due, t
        cdef ClockAlarm alarm
        cdef int what
        self.stopped = False
        while not self.stopped:
            due = self.input_due_ns
            what = 1
            t = self.pio_due_ns(self.pio0)
            if t < due:
                due = t
                what = 2
            t = self.pio_due_ns(self.pio1)
            if t < due:
                due = t
                what = 3
            alarm = self.clock._next_alarm
            if alarm is not None and alarm.nanos < due:
                due = alarm.nanos
                what = 4
            t = self.cpu_due_ns()
            if t < due:
                due = t
                what = 5
            if due > t_end_ns:
                if t_end_ns == INFINITY:
                    return IDLE
                self.advance(t_end_ns)
                return END
            self.advance(due)
            if what == 5:
                self.step_cpu()
            elif what == 4:
                self.alarms += 1
                self.clock.fire()
            elif what == 1:
                self.apply_inputs()
            else:
                self.pio_steps += 1
                (self.pio0 if what == 2 else self.pio1).advance(0)
        return STOPPED

    cdef int step_cpu(self) except -1:
        if self.spinning:
            self.ready += 2
        elif self.core.interrupts_updated and self.core.check_for_interrupts():
            self.ready += EXCEPTION_ENTRY_CYCLES
        else:
            self.instructions += 1
            self.ready += self.core.execute_instruction()
        return 0
