"""SR-01 to SR-04, SR-23 on the whole pen: what a wrong depth does to a running motor, and what may be set when."""

from __future__ import annotations

import math
from typing import Any

import pytest
from support.bench import LIMIT, MS, RATES_HZ, Pens, braked_ns, never_driven, start
from support.forks import each_in_fork, in_fork
from support.measuring import Measure
from support.monitoring import fault, state, status
from support.nights import mostly_nightly

from needlepen.emulator.injection.vocabulary import Fault
from needlepen.emulator.pen import EmulatedPen
from needlepen.link.client import messages

SET_UM = 500  # deeper, 24 needles could not leave the skin at 50 Hz (SR-24)
CAP_UM = round(1e3 * float(LIMIT("SR-01", "default_cap_mm")))
GRID_UM = round(1e3 * float(LIMIT("PR-05", "depth_step_mm")))
EVERY_RATE = pytest.mark.parametrize("rate_hz", mostly_nightly(RATES_HZ, RATES_HZ[-1]))


def to(pen: EmulatedPen, um: int) -> None:
    pen.command(messages.SET_DEPTH, um)
    reached = pen.run_until(
        lambda: state(pen) == "armed" and abs(pen.axis.protrusion_mm - um / 1e3) < 0.1 and not pen.axis.moving,
        2000 * MS, 10 * MS,
    )  # fmt: skip
    assert reached, (pen.telemetry, pen.axis.protrusion_mm)
    pen.run_for(100 * MS)


def running(pen: EmulatedPen, rate_hz: int, um: int = SET_UM) -> None:
    """At a depth, the motor at a rate, no skin."""
    to(pen, um)
    start(pen, rate_hz)


def cases_of(pens: Pens, rate_hz: int, fn: Any, cases: list[Any]) -> list[Any]:
    def run(pen: EmulatedPen) -> list[Any]:
        running(pen, rate_hz)
        return each_in_fork(pen, fn, cases, lambda pen, _: pen.run_for(3.7 * MS))

    return in_fork(run, pens.ready())


def break_in(pen: EmulatedPen, target: str, kind: str, value: Any = None) -> None:
    pen.faults.inject(Fault(target, kind, value))


# ---------------------------------------------------------------------- SR-01, SR-23
def _refused(pen: EmulatedPen, um: int) -> dict[str, Any]:
    begun_mm = pen.axis.protrusion_mm
    reply = pen.request(messages.SET_DEPTH, um)
    pen.run_for(400 * MS)
    return {
        "refused": reply.refused,
        "moved_mm": abs(pen.axis.protrusion_mm - begun_mm),
        "state": state(pen),
    }


def _refusals(pen: EmulatedPen, rate_hz: int) -> list[dict[str, Any]]:
    if rate_hz:
        running(pen, rate_hz)
    else:
        to(pen, CAP_UM)
    wrong = [CAP_UM + GRID_UM, 2500, 2600, 65_535]
    return each_in_fork(pen, _refused, wrong * 3, lambda pen, _: pen.run_for(3.7 * MS))


@pytest.mark.parametrize(
    "rate_hz", mostly_nightly([0, *RATES_HZ], 0, RATES_HZ[-1]), ids=lambda hz: f"{hz} Hz" if hz else "armed"
)
def test_a_depth_above_the_limit_is_refused_with_a_reason_and_moves_nothing(
    pens: Pens, measure: Measure, rate_hz: int
) -> None:
    seen = in_fork(_refusals, pens.ready(), rate_hz)
    assert all(s["refused"] and "limit" in s["refused"] for s in seen), seen
    assert {s["state"] for s in seen} == {"running" if rate_hz else "armed"}
    numbered = dict(enumerate(seen))
    measure.worst("SR-01", "movement_mm", {n: s["moved_mm"] for n, s in numbered.items()}, "movement")


def test_no_start_while_the_depth_moves(pens: Pens) -> None:
    """SR-23: needles that go deeper do not stroke; the press counts anew once they are there."""

    def run(pen: EmulatedPen) -> tuple[bool, float, bool]:
        pen.run_for(300 * MS)
        pen.command(messages.SET_DEPTH, CAP_UM)
        out = pen.run_until(lambda: pen.axis.protrusion_mm > 0.2e-3 * CAP_UM, 2000 * MS, 1 * MS)
        pressed_ns = pen.now_ns
        pen.press()
        there = pen.run_until(lambda: pen.axis.protrusion_mm > 0.9e-3 * CAP_UM, 2000 * MS, 1 * MS)
        return out and there, (pen.now_ns - pressed_ns) / MS, never_driven(pen, pressed_ns)

    moved, ms, rests = in_fork(run, pens.ready())
    print(f"pressed {ms:.0f} ms before the depth was there")
    assert moved and ms > 100 and rests


def test_the_limit_itself_may_be_set(pens: Pens) -> None:
    def cap(pen: EmulatedPen) -> float:
        to(pen, CAP_UM)
        return pen.axis.protrusion_mm

    assert in_fork(cap, pens.ready()) == pytest.approx(CAP_UM / 1e3, abs=float(LIMIT("PR-06", "error_mm")))


