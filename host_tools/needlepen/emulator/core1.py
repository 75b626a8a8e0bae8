"""The second core, as far as a program that does not use it meets it: it can be reset.

A soft reset of MicroPython takes core 1 out of reset and waits for the 0 that its boot ROM then puts into the
inter-core FIFO (pico-sdk, multicore_reset_core1). Launching a program on it is not emulated and counts as a fault.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from rp2040py.peripherals.psm import FRCE_OFF, RPPSM
from rp2040py.sio import FIFO_RD, FIFO_ST, FIFO_WR, RPSIO

PROC1 = 1 << 16
VALID, READY = 1 << 0, 1 << 1


class SioWithMailbox(RPSIO):
    """rp2040py's block with the core 0 end of the FIFO."""

    def __init__(self, mcu: Any) -> None:
        super().__init__(mcu)
        self.from_core1: deque[int] = deque()

    def reset(self) -> None:
        super().reset()
        self.from_core1.clear()

    def read_uint32(self, offset: int) -> int | float:
        if offset == FIFO_ST:
            return READY | (VALID if self.from_core1 else 0)
        if offset == FIFO_RD:
            return self.from_core1.popleft() if self.from_core1 else 0
        return super().read_uint32(offset)

    def write_uint32(self, offset: int, value: int) -> None:
        if offset == FIFO_ST:
            return  # clears the flags for FIFO misuse, which are not modelled
        if offset == FIFO_WR:
            self.rp2040.logger.warning("SIO", "Launching a program on core 1 is not implemented")
        super().write_uint32(offset, value)


class PowerStates(RPPSM):
    """rp2040py's block; core 1 leaving reset says so in the mailbox."""

    def write_uint32(self, offset: int, value: int) -> None:
        was_off = self._frce_off & PROC1
        super().write_uint32(offset, value)
        if offset == FRCE_OFF and was_off and not self._frce_off & PROC1:
            mcu: Any = self.rp2040
            mcu.sio.rare.from_core1.append(0)
