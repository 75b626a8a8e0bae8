"""The clocks block with its frequency counter, and the ring oscillator as a second clock (RP2040 datasheet 2.15).

Device time is the crystal's. A wrong crystal would speed the whole chip up or slow it down against the world; here
chip and world share one clock, and the error shows only where it can be measured: in the counter, which counts the
ring oscillator for a time that the crystal gives.
"""

from __future__ import annotations

import random
from typing import Any

from rp2040py.peripherals.clocks import RPClocks

FC0_REF_KHZ, FC0_MIN_KHZ, FC0_MAX_KHZ, FC0_DELAY = 0x80, 0x84, 0x88, 0x8C
FC0_INTERVAL, FC0_SRC, FC0_STATUS, FC0_RESULT = 0x90, 0x94, 0x98, 0x9C
STATUS_PASS, STATUS_DONE, STATUS_RUNNING = 1 << 0, 1 << 4, 1 << 8
STATUS_FAIL, STATUS_SLOW, STATUS_FAST, STATUS_DIED = 1 << 16, 1 << 20, 1 << 24, 1 << 28
_RESET = {FC0_REF_KHZ: 0, FC0_MIN_KHZ: 0, FC0_MAX_KHZ: 0x1FFFFFF, FC0_DELAY: 1, FC0_INTERVAL: 8, FC0_SRC: 0}

PLL_SYS, ROSC, CLK_REF, CLK_SYS = 1, 3, 8, 9
CRYSTAL_KHZ = 12_000.0
SYS_KHZ = 125_000.0
ROSC_LOWEST_KHZ, ROSC_HIGHEST_KHZ = 1_800.0, 12_000.0
"""What the datasheet allows the ring oscillator to be (2.17)."""
_INTERVAL_STEP_NS = 980.0
_ACCURACY_KHZ = 2_048.0  # of the shortest interval; halves with each doubling
_JITTER = 5e-4
"""Spread (one sigma) of ring oscillator measurements over a millisecond: assumed, the datasheet gives none."""


class ClocksBlock(RPClocks):
    """Registers of the clocks block.

    Attributes:
        rosc_khz: the ring oscillator, drawn from the seed; 0 = stopped.
        crystal_error: the crystal is so much faster than it should be, as a fraction (0.06 = 6 %).
        pll_error: the same for the system clock against the crystal.
    """

    def __init__(self, mcu: Any, name: str, seed: int = 0) -> None:
        super().__init__(mcu, name)
        self._random = random.Random(f"ring oscillator {seed}")
        self.rosc_khz = self._random.uniform(5_500.0, 7_500.0)
        self.crystal_error = 0.0
        self.pll_error = 0.0
        self._counter = dict(_RESET)
        self._begun_ns = 0.0
        self._measured_khz = 0.0

    def reset(self) -> None:
        super().reset()
        self._counter = dict(_RESET)

    def read_uint32(self, offset: int) -> int:
        if offset in self._counter:
            return self._counter[offset]
        if offset == FC0_STATUS:
            return self._status()
        if offset == FC0_RESULT:
            return int(self._measured_khz * 32.0) if self._done else 0
        return int(super().read_uint32(offset))

    def write_uint32(self, offset: int, value: int) -> None:
        if offset not in self._counter:
            super().write_uint32(offset, value)
            return
        self._counter[offset] = value
        if offset == FC0_SRC:
            self._begun_ns = self.rp2040.clock.nanos
            self._measured_khz = self._count(value)

    def _true_khz(self, source: int) -> float:
        if source == ROSC:
            return self.rosc_khz * (1.0 + self._random.gauss(0.0, _JITTER))
        crystal = 1.0 + self.crystal_error
        if source in (PLL_SYS, CLK_SYS):
            return SYS_KHZ * crystal * (1.0 + self.pll_error)
        return CRYSTAL_KHZ * crystal if source == CLK_REF else 0.0

    def _count(self, source: int) -> float:
        """What the counter will say: counts of the source in a time that the crystal and FC0_REF_KHZ give."""
        seen_khz = (
            self._true_khz(source) * self._counter[FC0_REF_KHZ] / (CRYSTAL_KHZ * (1.0 + self.crystal_error))
        )
        step_khz = _ACCURACY_KHZ / (1 << self._counter[FC0_INTERVAL])
        return seen_khz // step_khz * step_khz

    @property
    def _done(self) -> bool:
        interval_ns = _INTERVAL_STEP_NS * float(1 << self._counter[FC0_INTERVAL])
        return bool(self._counter[FC0_SRC] and self.rp2040.clock.nanos >= self._begun_ns + interval_ns)

    def _status(self) -> int:
        if self._counter[FC0_SRC] and self._measured_khz <= 0.0:
            return STATUS_DIED
        if not self._done:
            return STATUS_RUNNING if self._counter[FC0_SRC] else 0
        if self._measured_khz < self._counter[FC0_MIN_KHZ]:
            return STATUS_DONE | STATUS_FAIL | STATUS_SLOW
        if self._measured_khz > self._counter[FC0_MAX_KHZ]:
            return STATUS_DONE | STATUS_FAIL | STATUS_FAST
        return STATUS_DONE | STATUS_PASS
