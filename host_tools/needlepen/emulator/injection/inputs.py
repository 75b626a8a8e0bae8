"""Faults of the lines into the chip: between what drives a line and the pad that reads it.

The rotation sensors and the trigger switch have their disturbed line in the electronics, since more than the chip
hears them; all other lines get one at their pad.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from needlepen.emulator.line_faults import DisturbedLine

if TYPE_CHECKING:
    from needlepen.emulator.pen import EmulatedPen

Undo = Callable[[], None]
CHATTER_US = (200.0, 40_000.0)
NOISE_US = (2.0, 300.0)


def line(pen: EmulatedPen, signal: str) -> tuple[DisturbedLine, Undo]:
    """The disturbed line of an input, and what takes it away again."""
    found = pen.electronics.lines.get(signal)
    if found is not None:
        return found, lambda: found.clear(pen.now_ns)
    pins, gpio = pen.chip.pins, pen.board.gpio(signal)
    made = DisturbedLine(
        pen.chip, pins.outside(gpio) or 0, lambda _t_ns, level: pins.drive_directly(gpio, level)
    )
    pins.route(gpio, lambda level: made.set_true(pen.now_ns, level or 0))

    def undo() -> None:
        made.clear(pen.now_ns)
        pins.route(gpio, None)

    return made, undo


def stuck(pen: EmulatedPen, signal: str, level: int | None) -> Undo:
    """The line stays at a level; None: at the one it has."""
    disturbed, undo = line(pen, signal)
    disturbed.stick(pen.now_ns, disturbed.level if level is None else level)
    return undo


def chatter(pen: EmulatedPen, signal: str, open_level: int, seed: int) -> Undo:
    """A bad contact: at random moments the line goes to the level of its pull."""
    disturbed, undo = line(pen, signal)
    disturbed.pulses(pen.now_ns, _random_pulses(seed, CHATTER_US), "or" if open_level else "and")
    return undo


def noise(pen: EmulatedPen, signal: str, seed: int) -> Undo:
    """Short random pulses both ways, as commutator and discharges make them."""
    disturbed, undo = line(pen, signal)
    disturbed.pulses(pen.now_ns, _random_pulses(seed, NOISE_US), "xor")
    return undo


def late(pen: EmulatedPen, signal: str, delay_us: float) -> Undo:
    """Every edge comes so much later."""
    disturbed, undo = line(pen, signal)
    disturbed.delay(delay_us)
    return undo


def inverted(pen: EmulatedPen, signal: str) -> Undo:
    """High is low."""
    disturbed, undo = line(pen, signal)
    disturbed.invert(pen.now_ns, True)
    return undo


def _random_pulses(seed: int, range_us: tuple[float, float]) -> Iterator[tuple[float, float]]:
    draw = random.Random(f"pulses {seed}")
    while True:
        width_us = draw.uniform(*range_us)
        yield width_us + draw.uniform(*range_us), width_us
