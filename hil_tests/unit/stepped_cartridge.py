"""A cartridge part and its chip, a list of bytes, gone through step by step."""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from needlepen.cartridges.records import Record, make_memory
from needlepen.cartridges.tables import load_types
from needlepen.emulator.ds2431 import make_rom
from needlepen.firmware_modules import firmware_module

part = firmware_module("pen.cartridge")
chips = firmware_module("pen.ds2431")
layout = firmware_module("pen.cartridge_record")
uses = firmware_module("pen.cartridge_use")
S = firmware_module("pen.states")
faults = firmware_module("pen.faults")
places = firmware_module("pen.places")
board = firmware_module("pen.board")

KEY, ROM, PEN_ID = bytes(range(32)), make_rom(b"\1\2\3\4\5\6"), bytes(range(8))
DAY_S, EXPIRY = 86_400, date(2028, 2, 29)
EXPIRY_DAY = (EXPIRY - date(2000, 1, 1)).days
MEMORY = bytes(make_memory(Record(load_types().with_needles(24), "L1", EXPIRY), ROM, KEY))[
    : chips.MEMORY_BYTES
]
UNREADABLE, FOREIGN, USED = (
    S.BLOCK_CARTRIDGE_UNREADABLE, S.BLOCK_CARTRIDGE_FOREIGN, S.BLOCK_CARTRIDGE_USED,
)  # fmt: skip
READING, ABSENT, EXPIRED = S.BLOCK_CARTRIDGE_READING, S.BLOCK_CARTRIDGE_ABSENT, S.BLOCK_CARTRIDGE_EXPIRED
READ_ALL = [("identify",), ("read", 0, chips.MEMORY_BYTES)]
ACCEPTED = [*READ_ALL, ("prepare", 0x40)]


class Chip:
    """Does what Ds2431 does. `calls`: each command; `fails`: what the next commands raise; `slices`: device time of the
    slices that a command is made of, us."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.rom, self.memory = clock, ROM, bytearray(MEMORY)
        self.calls: list[tuple[Any, ...]] = []
        self.fails: list[str] = []
        self.slices: list[int] = []

    def _do(self, *call: Any) -> Generator[None]:
        self.calls.append(call)
        for us in self.slices:
            self.clock.us += us
            yield
        self._fail()

    def _fail(self) -> None:
        if self.fails:
            raise chips.ChipError(self.fails.pop(0))

    def identify(self) -> Generator[None, None, bytes]:
        yield from self._do("identify")
        return self.rom

    def read(self, address: int, count: int) -> Generator[None, None, bytes]:
        yield from self._do("read", address, count)
        return bytes(self.memory[address : address + count])

    def prepare(self, address: int, row: bytes) -> Generator[None]:
        yield from self._do("prepare", address)
        self.scratchpad = row

    def verify(self, address: int, row: bytes) -> Generator[None]:
        yield from self._do("verify", address)
        assert row == self.scratchpad

    def write(self, address: int, row: bytes) -> Generator[None]:
        yield from self._do("write", address)
        self.memory[address : address + 8] = row

    def copy_now(self, address: int, wanted: bytes) -> None:
        self.calls.append(("copy", address, wanted))
        self._fail()
        self.memory[address : address + 8] = self.scratchpad


class Clock:
    """Time passes when it is told to."""

    def __init__(self) -> None:
        self.us = 0

    def ticks_us(self) -> int:
        return self.us

    @staticmethod
    def ticks_diff(later: int, earlier: int) -> int:
        return later - earlier


class Pen:
    """A part with its chip seated; `now_ms` is the time of the passes."""

    def __init__(self, clock: Clock, keys: Any) -> None:
        self.chip = Chip(clock)
        self.contact = 0
        self.state = [0] * places.SIZE
        self.clock_s: int | None = None
        self.now_ms = 0
        self.part = part.Cartridge(
            self.chip,
            lambda: self.contact,
            self.state,
            lambda a, b: a - b,
            PEN_ID,
            lambda: self.clock_s,
            keys,
        )

    def poll(self, ms: int = 8, awake: bool = False) -> int:
        """A pass so many ms after the one before; the blockers."""
        self.now_ms += ms
        self.part.poll(self.now_ms, awake)
        blockers: int = self.part.blockers
        return blockers

    def calls(self) -> list[tuple[Any, ...]]:
        """The commands since the last time."""
        found = list(self.chip.calls)
        self.chip.calls.clear()
        return found

    def seated(self) -> Pen:
        """The contact has settled: the next pass begins to read."""
        assert self.poll() == READING and self.poll(50) == READING and not self.calls()
        return self

    def accepted(self) -> Pen:
        """Read, its mark in the scratchpad, nothing of it used."""
        self.seated().until(lambda: self.part.accepted)
        assert self.calls() == ACCEPTED
        return self

    def marked(self) -> Pen:
        assert self.accepted().part.mark_used() is None
        self.poll()
        self.chip.calls.clear()
        return self

    def until(self, holds: Callable[[], bool]) -> None:
        for _ in range(20):
            if holds():
                return
            self.poll()
        raise AssertionError(self.part.reason)

    def refused(self) -> tuple[int, str]:
        """Blockers and reason when reading has ended."""
        self.until(lambda: not self.part.blockers & (READING | ABSENT))
        self.chip.calls.clear()
        return self.part.blockers, self.part.reason

    def unseat(self) -> None:
        self.contact = 1
        self.poll()

    def run(self, ms: int) -> None:
        """The motor turns for so long; seen at begin and end."""
        self.state[places.DRIVE] = 1
        self.poll(awake=True)
        self.state[places.TICKS] += ms
        self.poll(ms, awake=True)
        self.state[places.DRIVE] = 0
        self.poll(awake=True)


def inserted(monkeypatch: pytest.MonkeyPatch) -> Pen:
    """A pen with keys whose cartridge part goes by a clock of ours."""
    clock = Clock()
    monkeypatch.setattr(part, "time", clock)
    return Pen(clock, SimpleNamespace(cartridge=KEY, development=False))
