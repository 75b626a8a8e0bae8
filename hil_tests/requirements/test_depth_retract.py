"""SR-02, SR-04: after a fault the needles come in, whatever is broken. The axis alone, on the emulated pen."""

from __future__ import annotations

import math
from typing import Any

import pytest
from support.axis_pen import MS, AxisPen, Report
from support.forks import each_in_fork, in_fork

from needlepen.firmware_modules import firmware_module

faults = firmware_module("pen.faults")
IN_MM = 0.05  # what is left of the way home: two steps, and the place of the switch
LONGEST_MS = 1500


Broken = tuple[str, str, Any]
SOUND: list[Broken] = []
BROKEN: list[list[Broken]] = [
    SOUND,
    [("depth_position", "open", None)],
    [("depth_position", "short", None)],
    [("depth_position", "stuck", None)],
    [("depth_position", "wrong", -2.0)],
    [("home", "open", None)],
    [("home", "short", None)],
    [("home", "intermittent", None)],
    [("home", "short", None), ("depth_position", "open", None)],
]


def _retracted(pen: AxisPen, case: tuple[list[Broken], int, int | None]) -> tuple[float, Report]:
    """True protrusion beyond home in the end; from rest, or in a move to `goal_um`."""
    broken, um, goal_um = case
    pen.to(um)
    for target, kind, value in broken:
        pen.break_in(0, target, kind, value)
    pen.chip.run_for(1 * MS)
    move = "" if goal_um is None else f"axis.move_to({goal_um}); run(100, retract=False); "
    report = pen.run(f"{move}axis.retract()", ms=3000, retract=False)
    return pen.out_mm, report


@pytest.mark.parametrize("goal_um", [None, 2500, 300], ids=["at rest", "moving out", "moving in"])
@pytest.mark.parametrize("broken", BROKEN, ids=lambda b: " and ".join(f"{t} {k}" for t, k, _ in b) or "sound")
def test_the_needles_come_in_whatever_is_broken(
    homed: AxisPen, broken: list[Broken], goal_um: int | None
) -> None:
    """From rest and in the middle of a move; with a dead sensor by the switch, with a dead switch by the count."""
    cases = [(broken, um, goal_um) for um in (100, 1500, 2500) if um != goal_um]
    for case, (out_mm, report) in zip(cases, in_fork(each_in_fork, homed, _retracted, cases), strict=True):
        assert out_mm <= IN_MM, (case, report)
        assert not report.moving and not report.homed and report.took_ms < LONGEST_MS, (case, report)


def _stops_at_once(pen: AxisPen, after_ms: int) -> tuple[float, float]:
    """How far out the axis still went after `retract` was called in a move outward, and where it was, in mm."""
    pen.to(200)
    pen.exec(f"axis.move_to(2500); run({after_ms})")
    begun = pen.truth.steps
    seen = [begun]

    def look() -> None:
        seen.append(pen.truth.steps)
        pen.at(0.25, look)

    look()
    pen.run("axis.retract()")
    return (max(seen) - begun) * 0.025, begun * 0.025


def test_a_retraction_turns_a_move_around_at_once(homed: AxisPen) -> None:
    cases = [40, 80, 120, 160]
    for ms, (further_mm, at_mm) in zip(
        cases, in_fork(each_in_fork, homed, _stops_at_once, cases), strict=True
    ):
        print(f"{ms} ms into the move, at {at_mm:.2f} mm: {further_mm:.3f} mm further out")
        assert further_mm < 0.15, "what 10 mm/s is in 10 ms, and the swing of the rotor"


