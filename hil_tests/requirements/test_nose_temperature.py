"""SR-18: the nose warns, stops the pen, and its sensor is watched."""

from __future__ import annotations

import math
from typing import Any

import pytest
from support.bench import LIMIT, MS, RATES_HZ, Pens, braked_ns, start, stop_and_acknowledge
from support.forks import each_in_fork, in_fork
from support.measuring import Measure
from support.monitoring import fault, state, status, until
from support.nights import mostly_nightly

from needlepen.emulator.injection import Fault
from needlepen.emulator.pen import EmulatedPen

WARN_C, STOP_C = float(LIMIT("SR-18", "warn_c")), float(LIMIT("SR-18", "stop_c"))
MARGIN_C = 0.4  # erratum of the converter and rounding: 0.2 K
SHORTEST_MS = 2_500.0  # longer than the pen may take
STATES = ("armed", *RATES_HZ)
KINDS = ("open", "short", "garbage")


def bring(pen: EmulatedPen, what: str | int) -> None:
    """Into the state "armed", or running at a rate."""
    if isinstance(what, int):
        start(pen, what)


def _heat(pen: EmulatedPen, nose_c: float) -> dict[str, Any]:
    pen.set_nose_c(nose_c)
    begun_ns = pen.now_ns
    warned_ms = until(pen, lambda: "nose_warm" in status(pen).warnings, SHORTEST_MS)
    pen.run_until(lambda: fault(pen) != "none", begun_ns + SHORTEST_MS * MS - pen.now_ns)
    return {
        "warned_ms": warned_ms,
        "safe_ms": (pen.now_ns - begun_ns) / MS if fault(pen) != "none" else math.inf,
        "braked_ms": braked_ns(pen, begun_ns) / MS,
        "fault": fault(pen),
        "nose_c": status(pen).nose_c,
    }


@pytest.mark.parametrize("what", mostly_nightly(STATES, "armed", 100))
def test_the_nose_warns_at_41_and_goes_to_the_safe_state_at_43(
    pens: Pens, measure: Measure, what: str | int
) -> None:
    temperatures = [WARN_C - MARGIN_C, WARN_C + MARGIN_C, STOP_C - MARGIN_C, STOP_C + MARGIN_C, 60.0]

    def run(pen: EmulatedPen) -> list[dict[str, Any]]:
        bring(pen, what)
        return each_in_fork(pen, _heat, temperatures)

    cool, warm, warmer, hot, very_hot = in_fork(run, pens.ready())
    assert math.isinf(cool["warned_ms"]) and cool["fault"] == "none"
    for seen in (warm, warmer):
        assert seen["fault"] == "none"
        measure("SR-18", "react_s", seen["warned_ms"] / 1e3, f"warning, {what}")
    for seen in (hot, very_hot):
        assert seen["fault"] == "nose hot"
        measure("SR-18", "react_s", seen["safe_ms"] / 1e3, f"safe state, {what}")
        assert seen["braked_ms"] <= seen["safe_ms"]


@pytest.mark.parametrize("what", STATES)
def test_a_broken_sensor_is_found(pens: Pens, measure: Measure, what: str | int) -> None:
    def break_it(pen: EmulatedPen, kind: str) -> dict[str, Any]:
        pen.faults.inject(Fault("nose_temperature", kind))
        ms = until(pen, lambda: fault(pen) != "none", SHORTEST_MS)
        return {"ms": ms, "fault": fault(pen), "state": state(pen)}

    def run(pen: EmulatedPen) -> list[dict[str, Any]]:
        bring(pen, what)
        return each_in_fork(pen, break_it, KINDS)

    for kind, seen in zip(KINDS, in_fork(run, pens.ready()), strict=True):
        assert (seen["fault"], seen["state"]) == ("nose sensor", "safe"), f"{kind}: {seen}"
        measure("SR-18", "sensor_fault_s", seen["ms"] / 1e3, f"{kind} sensor, {what}")


def test_a_contact_that_is_lost_for_100_ms_does_nothing(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> tuple[str, str]:
        start(pen, 100)
        pen.faults.inject(Fault("nose_temperature", "open", duration_s=0.1))
        pen.run_for(1000 * MS)
        return state(pen), fault(pen)

    assert in_fork(run, pens.ready()) == ("running", "none")


def test_the_safe_state_is_left_when_the_nose_is_cool_again_and_not_before(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> tuple[str, str | None, str | None, bool]:
        start(pen, 100)
        pen.set_nose_c(STOP_C + 1)
        pen.run_for(1000 * MS)
        hot = fault(pen)
        refused = stop_and_acknowledge(pen)
        pen.set_nose_c(WARN_C - 2)
        pen.run_for(1000 * MS)
        accepted = stop_and_acknowledge(pen)
        return hot, refused, accepted, pen.wait_state("armed").state == "armed"

    hot, refused, accepted, armed = in_fork(run, pens.ready())
    assert hot == "nose hot" and refused and accepted is None and armed


@pytest.mark.parametrize("seed", mostly_nightly([0, 1, 2], 0))
def test_the_reported_temperature_is_that_of_the_nose(pens: Pens, seed: int) -> None:
    """From a cold room to a hot nose, for several converters."""

    def show(pen: EmulatedPen, nose_c: float) -> float:
        pen.set_nose_c(nose_c)
        pen.run_for(2_500 * MS)
        return status(pen).nose_c - nose_c

    errors_k = in_fork(each_in_fork, pens.ready(seed=seed), show, (0.0, 10.0, 22.0, 33.0, 41.0, 50.0))
    print(f"converter {seed}: {', '.join(f'{e:+.1f}' for e in errors_k)} K")
    assert max(map(abs, errors_k)) <= MARGIN_C
