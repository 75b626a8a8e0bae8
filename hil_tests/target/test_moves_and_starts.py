"""What may be set and started, with a hand at the trigger and the needles in sight: on any bench with a plant."""

from __future__ import annotations

import itertools

import pytest
from support.link_session import now, until
from support.measuring import Measure
from support.stopping import RELEASED_MS, run, stays_still
from support.targets.protocols import Link, Plant, Power

from needlepen import requirements
from needlepen.link.client import messages

LIMIT = requirements.load().limit
LEAST_HZ, DEFAULT_HZ, MOST_HZ = (int(LIMIT("PR-01", f"rate_{name}_hz")) for name in ("min", "default", "max"))
STEP_UM = round(1e3 * float(LIMIT("PR-05", "depth_step_mm")))
MOVE_STEP_MS, MOVED_MS, SLEWED_MS = 2.0, 600.0, 700.0
HELD_MS = 4_000.0  # well beyond the start-up tests


def _move(link: Link, plant: Plant, um: int) -> float:
    """Set a depth, and wait; ms until the needles were last seen to move."""
    link.subscribe(0)
    link.command(messages.SET_DEPTH, um)
    begun_ns, before_mm, last_ms = plant.now_ns, plant.protrusion_mm, 0.0
    while plant.now_ns - begun_ns < 1e6 * MOVED_MS:
        plant.wait(MOVE_STEP_MS)
        if plant.protrusion_mm != before_mm:
            before_mm, last_ms = plant.protrusion_mm, (plant.now_ns - begun_ns) / 1e6
    return last_ms


def test_a_depth_is_reached_in_time_and_too_slow_a_rate_does_not_start_there(
    link: Link, plant: Plant, measure: Measure
) -> None:
    """PR-05, PR-06, SR-01, SR-24: to the cap and back; then 50 Hz, too slow for any cartridge at 1.50 mm."""
    until(link, "armed")
    status = now(link)[1]
    cap_um = round(1e3 * status.depth_cap_mm)
    if cap_um < round(1e3 * float(LIMIT("SR-01", "default_cap_mm"))):
        pytest.skip(
            f"the depth is limited to {cap_um} um here: seat a cartridge and take a profile for 1.50 mm"
        )
    times_ms, errors_mm = {}, {}
    for um in (cap_um, 500, 550):
        times_ms[f"to {um} um"] = _move(link, plant, um)
        errors_mm[f"at {um} um"] = abs(plant.protrusion_mm - um / 1e3)
    measure.worst("PR-05", "full_move_ms", times_ms, "needles at rest again, part of the range")
    measure.worst("PR-06", "error_mm", errors_mm, "true protrusion against what was set")
    before_mm = plant.protrusion_mm
    assert link.request(messages.SET_DEPTH, cap_um + STEP_UM).refused is not None
    plant.wait(100)
    measure("SR-01", "movement_mm", abs(plant.protrusion_mm - before_mm), "one step above the cap, refused")
    _move(link, plant, cap_um)
    link.command(messages.SET_RATE, LEAST_HZ)
    plant.wait(RELEASED_MS)
    assert "rate_too_low" in now(link)[1].blockers, f"{status.needles} needles, {LEAST_HZ} Hz, {cap_um} um"
    plant.press()
    assert stays_still(plant), "it started"


