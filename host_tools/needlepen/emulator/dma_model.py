"""rp2040py's DMA controller with a quick answer to the question which channels a request paces."""

from __future__ import annotations

from typing import Any

from rp2040py.peripherals.dma import EN, RPDMA


class Dma(RPDMA):
    """The DMA controller; converter and PWM ask it at each of their requests."""

    def __init__(self, mcu: Any, name: str) -> None:
        self._paced: dict[int, list[Any]] = {}
        super().__init__(mcu, name)

    def write_uint32(self, offset: int, value: int) -> None:
        self._paced.clear()  # a control register may have changed
        super().write_uint32(offset, value)

    def reset(self) -> None:
        self._paced.clear()
        super().reset()

    def paced_by(self, request: int) -> list[Any]:
        """The enabled channels that wait for `request`, busy or not."""
        if request not in self._paced:
            self._paced[request] = [c for c in self.channels if c._treq_value == request and c._ctrl & EN]
        return self._paced[request]
