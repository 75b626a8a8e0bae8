"""SR-07: a motor that is slower than its set rate warns, and stops; the shaft is dragged to an exact rate."""

from __future__ import annotations

import math
from typing import Any

import pytest
from support.bench import LIMIT, MS, RATES_HZ, Pens, braked_ns, press, rate, start
from support.forks import each_in_fork, in_fork
from support.measuring import Measure
from support.monitoring import fault, hold_rate, let_go, state, status
from support.nights import mostly_nightly
from support.trace import record

from needlepen.emulator.pen import EmulatedPen

WARN_PCT, WARN_MS, STOP_PCT, STOP_HZ, STOP_MS = (
    float(LIMIT("SR-07", name)) for name in ("warn_pct", "warn_ms", "stop_pct", "stop_hz", "stop_ms")
)
# A pass of the main loop, the index edge that tells, and the beginning that lies between two passes.
REACTION_MS = 30.0
# At the lowest rate the limit in Hz counts, above it the share of the set rate.
EVERY_RATE = pytest.mark.parametrize("set_hz", mostly_nightly(RATES_HZ, RATES_HZ[0], RATES_HZ[-1]))


def stop_hz(set_hz: float) -> float:
    return max(STOP_PCT / 100 * set_hz, STOP_HZ)


def _dip(pen: EmulatedPen, case: tuple[float, float]) -> dict[str, Any]:
    """Hold the shaft at a rate for a time, or until the pen brakes, then let go; what the pen did.

    Times in ms from the beginning; `below_ms`: when the mean of the last stroke first lay under the stop limit.
    """
    hz, ms = case
    assert pen.telemetry is not None
    limit_hz = stop_hz(pen.telemetry.set_hz)
    before = record(pen, 50)
    begun_ns = pen.now_ns
    warned_ms = math.inf

    def over() -> bool:
        nonlocal warned_ms
        if "underspeed" in status(pen).warnings:
            warned_ms = min(warned_ms, (pen.now_ns - begun_ns) / MS)
        return math.isfinite(braked_ns(pen, begun_ns))

    trace = before.then(hold_rate(pen, hz, ms, over))
    let_go(pen)
    pen.run_for(300 * MS)
    below = trace.t_ms[trace.turn_hz < limit_hz] - begun_ns / MS
    return {
        "below_ms": float(below.min()) if below.size else math.inf,
        "braked_ms": braked_ns(pen, begun_ns) / MS,
        "warned_ms": warned_ms,
        "fault": fault(pen),
        "state": state(pen),
    }


def dips(pens: Pens, set_hz: int, cases: list[tuple[float, float]]) -> list[dict[str, Any]]:
    def run(pen: EmulatedPen) -> list[dict[str, Any]]:
        start(pen, set_hz, settle_ms=250)
        return each_in_fork(pen, _dip, cases, lambda pen, _: pen.run_for(3.3 * MS))

    return in_fork(run, pens.ready())


@EVERY_RATE
def test_a_dip_of_45_ms_below_the_limit_does_nothing(pens: Pens, set_hz: int) -> None:
    """At four phases of the main loop."""
    for seen in dips(pens, set_hz, 4 * [(0.97 * stop_hz(set_hz), STOP_MS - 5)]):
        assert (seen["state"], seen["fault"]) == ("running", "none"), seen


@EVERY_RATE
def test_below_the_limit_for_longer_brakes(pens: Pens, measure: Measure, set_hz: int) -> None:
    outcomes = dips(
        pens, set_hz, 4 * [(0.97 * stop_hz(set_hz), 300.0)] + 2 * [(0.9 * stop_hz(set_hz), 300.0)]
    )
    for seen in outcomes:
        assert (seen["state"], seen["fault"]) == ("safe", "underspeed"), seen
    times_ms = {f"dip {k}": seen["braked_ms"] - seen["below_ms"] for k, seen in enumerate(outcomes)}
    measure.worst(
        "SR-07",
        "stop_ms",
        times_ms,
        f"from the first slow stroke to the brake, {set_hz} Hz set",
        relation=">=",
    )
    assert max(times_ms.values()) <= STOP_MS + REACTION_MS, times_ms


@EVERY_RATE
def test_just_above_the_limit_goes_on(pens: Pens, set_hz: int) -> None:
    """It warns, where 85 % is above."""
    (seen,) = dips(pens, set_hz, [(1.04 * stop_hz(set_hz), 800.0)])
    assert (seen["state"], seen["fault"]) == ("running", "none")


@EVERY_RATE
def test_below_85_percent_warns_and_above_does_not(pens: Pens, measure: Measure, set_hz: int) -> None:
    low_hz = max(0.97 * WARN_PCT / 100 * set_hz, 1.01 * stop_hz(set_hz))
    inside, outside = dips(pens, set_hz, [(1.02 * WARN_PCT / 100 * set_hz, 800.0), (low_hz, 800.0)])
    assert math.isinf(inside["warned_ms"]) and inside["state"] == "running"
    assert outside["state"] == "running"
    measure(
        "SR-07",
        "warn_ms",
        outside["warned_ms"],
        f"until the host hears the warning, {set_hz} Hz set",
        relation=">=",
    )
    assert outside["warned_ms"] <= WARN_MS + REACTION_MS + 100.0  # the status frame waits for its turn


@EVERY_RATE
def test_a_start_that_does_not_arrive_is_a_fault(pens: Pens, set_hz: int) -> None:
    """Stuck at 80 % of the set rate: too fast for a stall, too slow to treat."""

    def run(pen: EmulatedPen) -> tuple[float, str]:
        pressed_ns = press(pen, set_hz)
        assert pen.run_until(lambda: rate(pen) > 10, 300 * MS)
        hold_rate(pen, max(0.8 * set_hz, 42), 900.0, lambda: math.isfinite(braked_ns(pen, pressed_ns)))
        let_go(pen)
        pen.run_for(100 * MS)
        return braked_ns(pen, pressed_ns) / MS, fault(pen)

    stopped_ms, seen = in_fork(run, pens.ready())
    assert seen == "underspeed" and 400 <= stopped_ms <= 700


def test_a_pen_without_the_limit_is_noticed(pens: Pens) -> None:
    """A test of the test."""
    firmware = pens.variant("no_underspeed", {"pen/speed.py": (">= 1000 * SR07_STOP_MS", ">= 1_000_000_000")})

    def run(pen: EmulatedPen) -> dict[str, Any]:
        start(pen, 100, settle_ms=250)
        return _dip(pen, (0.97 * stop_hz(100), 200.0))

    assert math.isinf(in_fork(run, pens.ready(firmware=firmware))["braked_ms"])
