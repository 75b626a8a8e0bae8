"""SR-22: with external power the pen does not run, and a running one is braked."""

from __future__ import annotations

from typing import Any

import pytest
from support.bench import (
    LIMIT,
    MS,
    RATES_HZ,
    Pens,
    braked_ns,
    minimum_rate_hz,
    never_driven,
    observe,
    start,
    stop_and_acknowledge,
)
from support.forks import each_in_fork, in_fork
from support.measuring import Measure
from support.monitoring import fault, state, status, until
from support.nights import mostly_nightly

from needlepen.emulator.pen import EmulatedPen

SPIKE_MS = 1.0
SPIKE_PHASES = 40
PHASES = 8


def _plug_in(pen: EmulatedPen, _phase: int) -> dict[str, Any]:
    plugged_ns = float(pen.now_ns)
    pen.set_vbus(True)
    seen = observe(pen, plugged_ns, 300)
    return {
        "braked_ms": seen["braked_ns"] / MS,
        "strokes": seen["strokes"],
        "fault": fault(pen),
        "state": state(pen),
    }


@pytest.mark.parametrize(
    ("set_hz", "needles"),
    mostly_nightly(
        [(hz, n) for hz in RATES_HZ for n in (0, 24) if hz >= minimum_rate_hz(n)], (100, 24), (150, 0)
    ),
)
def test_a_running_motor_is_braked_within_50_ms(
    pens: Pens, measure: Measure, set_hz: int, needles: int
) -> None:
    def run(pen: EmulatedPen) -> list[dict[str, Any]]:
        start(pen, set_hz, needles=needles)
        return each_in_fork(pen, _plug_in, range(PHASES), lambda pen, _: pen.run_for(2.7 * MS))

    outcomes = in_fork(run, pens.ready())
    for seen in outcomes:
        assert (seen["state"], seen["fault"]) == ("safe", "external power"), seen
    times_ms = {f"phase {k}": seen["braked_ms"] for k, seen in enumerate(outcomes)}
    measure.worst("SR-22", "inhibit_ms", times_ms, f"plugged in at {set_hz} Hz, {needles} needles")


def _spike(pen: EmulatedPen, _phase: int) -> tuple[str, str]:
    pen.set_vbus(True)
    pen.run_for(SPIKE_MS * MS)
    pen.set_vbus(False)
    pen.run_for(150 * MS)
    return state(pen), fault(pen)


def test_a_spike_on_the_line_does_not_end_a_treatment(pens: Pens) -> None:
    """At each millisecond of the 40 ms between two looks at the line."""

    def run(pen: EmulatedPen) -> list[tuple[str, str]]:
        start(pen, 100)
        return each_in_fork(pen, _spike, range(SPIKE_PHASES), lambda pen, _: pen.run_for(SPIKE_MS * MS))

    assert set(in_fork(run, pens.ready())) == {("running", "none")}


def test_at_rest_external_power_inhibits_a_start_and_is_no_fault(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> tuple[float, bool, str, str]:
        pen.run_for(300 * MS)
        plugged_ns = float(pen.now_ns)
        pen.set_vbus(True)
        pen.run_for(float(LIMIT("SR-22", "inhibit_ms")) * MS)
        pen.press()
        pen.run_for(500 * MS)
        still = never_driven(pen, plugged_ns)
        blocked_ms = until(pen, lambda: "external_power" in status(pen).blockers, 1000)
        pen.release()
        pen.run_for(300 * MS)
        seen = state(pen), fault(pen)
        pen.set_vbus(False)
        pen.wait_state("armed")
        pen.run_for(300 * MS)
        pen.press()
        pen.wait_state("running")
        return blocked_ms, still, *seen

    blocked_ms, still, at_rest, fault_then = in_fork(run, pens.ready())
    assert still and blocked_ms < 1000 and (at_rest, fault_then) == ("idle", "none")


def test_external_power_in_the_moment_of_the_press_never_leaves_the_motor_running(
    pens: Pens, measure: Measure
) -> None:
    """Plugged in from 30 ms before the press to 60 ms after it: never driven, or braked in time."""

    def press_and_plug(pen: EmulatedPen, plug_after_ms: float) -> float:
        at_ns = pen.now_ns + 40 * MS
        pen.chip.call_at(at_ns, pen.press)
        pen.chip.call_at(at_ns + plug_after_ms * MS, lambda: pen.set_vbus(True))
        pen.run_for(500 * MS)
        return braked_ns(pen, at_ns + plug_after_ms * MS) / MS

    def run(pen: EmulatedPen) -> list[float]:
        pen.run_for(300 * MS)
        return each_in_fork(pen, press_and_plug, delays_ms)

    delays_ms = [float(ms) for ms in range(-30, 61, 10)]
    times_ms = dict(zip(delays_ms, in_fork(run, pens.ready()), strict=True))
    measure.worst(
        "SR-22", "inhibit_ms", {f"{k:.0f} ms after the press": v for k, v in times_ms.items()}, "plugged in"
    )


def test_the_safe_state_is_left_without_the_plug_and_not_with_it(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> tuple[str | None, str | None, str]:
        start(pen, 100)
        pen.set_vbus(True)
        pen.run_for(300 * MS)
        plugged = stop_and_acknowledge(pen, 1_000)
        pen.set_vbus(False)
        pen.run_for(1_000 * MS)
        unplugged = stop_and_acknowledge(pen)
        return plugged, unplugged, pen.wait_state("armed").state

    assert in_fork(run, pens.ready()) == ("the cause is still there", None, "armed")
