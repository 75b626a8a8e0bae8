"""SR-02, SR-03, SR-04: hall sensor and axis watch each other. The firmware's axis alone, on the emulated pen."""

from __future__ import annotations

import math
from typing import Any

import pytest
from support.axis_pen import MS, AxisPen, Coils, Report
from support.forks import each_in_fork, in_fork
from support.measuring import Measure

from needlepen import requirements
from needlepen.emulator.injection import analogue
from needlepen.firmware_modules import firmware_module

LIMIT = requirements.load().limit
faults = firmware_module("pen.faults")
states = firmware_module("pen.states")
DEPTHS_UM = (0, 1500, 2500)
RHYTHMS = ("awake", "at rest")
EDGE_CODES = 6  # 7.5 um: half of it is the noise of a mean of 8
PHASES_MS = (30.0, 33.3, 36.9, 38.6)
CHANNEL = 1
WINDOW = "print(control.state[places.DEPTH_LOW_SUM], control.state[places.DEPTH_HIGH_SUM], axis.sensor.sum)"


def reaction_ms(pen: AxisPen, since_ns: float) -> float:
    """From an instant to the moment in which the firmware found the fault; infinity if it did not."""
    return (pen.fault_ns[0] - since_ns) / MS if pen.fault_ns else math.inf


def shift(pen: AxisPen, codes: float, after_ms: float, for_ms: float = math.inf) -> float:
    """Have the sensor read so many codes more, `after_ms` from now; returns that time in ns."""
    volts = codes * pen.pen.parameters.adc_reference_v / 4096

    def put() -> None:
        undo = analogue.insert(pen.pen, CHANNEL, analogue.shifted(pen.pen, volts))
        if math.isfinite(for_ms):
            pen.at(for_ms, undo)

    return pen.at(after_ms, put)


# ---------------------------------------------------------------------- SR-02: runaway
def _past_the_edge(pen: AxisPen, case: tuple[int, str, int, int, float, float]) -> tuple[float, Report]:
    """`beyond` codes past the upper (sign 1) or lower edge of the window, for `for_ms`, in a phase of the loop."""
    um, rhythm, sign, beyond, phase_ms, for_ms = case
    pen.to(um)
    low, high, now = (float(v) / 8 for v in pen.exec(WINDOW).split())
    edge = high - now if sign > 0 else low - now
    since_ns = shift(pen, edge + sign * beyond, phase_ms, for_ms)
    report = pen.run(ms=120, until_idle=False, keep_awake=rhythm == "awake")
    return reaction_ms(pen, since_ns), report


@pytest.mark.parametrize("rhythm", RHYTHMS)
def test_a_depth_error_just_beyond_the_limit_is_found_within_20_ms(
    homed: AxisPen, measure: Measure, rhythm: str
) -> None:
    cases = [(um, rhythm, sign, EDGE_CODES, phase, math.inf) for um in DEPTHS_UM for sign in (1, -1)
             for phase in PHASES_MS]  # fmt: skip
    seen = in_fork(each_in_fork, homed, _past_the_edge, cases)
    took = {f"{c[0] / 1e3:.2f} mm, {c[2]:+d}, {c[4]} ms": ms for c, (ms, _) in zip(cases, seen, strict=True)}
    measure.worst("SR-02", "trip_ms", took, f"error of 0.15 mm and a little, {rhythm}")
    assert {report.fault for _, report in seen} == {faults.DEPTH_RUNAWAY}


@pytest.mark.parametrize("rhythm", RHYTHMS)
def test_a_depth_error_just_inside_the_limit_is_not_a_runaway(homed: AxisPen, rhythm: str) -> None:
    cases = [(um, rhythm, sign, -EDGE_CODES, PHASES_MS[0], math.inf) for um in DEPTHS_UM for sign in (1, -1)]
    for case, (ms, report) in zip(cases, in_fork(each_in_fork, homed, _past_the_edge, cases), strict=True):
        assert not report.fault and math.isinf(ms), (case, report)


@pytest.mark.parametrize("rhythm", RHYTHMS)
def test_an_error_of_9_ms_is_none(homed: AxisPen, rhythm: str) -> None:
    cases = [(1500, rhythm, sign, 400, phase, 9.0) for sign in (1, -1) for phase in PHASES_MS]
    for case, (ms, report) in zip(cases, in_fork(each_in_fork, homed, _past_the_edge, cases), strict=True):
        assert not report.fault and math.isinf(ms), (case, report)


def test_the_window_is_that_of_the_requirement(homed: AxisPen) -> None:
    """Codes of the window against the sensor's own scale: 0.15 mm to both sides of where the axis stands."""

    def windows(pen: AxisPen) -> list[tuple[float, float]]:
        found = []
        for um in DEPTHS_UM:
            pen.to(um)
            low, high, _ = (float(v) / 8 for v in pen.exec(WINDOW).split())
            stands = float(pen.exec("print(axis._stands_um)"))
            per_code_um = 1e9 * pen.pen.board.adc.volts_per_lsb / pen.calibration.hall_uv_per_mm
            zero = float(pen.exec("print(axis.sensor.zero_sum / 8)"))
            at = zero + (stands - pen.calibration.points[0][1]) / per_code_um
            found.append(((at - low) * per_code_um, (high - at) * per_code_um))
        return found

    limit_um = 1e3 * float(LIMIT("SR-02", "error_mm"))
    for below, above in in_fork(windows, homed):
        assert limit_um - 3 <= min(below, above) and max(below, above) <= limit_um + 3


