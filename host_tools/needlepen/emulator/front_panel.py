"""What the operator touches, sees and hears besides the trigger: depth buttons, pixel, buzzer."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from needlepen.emulator.buzzer import Buzzer
from needlepen.emulator.pixel import Pixel
from needlepen.errors import UsageError

if TYPE_CHECKING:
    from needlepen.emulator.chip import Chip

BUTTONS = ("DEPTH_UP_N", "DEPTH_DOWN_N")
LONGEST_BOUNCE_MS = 10.0  # what the firmware has to bear; good switches bounce for 1 to 5 ms
_BOUNCE_EDGES = 12


class FrontPanel:
    """Wired to a chip. Buttons are open at first; a bounce is drawn from `seed`."""

    def __init__(self, chip: Chip, gpio: Callable[[str], int], seed: int = 0) -> None:
        self.pixel = Pixel()
        self.buzzer = Buzzer()
        self._chip = chip
        self._gpio = {name: gpio(name) for name in BUTTONS}
        self._random = random.Random(f"bounce {seed}")
        for pin in self._gpio.values():
            chip.drive(pin, 1)
        chip.on_output(gpio("PIXEL"), self.pixel.edge)
        chip.on_pwm(gpio("BUZZER"), self.buzzer.waveform)

    def press(self, name: str, bounce_ms: float = 0.0) -> None:
        """Close a button of BUTTONS now; its contacts bounce for bounce_ms, 0 to 10, before they rest.

        Raises UsageError for another name or bounce.
        """
        self._move(name, 0, bounce_ms)

    def release(self, name: str, bounce_ms: float = 0.0) -> None:
        """Open a button now; as `press`."""
        self._move(name, 1, bounce_ms)

    def power(self, t_ns: int, on: bool) -> None:
        """The supply went or came; without it the pixel is dark. A buzzer follows its pin."""
        if not on:
            self.pixel.power_off(t_ns)

    def _move(self, name: str, level: int, bounce_ms: float) -> None:
        if name not in self._gpio:
            raise UsageError(f"The pen has no button {name!r}: use one of {', '.join(BUTTONS)}.")
        if not 0.0 <= bounce_ms <= LONGEST_BOUNCE_MS:
            raise UsageError(
                f"A bounce of {bounce_ms:g} ms: contacts bounce for 0 to {LONGEST_BOUNCE_MS:g} ms."
            )
        gpio, now_ns = self._gpio[name], self._chip.now_ns
        self._chip.drive(gpio, level)
        if bounce_ms:
            edges = sorted(self._random.uniform(0.0, bounce_ms * 1e6) for _ in range(_BOUNCE_EDGES - 1))
            for number, after_ns in enumerate([*edges, bounce_ms * 1e6]):
                self._call(gpio, now_ns + after_ns, level if number % 2 else 1 - level)

    def _call(self, gpio: int, t_ns: float, level: int) -> None:
        self._chip.call_at(t_ns, lambda: self._chip.drive(gpio, level))
