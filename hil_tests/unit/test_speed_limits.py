"""SR-07 to the microsecond: the limits of a stroke, how long it has been too slow, and what a start has to reach."""

from __future__ import annotations

import array
from typing import Any

import pytest

from needlepen import requirements
from needlepen.firmware_modules import firmware_module

speed = firmware_module("pen.speed")
LIMIT = requirements.load().limit
STOP_US = 1_000 * int(LIMIT("SR-07", "stop_ms"))
WARN_US = 1_000 * int(LIMIT("SR-07", "warn_ms"))
SET_MHZ = 100_000
TURN_US = 10_000  # at the set rate
WARN_TURN_US = 1_000_000_000 // (SET_MHZ * int(LIMIT("SR-07", "warn_pct")) // 100)
STOP_TURN_US = 1_000_000_000 // (SET_MHZ * int(LIMIT("SR-07", "stop_pct")) // 100)
FIRST_US = 1_000_000
HOLD_US = 1_000_000


def ring_of(turns_us: list[int], last_us: int) -> tuple[array.array[int], int]:
    """Edges that end strokes of these times, the last of them at `last_us`, and the place of the next edge."""
    ring = array.array("i", 16 * [0])
    for k in range(8):
        ring[(7 - k) & 15] = last_us - 2_500 * k
    for k, turn_us in enumerate(reversed(turns_us)):
        ring[(7 - k - 4) & 15] = ring[(7 - k) & 15] - turn_us
    return ring, 8


def look(u: Any, edge_us: int, turn_us: int, set_mhz: int = SET_MHZ, run_ms: int = 400) -> None:
    """One pass after an edge that ended a stroke; the strokes before it were at the set rate."""
    ring, slot = ring_of([TURN_US, TURN_US, TURN_US, turn_us], edge_us)
    u.judge(run_ms, set_mhz, set_mhz, edge_us, turn_us, ring, slot)