def _steps_lost(pen: AxisPen, case: tuple[str, Any, int, int, float]) -> tuple[float, float, float, Report]:
    """Time from 0.15 mm of difference between coils and rotor to the fault, largest true protrusion, last one."""
    kind, value, start_um, goal_um, after_ms = case
    pen.to(start_um)
    coils, begun = Coils(pen), pen.truth.steps
    off_ns: list[float] = []
    seen_mm: list[float] = []
    limit_steps = float(LIMIT("SR-02", "error_mm")) / pen.pen.board.mechanics.depth_step_mm

    def look() -> None:
        seen_mm.append(pen.truth.protrusion_mm)
        if not off_ns and abs(coils.half_steps / 2 - (pen.truth.steps - begun)) > limit_steps:
            off_ns.append(pen.chip.now_ns)
        if not pen.fault_ns:
            pen.at(0.25, look)

    look()
    pen.break_in(after_ms, "depth_stepper", kind, value)
    report = pen.run(f"axis.move_to({goal_um})", retract=False)
    return reaction_ms(pen, off_ns[0]) if off_ns else -math.inf, max(seen_mm), pen.truth.protrusion_mm, report


@pytest.mark.parametrize(("kind", "value"), [("stuck", None), ("off", None), ("open", None), ("slow", 0.12)])
def test_lost_steps_are_found_within_20_ms_during_the_move(
    homed: AxisPen, measure: Measure, kind: str, value: float | None
) -> None:
    """Commanded depth in a move is where the coils hold the rotor at that moment."""
    cases = [(kind, value, a, b, ms) for a, b in ((0, 2500), (2500, 300)) for ms in (40.0, 65.0, 90.0)]
    seen = in_fork(each_in_fork, homed, _steps_lost, cases)
    took = {
        f"{c[2] / 1e3} to {c[3] / 1e3} mm, {c[4]} ms": ms
        for c, (ms, _, _, _) in zip(cases, seen, strict=True)
    }
    measure.worst("SR-02", "trip_ms", took, f"steps lost in a move, stepper {kind}")
    for case, (_, most_mm, _, report) in zip(cases, seen, strict=True):
        assert report.fault in (faults.DEPTH_RUNAWAY, faults.DEPTH_SENSOR), (case, report)
        assert most_mm <= max(case[2], case[3]) / 1e3 + float(LIMIT("SR-02", "error_mm")), (
            "it went too far out"
        )


def test_a_screw_that_slips_out_is_found_and_never_passes_the_hard_stop(
    homed: AxisPen, measure: Measure
) -> None:
    def slip(pen: AxisPen, case: tuple[int, float]) -> tuple[float, float]:
        um, by_mm = case
        pen.to(um)
        since_ns = pen.break_in(30, "screw", "wrong", by_mm)
        most = [0.0]

        def look() -> None:
            most[0] = max(most[0], pen.truth.protrusion_mm)
            pen.at(0.25, look)

        look()
        report = pen.run(ms=300, until_idle=False, keep_awake=True)
        stopped_by_the_nose = um / 1e3 + by_mm > float(LIMIT("SR-02", "hard_stop_mm"))
        assert report.fault == (faults.NONE if stopped_by_the_nose else faults.DEPTH_RUNAWAY), (case, report)
        return 0.0 if stopped_by_the_nose else reaction_ms(pen, since_ns), most[0]

    cases = [(um, by) for um in (500, 1500, 2500) for by in (0.3, 0.8, -0.3)]
    seen = in_fork(each_in_fork, homed, slip, cases)
    measure.worst(
        "SR-02", "trip_ms", {str(c): ms for c, (ms, _) in zip(cases, seen, strict=True)}, "screw slips"
    )
    measure.worst(
        "SR-02", "hard_stop_mm", {str(c): mm for c, (_, mm) in zip(cases, seen, strict=True)}, "protrusion"
    )


# ---------------------------------------------------------------------- SR-03: walk
def _walked(pen: AxisPen, case: tuple[int, str, float]) -> tuple[Report, Report, float]:
    """Reports 1 s (and a pass) and 3.5 s after the sensor began to read an error in um; time until the fault in s."""
    um, rhythm, error_um = case
    pen.to(um)
    pen.run(ms=1200, until_idle=False, keep_awake=rhythm == "awake")
    off_um, slope = map(
        float, pen.exec("print(axis.sensor.drift.mean_um, axis.sensor.map.um_per_sum_q16)").split()
    )
    since_ns = shift(pen, (error_um - off_um) / (8 * slope / 65536), 0.0)
    pen.chip.run_for(1)
    pass_ms = 10 if rhythm == "awake" else 250
    first = pen.run(ms=1000 + pass_ms, until_idle=False, keep_awake=rhythm == "awake")
    last = pen.run(ms=2500, until_idle=False, keep_awake=rhythm == "awake")
    return first, last, reaction_ms(pen, since_ns) / 1e3