def _set_while_running(pen: EmulatedPen, um: int) -> dict[str, Any]:
    begun_mm = pen.axis.protrusion_mm
    reply = pen.request(messages.SET_DEPTH, um)
    seen = [begun_mm]
    for _ in range(200):
        pen.run_for(5 * MS)
        seen.append(pen.axis.protrusion_mm)
    fastest = max(abs(a - b) for a, b in zip(seen, seen[10:], strict=False)) / 0.05
    return {
        "refused": reply.refused,
        "fastest_mm_s": fastest,
        "out_mm": max(seen) - begun_mm,
        "end_mm": seen[-1],
        "state": state(pen),
        "fault": fault(pen),
    }


@EVERY_RATE
def test_a_running_pen_goes_shallower_slowly_and_never_deeper(
    pens: Pens, measure: Measure, rate_hz: int
) -> None:
    settings = [SET_UM - GRID_UM, SET_UM - 400, 0, SET_UM + GRID_UM]
    *shallower, deeper = cases_of(pens, rate_hz, _set_while_running, settings)
    for um, seen in zip(settings, shallower, strict=False):
        assert not seen["refused"] and (seen["state"], seen["fault"]) == ("running", "none"), (um, seen)
        assert abs(seen["end_mm"] - um / 1e3) < float(LIMIT("PR-06", "error_mm")), (um, seen)
        assert seen["out_mm"] < 0.01, "it came out first"
    speeds = {um: seen["fastest_mm_s"] for um, seen in zip(settings, shallower, strict=False)}
    measure.worst("SR-23", "retract_mm_s", speeds, f"shallower while running at {rate_hz} Hz, mean of 50 ms")
    assert deeper["refused"] and max(deeper["out_mm"], deeper["fastest_mm_s"]) < 0.01, deeper


# ---------------------------------------------------------------------- SR-02
def _error_in_a_run(pen: EmulatedPen, error_mm: float) -> dict[str, Any]:
    """The sensor begins to read an error (in mm of a calibrated sensor) in a run."""
    slope_uv = pen_slope_uv_mm(pen)
    begun_ns = pen.now_ns
    break_in(pen, "depth_position", "wrong", error_mm * slope_uv / 640_000)
    pen.run_for(400 * MS)
    braked_ms = braked_ns(pen, begun_ns) / MS
    pen.run_for(1000 * MS)
    return {
        "braked_ms": braked_ms,
        "fault": fault(pen),
        "state": state(pen),
        "end_mm": pen.axis.protrusion_mm,
        "warned": "depth_drift" in status(pen).warnings,
    }


def pen_slope_uv_mm(pen: EmulatedPen) -> float:
    from needlepen.emulator.factory import factory_calibration

    return float(factory_calibration(pen.parameters, pen.seed).hall_uv_per_mm)


@EVERY_RATE
def test_a_depth_error_brakes_a_running_motor_within_20_ms_and_brings_the_needles_in(
    pens: Pens, measure: Measure, rate_hz: int
) -> None:
    """0.15 mm and what play, tolerance and noise of the sensor may hide of it; in four phases of the main loop."""
    errors = [sign * mm for mm in (0.19, 0.5) for sign in (1, -1)]
    seen = cases_of(pens, rate_hz, _error_in_a_run, errors)
    measure.worst(
        "SR-02",
        "trip_ms",
        {e: s["braked_ms"] for e, s in zip(errors, seen, strict=True)},
        f"error at {rate_hz} Hz",
    )
    for error, s in zip(errors, seen, strict=True):
        assert (s["state"], s["fault"]) == ("safe", "depth runaway"), (error, s)
        assert s["end_mm"] < 0.1, (error, s)


@EVERY_RATE
def test_a_depth_error_inside_the_limit_does_not_stop_the_motor_at_once(pens: Pens, rate_hz: int) -> None:
    """It warns, and after 3 s SR-03 stops it."""
    for s in cases_of(pens, rate_hz, _error_in_a_run, [0.12, -0.12]):
        assert math.isinf(s["braked_ms"]) and s["state"] == "running", s


def _slips(pen: EmulatedPen, by_mm: float) -> dict[str, Any]:
    begun_ns = pen.now_ns
    break_in(pen, "screw", "wrong", by_mm)
    most = pen.axis.protrusion_mm
    for _ in range(400):
        pen.run_for(1 * MS)
        most = max(most, pen.axis.protrusion_mm)
    braked_ms = braked_ns(pen, begun_ns) / MS
    pen.run_for(1000 * MS)
    return {"braked_ms": braked_ms, "most_mm": most, "fault": fault(pen), "end_mm": pen.axis.protrusion_mm}


