"""Faults of the cell and of the charger."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from needlepen.emulator.injection.entry import Entry, Undo, Value, number
from needlepen.emulator.injection.vocabulary import Fault

if TYPE_CHECKING:
    from needlepen.emulator.pen import EmulatedPen

_RAMP_NS = 2e6
_BOUNCE_MS = (1.0, 30.0)
LOWEST_V, HIGHEST_V = 2.5, 4.35


def _off(pen: EmulatedPen, fault: Fault) -> Undo:
    if fault.value is None:
        pen.power.cut()
    else:
        pen.power.cut_at_flash_operation(int(number(fault)))
    return pen.power.restore


def _wrong(pen: EmulatedPen, fault: Fault) -> Undo:
    before_v = pen.physics.cell_ocv_v
    pen.electronics.set_cell(pen.now_ns, number(fault))
    return lambda: pen.electronics.set_cell(pen.now_ns, before_v)


def _ramp(pen: EmulatedPen, fault: Fault) -> Undo:
    """Down to the lowest voltage that the model has; the logic goes when its own supply does."""
    before_v, begun_ns = pen.physics.cell_ocv_v, pen.now_ns
    alarm = pen.chip.create_alarm(lambda: fall())

    def fall() -> None:
        volts = before_v - number(fault) * (pen.now_ns - begun_ns) / 1e9
        pen.electronics.set_cell(pen.now_ns, max(volts, LOWEST_V))
        if volts > LOWEST_V:
            alarm.schedule(_RAMP_NS)

    def undo() -> None:
        alarm.cancel()
        pen.electronics.set_cell(pen.now_ns, before_v)

    fall()
    return undo


def _bounce(pen: EmulatedPen, fault: Fault) -> Undo:
    """A loose cell contact: the power goes and comes at random moments."""
    draw = random.Random(f"cell contact {fault.seed}")
    alarm = pen.chip.create_alarm(lambda: turn())

    def turn() -> None:
        if pen.power.on:
            pen.power.cut()
        else:
            pen.power.restore()
        alarm.schedule(draw.uniform(*_BOUNCE_MS) * 1e6)

    def undo() -> None:
        alarm.cancel()
        pen.power.restore()

    turn()
    return undo


def _plugged_in(pen: EmulatedPen, _fault: Fault) -> Undo:
    pen.set_vbus(True)
    return lambda: pen.set_vbus(False)


def _loose_plug(pen: EmulatedPen, fault: Fault) -> Undo:
    draw = random.Random(f"plug {fault.seed}")
    is_in = False
    alarm = pen.chip.create_alarm(lambda: turn())

    def turn() -> None:
        nonlocal is_in
        is_in = not is_in
        pen.set_vbus(is_in)
        alarm.schedule(draw.uniform(*_BOUNCE_MS) * 1e6)

    def undo() -> None:
        alarm.cancel()
        pen.set_vbus(False)

    turn()
    return undo


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "cell", "off", "SR-28", "the power is cut, at once or in a flash operation, until the fault ends",
        _off, Value("number of the flash operation from then on", None, "", 1, 10_000),
    ),
    Entry(
        "cell", "wrong", "SR-20", "another open-circuit voltage",
        _wrong, Value("voltage", 3.1, "V", LOWEST_V, HIGHEST_V),
    ),
    Entry(
        "cell", "slow", "SR-20", "brown-out: the voltage falls steadily",
        _ramp, Value("fall", 1.0, "V/s", 0.01, 100.0),
    ),
    Entry("cell", "intermittent", "SR-28", "loose contact: the power goes for some ms, again and again", _bounce),
    Entry("charger", "stuck", "SR-22", "plugged in, and left there", _plugged_in),
    Entry("charger", "intermittent", "SR-22", "a loose plug: there and gone, again and again", _loose_plug),
)  # fmt: skip
