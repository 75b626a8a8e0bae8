"""SR-20: a weak cell warns, stops the pen in a controlled way, and does not start it; the logic stays alive."""

from __future__ import annotations

import math
from typing import Any

import pytest
from support.bench import LIMIT, MS, RATES_HZ, Pens, braked_ns, never_driven, press, start
from support.forks import each_in_fork, in_fork
from support.measuring import Measure
from support.monitoring import fault, state, status, until
from support.nights import mostly_nightly

from needlepen.emulator.injection import Fault
from needlepen.emulator.pen import EmulatedPen
from needlepen.link.client import messages

WARN_V, STOP_V, START_V = (float(LIMIT("SR-20", name)) for name in ("warn_v", "stop_v", "start_v"))
# What is left of the converter's erratum, its noise, and the ripple of the load within a stroke.
MARGIN_V = 0.015
SEEDS = (0, 1, 2)


def loaded_v(pen: EmulatedPen, ms: float = 100.0) -> float:
    """True mean voltage of the cell under its load."""
    total = 0.0
    for _ in range(round(ms)):
        pen.run_for(1 * MS)
        total += pen.physics.peek(pen.now_ns).supply_v
    return total / round(ms)


def _drain(pen: EmulatedPen, mean_v: float) -> dict[str, Any]:
    before_v = loaded_v(pen)
    lower_v = pen.parameters.cell_ocv_v - before_v
    begun_ns = pen.now_ns
    pen.electronics.set_cell(begun_ns, mean_v + lower_v)
    true_v = loaded_v(pen, 60)
    warned_ms = until(pen, lambda: "battery_low" in status(pen).warnings, 500)
    until(pen, lambda: fault(pen) != "none", 300)
    return {
        "true_v": true_v,
        "warned_ms": 60 + warned_ms,
        "braked_ms": braked_ns(pen, begun_ns) / MS,
        "fault": fault(pen),
        "state": state(pen),
    }


@pytest.mark.parametrize(
    ("seed", "set_hz"),
    mostly_nightly([(s, hz) for s in SEEDS for hz in RATES_HZ], (0, 50), (1, 150), (2, 100)),
)
def test_a_weak_cell_warns_below_3_40_v_and_stops_below_3_20(
    pens: Pens, measure: Measure, set_hz: int, seed: int
) -> None:
    levels_v = [WARN_V + MARGIN_V, WARN_V - MARGIN_V, STOP_V + MARGIN_V, STOP_V - MARGIN_V]

    def run(pen: EmulatedPen) -> list[dict[str, Any]]:
        start(pen, set_hz)
        return each_in_fork(pen, _drain, levels_v)

    fine, warned, low, empty = in_fork(run, pens.ready(seed=seed))
    assert math.isinf(fine["warned_ms"]) and fine["fault"] == "none", fine
    assert warned["warned_ms"] <= 500 and warned["fault"] == "none", warned
    assert low["fault"] == "none" and low["state"] == "running", low
    assert (empty["fault"], empty["state"]) == ("battery empty", "safe"), empty
    measure(
        "SR-20", "warn_v", fine["true_v"], f"no warning yet, {set_hz} Hz, converter {seed}", relation=">="
    )
    measure("SR-20", "stop_v", low["true_v"], f"no stop yet, {set_hz} Hz, converter {seed}", relation=">=")
    assert empty["braked_ms"] <= 300


@pytest.mark.parametrize("set_hz", RATES_HZ)
def test_an_empty_cell_ends_with_the_needles_retracted(pens: Pens, set_hz: int) -> None:
    """By the cam, or by the depth axis: in air one angle in 360 leaves the cam balanced with the needles out."""

    def run(pen: EmulatedPen) -> tuple[str, float]:
        pen.command(messages.SET_DEPTH, 500)
        pen.run_for(1_000 * MS)
        start(pen, set_hz)
        pen.electronics.set_cell(pen.now_ns, STOP_V - 0.1)
        pen.run_for(2500 * MS)
        return fault(pen), float(pen.physics.peek(pen.now_ns).needle_mm)

    seen, needle_mm = in_fork(run, pens.ready())
    assert seen == "battery empty" and needle_mm <= float(LIMIT("PR-06", "error_mm"))


