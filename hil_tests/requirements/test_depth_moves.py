"""PR-05, PR-06, SR-01, SR-23: how the depth axis moves. The firmware's axis alone, on the emulated pen."""

from __future__ import annotations

import random
import statistics
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support.axis_pen import MS, AxisPen, Coils
from support.forks import each_in_fork, in_fork
from support.measuring import Measure
from support.nights import mostly_nightly

from needlepen import requirements
from needlepen.firmware_modules import firmware_module

LIMIT = requirements.load().limit
TOP_UM = round(1e3 * float(LIMIT("PR-05", "depth_max_mm")))
GRID_UM = round(1e3 * float(LIMIT("PR-05", "depth_step_mm")))
STARTS_UM = (0.0, 7.0, 50.0, 103.0, 740.0, 1500.0, 2500.0)
profile = firmware_module("pen.axis_profile")


def _full_moves(runtime: Path, firmware: Path, seed: int) -> dict[str, float]:
    pen = AxisPen(runtime, firmware, seed)
    pen.home()
    took = {}
    for name, um in (("out", TOP_UM), ("back to 0.05", GRID_UM), ("out again", TOP_UM), ("home", 0)):
        report = pen.to(um)
        assert report.depth_um == um and not report.fault and not report.lost_steps, report
        took[f"{name}, seed {seed}"] = float(report.took_ms)
    return took


def test_the_full_range_takes_at_most_400_ms_in_every_way(
    runtime: Path, firmware: Path, measure: Measure
) -> None:
    """From the pass that starts the move to the pass that finds the axis at rest."""
    took: dict[str, float] = {}
    for seed in (0, 1, 2):
        took |= in_fork(_full_moves, runtime, firmware, seed)
    measure.worst("PR-05", "full_move_ms", took, "full-range move")


def _every_setting(pen: AxisPen) -> dict[int, float]:
    settings = list(range(0, TOP_UM + 1, GRID_UM))
    random.Random(5).shuffle(settings)
    errors = {}
    for um in settings:
        report = pen.to(um)
        assert report.depth_um == um and not report.fault, report
        errors[um] = 1e3 * pen.truth.protrusion_mm - um
        assert abs(report.measured_um - 1e3 * pen.truth.protrusion_mm) < 40, "the sensor sees something else"
    return errors


@pytest.mark.parametrize("seed", mostly_nightly([0, 1, 2], 0))
def test_every_setting_gives_its_protrusion(
    runtime: Path, firmware: Path, measure: Measure, seed: int
) -> None:
    pen = AxisPen(runtime, firmware, seed)
    pen.home()
    errors = in_fork(_every_setting, pen)
    assert len(errors) == TOP_UM // GRID_UM + 1
    off = {f"{um / 1e3:.2f} mm": abs(error) / 1e3 for um, error in errors.items()}
    measure.worst("PR-06", "error_mm", off, f"true protrusion at every setting, in random order, seed {seed}")


