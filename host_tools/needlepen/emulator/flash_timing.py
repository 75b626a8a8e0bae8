"""The external flash chip: its unique ID, and erase and program operations that take their time.

The RP2040 executes from this chip, so while it is busy the CPU cannot fetch: it stalls, and everything else
goes on. An operation that loses its power on the way leaves what it has got done so far (`lose_power`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from rp2040py.peripherals.ssi import CMD_BLOCK_ERASE, CMD_PAGE_PROGRAM, CMD_SECTOR_ERASE, RPSSI

CMD_READ_UNIQUE_ID = 0x4B
_UNIQUE_ID_OFFSET = 5  # opcode and four dummy bytes
_PREPROGRAM = 0.3  # part of an erase that programs to 0: assumed, data sheets do not say

FlashListener = Callable[[int, str, int, int], None]


@dataclass(frozen=True)
class FlashTiming:
    """Durations of a Winbond W25Q16JV, the chip of the Pico (datasheet: typical values)."""

    sector_erase_ns: int = 45_000_000
    """4 KB erase; up to 400 ms."""
    block_erase_ns: int = 150_000_000
    """64 KB erase; up to 2 s."""
    page_program_ns: int = 400_000
    """256 bytes; up to 3 ms."""


@dataclass(frozen=True)
class FlashOperation:
    """An erase or a program operation and the bytes that were there before it."""

    begin_ns: float
    end_ns: float
    kind: str
    address: int
    before: bytes


def interrupted(kind: str, before: bytes, after: bytes, done: float, rng: np.random.Generator) -> bytes:
    """What a flash array holds when its power went after the fraction `done` (0 to 1) of an operation.

    Programming takes bits from 1 to 0, in any order. Erasing first programs all bits to 0, so that they wear alike,
    and then takes them all to 1: on the way a cell may read as what it was, as 0 or as 1.
    """
    old = np.unpackbits(np.frombuffer(before, np.uint8))
    new = np.unpackbits(np.frombuffer(after, np.uint8))
    drawn = rng.random(old.size)
    if kind == "program":
        mixed = np.where(drawn < done, new, old)
    elif done < _PREPROGRAM:
        mixed = np.where(drawn < done / _PREPROGRAM, 0, old)
    else:
        mixed = np.where(drawn < (done - _PREPROGRAM) / (1.0 - _PREPROGRAM), 1, 0)
    return np.packbits(mixed.astype(np.uint8)).tobytes()


class TimedFlash(RPSSI):
    """The serial interface to the flash with its chip. `stall(ns)` stops the CPU, `listener` hears of each
    change."""

    def __init__(
        self, mcu: Any, name: str, unique_id: bytes, timing: FlashTiming, stall: Callable[[int], None]
    ):
        super().__init__(mcu, name)
        self._unique_id = unique_id
        self._timing = timing
        self._stall = stall
        self.listeners: list[FlashListener] = []
        self._last: FlashOperation | None = None

    def _shift_byte(self, byte_out: int) -> int:
        answer = super()._shift_byte(byte_out)
        position = len(self._tx_buffer) - 1 - _UNIQUE_ID_OFFSET
        if self._tx_buffer[0] == CMD_READ_UNIQUE_ID and 0 <= position < len(self._unique_id):
            return self._unique_id[position]
        return answer

    def _apply_command(self) -> None:
        command = bytes(self._tx_buffer)
        extent = self._extent(command) if self._write_enabled and len(command) >= 4 else None
        if extent is None:
            super()._apply_command()
            return
        kind, address, length, duration_ns = extent
        flash = self.rp2040.flash
        before = bytes(flash[address : address + length])
        super()._apply_command()
        now_ns = float(self.rp2040.clock.nanos)
        self._last = FlashOperation(now_ns, now_ns + duration_ns, kind, address, before)
        for listener in self.listeners:
            listener(round(now_ns), kind, address, length)
        self._stall(duration_ns)

    def _extent(self, command: bytes) -> tuple[str, int, int, int] | None:
        """(kind, address, length, duration in ns) of a command that changes the array, else None."""
        address = int.from_bytes(command[1:4], "big")
        if command[0] == CMD_SECTOR_ERASE:
            return "erase", address & ~0xFFF, 4096, self._timing.sector_erase_ns
        if command[0] == CMD_BLOCK_ERASE:
            return "erase", address & ~0xFFFF, 65536, self._timing.block_erase_ns
        if command[0] == CMD_PAGE_PROGRAM and len(command) > 4:
            return "program", address, len(command) - 4, self._timing.page_program_ns
        return None

    @property
    def last_operation(self) -> FlashOperation | None:
        """The operation that began last; it may be over."""
        return self._last

    def lose_power(self, now_ns: float, rng: np.random.Generator) -> FlashOperation | None:
        """The supply of the flash ends now. An operation under way stays half done; returns it, None if all was quiet.

        `rng` decides which bits were already done.
        """
        operation, self._last = self._last, None
        self._write_enabled = False
        if operation is None or now_ns >= operation.end_ns:
            return None
        done = (now_ns - operation.begin_ns) / (operation.end_ns - operation.begin_ns)
        start, stop = operation.address, operation.address + len(operation.before)
        after = bytes(self.rp2040.flash[start:stop])
        self.rp2040.flash[start:stop] = interrupted(operation.kind, operation.before, after, done, rng)
        return operation