@pytest.mark.parametrize("rhythm", RHYTHMS)
def test_a_mean_error_beyond_0_10_mm_warns_within_1_s_and_stops_within_3_s(
    homed: AxisPen, measure: Measure, rhythm: str
) -> None:
    cases = [(0, rhythm, 108), (1500, rhythm, 108), (1500, rhythm, -108), (2500, rhythm, -108)]
    seen = in_fork(each_in_fork, homed, _walked, cases)
    for case, (first, last, _) in zip(cases, seen, strict=True):
        assert first.warnings == states.WARN_DEPTH_DRIFT and not first.fault, (case, first)
        assert last.fault == faults.DEPTH_WALK, (case, last)
    took = {f"{c[0] / 1e3:.2f} mm, {c[2]:+d} um": s for c, (_, _, s) in zip(cases, seen, strict=True)}
    measure.worst("SR-03", "stop_s", took, f"mean error of 0.108 mm, {rhythm}")


@pytest.mark.parametrize("rhythm", RHYTHMS)
def test_a_mean_error_inside_0_10_mm_neither_warns_nor_stops(homed: AxisPen, rhythm: str) -> None:
    cases = [(0, rhythm, -92), (1500, rhythm, 92), (1500, rhythm, -92), (2500, rhythm, 92)]
    for case, (first, last, _) in zip(cases, in_fork(each_in_fork, homed, _walked, cases), strict=True):
        assert not first.warnings and not last.warnings and not last.fault, (case, first, last)


# ---------------------------------------------------------------------- SR-04: the sensor itself
def _broken(pen: AxisPen, case: tuple[str, str, float]) -> tuple[float, Report]:
    kind, when, phase_ms = case
    if when == "homing":
        since_ns = pen.break_in(40 + phase_ms, "depth_position", kind)
        return (lambda r: (reaction_ms(pen, since_ns), r))(pen.run("axis.home()", ms=2000))
    pen.to(1500)
    since_ns = pen.break_in(phase_ms, "depth_position", kind)
    if when == "moving":
        report = pen.run("axis.move_to(300)", ms=2000)
    else:
        report = pen.run(ms=200, until_idle=False, keep_awake=when == "awake")
    return reaction_ms(pen, since_ns), report


@pytest.mark.parametrize("when", ["awake", "at rest", "moving", "homing"])
@pytest.mark.parametrize("kind", ["open", "short", "garbage"])
def test_a_sensor_that_is_open_shorted_or_raves_is_found_within_100_ms(
    homed: AxisPen, measure: Measure, kind: str, when: str
) -> None:
    cases = [(kind, when, phase) for phase in PHASES_MS]
    seen = in_fork(each_in_fork, homed, _broken, cases)
    took = {f"{c[2]} ms": ms for c, (ms, _) in zip(cases, seen, strict=True)}
    measure.worst("SR-04", "detect_ms", took, f"sensor {kind}, {when}")
    for case, (_, report) in zip(cases, seen, strict=True):
        assert report.fault == faults.DEPTH_SENSOR, (case, report)
        if kind != "garbage":
            assert report.blockers & states.BLOCK_DEPTH_SENSOR, "running is not inhibited"


def _stuck(pen: AxisPen, case: tuple[int, int]) -> tuple[float, Report]:
    """Time from 0.25 mm of coil movement to the fault: 0 if it came before."""
    start_um, goal_um = case
    pen.to(start_um)
    coils = Coils(pen)
    far_ns: list[float] = []
    pen.break_in(0, "depth_position", "stuck")

    def look() -> None:
        if not far_ns and abs(coils.half_steps) * 12.5 >= 250:
            far_ns.append(pen.chip.now_ns)
        pen.at(0.25, look)

    look()
    report = pen.run(f"axis.move_to({goal_um})")
    return max(0.0, reaction_ms(pen, far_ns[0] if far_ns else pen.chip.now_ns)), report


def test_a_stuck_sensor_is_found_within_100_ms_of_a_move_of_a_quarter_millimetre(
    homed: AxisPen, measure: Measure
) -> None:
    cases = [(a, b) for a in (0, 300, 1250, 2500) for b in (0, 300, 1250, 2500) if abs(a - b) > 250]
    seen = in_fork(each_in_fork, homed, _stuck, cases)
    took = {f"{a / 1e3} to {b / 1e3} mm": ms for (a, b), (ms, _) in zip(cases, seen, strict=True)}
    measure.worst("SR-04", "detect_ms", took, "stuck sensor")
    assert {report.fault for _, report in seen} == {faults.DEPTH_SENSOR}, seen


def test_homing_finds_a_stuck_sensor(homed: AxisPen) -> None:
    def home(pen: AxisPen, um: int) -> Report:
        pen.to(um)
        pen.break_in(0, "depth_position", "stuck")
        return pen.run("axis.home()")

    for report in in_fork(each_in_fork, homed, home, [0, 150]):
        assert report.fault == faults.DEPTH_SENSOR and not report.homed, report
