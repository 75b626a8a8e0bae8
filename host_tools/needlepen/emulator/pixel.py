"""The WS2812 on the pen's front: reads its data line edge by edge, as the LED does.

Pulse widths from the WS2812B datasheet: a high of 0.4 us is a 0, one of 0.8 us a 1, each +-0.15 us; 24 bits, green
first; a low of 50 us or more ends the transfer and shows it. What does not fit is counted and not shown.
"""

from __future__ import annotations

ZERO_HIGH_NS = (250, 550)
ONE_HIGH_NS = (650, 950)
RESET_NS = 50_000
BIT_GAP_NS = 5_000  # a longer low that is no reset leaves the LED between two bits
BITS = 24

Rgb = tuple[int, int, int]
DARK: Rgb = (0, 0, 0)


class Pixel:
    """One WS2812. `rgb` is what it shows; `history` each colour that it was told, with the end of the transfer."""

    def __init__(self) -> None:
        self.rgb: Rgb = DARK
        self.history: list[tuple[int, Rgb]] = []
        self.malformed = 0  # transfers with a pulse, a gap or a length that the LED does not understand
        self._level = 0
        self._edge_ns = -RESET_NS
        self._bits = 0
        self._count = 0
        self._broken = False

    @property
    def lit(self) -> bool:
        """Whether it shows any light."""
        return self.rgb != DARK

    def edge(self, t_ns: int, level: int | None) -> None:
        """The data line changed; None is an undriven line, which the LED takes for low."""
        high = 1 if level else 0
        if high == self._level:
            return
        self._level = high
        width_ns, self._edge_ns = t_ns - self._edge_ns, t_ns
        if high:
            self._rise(width_ns)
        else:
            self._fall(t_ns, width_ns)

    def _rise(self, low_ns: int) -> None:
        if low_ns >= RESET_NS:
            if self._count not in (0, BITS) or self._broken:
                self.malformed += 1
            self._bits = self._count = 0
            self._broken = False
        elif low_ns > BIT_GAP_NS:
            self._broken = True

    def _fall(self, t_ns: int, high_ns: int) -> None:
        one = ONE_HIGH_NS[0] <= high_ns <= ONE_HIGH_NS[1]
        if not one and not ZERO_HIGH_NS[0] <= high_ns <= ZERO_HIGH_NS[1]:
            self._broken = True
        if self._broken or self._count >= BITS:  # bits beyond the 24th are for an LED behind this one
            return
        self._bits = self._bits << 1 | one
        self._count += 1
        if self._count == BITS:
            green, red, blue = self._bits.to_bytes(3, "big")
            self.rgb = (red, green, blue)
            self.history.append((t_ns, self.rgb))

    def power_off(self, t_ns: int) -> None:
        """The supply is gone: dark, and the next transfer starts anew."""
        self.rgb = DARK
        self.history.append((t_ns, DARK))
        self._bits = self._count = self._level = 0
        self._broken = False
        self._edge_ns = t_ns - RESET_NS
