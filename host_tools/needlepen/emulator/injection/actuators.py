"""Faults of motor, bridge, supply switch and depth axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from needlepen.emulator.injection.entry import Act, Entry, Undo, Value, number
from needlepen.emulator.injection.vocabulary import Fault

if TYPE_CHECKING:
    from needlepen.emulator.pen import EmulatedPen


def _switched(change: Callable[[EmulatedPen, bool], None]) -> Act:
    """A defect that is there or not."""

    def act(pen: EmulatedPen, _fault: Fault) -> Undo:
        change(pen, True)
        return lambda: change(pen, False)

    return act


def _drag(pen: EmulatedPen, fault: Fault) -> Undo:
    pen.electronics.set_drag(pen.now_ns, number(fault) * 1e-3)
    return lambda: pen.electronics.set_drag(pen.now_ns, 0.0)


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "motor", "stuck", "SR-08", "rotor locked at the angle where it is, at once",
        _switched(lambda pen, on: pen.electronics.jam(pen.now_ns, on)), cutoff="jam",
    ),
    Entry(
        "motor", "slow", "SR-07", "failing bearing: extra friction torque",
        _drag, Value("torque", 1.0, "mN m", 0.0, 10.0),
    ),
    Entry(
        "motor", "short", "SR-09", "most turns of the winding shorted",
        _switched(lambda pen, on: pen.electronics.short_winding(pen.now_ns, on)), cutoff="winding", is_fast=True,
    ),
    Entry(
        "motor", "open", "SR-08", "winding or brush open: no current, nothing drives and nothing brakes",
        _switched(lambda pen, on: pen.electronics.open_motor(pen.now_ns, on)),
    ),
    Entry(
        "bridge", "short", "SR-06", "high-side transistor shorted: full drive whatever the gate says",
        _switched(lambda pen, on: pen.electronics.short_high_side(pen.now_ns, on)), cutoff="bridge",
    ),
)  # fmt: skip