# ---------------------------------------------------------------------- home switch
def _home_with(pen: AxisPen, case: tuple[list[Broken], int]) -> tuple[float, Report]:
    """Needles in the end, and what homing said, begun from a depth with something broken; the app then retracts."""
    broken, um = case
    pen.to(um)
    for target, kind, value in broken:
        pen.break_in(0, target, kind, value)
    pen.chip.run_for(1 * MS)
    report = pen.run("axis.home()", ms=5000)
    return pen.out_mm, report


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (("home", "open", None), "DEPTH_HOME"),
        (("home", "short", None), "DEPTH_HOME"),
        (("depth_position", "open", None), "DEPTH_SENSOR"),
        (("depth_position", "wrong", 0.6), "DEPTH_HOME"),
        (("depth_position", "wrong", -0.4), "DEPTH_SENSOR"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value[0]} {value[1]} {value[2]}",
)
def test_home_is_found_with_a_sound_switch_and_a_sound_sensor_only(
    homed: AxisPen, broken: Broken, fault: str
) -> None:
    cases = [([broken], um) for um in (0, 300, 800, 2500)]
    for case, (out_mm, report) in zip(cases, in_fork(each_in_fork, homed, _home_with, cases), strict=True):
        assert report.fault == getattr(faults, fault) and not report.homed, (case, report)
        assert out_mm <= IN_MM, (case, report)


def test_a_blocked_axis_does_not_pass_for_homed(homed: AxisPen) -> None:
    cases = [([("depth_stepper", kind, None)], um) for kind in ("stuck", "off") for um in (0, 800)]
    for case, (_, report) in zip(cases, in_fork(each_in_fork, homed, _home_with, cases), strict=True):
        assert report.fault == faults.DEPTH_HOME and not report.homed, (case, report)


def _after_lost_steps(pen: AxisPen, by_mm: float) -> tuple[Report, float, float]:
    """The screw slips by less than the fault limit; then 1.50 mm is asked for again, from elsewhere."""
    pen.to(1000)
    pen.break_in(0, "screw", "wrong", by_mm)
    pen.run(ms=60, until_idle=False, keep_awake=True)
    first = pen.to(1500)
    off_mm = pen.truth.protrusion_mm - 1.5
    pen.to(1000)
    pen.to(1500)
    return first, off_mm, pen.truth.protrusion_mm - 1.5


@pytest.mark.parametrize("by_mm", [0.1, -0.1])
def test_lost_steps_too_few_for_a_fault_are_made_good_by_the_next_move(homed: AxisPen, by_mm: float) -> None:
    first, off_mm, again_mm = in_fork(_after_lost_steps, homed, by_mm)
    print(f"slipped {by_mm} mm: {off_mm:.3f} mm off, then {again_mm:.3f} mm")
    assert not first.fault and first.lost_steps and abs(off_mm) > 0.05
    assert abs(again_mm) < 0.03


def _acknowledged(pen: AxisPen, um: int) -> tuple[Report, Report]:
    pen.to(um)
    pen.break_in(20, "screw", "wrong", -0.5)
    first = pen.run(ms=1500, until_idle=False, keep_awake=True)
    pen.home()
    return first, pen.to(um)


def test_after_an_acknowledgement_home_is_found_anew_and_the_depth_is_right(homed: AxisPen) -> None:
    for um in (600, 2500):
        first, last = in_fork(_acknowledged, homed, um)
        assert first.fault == faults.DEPTH_RUNAWAY and not first.homed
        assert not last.fault and last.depth_um == um and abs(last.measured_um - um) < 60, last


# ---------------------------------------------------------------------- a hung CPU
def _hung(pen: AxisPen, case: tuple[str, int]) -> tuple[float, bool, int | None]:
    cpu, words = case
    chip = pen.chip
    gpio = pen.pen.board.gpio
    count = [0]
    chip.on_output(gpio("DEPTH_A1"), lambda _t, _level: count.__setitem__(0, count[0] + 1))
    chip.console.write(b"\x01axis.move_to(1500); run(2000)\r\x04")
    assert chip.run_until(lambda: count[0] >= words, 500 * MS)
    (chip.halt_cpu if cpu == "halted" else chip.spin_cpu)()
    most = -math.inf
    for _ in range(600):
        chip.run_for(1 * MS)
        most = max(most, pen.truth.protrusion_mm)
    return most, pen.truth.moving, chip.output(gpio("DEPTH_SLEEP_N"))


def test_a_hung_cpu_cannot_take_the_needles_beyond_the_set_depth(homed: AxisPen) -> None:
    cases = [(cpu, words) for cpu in ("halted", "spinning") for words in (2, 10, 25)]
    for case, (most_mm, moving, _) in zip(cases, in_fork(each_in_fork, homed, _hung, cases), strict=True):
        assert most_mm < 1.5 + 0.1 and not moving, (case, most_mm)
