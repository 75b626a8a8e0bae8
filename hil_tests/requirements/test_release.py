"""SR-12: letting go of the trigger stops the motor with the needles retracted, at any angle and without the CPU.

Standstill is the first stop of the rotor. The spring then turns the cam towards top dead centre; retraction is judged
where it comes to rest, and how long that takes is printed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from support.bench import MS, RATES_HZ, Pens, hang, minimum_rate_hz, observe, start, to_angle
from support.forks import each_in_fork, in_fork
from support.known import SPRING_AGAINST_SKIN
from support.measuring import Measure
from support.monitoring import state
from support.nights import mostly_nightly

from needlepen.emulator.pen import EmulatedPen
from needlepen.link.client import messages

ANGLES = [k / 36 for k in range(36)]
FREE = [(hz, 0) for hz in RATES_HZ]
IN_SKIN = [(100, 12), (100, 24), (100, 36), (150, 36)]
Outcomes = dict[str, dict[str, Any]]
CPU = pytest.mark.parametrize("cpu", ["running", "halted"])
DAILY = ((50, 0), (150, 36))  # the slowest to stand still, the most strokes
LOADS = pytest.mark.parametrize(("rate_hz", "needles"), mostly_nightly([*FREE, *IN_SKIN], *DAILY))
# What the spring has to do against the skin is judged apart: see support/known.py.
SPRING_LOADS = pytest.mark.parametrize(
    ("rate_hz", "needles"),
    [
        pytest.param(
            *load,
            marks=[SPRING_AGAINST_SKIN] * (load in IN_SKIN) + [pytest.mark.nightly] * (load not in DAILY),
        )
        for load in (*FREE, *IN_SKIN)
    ],
)


def _release(pen: EmulatedPen, case: tuple[float, str]) -> dict[str, Any]:
    hang(pen, case[1])
    released_ns = float(pen.now_ns)
    pen.release()
    return observe(pen, released_ns, ms=250)


def _sweep(pen: EmulatedPen, rate_hz: int, needles: int, cpu: str) -> list[dict[str, Any]]:
    start(pen, rate_hz, needles=needles)
    cases = [(turn, cpu) for turn in ANGLES]
    return each_in_fork(pen, _release, cases, prepare=lambda p, case: to_angle(p, case[0]))


@pytest.fixture(scope="module")
def released(pens: Pens) -> Callable[[int, int, str], Outcomes]:
    """released(rate_hz, needles, cpu) tells what followed a release at each of 36 cam angles; each run made once."""
    done: dict[tuple[int, int, str], Outcomes] = {}

    def outcomes(rate_hz: int, needles: int, cpu: str) -> Outcomes:
        assert rate_hz >= minimum_rate_hz(needles)
        key = (rate_hz, needles, cpu)
        if key not in done:
            names = [f"released at {360 * turn:.0f} deg" for turn in ANGLES]
            done[key] = dict(zip(names, in_fork(_sweep, pens.ready(), *key), strict=True))
        return done[key]

    return outcomes


@CPU
@LOADS
def test_release_brakes_within_10_ms_and_stops_within_four_strokes(
    released: Callable[..., Outcomes], measure: Measure, rate_hz: int, needles: int, cpu: str
) -> None:
    outcomes = released(rate_hz, needles, cpu)
    what = f"release at {rate_hz} Hz, {needles} needles, CPU {cpu}"
    measure.worst("SR-12", "brake_ms", {a: o["braked_ns"] / MS for a, o in outcomes.items()}, what)
    measure.worst("SR-12", "strokes", {a: o["strokes"] for a, o in outcomes.items()}, what)
    assert not any(o["damage"] for o in outcomes.values())
    if cpu == "running":
        assert {(o["telemetry"].state, o["telemetry"].fault) for o in outcomes.values()} == {
            ("armed", "none")
        }


@CPU
@SPRING_LOADS
def test_release_leads_to_standstill_within_90_ms(
    released: Callable[..., Outcomes], measure: Measure, rate_hz: int, needles: int, cpu: str
) -> None:
    outcomes = released(rate_hz, needles, cpu)
    what = f"release at {rate_hz} Hz, {needles} needles, CPU {cpu}"
    moving = (o["trace"].t_ms[o["trace"].rate_hz != 0.0] - o["trace"].t_ms[0] for o in outcomes.values())
    print(f"{what}: the cam rests after {max(float(t_ms.max()) for t_ms in moving):.1f} ms at most")
    measure.worst("SR-12", "standstill_ms", {a: o["standstill_ns"] / MS for a, o in outcomes.items()}, what)


@CPU
@SPRING_LOADS
def test_release_leaves_the_needles_retracted_at_top_dead_centre(
    released: Callable[..., Outcomes], rate_hz: int, needles: int, cpu: str
) -> None:
    elsewhere = {
        angle: f"rests at {360 * o['end_turn']:.0f} deg, tips at {o['needle_mm']:.2f} mm"
        for angle, o in released(rate_hz, needles, cpu).items()
        if o["tdc"] != 1
    }
    assert not elsewhere, (
        f"{len(elsewhere)} of {len(ANGLES)} angles, {rate_hz} Hz, {needles} needles: {elsewhere}"
    )


def _fine_sweep(pen: EmulatedPen, rate_hz: int, needles: int, degrees: range) -> list[dict[str, Any]]:
    start(pen, rate_hz, needles=needles)
    cases = [(degree / 360, "running") for degree in degrees]
    return each_in_fork(pen, _release, cases, prepare=lambda p, case: to_angle(p, case[0]))


@SPRING_AGAINST_SKIN
@pytest.mark.parametrize(
    ("rate_hz", "needles", "degrees"),
    mostly_nightly(
        [(100, 12, range(100, 116)), (100, 24, range(146, 162)), (150, 24, range(306, 322))],
        (100, 24, range(146, 162)),
    ),
)
def test_release_where_the_needles_only_just_pass_their_deepest_point_stops_within_90_ms(
    pens: Pens, measure: Measure, rate_hz: int, needles: int, degrees: range
) -> None:
    """Every load has such an angle, a degree wide: the needles creep through the skin before they come out."""
    seen = in_fork(_fine_sweep, pens.ready(), rate_hz, needles, degrees)
    late = {f"released at {d} deg": o["standstill_ns"] / MS for d, o in zip(degrees, seen, strict=True)}
    measure.worst(
        "SR-12", "standstill_ms", late, f"release at {rate_hz} Hz, {needles} needles, degree by degree"
    )


@pytest.mark.parametrize(("up_ms", "runs"), [(120.0, False), (260.0, True)])
def test_after_a_stop_by_the_host_a_press_counts_once_the_trigger_was_up_for_200_ms(
    pens: Pens, up_ms: float, runs: bool
) -> None:
    """Whoever holds on did not mean that end: what a hand does next within 200 ms is no new start (SR-11)."""

    def run(pen: EmulatedPen) -> str:
        start(pen, 100)
        pen.command(messages.STOP)
        pen.run_for(600 * MS)
        pen.release()
        pen.run_for(up_ms * MS)
        pen.press()
        pen.run_for(300 * MS)
        return state(pen)

    assert (in_fork(run, pens.ready()) == "running") == runs


def test_a_pen_that_stops_short_of_top_dead_centre_is_noticed(pens: Pens) -> None:
    """A test of the tests: jammed while it stops, the pen does not end at top dead centre."""

    def jammed(pen: EmulatedPen) -> dict[str, Any]:
        start(pen, 100)
        to_angle(pen, 0.9)
        pen.release()
        pen.run_until(
            lambda: math.cos(2 * math.pi * pen.physics.peek(pen.now_ns).strokes) > 0.9, 50 * MS, 50e3
        )
        pen.electronics.jam(pen.now_ns, True)
        return observe(pen, float(pen.now_ns), ms=50)

    assert in_fork(jammed, pens.ready())["tdc"] == 0
