"""The logic supply of the emulated pen: cut at once, at a given time, or in the middle of a flash operation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from needlepen.errors import UsageError

if TYPE_CHECKING:
    from needlepen.emulator.chip import Chip
    from needlepen.emulator.electronics import Electronics

PowerListener = Callable[[int, bool], None]


@dataclass(frozen=True)
class FlashCut:
    """A power cut that hit the flash at work: what it did (`kind`), where, and how far it had got (0 to 1)."""

    kind: str
    address: int
    done: float


class Power:
    """Without power no pin is driven, the flash stops where it is, and the chip is held at its reset vector.

    `on` says whether there is power, `hit` which flash operation the last cut interrupted, if any. `seed` decides
    which bits of an interrupted flash operation were done.
    """

    def __init__(self, chip: Chip, electronics: Electronics, seed: int = 0) -> None:
        self._chip = chip
        self._electronics = electronics
        self._rng = np.random.default_rng([seed, 0xF1A5])
        self._listeners: list[PowerListener] = []
        self._operations_left = 0
        self._done = 0.5
        self.on = True
        self.hit: FlashCut | None = None
        chip.on_flash_write(self._flash_begins)

    def on_change(self, fn: PowerListener) -> None:
        """Call fn(t_ns, on) after each cut and each return."""
        self._listeners.append(fn)

    def cut(self) -> None:
        """The power goes now. Without effect while there is none."""
        if not self.on:
            return
        self.on = False
        chip = self._chip
        operation = chip.lose_flash_power(self._rng)
        self.hit = None
        if operation is not None:
            done = (chip.now_ns - operation.begin_ns) / (operation.end_ns - operation.begin_ns)
            self.hit = FlashCut(operation.kind, operation.address, done)
        chip.reset("power_on")
        chip.halt_cpu()
        self._tell()
        chip.request_stop()

    def cut_at(self, at_ns: float) -> None:
        """The power goes at that device time. Raises UsageError for a time that is over."""
        if at_ns < self._chip.now_ns:
            raise UsageError(
                f"power cut at {at_ns / 1e9:.6f} s: it is {self._chip.now_ns / 1e9:.6f} s already; give a later time"
            )
        self._chip.call_at(at_ns, self.cut)

    def cut_at_flash_operation(self, number: int, done: float = 0.5) -> None:
        """The power goes within the `number`-th flash operation from now (1 = the next one), when the fraction
        `done` of its time has passed: 0 = before it changed anything, 1 = it is just over.

        Raises UsageError for a number below 1 or a fraction outside 0 to 1.
        """
        if number < 1 or not 0.0 <= done <= 1.0:
            raise UsageError(
                f"power cut at flash operation {number}, {done:g} of it done: operations count from 1, "
                "the fraction is 0 to 1"
            )
        self._operations_left, self._done = number, done

    def restore(self) -> None:
        """The power returns and the chip starts. Without effect while there is power."""
        if self.on:
            return
        self.on = True
        self._operations_left = 0
        chip = self._chip
        chip.resume_cpu()
        self._electronics.power_up(chip.now_ns)
        chip.reset("power_on")
        self._tell()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener(self._chip.now_ns, self.on)

    def _flash_begins(self, t_ns: int, _kind: str, _address: int, _length: int) -> None:
        if self._operations_left > 0:
            self._operations_left -= 1
            if self._operations_left == 0:
                operation = self._chip.flash_operation
                assert operation is not None
                duration_ns = operation.end_ns - operation.begin_ns
                self._chip.call_at(t_ns + self._done * duration_ns, self.cut)
