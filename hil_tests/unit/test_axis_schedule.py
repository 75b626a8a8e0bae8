"""The schedules of the depth axis word by word: coil patterns, times, room, and where the rotor is at each of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from needlepen.firmware_modules import firmware_module

profile = firmware_module("pen.axis_profile")
board = firmware_module("pen.board")

REST_US = 10_000
SAFE_US = 1_000_000 // board.DEPTH_START_RATE_HZ
ROOM = 160  # words: the longest leg and what comes before and after it
PATTERNS = (0b0001, 0b0101, 0b0100, 0b0110, 0b0010, 0b1010, 0b1000, 0b1001)  # of places 0 to 7: B2 B1 A2 A1


def _made(start: int, *legs: tuple[str, int], times: Any = profile.SAFE) -> Any:
    schedule = profile.Schedule()
    schedule.begin(start)
    for kind, half in legs:
        schedule.to(half, times) if kind == "to" else schedule.creep_to(half)
    return schedule


def _words(schedule: Any) -> list[tuple[int, int]]:
    """(coil pattern, us that it stays): the program itself takes 4 us."""
    return [(word & 15, (word >> 4) + 4) for word in schedule.words[: schedule.count]]


def _shown(places: list[int], us: list[int]) -> list[tuple[int, int]]:
    return [(PATTERNS[place % 8], stays) for place, stays in zip(places, us, strict=True)]


# ---------------------------------------------------------------------- the words
@pytest.mark.parametrize(
    ("start", "half", "places"),
    [(0, 6, [1, 3, 5, 6]), (6, 0, [5, 3, 1, 0]), (-6, 4, [-5, -3, -1, 1, 3, 4]), (4, 2, [3, 2]), (8, 8, [])],
)
def test_full_steps_go_from_odd_place_to_odd_place(start: int, half: int, places: list[int]) -> None:
    schedule = _made(start, ("to", half))
    us = [SAFE_US] * (len(places) - 1) + [REST_US] * bool(places)
    assert _words(schedule) == _shown(places, us) and schedule.end_half == half


@pytest.mark.parametrize(
    ("start", "half", "places"), [(0, 3, [1, 2, 3]), (3, 0, [2, 1, 0]), (-1, -4, [-2, -3, -4]), (5, 5, [])]
)
def test_half_steps_take_each_place_and_rest_there(start: int, half: int, places: list[int]) -> None:
    schedule = _made(start, ("creep", half))
    assert _words(schedule) == _shown(places, [REST_US] * len(places)) and schedule.end_half == half


def test_legs_follow_each_other_and_a_new_schedule_begins_without_them() -> None:
    schedule = _made(0, ("to", 4), ("creep", 2), ("to", 6))
    places, us = (
        [1, 3, 4, 3, 2, 3, 5, 6],
        [SAFE_US, SAFE_US, REST_US, REST_US, REST_US, SAFE_US, SAFE_US, REST_US],
    )
    assert _words(schedule) == _shown(places, us)
    assert schedule.duration_us() == sum(us)
    schedule.begin(40)
    assert (schedule.count, schedule.end_half, schedule.half_at(0)) == (0, 40, 40)
    schedule.creep_to(41)
    assert schedule.half_at(1) == 41 and schedule.duration_us() == REST_US


def test_a_new_schedule_stands_at_home_and_has_room_for_its_words() -> None:
    schedule = profile.Schedule()
    assert (schedule.count, schedule.end_half, len(schedule.words)) == (0, 0, ROOM)
    assert profile.LONGEST_LEG * board.DEPTH_STEP_UM == board.HARD_STOP_UM + 2 * board.DEPTH_BEHIND_HOME_UM
    assert profile.HALF_STEPS_PER_STEP == 2


# ---------------------------------------------------------------------- times
@pytest.mark.parametrize(("start_hz", "top_hz", "per_s"), [(200, 400, 4_000), (200, 500, 3_000)])
def test_a_ramp_has_the_times_of_a_constant_acceleration(start_hz: int, top_hz: int, per_s: int) -> None:
    rates = [float(start_hz)]
    while (rate := (start_hz**2 + 2 * per_s * len(rates)) ** 0.5) <= 1.001 * top_hz:
        rates.append(rate)
    expected = [round(1e6 * (b - a) / per_s) for a, b in pairwise(rates)]
    assert list(profile.ramp(start_hz, top_hz, per_s)) == [*expected, 1_000_000 // top_hz]


@pytest.mark.parametrize("steps", [1, 2, 3, 16, 33, 34, 35, 100])
def test_a_fast_leg_accelerates_from_its_start_and_slows_down_to_its_end_alike(steps: int) -> None:
    times = list(
        profile.ramp(board.DEPTH_START_RATE_HZ, board.DEPTH_STEP_RATE_HZ, board.DEPTH_ACCELERATION_HZ_S)
    )
    assert list(profile.FAST) == times and len(times) == 16
    us = [stays for _, stays in _words(_made(0, ("to", 2 * steps), times=profile.FAST))]
    assert us[:-2] == [times[min(k, steps - 2 - k, 15)] for k in range(steps - 1)]
    assert us[-2:] == [times[0], REST_US] and us[:-2] == us[-3::-1]


def test_without_a_ramp_each_step_takes_as_long() -> None:
    assert list(profile.SAFE) == [SAFE_US]
    assert list(profile.SLOW) == [16_666], "60 steps of 25 um a second: three quarters of SR-23"


# ---------------------------------------------------------------------- room
@pytest.mark.parametrize("kind", ["to", "creep"])
def test_a_schedule_takes_the_words_that_it_has_room_for_and_no_more(kind: str) -> None:
    most = 2 * (ROOM - 1) if kind == "to" else ROOM
    assert _made(0, (kind, most)).count == ROOM
    with pytest.raises(ValueError, match="depth move of 161 words, room for 160"):
        _made(0, (kind, most + 2 if kind == "to" else most + 1))
    with pytest.raises(ValueError, match="depth move of 161 words, room for 160"):
        _made(0, (kind, most), ("creep", most + 1))


# ---------------------------------------------------------------------- where it is
LEGS = (("to", 6), ("creep", 4), ("to", -2))
PLACES = [0, 1, 3, 5, 6, 5, 4, 3, 1, -1, -2]


def test_the_place_is_known_after_each_word() -> None:
    schedule = _made(0, *LEGS)
    assert [schedule.half_at(n) for n in range(12)] == [*PLACES, -2]
    assert schedule.half_at(-1) == 0, "not begun"


def test_the_span_is_that_of_what_is_left() -> None:
    schedule = _made(0, *LEGS)
    assert [schedule.span(n) for n in range(11)] == [(min(PLACES[n:]), max(PLACES[n:])) for n in range(11)]


@pytest.mark.parametrize(
    ("executed", "us", "then"),
    [
        (0, 0, 0),
        (0, 1, 1),
        (0, SAFE_US, 1),
        (0, SAFE_US + 1, 2),
        (2, SAFE_US + REST_US, 4),
        (2, SAFE_US + REST_US + 1, 5),
        (9, 10**6, 10),
        (10, 5, 10),
    ],
)
def test_what_will_be_executed_after_a_time_is_counted_from_the_begun_word(
    executed: int, us: int, then: int
) -> None:
    assert _made(0, *LEGS).ahead(executed, us) == then
