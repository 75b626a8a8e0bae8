"""Faults of the depth axis: its stepper and its screw."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from needlepen.emulator.injection.entry import Entry, Undo, Value, number
from needlepen.emulator.injection.vocabulary import Fault

if TYPE_CHECKING:
    from needlepen.emulator.pen import EmulatedPen

COILS = ("A", "B")
_WALK_NS = 10e6
_CHATTER_MS = (0.5, 30.0)


def _weaken(pen: EmulatedPen, coils: tuple[str, ...], share: float) -> Undo:
    for coil in coils:
        pen.axis.weaken_coil(pen.now_ns, coil, share)

    def undo() -> None:
        for coil in coils:
            pen.axis.weaken_coil(pen.now_ns, coil, 1.0)

    return undo


def _jam(pen: EmulatedPen, _fault: Fault) -> Undo:
    pen.axis.jam(pen.now_ns, True)
    return lambda: pen.axis.jam(pen.now_ns, False)


def _chatter(pen: EmulatedPen, fault: Fault) -> Undo:
    """A loose coil wire: steps get lost."""
    draw = random.Random(f"coil {fault.seed}")
    share = {"now": 1.0}

    def turn() -> float:
        share["now"] = 1.0 - share["now"]
        pen.axis.weaken_coil(pen.now_ns, "A", share["now"])
        return draw.uniform(*_CHATTER_MS) * 1e6

    stop = _again(pen, turn)

    def undo() -> None:
        stop()
        pen.axis.weaken_coil(pen.now_ns, "A", 1.0)

    return undo


def _walk(pen: EmulatedPen, fault: Fault) -> Undo:
    def push() -> float:
        pen.axis.push(pen.now_ns, number(fault) * 1e3 * _WALK_NS / 1e9)
        return _WALK_NS

    return _again(pen, push)


def _slip(pen: EmulatedPen, fault: Fault) -> Undo:
    pen.axis.push(pen.now_ns, number(fault) * 1e3)
    return lambda: None


def _again(pen: EmulatedPen, fn: Callable[[], float]) -> Undo:
    """Call fn now, and again whenever the time in ns has passed that it returned."""
    alarm = pen.chip.create_alarm(lambda: alarm.schedule(fn()))
    alarm.schedule(fn())
    return alarm.cancel


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "depth_stepper", "off", "SR-02", "no current in either coil: it neither steps nor holds",
        lambda pen, _f: _weaken(pen, COILS, 0.0),
    ),
    Entry(
        "depth_stepper", "open", "SR-02", "one coil open: it follows half of the steps, or none",
        lambda pen, _f: _weaken(pen, COILS[:1], 0.0),
    ),
    Entry(
        "depth_stepper", "slow", "SR-02", "too little torque: both coils have only part of their current",
        lambda pen, fault: _weaken(pen, COILS, number(fault)), Value("share of the current", 0.3, "", 0.0, 1.0),
    ),
    Entry("depth_stepper", "stuck", "SR-02", "blocked where it is", _jam),
    Entry("depth_stepper", "intermittent", "SR-02", "one coil loses contact now and then: steps get lost", _chatter),
    Entry(
        "screw", "slow", "SR-03", "turns by itself, as from vibration",
        _walk, Value("walk outward", 0.2, "mm/s", -20.0, 20.0),
    ),
    Entry(
        "screw", "wrong", "SR-02", "slips at once by a distance",
        _slip, Value("slip outward", 0.3, "mm", -2.6, 2.6),
    ),
)  # fmt: skip