@pytest.mark.parametrize("seed", SEEDS)
def test_no_start_below_3_50_v(pens: Pens, measure: Measure, seed: int) -> None:
    """At rest the pen draws no current to speak of: the cell shows its open-circuit voltage."""

    def attempt(pen: EmulatedPen, cell_v: float) -> dict[str, Any]:
        pen.electronics.set_cell(pen.now_ns, cell_v)
        pen.run_for(800 * MS)
        since_ns = float(pen.now_ns)
        press(pen, 100)
        pen.run_for(150 * MS)
        return {
            "driven": not never_driven(pen, since_ns),
            "blockers": status(pen).blockers,
            "fault": fault(pen),
        }

    levels_v = (START_V - MARGIN_V, START_V + MARGIN_V)
    below, above = in_fork(each_in_fork, pens.ready(seed=seed), attempt, levels_v)
    assert not below["driven"] and below["blockers"] == ("battery_low",) and below["fault"] == "none"
    assert above["driven"]
    measure("SR-20", "start_v", levels_v[1], f"starts, converter {seed}", relation=">=")


def test_a_short_sag_does_not_stop(pens: Pens) -> None:
    """The limit is for the mean of 100 ms: a sag of 40 ms to 3.05 V is none."""

    def run(pen: EmulatedPen) -> tuple[str, str]:
        start(pen, 100)
        for _ in range(10):
            pen.electronics.set_cell(pen.now_ns, 3.05)
            pen.run_for(35 * MS)
            pen.electronics.set_cell(pen.now_ns, 3.7)
            pen.run_for(97 * MS)
        return state(pen), fault(pen)

    assert in_fork(run, pens.ready()) == ("running", "none")


@pytest.mark.parametrize("needles", [0, 36])
def test_the_cpu_never_browns_out_while_the_cell_runs_down_to_3_0_v(pens: Pens, needles: int) -> None:
    """At the highest rate, at the heaviest load, from 3.6 V down in steps of 20 mV."""

    def run(pen: EmulatedPen) -> tuple[list[str], str, float]:
        resets: list[str] = []
        pen.chip.on_reset(lambda _t_ns, cause: resets.append(str(cause)))
        start(pen, 150, needles=needles)
        cell_v, least_v = 3.6, math.inf
        while cell_v > 3.0:
            cell_v -= 0.02
            pen.electronics.set_cell(pen.now_ns, cell_v)
            least_v = min(least_v, loaded_v(pen, 25))
        pen.run_for(1000 * MS)
        return resets, fault(pen), least_v

    resets, seen, least_v = in_fork(run, pens.ready(3.6))
    print(f"{needles} needles: least mean voltage {least_v:.2f} V")
    assert resets == [] and seen in ("battery empty", "underspeed")


@pytest.mark.parametrize("what", ["armed", 100])
@pytest.mark.parametrize("kind", ["open", "short", "garbage"])
def test_a_broken_divider_is_a_fault_and_no_empty_cell(pens: Pens, what: str | int, kind: str) -> None:
    def run(pen: EmulatedPen) -> tuple[float, str]:
        if isinstance(what, int):
            start(pen, what)
        pen.faults.inject(Fault("battery", kind))
        return until(pen, lambda: fault(pen) != "none", 2000), fault(pen)

    ms, seen = in_fork(run, pens.ready())
    print(f"{kind} divider, {what}: {seen} after {ms:.0f} ms")
    assert ms <= 1000 and seen in (
        ("battery sensor",) if what == "armed" else ("battery sensor", "stall", "underspeed")
    )
