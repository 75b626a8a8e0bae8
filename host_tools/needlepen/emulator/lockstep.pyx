# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The run loop and the clock of one emulated RP2040, compiled. `engine_python.py` is the readable twin: same names,
same order of events, same results to the nanosecond."""

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport INFINITY, ceil, floor
from rp2040py.native._cortex_m0_core cimport CortexM0Core
from needlepen.emulator.pio_block cimport PioBlock
from needlepen.emulator.thumb cimport ThumbCpu
from rp2040py.native._simulation_clock cimport ClockAlarm, SimulationClock

NAME = "compiled"
END, STOPPED = 0, 1

cdef double CYCLE_NS = 8.0
cdef int EXCEPTION_ENTRY_CYCLES = 15
cdef long long LONGEST_RUN_CYCLES = 1_000_000  # without looking at anything else


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
    cdef ThumbCpu cpu
    cdef PioBlock pio0, pio1
    cdef bint asleep
    cdef unsigned int sleep_pc
    cdef public bint stopped, halted, locked, spinning
    cdef public long long stall_cycle
    cdef public double input_due_ns
    cdef object apply_inputs
    cdef public long long pio_steps, alarms

    def __init__(self, mcu, apply_inputs):
        self.clock = mcu.clock
        self.core = mcu.core
        self.cpu = ThumbCpu(mcu)
        self.pio0, self.pio1 = mcu.pio
        self.apply_inputs = apply_inputs
        self.cpu.ready = <long long>ceil(self.clock._nanos_counter / CYCLE_NS)
        self.asleep = self.stopped = self.halted = self.locked = self.spinning = False
        self.stall_cycle = 0
        self.input_due_ns = INFINITY
        self.pio_steps = self.alarms = 0

    @property
    def instructions(self):
        return self.cpu.instructions

    def break_rotation(self, stuck_bits):
        """A fault of the CPU: these bits of every result of RORS are set. 0 mends it."""
        self.cpu.broken_kind = 7 if stuck_bits else 16
        self.cpu.stuck_bits = stuck_bits

    cdef double cpu_due_ns(self) noexcept:
        if self.halted or self.locked or self.core.waiting:
            if not self.asleep:
                self.asleep = True
                self.sleep_pc = self.core.registers[15]
            return INFINITY
        if self.asleep:
            self.asleep = False
            self.cpu.ready = <long long>ceil(self.clock._nanos_counter / CYCLE_NS)
            if self.core.registers[15] != self.sleep_pc:  # woken by an exception, not just by an event
                self.cpu.ready += EXCEPTION_ENTRY_CYCLES
        if self.stall_cycle > self.cpu.ready:
            self.cpu.ready = self.stall_cycle
        return self.cpu.ready * CYCLE_NS

    cpdef int run(self, double t_end_ns) except -1:
        """Run until device time is t_end_ns, or until `stopped` is set."""
        cdef double due, t
        cdef ClockAlarm alarm
        cdef int what, turns = 0
        cdef long long stop
        self.stopped = False
        while not self.stopped:
            turns += 1
            if turns & 0xFFF == 0:
                PyErr_CheckSignals()  # Ctrl-C
            due = self.input_due_ns
            what = 1
            t = self.pio0.due_cycle * CYCLE_NS
            if t < due:
                due = t
                what = 2
            t = self.pio1.due_cycle * CYCLE_NS
            if t < due:
                due = t
                what = 3
            alarm = self.clock._next_alarm
            if alarm is not None and alarm.nanos < due:
                due = alarm.nanos
                what = 4
            t = self.cpu_due_ns()
            if t < due and t <= t_end_ns:
                stop = self.cpu.ready + LONGEST_RUN_CYCLES
                if due < stop * CYCLE_NS:
                    stop = <long long>ceil(due / CYCLE_NS)
                if t_end_ns < stop * CYCLE_NS:
                    stop = min(stop, <long long>floor(t_end_ns / CYCLE_NS) + 1)
                if self.spinning:
                    self.cpu.ready += (stop - self.cpu.ready + 1) // 2 * 2  # a branch to itself takes 2 cycles
                else:
                    self.cpu.run(stop)
                continue
            if due > t_end_ns or t < due:
                if t_end_ns > self.clock._nanos_counter:
                    self.clock._nanos_counter = t_end_ns
                return END
            if due > self.clock._nanos_counter:
                self.clock._nanos_counter = due
            if what == 4:
                self.alarms += 1
                self.clock.fire()
            elif what == 1:
                self.apply_inputs()
            elif what == 2:
                self.pio_steps += 1
                self.pio0.run_due(<long long>(due / CYCLE_NS))
            else:
                self.pio_steps += 1
                self.pio1.run_due(<long long>(due / CYCLE_NS))
        return STOPPED
