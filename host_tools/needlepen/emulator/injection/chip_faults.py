"""Faults of the processor and of what hangs on its USB port."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from needlepen.emulator.injection.entry import Act, Entry, Undo
from needlepen.emulator.injection.vocabulary import Fault

if TYPE_CHECKING:
    from needlepen.emulator.pen import EmulatedPen

FLOOD_BYTES_S = 1.0e6
"""About what full-speed USB carries."""


def _hung(change: Callable[[EmulatedPen], None]) -> Act:
    """A CPU that hangs comes back with the next reset of the chip, or with the end of the fault."""

    def act(pen: EmulatedPen, fault: Fault) -> Undo:
        is_over = False

        def revive() -> None:
            nonlocal is_over
            is_over = True
            pen.chip.resume_cpu()

        def after_reset(_t_ns: int, _cause: str) -> None:
            if not is_over:
                pen.faults.repair(fault.target, fault.kind)

        pen.chip.on_reset(after_reset)
        change(pen)
        return revive

    return act


def _silent(pen: EmulatedPen, _fault: Fault) -> Undo:
    pen.chip.console.pause_reading()
    return pen.chip.console.resume_reading


def _flooded(pen: EmulatedPen, _fault: Fault) -> Undo:
    pen.chip.console.flood(FLOOD_BYTES_S)
    return lambda: pen.chip.console.flood(0)


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "cpu", "off", "SR-10", "executes nothing until the chip is reset; PIO, PWM and timers go on",
        _hung(lambda pen: pen.chip.halt_cpu()), cutoff="halt", lasts=False,
    ),
    Entry(
        "cpu", "stuck", "SR-10", "spins with interrupts disabled until the chip is reset",
        _hung(lambda pen: pen.chip.spin_cpu()), cutoff="spin", lasts=False,
    ),
    Entry("usb", "off", "PR-07", "the host stops reading and polling the port", _silent),
    Entry("usb", "garbage", "PR-07", "the host sends bytes that are no frames as fast as USB carries them", _flooded),
)  # fmt: skip
