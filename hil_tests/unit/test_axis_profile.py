"""Step schedules of the depth axis: what they make the coils do, how fast, and that the emulated stepper follows."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies as st
from support.plan import Plan

from needlepen import board, requirements
from needlepen.emulator.depth_axis import DepthAxis
from needlepen.emulator.parameters import PenParameters
from needlepen.emulator.stepper import COILS, SLEEP
from needlepen.firmware_modules import firmware_module

profile = firmware_module("pen.axis_profile")
MECHANICS = board.load().mechanics
LIMIT = requirements.load().limit
WORD_US = 4  # instructions of the program besides the countdown, at 1 MHz
HALF_UM = 1e3 * MECHANICS.depth_step_mm / 2
SPEEDS = {"fast": profile.FAST, "safe": profile.SAFE, "slow": profile.SLOW}
even = st.integers(-8, 104).map(lambda steps: 2 * steps)
speed = st.sampled_from(sorted(SPEEDS))


def decoded(schedule: object) -> list[tuple[int, int]]:
    """(coil pattern, time it stays in us) of each word."""
    words = schedule.words[: schedule.count]  # type: ignore[attr-defined]
    return [(word & 15, (word >> 4) + WORD_US) for word in words]


def moved(start: int, goal: int, times: object, creep: int | None = None) -> object:
    schedule = profile.Schedule()
    schedule.begin(start)
    schedule.to(goal, times)
    if creep is not None:
        schedule.creep_to(creep)
    return schedule


@given(start=even, goal=even, how=speed)
def test_a_move_goes_by_full_steps_from_one_coil_through_two_to_one(start: int, goal: int, how: str) -> None:
    schedule = moved(start, goal, SPEEDS[how])
    places = [start, *(schedule.half_at(n + 1) for n in range(schedule.count))]  # type: ignore[attr-defined]
    steps = [b - a for a, b in pairwise(places)]
    assert [abs(s) for s in steps] == ([1, *[2] * (len(steps) - 2), 1] if steps else [])
    assert len({s > 0 for s in steps}) <= 1, "it turns back"
    assert places[-1] == goal == schedule.end_half  # type: ignore[attr-defined]
    patterns = [pattern for pattern, _ in decoded(schedule)]
    assert patterns == [profile.COILS[place & 7] for place in places[1:]]
    if patterns:
        assert [p.bit_count() for p in patterns] == [2] * (len(patterns) - 1) + [1]


def test_a_growing_place_turns_the_coil_vector_from_a_plus_to_b_plus_and_no_coil_is_shorted() -> None:
    a1, a2, b1, b2 = 1, 2, 4, 8
    assert list(profile.COILS) == [a1, a1 | b1, b1, b1 | a2, a2, a2 | b2, b2, b2 | a1]


@given(start=even, goal=even)
def test_a_fast_move_keeps_to_its_rates_and_its_acceleration(start: int, goal: int) -> None:
    times = [us for _, us in decoded(moved(start, goal, profile.FAST))][:-1]
    rates = [1e6 / us for us in times]
    assert all(rate <= 1.001 * MECHANICS.depth_step_rate_hz for rate in rates)
    if rates:
        # A step of the start rate takes its own acceleration with it.
        assert (
            max(rates[0], rates[-1])
            <= MECHANICS.depth_start_rate_hz + 0.01 * MECHANICS.depth_acceleration_hz_s
        )
    for a, b in pairwise(rates):
        per_s = abs(b - a) / (0.5 * (1 / a + 1 / b))
        assert per_s <= 1.02 * MECHANICS.depth_acceleration_hz_s, (a, b)


@given(start=even, goal=even, creep=even)
def test_a_slow_move_is_never_faster_than_allowed_while_running(start: int, goal: int, creep: int) -> None:
    """SR-23, over any 50 ms of a move, its last half steps too."""
    if abs(goal - creep) > 40:
        creep = goal
    schedule = moved(start, goal, profile.SLOW, creep)
    at_us, path = 0, [(0, start)]
    for n, (_, us) in enumerate(decoded(schedule)):
        path.append((at_us, schedule.half_at(n + 1)))  # type: ignore[attr-defined]
        at_us += us
    limit_um_us = 1e-3 * float(LIMIT("SR-23", "retract_mm_s"))
    for i, (t0, h0) in enumerate(path):
        for t1, h1 in path[i + 1 : i + 12]:
            if t1 - t0 >= 50_000:
                assert abs(h1 - h0) * HALF_UM / (t1 - t0) <= limit_um_us


def test_the_full_range_takes_less_than_400_ms_both_ways() -> None:
    top = round(2 * float(LIMIT("PR-05", "depth_max_mm")) / MECHANICS.depth_step_mm)
    out, back = moved(0, top, profile.FAST), moved(top, 4, profile.FAST, -2)
    for schedule in (out, back):
        us = schedule.duration_us()  # type: ignore[attr-defined]
        assert us == sum(stay for _, stay in decoded(schedule))
        assert us / 1e3 <= 0.9 * float(LIMIT("PR-05", "full_move_ms"))


@given(start=even, goal=even, creep=even, how=speed, us=st.integers(0, 60_000))
def test_the_rest_of_a_move_is_known_at_each_of_its_words(
    start: int, goal: int, creep: int, how: str, us: int
) -> None:
    if abs(goal - creep) > 40:
        creep = goal
    schedule = moved(start, goal, SPEEDS[how], creep)
    count = schedule.count  # type: ignore[attr-defined]
    places = [schedule.half_at(n) for n in range(count + 1)]  # type: ignore[attr-defined]
    stays = [stay for _, stay in decoded(schedule)]
    for n in range(count + 1):
        assert schedule.span(n) == (min(places[n:]), max(places[n:]))  # type: ignore[attr-defined]
        later = schedule.ahead(n, us)  # type: ignore[attr-defined]
        assert sum(stays[n:later]) >= us or later == count
        assert later == n or sum(stays[n : later - 1]) < us


def test_a_move_that_does_not_fit_is_refused_and_leaves_the_schedule_as_it_was() -> None:
    schedule = moved(0, 240, profile.SAFE)
    before = decoded(schedule)
    with pytest.raises(ValueError, match="words"):
        schedule.to(0, profile.SAFE)  # type: ignore[attr-defined]
    assert decoded(schedule) == before and schedule.end_half == 240  # type: ignore[attr-defined]


# ---------------------------------------------------------------------- with the emulated stepper
class Rig:
    """The emulated axis, played schedules at their exact times."""

    def __init__(self, seed: int) -> None:
        self.plan = Plan()
        self.axis = DepthAxis(self.plan, PenParameters(), seed)
        self._pattern = 0
        self.axis.set_pin(SLEEP, 0.0, 1)
        for place in (2, 0):  # a rotor two steps away feels no force: see axis_homing
            self.show(profile.COILS[place], 50_000)

    def show(self, pattern: int, us: float) -> None:
        for bit, name in enumerate(COILS):
            if (pattern ^ self._pattern) >> bit & 1:
                self.axis.set_pin(name, self.plan.now_ns, pattern >> bit & 1)
        self._pattern = pattern
        self.plan.run_until(self.plan.now_ns + us * 1e3)

    def play(self, schedule: object) -> None:
        for pattern, us in decoded(schedule):
            self.show(pattern, us)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), how=speed)
def test_the_stepper_follows_every_move_without_losing_a_step(seed: int, how: str) -> None:
    rig, draw, half = Rig(seed), random.Random(seed), 0
    zero = 4 * round(rig.axis.steps / 4)
    for _ in range(6 if how != "slow" else 2):
        goal = 2 * draw.randrange(0, 100)
        rig.play(moved(half, goal, SPEEDS[how]))
        half = goal
        assert abs(rig.axis.steps - zero - half / 2) < 0.25, (rig.axis.steps, half)