def test_while_it_runs_nothing_gets_deeper_and_the_rate_changes_slowly(
    link: Link, plant: Plant, measure: Measure
) -> None:
    """SR-23"""
    until(link, "armed")
    _move(link, plant, 500)
    run(link, plant, DEFAULT_HZ)
    before_mm = plant.protrusion_mm
    refused = link.request(messages.SET_DEPTH, 500 + STEP_UM).refused
    plant.wait(100)
    assert refused is not None and abs(plant.protrusion_mm - before_mm) < 1e-3 * STEP_UM, refused

    link.command(messages.SET_RATE, MOST_HZ)
    plant.wait(100)
    begun, from_strokes, from_ns = now(link, 10)[0], plant.strokes, plant.now_ns
    plant.wait(SLEWED_MS)
    ended = now(link, 10)[0]
    slew_hz_s = (ended.set_hz - begun.set_hz) / (ended.time_ms - begun.time_ms) * 1e3
    mean_hz = (plant.strokes - from_strokes) / (plant.now_ns - from_ns) * 1e9
    measure(
        "SR-23",
        "slew_hz_s",
        slew_hz_s,
        f"set to {MOST_HZ} while it runs at {DEFAULT_HZ} Hz, for {SLEWED_MS} ms",
    )
    assert slew_hz_s > 0 and begun.set_hz < mean_hz < ended.set_hz, "and the shaft follows"

    link.subscribe(0)
    link.command(messages.SET_DEPTH, 0)
    at_mm = [plant.protrusion_mm]
    for _ in range(40):
        plant.wait(10)
        at_mm.append(plant.protrusion_mm)
    speeds = [(a - b) / 0.05 for a, b in zip(at_mm, at_mm[5:], strict=False)]
    assert at_mm[-1] < 0.1, "the needles came in"
    measure("SR-23", "retract_mm_s", max(speeds), "while the motor runs, means of 50 ms")


@pytest.mark.nightly
def test_the_motor_starts_in_time_and_the_skin_does_not_slow_it(
    link: Link, plant: Plant, measure: Measure
) -> None:
    """PR-04, PR-03"""
    until(link, "armed")
    link.command(messages.SET_RATE, DEFAULT_HZ)
    plant.wait(RELEASED_MS)
    link.subscribe(0)
    angles, begun_ns = [plant.strokes], plant.now_ns
    plant.press()
    while plant.now_ns - begun_ns < 400e6:
        plant.wait(1)
        angles.append(plant.strokes)
    turns_hz = _turns_hz(angles)
    off = [ms for ms, hz in turns_hz if abs(hz / DEFAULT_HZ - 1) > 0.05]
    measure("PR-04", "start_ms", max(off), f"from the press to within 5 % of {DEFAULT_HZ} Hz, by revolutions")
    measure(
        "PR-04", "overshoot_pct", 100 * (max(hz for _, hz in turns_hz) / DEFAULT_HZ - 1), "highest revolution"
    )
    plant.touch_skin()
    angles = [plant.strokes]
    for _ in range(300):
        plant.wait(1)
        angles.append(plant.strokes)
    rates = _turns_hz(angles)
    measure(
        "PR-03", "dip_pct", 100 * (1 - min(hz for _, hz in rates) / DEFAULT_HZ), "lowest revolution on skin"
    )
    late = [ms for ms, hz in rates if abs(hz / DEFAULT_HZ - 1) > 0.05]
    measure("PR-03", "recovery_ms", max(late, default=0.0), "until the rate is within 5 % again")


def _turns_hz(angles: list[float]) -> list[tuple[float, float]]:
    """Mean rate of each revolution that ended: ms since the first angle, Hz. `angles`: one each ms."""
    ends: list[float] = []
    for place, (a, b) in enumerate(itertools.pairwise(angles)):
        if int(b - angles[0]) > int(a - angles[0]):
            ends.append(place + (int(b - angles[0]) - (a - angles[0])) / (b - a))
    return [(b, 1e3 / (b - a)) for a, b in itertools.pairwise(ends)]


@pytest.mark.nightly
def test_a_trigger_that_is_held_at_power_on_starts_nothing(
    link: Link, plant: Plant, power: Power, measure: Measure
) -> None:
    """SR-11: not until it was released for 200 ms; then a press counts."""
    boots = link.counters()["boots"]
    link.subscribe(0)
    power.off()
    plant.press()
    power.on()
    angle = plant.strokes
    link.reconnect(boots=boots)
    plant.wait(HELD_MS)
    assert now(link)[0].state in ("self_test", "idle"), "it is ready to start"
    assert plant.strokes == pytest.approx(angle, abs=0.01), "it turned"
    plant.release()
    released_ns = plant.now_ns
    until(link, "armed")
    measure("SR-11", "release_ms", (plant.now_ns - released_ns) / 1e6, "released until armed", relation=">=")
    plant.press()
    until(link, "running")