def reached(set_mhz: int = SET_MHZ) -> Any:
    """A run at its rate."""
    u = speed.Underspeed()
    look(u, FIRST_US, 1_000_000_000 // set_mhz, set_mhz)
    look(u, FIRST_US + 2_500, 1_000_000_000 // set_mhz, set_mhz)
    assert u.reached and not (u.warning or u.fault or u.dipping)
    return u


@pytest.mark.parametrize(
    ("arguments", "turn_us"),
    [
        ((100_000, 100), 10_000),
        ((1_001, 100), 999_000),
        ((100_000, 60), 16_666),
        ((50_000, 60, 40_000), 25_000),
        ((0, 85), 1_000_000_000),
    ],
)
def test_the_longest_stroke_is_that_of_a_part_of_the_rate_or_of_the_least(
    arguments: tuple[int, ...], turn_us: int
) -> None:
    assert speed.longest_turn_us(*arguments) == turn_us


@pytest.mark.parametrize(("turn_us", "slow"), [(10_000, False), (10_001, True)])
def test_a_stroke_of_the_limit_itself_is_not_too_slow(turn_us: int, slow: bool) -> None:
    ring, slot = ring_of([10_001, turn_us, 10_001], FIRST_US)
    assert speed.first_slow(ring, slot, 10_000) == FIRST_US - (5_000 if slow else 0)


def test_the_time_is_counted_from_the_first_slow_stroke_and_anew_after_a_good_one() -> None:
    slow = speed._Slow()
    ring, slot = ring_of([10_000, 10_001, 10_001], FIRST_US)
    assert slow.judge(10_000, FIRST_US, 10_001, ring, slot) == 2_500
    assert slow.judge(10_000, FIRST_US + 2_501, 10_001, ring, slot) == 5_001
    assert slow.judge(10_000, FIRST_US + 5_000, 10_000, ring, slot) == 0
    late_us = FIRST_US + 90_000
    ring, slot = ring_of([10_000, 10_000, 10_001], late_us)
    assert slow.judge(10_000, late_us, 10_001, ring, slot) == 0
    assert slow.judge(10_000, late_us + 7_777, 10_001, ring, slot) == 7_777


# ---------------------------------------------------------------------- start
@pytest.mark.parametrize(("turn_us", "there"), [(0, False), (11_111, True), (11_112, False), (10_000, True)])
def test_a_start_is_over_at_90_percent_of_the_rate(turn_us: int, there: bool) -> None:
    u = speed.Underspeed()
    look(u, FIRST_US, turn_us)
    assert u.reached == there


@pytest.mark.parametrize(("run_ms", "fault"), [(499, False), (500, False), (501, True)])
def test_a_start_that_takes_longer_than_500_ms_is_a_fault(run_ms: int, fault: bool) -> None:
    u = speed.Underspeed()
    look(u, FIRST_US, 20_000, run_ms=run_ms)
    assert u.fault == fault and not u.reached


def test_a_new_run_knows_nothing_of_the_one_before() -> None:
    u = reached()
    look(u, FIRST_US + 10_000, 2 * TURN_US)
    look(u, FIRST_US + 10_000 + WARN_US, 2 * TURN_US)
    assert u.dipping and u.warning and u.fault
    u.start()
    assert not (u.dipping or u.warning or u.fault or u.reached)


# ---------------------------------------------------------------------- limits
@pytest.mark.parametrize(("turn_us", "dipping"), [(WARN_TURN_US, False), (WARN_TURN_US + 1, True)])
def test_the_warning_begins_below_85_percent(turn_us: int, dipping: bool) -> None:
    u = reached()
    look(u, FIRST_US + 10_000, turn_us)
    assert u.dipping == dipping


@pytest.mark.parametrize(("lasts_us", "warned"), [(WARN_US - 1, False), (WARN_US, True)])
def test_it_warns_after_100_ms(lasts_us: int, warned: bool) -> None:
    u = reached()
    look(u, FIRST_US + 10_000, WARN_TURN_US + 1)
    look(u, FIRST_US + 10_000 + lasts_us, WARN_TURN_US + 1)
    assert u.warning == warned and not u.fault


@pytest.mark.parametrize(
    ("set_mhz", "limit_us"), [(SET_MHZ, STOP_TURN_US), (50_000, 1_000_000 // int(LIMIT("SR-07", "stop_hz")))]
)
@pytest.mark.parametrize(("over_us", "lasts_us"), [(0, STOP_US), (1, STOP_US - 1), (1, STOP_US)])
def test_it_stops_below_60_percent_or_40_hz_after_50_ms(
    set_mhz: int, limit_us: int, over_us: int, lasts_us: int
) -> None:
    u = reached(set_mhz)
    ring, slot = ring_of([TURN_US, limit_us + over_us], FIRST_US + 10_000)
    for edge_us in (FIRST_US + 10_000, FIRST_US + 10_000 + lasts_us):
        u.judge(600, set_mhz, set_mhz, edge_us, limit_us + over_us, ring, slot)
    assert u.fault == (over_us == 1 and lasts_us == STOP_US)


@pytest.mark.parametrize(("after_us", "warned"), [(HOLD_US, True), (HOLD_US + 1, False)])
def test_a_warning_is_held_for_a_second_so_that_it_can_be_seen(after_us: int, warned: bool) -> None:
    u = reached()
    last_us = FIRST_US + 10_000 + WARN_US
    look(u, FIRST_US + 10_000, WARN_TURN_US + 1)
    look(u, last_us, WARN_TURN_US + 1)
    look(u, last_us + 2_500, TURN_US)
    assert u.warning and not u.dipping
    look(u, last_us + after_us, TURN_US)
    assert u.warning == warned


def test_an_edge_is_judged_once() -> None:
    """A higher rate is not asked of a stroke that was over before it was set."""
    u = reached()
    look(u, FIRST_US + 2_500, TURN_US, set_mhz=150_000)
    assert not u.dipping
    look(u, FIRST_US + 5_000, TURN_US, set_mhz=150_000)
    assert u.dipping


def test_a_dip_is_over_with_a_stroke_of_the_limit_itself() -> None:
    u = reached()
    look(u, FIRST_US + 10_000, WARN_TURN_US + 1)
    assert u.dipping
    look(u, FIRST_US + 20_000, WARN_TURN_US)
    assert not u.dipping


def test_the_look_back_ends_after_eleven_edges() -> None:
    """The ring holds sixteen, and a stroke needs the four before its edge."""
    ring = array.array("i", [FIRST_US + 3_000 * k for k in range(16)])
    assert speed.first_slow(ring, 0, 10_000) == FIRST_US + 3_000 * 5
