"""The ring oscillator's random bit, the only entropy of the chip; the rest of the block is not modelled."""

from __future__ import annotations

import random
from typing import Any

from rp2040py.peripherals.peripheral import UnimplementedPeripheral

RANDOMBIT = 0x1C


class RoscBlock(UnimplementedPeripheral):
    """`stuck`: the bit stands still at this level; None = it is random. It goes on through resets and power cuts."""

    def __init__(self, mcu: Any, name: str, seed: int = 0) -> None:
        super().__init__(mcu, name)
        self._random = random.Random(f"random bit {seed}")
        self.stuck: int | None = None

    def read_uint32(self, offset: int) -> int:
        if offset != RANDOMBIT:
            return int(super().read_uint32(offset))
        return self._random.getrandbits(1) if self.stuck is None else self.stuck
