# cython: infer_types=True, annotation_typing=False
"""The microsecond timer with its four alarms (RP2040 datasheet 4.6).

Runs plain and compiled (with timer_block.pxd). An alarm fires exactly when the lower half of the counter
becomes equal to it; rp2040py's fires up to a microsecond early.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rp2040py.irq import IRQ
from rp2040py.peripherals.peripheral import ATOMIC_NORMAL, atomic_update

TIMEHR, TIMELR, ALARM0, ALARM3, ARMED = 0x08, 0x0C, 0x10, 0x1C, 0x20
TIMERAWH, TIMERAWL, PAUSE, INTR, INTE, INTF, INTS = 0x24, 0x28, 0x30, 0x34, 0x38, 0x3C, 0x40
TIMER_IRQ0 = int(IRQ.TIMER_0)
WORD = 0xFFFFFFFF


class TimerBlock:
    """The block as the bus and reset see it."""

    def __init__(self, mcu: Any, name: str) -> None:
        self.rp2040 = mcu
        self.name = name
        self.clock = mcu.clock
        self.raw_write_value = 0
        self.alarms = [mcu.clock.create_alarm(self._firing(index)) for index in range(4)]
        self.epoch_ns = 0.0
        self.targets = [0] * 4
        self.latched_high = self.int_raw = self.int_enable = self.int_force = 0

    def reset(self) -> None:
        """The count starts again from 0, and no alarm is armed."""
        self.epoch_ns = self.clock.nanos
        for alarm in self.alarms:
            alarm.cancel()
        self.targets = [0] * 4
        self.latched_high = self.int_raw = self.int_enable = self.int_force = 0
        self._check_interrupts()

    def count_us(self) -> int:
        return int((self.clock.nanos - self.epoch_ns) // 1000.0)

    def _firing(self, index: int) -> Callable[[], None]:
        def fire() -> None:
            self.int_raw |= 1 << index
            self._check_interrupts()

        return fire

    def _check_interrupts(self) -> None:
        status = (self.int_raw & self.int_enable) | self.int_force
        for index in range(4):
            self.rp2040.set_interrupt(TIMER_IRQ0 + index, bool(status & (1 << index)))

    def _armed(self) -> int:
        return sum(alarm.is_scheduled << index for index, alarm in enumerate(self.alarms))

    def read_uint32(self, offset: int) -> int:
        return self.read(offset)

    def read(self, offset: int) -> int:
        if offset == TIMERAWL:
            return self.count_us() & WORD
        if offset == TIMERAWH:
            return self.count_us() >> 32
        if offset == TIMELR:
            count_us = self.count_us()
            self.latched_high = count_us >> 32
            return count_us & WORD
        if offset == TIMEHR:
            return self.latched_high
        if ALARM0 <= offset <= ALARM3:
            return int(self.targets[(offset - ALARM0) >> 2])
        if offset == ARMED:
            return self._armed()
        if offset == INTR:
            return self.int_raw
        if offset == INTE:
            return self.int_enable
        if offset == INTF:
            return self.int_force
        return (self.int_raw & self.int_enable) | self.int_force if offset == INTS else 0

    def write_uint32(self, offset: int, value: int) -> None:
        if ALARM0 <= offset <= ALARM3:
            self._arm((offset - ALARM0) >> 2, value & WORD)
        elif offset == ARMED:
            for index, alarm in enumerate(self.alarms):
                if self.raw_write_value & (1 << index):
                    alarm.cancel()
        elif offset == INTR:
            self.int_raw &= ~self.raw_write_value
        elif offset == INTE:
            self.int_enable = value & 0xF
        elif offset == INTF:
            self.int_force = value & 0xF
        self._check_interrupts()

    def _arm(self, index: int, target: int) -> None:
        count_us = self.count_us()
        self.targets[index] = target
        # A target that is the present count fires at once; one that has passed, after the lower half wraps.
        due_us = count_us + ((target - count_us) & WORD)
        self.alarms[index].schedule_at(self.epoch_ns + due_us * 1000.0)

    def write_uint32_atomic(self, offset: int, value: int, atomic_type: int) -> None:
        self.raw_write_value = value
        if atomic_type != ATOMIC_NORMAL:
            value = atomic_update(self.read_uint32(offset), atomic_type, value)
        self.write_uint32(offset, value)
