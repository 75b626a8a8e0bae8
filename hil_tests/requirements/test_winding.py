"""SR-19: the winding's temperature, estimated from the current, against the emulated motor; it warns and stops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from support.bench import LIMIT, Pens, braked_ns, press, rate, start
from support.forks import each_in_fork, in_fork
from support.measuring import Measure
from support.monitoring import fault, status, until

from needlepen.emulator.injection import Fault
from needlepen.emulator.pen import TELEMETRY_LEASE_MS, TELEMETRY_PERIOD_MS, EmulatedPen
from needlepen.link.client import messages

WARN_C, STOP_C = float(LIMIT("SR-19", "warn_c")), float(LIMIT("SR-19", "stop_c"))
S = 1e9
HEAVY_NM = 3.1e-3  # nearly what the motor can hold at the current limit, until it gets hot: 1.25 A
LESS_NM = 0.05e-3
SLOW_HZ = 73.0  # of 100; below 60 the pen ends the run, and a hot motor weakens quickly
STORED_K = 76  # of a hot motor, as the counters keep it
NOSE_C = 40.5  # of a nose that has 0.35 of that


def true_c(pen: EmulatedPen) -> float:
    return float(pen.plant.thermal.winding_c)


def _follow(pen: EmulatedPen, seconds: float, step_s: float = 1.0) -> list[tuple[float, float]]:
    """True and reported winding temperature."""
    rows = []
    for _ in range(round(seconds / step_s)):
        pen.run_for(step_s * S)
        rows.append((true_c(pen), status(pen).winding_c))
    return rows


@pytest.mark.nightly
@pytest.mark.parametrize(("set_hz", "needles", "cell_v"), [(50, 0, 4.2), (100, 24, 4.2), (150, 36, 3.6)])
def test_a_treatment_of_24_s_with_a_pause_is_followed(
    pens: Pens, measure: Measure, set_hz: int, needles: int, cell_v: float
) -> None:
    def run(pen: EmulatedPen) -> list[tuple[float, float]]:
        start(pen, set_hz, settle_ms=600)
        rows = []
        for _ in range(2):
            if needles:
                pen.touch_skin(needles, 1.5)
            rows += _follow(pen, 6)
            pen.lift()
            rows += _follow(pen, 2)
        pen.release()
        rows += _follow(pen, 4)
        press(pen, set_hz)
        return rows + _follow(pen, 4)

    true, shown = np.array(in_fork(run, pens.ready(cell_v))).T
    what = f"{set_hz} Hz, {needles} needles, {cell_v} V: up to {true.max():.1f} C"
    measure("SR-19", "model_error_k", float(np.abs(shown - true).max()), what)


def _overload(pen: EmulatedPen) -> dict[str, Any]:
    """With a motor as hot as the pen believes it to be, and a heavy drag, until the pen stops itself."""
    pen.set_nose_c(NOSE_C)
    pen.run_for(30 * S)  # the surroundings follow from nose and stored heat
    heat = pen.plant.thermal
    heat.winding_c = heat.housing_c = status(pen).winding_c
    pen.set_ambient_c(NOSE_C - 0.35 * STORED_K * math.exp(-30 / 220))
    start(pen, 100)
    pen.command(messages.SUBSCRIBE, TELEMETRY_PERIOD_MS, TELEMETRY_LEASE_MS)
    drag_nm = HEAVY_NM
    begun_ns = pen.now_ns
    errors_k, warned = [], (math.nan, math.nan)
    while fault(pen) == "none" and pen.now_ns < begun_ns + 60 * S:
        pen.electronics.set_drag(pen.now_ns, drag_nm)
        pen.run_for(0.1 * S)
        drag_nm -= LESS_NM if rate(pen) < SLOW_HZ else 0.0
        errors_k.append(status(pen).winding_c - true_c(pen))
        if math.isnan(warned[0]) and "winding_warm" in status(pen).warnings:
            warned = (status(pen).winding_c, true_c(pen))
    pen.run_for(0.6 * S)
    return {
        "fault": fault(pen),
        "shown_c": status(pen).winding_c,
        "warned": warned,
        "true_c": true_c(pen),
        "errors_k": errors_k,
        "braked": math.isfinite(braked_ns(pen, begun_ns)),
        "after": _after(pen),
    }


def _after(pen: EmulatedPen) -> dict[str, Any]:
    """The heat stays known through a watchdog reset, and so does that it is too much for a start."""
    pen.release()
    pen.chip.spin_cpu()
    pen.run_for(0.3 * S)
    pen.wait_state("safe")
    pen.run_until(lambda: pen.link.status is not None, 1 * S)
    return {"true_c": true_c(pen), "shown_c": status(pen).winding_c, "blockers": status(pen).blockers}


def test_an_overloaded_winding_warns_at_85_and_stops_at_100(pens: Pens, measure: Measure) -> None:
    changes = {"pen/monitor.py": ("max(heat, inputs.kept_heat())", f"max({STORED_K}, inputs.kept_heat())")}
    firmware = pens.variant("stored_heat", changes)
    seen = in_fork(_overload, pens.ready(4.2, firmware=firmware), timeout_s=280)
    worst_k = max(map(abs, seen["errors_k"]))
    print(f"warned at {seen['warned']}, stopped at {seen['shown_c']} C, true {seen['true_c']:.1f} C")
    assert seen["fault"] == "winding hot" and seen["braked"]
    measure("SR-19", "model_error_k", worst_k, "overload to the limit")
    assert WARN_C <= seen["warned"][0] <= WARN_C + 3
    assert seen["true_c"] <= STOP_C + float(LIMIT("SR-19", "model_error_k"))
    after = seen["after"]
    print(f"after a reset: {after}")
    measure("SR-19", "model_error_k", abs(after["shown_c"] - after["true_c"]), "after a watchdog reset")
    assert ("winding_hot" in after["blockers"]) == (after["shown_c"] >= WARN_C)
    assert after["shown_c"] > NOSE_C + 20


@pytest.mark.parametrize("what", ["armed", 100])
def test_a_current_sensor_that_is_off_is_a_fault(pens: Pens, what: str | int) -> None:
    """It would hide heat and skin. At rest it has to read nothing."""

    def break_it(pen: EmulatedPen, fault_in: Fault) -> tuple[float, str]:
        pen.faults.inject(fault_in)
        return until(pen, lambda: fault(pen) != "none", 3000), fault(pen)

    def run(pen: EmulatedPen) -> list[tuple[float, str]]:
        if isinstance(what, int):
            start(pen, what)
        return each_in_fork(pen, break_it, faults)

    faults = [Fault("motor_current", "wrong", 0.5)] if what == "armed" else [Fault("motor_current", "short")]
    for ms, seen in in_fork(run, pens.ready()):
        print(f"{what}: {seen} after {ms:.0f} ms")
        assert math.isfinite(ms) and seen != "none"
