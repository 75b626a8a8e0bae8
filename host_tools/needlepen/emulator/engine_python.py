"""The run loop and the clock of one emulated RP2040 in plain Python: the readable twin of `lockstep.pyx`.

Both give identical results to the nanosecond; this one needs no compiler and is much slower.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from typing import Any

from rp2040py.clock.simulation_clock import SimulationClock

from needlepen.emulator import core_fixes

NAME = "python"
CYCLE_NS = 8.0
EXCEPTION_ENTRY_CYCLES = 15  # Cortex-M0+ with zero-wait-state RAM
END, STOPPED = 0, 1


def on_grid(t_ns: float) -> float:
    """Alarm times lie on a grid of 1/16 ns, so that every sum of times is exact in a double."""
    return math.floor(t_ns * 16.0 + 0.5) / 16.0


class Alarm:
    """A callback at an instant of device time; scheduling it again moves it."""

    def __init__(self, clock: Clock, callback: Callable[[], None]) -> None:
        self._clock = clock
        self.callback = callback
        self.t_ns = math.inf

    @property
    def is_scheduled(self) -> bool:
        return self.t_ns != math.inf

    def schedule_at(self, t_ns: float) -> None:
        """Call back at t_ns of device time; not earlier than now."""
        self.cancel()
        self.t_ns = max(on_grid(t_ns), self._clock.nanos)
        bisect.insort_right(self._clock.queue, self, key=lambda alarm: alarm.t_ns)  # first come, first served

    def schedule(self, delta_nanos: float) -> None:
        self.schedule_at(self._clock.nanos + delta_nanos)

    def cancel(self) -> None:
        if self.t_ns != math.inf:
            self._clock.queue.remove(self)
            self.t_ns = math.inf


class Clock(SimulationClock):
    """Device time in ns and the alarms that wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.t_ns = 0.0
        self.queue: list[Alarm] = []

    @property
    def nanos(self) -> float:
        return self.t_ns

    @property
    def micros(self) -> float:
        return self.t_ns / 1000

    def create_alarm(self, callback: Callable[[], None]) -> Any:
        return Alarm(self, callback)

    @property
    def next_ns(self) -> float:
        return self.queue[0].t_ns if self.queue else math.inf

    def fire(self) -> None:
        """Run the first alarm in the queue."""
        alarm = self.queue.pop(0)
        alarm.t_ns = math.inf
        alarm.callback()


class Lockstep:
    """Runs CPU instructions, PIO instructions, input changes and alarms in strict order of device time.

    At the same instant the order is: inputs that leave the synchroniser, PIO, alarms, CPU. A PIO
    instruction is an event of its own and runs at its own due cycle, also while the CPU sleeps.
    """

    def __init__(self, mcu: Any, apply_inputs: Callable[[], None]) -> None:
        self._clock: Clock = mcu.clock
        self._mcu = mcu
        self._core = mcu.core
        self._pios = tuple(mcu.pio)
        self._apply_inputs = apply_inputs
        self._ready = math.ceil(self._clock.t_ns / CYCLE_NS)
        self._asleep = False
        self._sleep_pc = 0
        self.stopped = self.halted = self.locked = self.spinning = False
        self.stall_cycle = 0
        self.input_due_ns = math.inf
        self.instructions = self.pio_steps = self.alarms = 0
        self._stuck_bits = 0

    def break_rotation(self, stuck_bits: int) -> None:
        """A fault of the CPU: these bits of every result of RORS are set. 0 mends it."""
        self._stuck_bits = stuck_bits

    def _cpu_due_ns(self) -> float:
        core = self._core
        if self.halted or self.locked or core.waiting:
            if not self._asleep:
                self._asleep = True
                self._sleep_pc = core.pc
            return math.inf
        if self._asleep:
            self._asleep = False
            self._ready = math.ceil(self._clock.t_ns / CYCLE_NS)
            if core.pc != self._sleep_pc:  # woken by an exception, not just by an event
                self._ready += EXCEPTION_ENTRY_CYCLES
        self._ready = max(self._ready, self.stall_cycle)
        return self._ready * CYCLE_NS

    def run(self, t_end_ns: float) -> int:
        """Run until device time is t_end_ns, or until `stopped` is set, or until nothing is left to
        happen."""
        self.stopped = False
        pio0, pio1 = self._pios
        while not self.stopped:
            due, what = self.input_due_ns, 1
            if pio0.due_cycle * CYCLE_NS < due:
                due, what = pio0.due_cycle * CYCLE_NS, 2
            if pio1.due_cycle * CYCLE_NS < due:
                due, what = pio1.due_cycle * CYCLE_NS, 3
            if (t := self._clock.next_ns) < due:
                due, what = t, 4
            if (t := self._cpu_due_ns()) < due:
                due, what = t, 5
            if due > t_end_ns:
                self._clock.t_ns = max(self._clock.t_ns, t_end_ns)
                return END
            self._clock.t_ns = max(self._clock.t_ns, due)
            if what == 5:
                self._step_cpu()
            elif what == 4:
                self.alarms += 1
                self._clock.fire()
            elif what == 1:
                self._apply_inputs()
            else:
                self.pio_steps += 1
                self._pios[what - 2].run_due(int(due / CYCLE_NS))
        return STOPPED

    def _step_cpu(self) -> None:
        core = self._core
        if self.spinning:
            self._ready += 2
        elif core.interrupts_updated and core.check_for_interrupts():
            self._ready += EXCEPTION_ENTRY_CYCLES
        else:
            self.instructions += 1
            opcode = self._mcu.read_uint16(core.pc & ~1)
            if core_fixes.concerns(opcode):
                self._ready += core_fixes.execute(core, opcode)
                if self._stuck_bits and core_fixes.rotates(opcode):
                    core.registers[opcode & 7] |= self._stuck_bits
            else:
                self._ready += core.execute_instruction()