def _approaches(pen: AxisPen, um: int) -> dict[str, list[float]]:
    seen: dict[str, list[float]] = {"from below": [], "from above": [], "from home": []}
    draw = random.Random(um)
    for _ in range(6):
        for name in seen:
            lower, upper = (0, um - GRID_UM) if name == "from below" else (um + GRID_UM, TOP_UM)
            away_um = 0 if name == "from home" else GRID_UM * draw.randint(lower // GRID_UM, upper // GRID_UM)
            pen.to(away_um)
            pen.to(um)
            seen[name].append(pen.truth.protrusion_mm)
    return seen


@pytest.mark.parametrize("um", mostly_nightly([300, 1250, 2400], 2400))
def test_a_depth_is_the_same_from_everywhere(homed: AxisPen, measure: Measure, um: int) -> None:
    seen = in_fork(_approaches, homed, um)
    every = [mm for values in seen.values() for mm in values]
    what = f"{len(every)} approaches of {um / 1e3:.2f} mm"
    measure("PR-06", "repeatability_mm", 2 * statistics.pstdev(every), f"two standard deviations of {what}")
    means = [statistics.mean(values) for values in seen.values()]
    measure("PR-06", "reversal_mm", max(means) - min(means), f"between directions, {what}")


def _home_from(runtime: Path, firmware: Path, seed: int) -> list[tuple[float, float, int, int]]:
    found = []
    for start_um in STARTS_UM:
        pen = AxisPen(runtime, firmware, seed, start_um=start_um)
        begun = pen.home()
        zero = pen.truth.steps
        again = [pen.home().took_ms for _ in range(2)]
        assert abs(pen.truth.steps - zero) < 0.05, "home is another place the second time"
        found.append((start_um, pen.truth.protrusion_mm, begun.took_ms, max(again)))
    return found


@pytest.mark.parametrize("seed", mostly_nightly([0, 4], 4))
def test_home_is_the_same_place_from_everywhere(runtime: Path, firmware: Path, seed: int) -> None:
    found = in_fork(_home_from, runtime, firmware, seed)
    places_mm = {mm for _, mm, _, _ in found}
    print({start_um: f"{mm:.4f} mm after {ms} ms" for start_um, mm, ms, _ in found})
    assert max(places_mm) - min(places_mm) < 0.005
    assert max(ms for _, _, ms, _ in found) < 1000, "homing has to fit into the time to ready (PR-09)"


# ---------------------------------------------------------------------- times, without the CPU
def _words_of_a_move(pen: AxisPen, halt: bool) -> tuple[list[tuple[int, int]], float, int]:
    coils = Coils(pen)
    pen.exec("drive.wake(); time.sleep_ms(20); axis.poll(time.ticks_ms(), True); axis.move_to(2500)")
    if halt:
        pen.chip.console.write(b"\x01axis.poll(time.ticks_ms(), True)\r\x04")
        assert pen.chip.run_until(lambda: len(coils.words) > 20, 200 * MS)
        pen.chip.halt_cpu()
        pen.chip.run_for(1000 * MS)
    else:
        pen.run()
    return coils.words, pen.truth.protrusion_mm, int(pen.truth.moving)


@pytest.mark.parametrize("cpu", ["running", "halted"])
def test_steps_come_at_the_planned_microsecond_whatever_the_cpu_does(homed: AxisPen, cpu: str) -> None:
    words, protrusion_mm, moving = in_fork(_words_of_a_move, homed, cpu == "halted")
    steps = firmware_module("pen.depth").DepthMap(homed.calibration).steps(TOP_UM)
    schedule = profile.Schedule()
    schedule.to(2 * steps)
    planned = [(word >> 4) + 4 for word in schedule.words[: schedule.count]]
    assert [pattern for _, pattern in words] == [word & 15 for word in schedule.words[: schedule.count]]
    stays_us = [(b - a) / 1e3 for (a, _), (b, _) in pairwise(words)]
    worst_us = max(abs(stay - plan) for stay, plan in zip(stays_us, planned, strict=False))
    print(f"{len(words)} words, {sum(planned) / 1e3:.1f} ms, CPU {cpu}: worst error {worst_us:.3f} us")
    assert worst_us < 0.02
    assert not moving and abs(protrusion_mm - TOP_UM / 1e3) <= float(LIMIT("PR-06", "error_mm"))


def test_an_axis_at_rest_holds_with_one_coil(homed: AxisPen) -> None:
    def coils_on(pen: AxisPen) -> list[int]:
        on = []
        for um in (0, 50, 1025 // 50 * 50, 2500, 1000):
            pen.to(um)
            on.append(pen.truth.coils_on(pen.chip.now_ns))
        return on

    assert in_fork(coils_on, homed) == [1] * 5


# ---------------------------------------------------------------------- SR-01, SR-23
def _refused(pen: AxisPen, um: int) -> tuple[str, int, float]:
    pen.to(1000)
    coils, before_mm = Coils(pen), pen.truth.protrusion_mm
    said = pen.exec(f"print(axis.move_to({um})); run(300)").splitlines()[0]
    return said, len(coils.words), abs(pen.truth.protrusion_mm - before_mm)


@pytest.mark.parametrize("um", [-50, TOP_UM + GRID_UM, 2600, 5000, 1 << 40])
def test_the_axis_itself_refuses_what_no_pen_may_have_and_does_not_move(
    homed: AxisPen, measure: Measure, um: int
) -> None:
    said, words, moved_mm = in_fork(_refused, homed, um)
    assert said == "depth not allowed" and words == 0
    measure("SR-01", "movement_mm", moved_mm, f"movement after {um} um was asked for")


def _slow_move(pen: AxisPen, case: tuple[int, int]) -> tuple[float, float, int]:
    """Fastest mean speed over 50 ms in mm/s, how far beyond the start it came in mm, depth in the end."""
    start_um, goal_um = case
    pen.to(start_um)
    begun_mm = pen.truth.protrusion_mm
    seen: list[float] = []

    def look() -> None:
        seen.append(pen.truth.protrusion_mm)
        pen.at(5, look)

    look()
    report = pen.to(goal_um, slow=True)
    assert not report.fault, report
    fastest = max(abs(a - b) for a, b in zip(seen, seen[10:], strict=False)) / 0.05
    return fastest, max(seen) - begun_mm, report.depth_um


def test_while_running_the_axis_goes_in_only_and_at_most_at_2_mm_s(homed: AxisPen, measure: Measure) -> None:
    cases = [(1500, 1450), (1500, 1000), (1000, 50), (700, 0), (200, 100)]
    seen = in_fork(_each_slow, homed, cases)
    speeds = {
        f"{a / 1e3:.2f} to {b / 1e3:.2f} mm": fastest
        for (a, b), (fastest, _, _) in zip(cases, seen, strict=True)
    }
    measure.worst("SR-23", "retract_mm_s", speeds, "speed of the needles, mean of 50 ms")
    assert max(beyond for _, beyond, _ in seen) < 0.005, "it came out first"
    assert [depth for _, _, depth in seen] == [goal for _, goal in cases]
    assert in_fork(_refused_slow, homed) == "depth not allowed"


def _each_slow(pen: AxisPen, cases: list[tuple[int, int]]) -> list[Any]:
    return each_in_fork(pen, _slow_move, cases)


def _refused_slow(pen: AxisPen) -> str:
    pen.to(1000)
    return pen.exec("print(axis.move_to(1050, True))")
