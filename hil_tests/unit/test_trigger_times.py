"""SR-11 to the millisecond: when a release has lasted long enough, and when a press counts."""

from __future__ import annotations

from typing import Any

import pytest

from needlepen import requirements
from needlepen.firmware_modules import firmware_module

trigger = firmware_module("pen.trigger")
RELEASE_MS = int(requirements.load().limit("SR-11", "release_ms"))
ROUNDING_MS = 2  # two times in whole ms, each up to 1 ms from its reading
DEBOUNCE_MS = 15
BOUNCE_MS = 30  # after an ordinary stop


def _elapsed(later_ms: int, earlier_ms: int) -> int:
    return later_ms - earlier_ms


def _released(at_ms: int = 0) -> Any:
    """A trigger that is up, and was so for long enough."""
    t = trigger.Trigger(at_ms)
    t.update(at_ms + RELEASE_MS + ROUNDING_MS, False, _elapsed)
    assert t.released and not t.waiting
    return t


@pytest.mark.parametrize(
    ("after_ms", "enough"), [(RELEASE_MS, False), (RELEASE_MS + 1, False), (RELEASE_MS + 2, True)]
)
def test_a_trigger_that_is_up_at_power_on_has_to_stay_up_for_the_whole_time(
    after_ms: int, enough: bool
) -> None:
    """It need not be seen at once: what counts is since when nobody saw it pressed."""
    t = trigger.Trigger(1_000)
    assert t.waiting
    assert not t.update(1_000 + after_ms, False, _elapsed)
    assert t.released == enough and t.waiting != enough


@pytest.mark.parametrize(("after_ms", "counts"), [(0, False), (DEBOUNCE_MS - 1, False), (DEBOUNCE_MS, True)])
def test_a_press_counts_when_the_contacts_have_settled(after_ms: int, counts: bool) -> None:
    t = _released()
    assert not t.update(1_000, True, _elapsed)
    assert t.update(1_000 + after_ms, True, _elapsed) == counts


@pytest.mark.parametrize("needed_ms", [BOUNCE_MS, RELEASE_MS])
def test_a_demanded_release_counts_from_the_demand(needed_ms: int) -> None:
    """However long the trigger has been up before."""
    t = _released()
    t.demand_release(10_000, needed_ms)
    assert not t.released and t.waiting
    assert t.left_ms(10_000, _elapsed) == needed_ms + ROUNDING_MS
    t.update(10_000 + needed_ms + ROUNDING_MS - 1, False, _elapsed)
    assert not t.released and t.left_ms(10_000 + needed_ms + ROUNDING_MS - 1, _elapsed) == 1
    t.update(10_000 + needed_ms + ROUNDING_MS, False, _elapsed)
    assert t.released


def test_after_an_ordinary_stop_the_time_of_a_bounce_is_enough() -> None:
    assert trigger.STOP_RELEASE_MS == BOUNCE_MS < RELEASE_MS


def test_a_touch_between_two_looks_is_a_press() -> None:
    t = trigger.Trigger(0)
    t.update(100, False, _elapsed, touched=True)
    t.update(RELEASE_MS + ROUNDING_MS, False, _elapsed)
    assert not t.released, "the 200 ms were not continuous"
    t.update(100 + RELEASE_MS + ROUNDING_MS, False, _elapsed)
    assert t.released


def test_a_touch_during_a_press_does_not_start_it_anew() -> None:
    t = _released()
    t.update(1_000, True, _elapsed, touched=True)
    assert t.update(1_000 + DEBOUNCE_MS, True, _elapsed, touched=True)