@EVERY_RATE
def test_an_actuator_that_runs_away_stops_the_pen(pens: Pens, measure: Measure, rate_hz: int) -> None:
    slips = [0.3, 1.5, 2.6, -0.4]
    seen = dict(zip(slips, cases_of(pens, rate_hz, _slips, slips), strict=True))
    measure.worst(
        "SR-02", "trip_ms", {by: s["braked_ms"] for by, s in seen.items()}, f"screw slips at {rate_hz} Hz"
    )
    measure.worst("SR-02", "hard_stop_mm", {by: s["most_mm"] for by, s in seen.items()}, "largest protrusion")
    assert all(s["fault"] == "depth runaway" and s["end_mm"] < 0.1 for s in seen.values()), seen


# ---------------------------------------------------------------------- SR-03
def _walks(pen: EmulatedPen, error_mm: float) -> dict[str, Any]:
    """Seconds until the warning is sent and until the motor is braked."""
    begun_ns = pen.now_ns
    break_in(pen, "depth_position", "wrong", error_mm * pen_slope_uv_mm(pen) / 640_000)
    warned_s = math.inf
    while (pen.now_ns - begun_ns) / 1e9 < 4.0:
        pen.run_for(20 * MS)
        if math.isinf(warned_s) and "depth_drift" in status(pen).warnings:
            warned_s = (pen.now_ns - begun_ns) / 1e9
    return {
        "warned_s": warned_s,
        "braked_s": braked_ns(pen, begun_ns) / 1e9,
        "fault": fault(pen),
        "state": state(pen),
    }


@EVERY_RATE
def test_a_depth_that_has_walked_warns_and_then_stops_the_motor(
    pens: Pens, measure: Measure, rate_hz: int
) -> None:
    errors = [0.125, -0.125]
    seen = dict(zip(errors, cases_of(pens, rate_hz, _walks, errors), strict=True))
    measure.worst("SR-03", "stop_s", {e: s["braked_s"] for e, s in seen.items()}, f"walk at {rate_hz} Hz")
    mean_s = 1.0  # the mean itself is of the last second
    measure.worst(
        "SR-03",
        "warn_s",
        {e: s["warned_s"] - mean_s for e, s in seen.items()},
        "warning, from the mean's second on",
    )
    assert all((s["state"], s["fault"]) == ("safe", "depth walk") for s in seen.values()), seen


def test_a_depth_that_has_walked_less_neither_warns_nor_stops(pens: Pens) -> None:
    for s in cases_of(pens, 100, _walks, [0.07, -0.07]):
        assert math.isinf(s["warned_s"]) and math.isinf(s["braked_s"]) and s["state"] == "running", s


# ---------------------------------------------------------------------- SR-04
def _sensor_breaks(pen: EmulatedPen, kind: str) -> dict[str, Any]:
    begun_ns = pen.now_ns
    break_in(pen, "depth_position", kind)
    pen.run_for(400 * MS)
    braked_ms = braked_ns(pen, begun_ns) / MS
    pen.run_for(1000 * MS)
    return {
        "braked_ms": braked_ms,
        "fault": fault(pen),
        "state": state(pen),
        "end_mm": pen.axis.protrusion_mm,
    }


@EVERY_RATE
def test_a_broken_sensor_stops_a_running_motor(pens: Pens, measure: Measure, rate_hz: int) -> None:
    """An open input repeats the one converted before it, the motor current: that may look like another depth."""
    kinds = ["open", "short"]
    seen = dict(zip(kinds, cases_of(pens, rate_hz, _sensor_breaks, kinds), strict=True))
    measure.worst(
        "SR-04", "detect_ms", {k: s["braked_ms"] for k, s in seen.items()}, f"broken at {rate_hz} Hz"
    )
    for kind, s in seen.items():
        names = ("depth sensor", "depth runaway") if kind == "open" else ("depth sensor",)
        assert s["state"] == "safe" and s["fault"] in names and s["end_mm"] < 0.1, (kind, s)


def _broken_at_rest(pen: EmulatedPen, kind: str) -> dict[str, Any]:
    to(pen, SET_UM)
    begun_ns = pen.now_ns
    break_in(pen, "depth_position", kind)
    found = pen.run_until(lambda: state(pen) == "safe", 500 * MS, 1 * MS)
    found_ms = (pen.now_ns - begun_ns) / MS
    pen.run_for(1000 * MS)
    pen.press()
    pen.run_for(300 * MS)
    return {"found_ms": found_ms if found else math.inf, "fault": fault(pen), "state": state(pen),
            "end_mm": pen.axis.protrusion_mm}  # fmt: skip


def test_a_sensor_that_breaks_at_rest_is_found_and_no_start_follows(pens: Pens, measure: Measure) -> None:
    """Told by telemetry, which comes every 20 ms."""
    kinds = ["open", "short"]
    seen = dict(zip(kinds, in_fork(each_in_fork, pens.ready(), _broken_at_rest, kinds), strict=True))
    measure.worst("SR-04", "detect_ms", {k: s["found_ms"] for k, s in seen.items()}, "broken at rest")
    assert all(
        (s["state"], s["fault"]) == ("safe", "depth sensor") and s["end_mm"] < 0.1 for s in seen.values()
    ), seen
