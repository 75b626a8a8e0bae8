"""SR-08: a motor that stands still while driven is braked, at any cam angle, and does not start again by itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from support.bench import (
    LIMIT,
    MS,
    PROTRUSION_MM,
    RATES_HZ,
    Pens,
    braked_ns,
    never_driven,
    observe,
    press,
    start,
    to_angle,
)
from support.forks import each_in_fork, in_fork
from support.known import SPRING_AGAINST_SKIN
from support.measuring import Measure
from support.nights import mostly_nightly
from support.trace import record

from needlepen.emulator.pen import EmulatedPen
from needlepen.link.client import messages

TURNS = [k / 16 for k in range(16)]
HELD_MS = 100.0
LOADS = pytest.mark.parametrize(
    ("rate_hz", "needles"),
    mostly_nightly([*((hz, 0) for hz in RATES_HZ), (100, 24), (150, 24), (150, 36)], (50, 0), (150, 36)),
)
Outcomes = dict[str, dict[str, Any]]


def _jam(pen: EmulatedPen, _turn: float) -> dict[str, Any]:
    """Lock the rotor for 100 ms, free it with the trigger still held, wait."""
    jammed_ns = float(pen.now_ns)
    edges = [t for t, signal, level in pen.electronics.timeline if (signal, level) == ("INDEX", 1)]
    last_edge_ns = edges[-1]
    pen.electronics.jam(jammed_ns, True)
    pen.run_for(HELD_MS * MS)
    fault = pen.telemetry.fault if pen.telemetry else ""
    in_skin = float(pen.physics.peek(pen.now_ns).needle_mm) > 0
    freed_ns = float(pen.now_ns)
    pen.electronics.jam(freed_ns, False)
    seen = observe(pen, jammed_ns, ms=400)
    trace = seen["trace"]
    out = trace.needle_mm > 0
    seen["out_ms"] = float(trace.t_ms[out].max()) - freed_ns / MS if out.any() else 0.0
    if out[-1]:
        seen["out_ms"] = math.inf
    seen["in_skin"] = in_skin
    seen["after_edge_ms"] = (jammed_ns + seen["braked_ns"] - last_edge_ns) / MS
    seen["fault"] = fault
    seen["restarted"] = not never_driven(pen, jammed_ns + seen["braked_ns"])
    return seen


def _sweep(pen: EmulatedPen, rate_hz: int, needles: int) -> list[dict[str, Any]]:
    start(pen, rate_hz, needles=needles)
    if not needles:  # protrusion counts off the skin too
        pen.plant.touch(0, PROTRUSION_MM, False)
    return each_in_fork(pen, _jam, TURNS, to_angle)


@pytest.fixture(scope="module")
def jammed(pens: Pens) -> Callable[[int, int], Outcomes]:
    """jammed(rate_hz, needles): what followed a jam at each of 16 cam angles; each run made once."""
    done: dict[tuple[int, int], Outcomes] = {}

    def outcomes(rate_hz: int, needles: int) -> Outcomes:
        if (rate_hz, needles) not in done:
            names = [f"jammed at {360 * turn:.0f} deg" for turn in TURNS]
            done[rate_hz, needles] = dict(
                zip(names, in_fork(_sweep, pens.ready(), rate_hz, needles), strict=True)
            )
        return done[rate_hz, needles]

    return outcomes


@LOADS
def test_a_jam_brakes_within_15_ms_of_the_last_index_edge(
    jammed: Callable[..., Outcomes], measure: Measure, rate_hz: int, needles: int
) -> None:
    """Counted from the last edge that came: the one that was due next would leave even more time."""
    outcomes = jammed(rate_hz, needles)
    what = f"jam at {rate_hz} Hz, {needles} needles"
    measure.worst("SR-08", "brake_ms", {a: o["after_edge_ms"] for a, o in outcomes.items()}, what)
    for angle, o in outcomes.items():
        # A rotor that is locked hard can draw enough to trip the board's latch before the edge is missed.
        assert o["fault"] in ("stall", "overcurrent"), f"{what}, {angle}: {o['fault']}"
        assert not o["restarted"], f"{what}, {angle}: driven again after it was braked"
        assert not o["damage"]


@SPRING_AGAINST_SKIN
@LOADS
def test_the_tips_are_out_60_ms_after_a_jam_lets_go(
    jammed: Callable[..., Outcomes], measure: Measure, rate_hz: int, needles: int
) -> None:
    """While the rotor is locked nothing can move the needles; once it is free the spring pulls them out."""
    outcomes = {angle: o for angle, o in jammed(rate_hz, needles).items() if o["in_skin"]}
    what = f"jam at {rate_hz} Hz, {needles} needles, from the end of the jam"
    measure.worst("SR-08", "tips_out_ms", {a: o["out_ms"] for a, o in outcomes.items()}, what)


def _stall_on_skin(pen: EmulatedPen, _turn: float) -> dict[str, Any]:
    """36 needles stop a motor at 50 Hz."""
    touched_ns = float(pen.now_ns)
    pen.touch_skin(36, PROTRUSION_MM)
    seen = observe(pen, touched_ns, ms=600)
    edges = [t for t, s, level in pen.electronics.timeline if (s, level) == ("INDEX", 1)]
    stopped_ns = touched_ns + seen["braked_ns"]
    seen["after_edge_ms"] = (stopped_ns - max((t for t in edges if t <= stopped_ns), default=-math.inf)) / MS
    trace = seen["trace"]
    out = trace.needle_mm > 0
    seen["out_ms"] = math.inf if out[-1] else float(trace.t_ms[out].max()) - stopped_ns / MS
    return seen


@pytest.fixture(scope="module")
def stalled(pens: Pens) -> Outcomes:
    """What followed touching skin with 36 needles at 50 Hz, below what they need (SR-24): nothing locks the rotor."""

    def sweep(pen: EmulatedPen) -> list[dict[str, Any]]:
        start(pen, RATES_HZ[0])
        return each_in_fork(pen, _stall_on_skin, turns, to_angle)

    turns = [k / 8 for k in range(8)]
    names = [f"touched at {360 * turn:.0f} deg" for turn in turns]
    return dict(zip(names, in_fork(sweep, pens.ready()), strict=True))


def test_a_stall_on_skin_brakes_within_15_ms_of_the_last_index_edge(
    stalled: Outcomes, measure: Measure
) -> None:
    late = {name: o["after_edge_ms"] for name, o in stalled.items()}
    measure.worst("SR-08", "brake_ms", late, f"36 needles at {RATES_HZ[0]} Hz, stalled by the skin")
    for name, o in stalled.items():
        assert (o["telemetry"].state, o["telemetry"].fault) == ("safe", "stall"), f"{name}: {o['telemetry']}"


@SPRING_AGAINST_SKIN
def test_a_stall_on_skin_has_its_tips_out_within_60_ms(stalled: Outcomes, measure: Measure) -> None:
    out = {name: o["out_ms"] for name, o in stalled.items()}
    measure.worst("SR-08", "tips_out_ms", out, f"36 needles at {RATES_HZ[0]} Hz, from the brake on")


def test_a_motor_that_cannot_start_is_braked(pens: Pens) -> None:
    def start_jammed(pen: EmulatedPen) -> tuple[float, str, float]:
        pen.electronics.jam(pen.now_ns, True)
        pressed_ns = press(pen, 100)
        trace = record(pen, 300)
        return (
            braked_ns(pen, pressed_ns),
            pen.telemetry.fault if pen.telemetry else "",
            float(trace.current_a.max()),
        )

    stopped_ns, fault, current_a = in_fork(start_jammed, pens.ready())
    assert stopped_ns < math.inf and fault in ("stall", "overcurrent")
    assert current_a <= float(LIMIT("PR-04", "current_max_a"))


def test_a_stall_ends_only_with_release_and_acknowledgement(pens: Pens) -> None:
    """Not by waiting, and not by pressing again."""

    def run(pen: EmulatedPen) -> tuple[bool, Any, str]:
        start(pen, 50)
        pen.electronics.jam(pen.now_ns, True)
        pen.run_for(HELD_MS * MS)
        pen.electronics.jam(pen.now_ns, False)
        since_ns = float(pen.now_ns)
        pen.run_for(1_000 * MS)
        for _ in range(3):
            pen.release()
            pen.run_for(400 * MS)
            pen.press()
            pen.run_for(400 * MS)
        still = never_driven(pen, since_ns) and pen.telemetry is not None and pen.telemetry.fault == "stall"
        pen.release()
        pen.run_for(300 * MS)
        refused = pen.request(messages.ACKNOWLEDGE).refused
        pen.wait_state("armed")
        pen.press()
        return still, refused, pen.wait_state("running").state

    assert in_fork(run, pens.ready()) == (True, None, "running")


def test_a_pen_without_stall_limit_is_noticed(pens: Pens) -> None:
    """A test of the test: without both stall limits a jam goes on."""
    changes = {
        "pen/control.py": ("1000 * SR08_BRAKE_MS - 2_000", "500_000"),
        "pen/drive.py": ("_WINDOW_TOP + shortest", "_WINDOW_TOP + 8_000 + shortest"),
    }
    firmware = pens.variant("no_stall_limit", changes)

    def run(pen: EmulatedPen) -> dict[str, Any]:
        start(pen, 50)
        return _jam(pen, 0.0)

    assert in_fork(run, pens.ready(firmware=firmware))["after_edge_ms"] > float(LIMIT("SR-08", "brake_ms"))
