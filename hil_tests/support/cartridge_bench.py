"""The firmware's cartridge part on CPython, with an emulated DS2431 on a bus that knows device time.

Slots take what they take on the pen; nothing of the firmware is replaced but `_onewire` and the clock.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from needlepen.cartridges.emulated import emulated_cartridge
from needlepen.emulator.ds2431 import DS2431
from needlepen.firmware_modules import firmware_module

part = firmware_module("pen.cartridge")
chips = firmware_module("pen.ds2431")
states = firmware_module("pen.states")
faults = firmware_module("pen.faults")
places = firmware_module("pen.places")
board = firmware_module("pen.board")
layout = firmware_module("pen.cartridge_record")

RESET_US, SLOT_US = 1000, 70
QUICK_MS, FULL_MS = 8, 250
PEN_ID = bytes.fromhex("e66000000000beef")


class PowerCut(Exception):
    """The pen's supply went; nothing of the program runs any more."""


class Bus:
    """What pen.onewire.OneWire does, on one emulated chip."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.bits = 0
        self.noise = 0.0
        self.silent_after: int | None = None  # bits until the contact opens
        self.chance = random.Random(0)

    def _pass(self, us: int) -> None:
        self._bench.pass_us(us)
        if self.silent_after is not None:
            self.silent_after -= 1
            if self.silent_after == 0:
                self._bench.unplug()

    def reset(self) -> bool:
        self._pass(RESET_US)
        chip = self._bench.chip
        if chip is None:
            return False
        chip.reset(self._bench.now_us * 1e3)
        return True

    def _slot(self, bit: int) -> int:
        self.bits += 1
        self._pass(SLOT_US)
        chip, t_ns = self._bench.chip, self._bench.now_us * 1e3
        if chip is None:
            return bit
        chip.disturb(t_ns)
        wish = chip.wish
        if wish == "silence":
            return bit
        flip = self.noise > 0.0 and self.chance.random() < self.noise
        chip.slot(t_ns, bit ^ flip)
        return bit if wish is None else wish ^ flip

    def write(self, data: bytes) -> None:
        for value in data:
            for place in range(8):
                self._slot(value >> place & 1)

    def read_byte(self) -> int:
        return sum(self._slot(1) << place for place in range(8))


class Bench:
    """A cartridge part, a bus, time. `cut_us`: device time at which the power goes."""

    def __init__(
        self, patch: pytest.MonkeyPatch, chip: DS2431 | None, key: bytes | None, clock_s: int | None = None
    ):
        self.now_us = 0
        self.cut_us: int | None = None
        self.chip: DS2431 | None = chip
        self.contact = 0 if chip else 1
        self.clock_s = clock_s
        self.keys = SimpleNamespace(cartridge=key, development=False)
        self.longest_poll_us = 0
        fake = SimpleNamespace(
            ticks_us=lambda: self.now_us,
            ticks_diff=lambda later, earlier: later - earlier,
            sleep_us=self.pass_us,
        )
        patch.setattr(chips, "time", fake)
        patch.setattr(part, "time", fake)
        self.boot()

    def boot(self) -> None:
        """The firmware starts: RAM is empty."""
        self.bus = Bus(self)
        self.state = [0] * places.SIZE
        self.part = part.Cartridge(
            chips.Ds2431(self.bus), lambda: self.contact, self.state, lambda a, b: a - b, PEN_ID,
            lambda: self.clock_s, self.keys,
        )  # fmt: skip

    # ------------------------------------------------------------------ time
    def pass_us(self, us: int) -> None:
        self.now_us += us
        if self.cut_us is not None and self.now_us >= self.cut_us:
            self.now_us, self.cut_us = self.cut_us, None
            if self.chip:
                self.chip.lose_power(self.now_us * 1e3)
            raise PowerCut

    @property
    def now_ms(self) -> int:
        return self.now_us // 1000

    def poll(self, awake: bool = False, ms: int = QUICK_MS) -> None:
        """One pass of the main loop and the time until the next one."""
        begun_us = self.now_us
        self.part.poll(self.now_ms, awake)
        self.longest_poll_us = max(self.longest_poll_us, self.now_us - begun_us)
        self.pass_us(max(0, ms * 1000 - (self.now_us - begun_us)))
        if self.chip:
            self.chip.settle(self.now_us * 1e3)

    def rest(self, ms: int) -> None:
        """Lie at rest: a pass every 8 ms while the part is busy, else every 250 ms."""
        end_us = self.now_us + 1000 * ms
        while self.now_us < end_us:
            self.poll(ms=QUICK_MS if self.part.busy else FULL_MS)

    def until(self, holds: Callable[[], bool], most_ms: int = 3000) -> int:
        """Rest until a condition holds; returns the ms that it took."""
        begun_us = self.now_us
        while not holds():
            assert self.now_us - begun_us < 1000 * most_ms, f"not within {most_ms} ms: {self.part.reason}"
            self.poll()
        return (self.now_us - begun_us) // 1000

    def decided(self) -> int:
        """Rest until the cartridge is accepted or refused; returns the blockers."""
        reading = states.BLOCK_CARTRIDGE_READING | states.BLOCK_CARTRIDGE_ABSENT
        self.poll()
        self.until(lambda: not self.part.blockers & reading)
        blockers: int = self.part.blockers
        return blockers

    def wake(self) -> None:
        """The drive wakes: its tick counts from 0."""
        self.state[places.TICKS] = 0
        self.poll(awake=True, ms=0)

    def drive(self, ms: int) -> None:
        """The motor has turned for so long; nobody looked."""
        self.pass_us(1000 * ms)
        self.state[places.TICKS] += ms

    def run(self, ms: int, step_ms: int = 10) -> None:
        """A run: wake, the motor turns, it stands."""
        self.wake()
        self.state[places.DRIVE] = 1
        for _ in range(max(1, ms // step_ms)):
            self.part.poll(self.now_ms, True)
            self.drive(step_ms)
        self.state[places.DRIVE] = 0
        self.poll(awake=True)

    # ------------------------------------------------------------------ hands
    def unplug(self) -> None:
        """The contact of the bus opens, not that of the seat."""
        if self.chip:
            self.chip.lose_power(self.now_us * 1e3)
            self.chip = None

    def unseat(self) -> None:
        self.unplug()
        self.contact = 1

    def seat(self, chip: DS2431) -> None:
        self.chip, self.contact = chip, 0


KEY = bytes(range(32))
Make = Callable[..., Bench]
"""make(chip, clock_s=None, key=KEY) is a pen that has just booted with that chip seated (fixture of the unit tests)."""


def chip_of(serial: int = 1, **details: Any) -> DS2431:
    """The chip of a fresh cartridge that is signed with KEY; options as for `emulated_cartridge`."""
    return emulated_cartridge(serial=serial, **{"key": KEY, **details}).chip


def marked(bench: Bench) -> Bench:
    """Bring a bench into a session."""
    assert bench.decided() == 0 and bench.part.mark_used() is None
    return bench
