"""The external flash chip: its unique ID, and erase and program operations that take their time.

The RP2040 executes from this chip, so while it is busy the CPU cannot fetch: it stalls, and everything else
goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rp2040py.peripherals.ssi import CMD_BLOCK_ERASE, CMD_PAGE_PROGRAM, CMD_SECTOR_ERASE, RPSSI

CMD_READ_UNIQUE_ID = 0x4B
_UNIQUE_ID_OFFSET = 5  # opcode and four dummy bytes

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

    def _shift_byte(self, byte_out: int) -> int:
        answer = super()._shift_byte(byte_out)
        position = len(self._tx_buffer) - 1 - _UNIQUE_ID_OFFSET
        if self._tx_buffer[0] == CMD_READ_UNIQUE_ID and 0 <= position < len(self._unique_id):
            return self._unique_id[position]
        return answer

    def _apply_command(self) -> None:
        command = bytes(self._tx_buffer)
        was_enabled = self._write_enabled
        super()._apply_command()
        if not was_enabled or len(command) < 4:
            return
        address = int.from_bytes(command[1:4], "big")
        if command[0] == CMD_SECTOR_ERASE:
            self._busy("erase", address & ~0xFFF, 4096, self._timing.sector_erase_ns)
        elif command[0] == CMD_BLOCK_ERASE:
            self._busy("erase", address & ~0xFFFF, 65536, self._timing.block_erase_ns)
        elif command[0] == CMD_PAGE_PROGRAM and len(command) > 4:
            self._busy("program", address, len(command) - 4, self._timing.page_program_ns)

    def _busy(self, kind: str, address: int, length: int, duration_ns: int) -> None:
        for listener in self.listeners:
            listener(round(self.rp2040.clock.nanos), kind, address, length)
        self._stall(duration_ns)
