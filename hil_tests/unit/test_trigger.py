"""When a press of the trigger counts (SR-11)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from needlepen import requirements
from needlepen.firmware_modules import firmware_module

trigger = firmware_module("pen.trigger")
RELEASE_MS = int(requirements.load().limit("SR-11", "release_ms"))
LOOP_MS = 10


def _elapsed(later_ms: int, earlier_ms: int) -> int:
    return later_ms - earlier_ms


def _counts(levels: list[tuple[bool, int]]) -> list[bool]:
    """Whether the press counted at each pass of the loop; (pressed, for how long in ms)."""
    t = trigger.Trigger(0)
    seen, now_ms = [], 0
    for pressed, duration_ms in levels:
        for _ in range(0, duration_ms, LOOP_MS):
            seen.append(t.update(now_ms, pressed, _elapsed))
            now_ms += LOOP_MS
    return seen


def test_a_trigger_held_since_boot_never_counts() -> None:
    assert not any(_counts([(True, 60_000)]))


@pytest.mark.parametrize(
    "released_ms", [LOOP_MS, RELEASE_MS // 2, RELEASE_MS - LOOP_MS, RELEASE_MS, RELEASE_MS + 2 * LOOP_MS]
)
def test_it_counts_only_after_200_ms_of_release(released_ms: int) -> None:
    counted = any(_counts([(True, 500), (False, released_ms), (True, 500)]))
    # A pass has to see it released for 200 ms and the rounding of two times, so a pass after 200 ms has to find it up.
    assert counted == (released_ms > RELEASE_MS)


def test_the_200_ms_are_continuous() -> None:
    assert not any(_counts([(True, 500), *([(False, RELEASE_MS - LOOP_MS), (True, 50)] * 20)]))


def test_a_press_is_debounced() -> None:
    assert _counts([(False, 300), (True, 50)])[30:] == [False, False, True, True, True]


def test_release_counts_at_once() -> None:
    assert not any(_counts([(False, 300), (True, 50), (False, 100)])[35:])


def test_a_demanded_release_has_to_come_again() -> None:
    t = trigger.Trigger(0)
    for now_ms in range(0, 300, LOOP_MS):
        t.update(now_ms, False, _elapsed)
    assert t.released
    t.demand_release(300)
    assert not t.released and not any(t.update(300 + k, True, _elapsed) for k in range(1000))


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 40).map(lambda n: n * LOOP_MS)), max_size=30))
def test_no_pattern_counts_without_200_ms_of_release_before(pattern: list[tuple[bool, int]]) -> None:
    longest = now = 0
    merged: list[tuple[Any, int]] = []
    for pressed, duration_ms in pattern:
        if merged and merged[-1][0] == pressed:
            merged[-1] = (pressed, merged[-1][1] + duration_ms)
        else:
            merged.append((pressed, duration_ms))
    for pressed, duration_ms in merged:
        now = 0 if pressed else duration_ms
        longest = max(longest, now)
    assert not any(_counts(pattern)) or longest >= RELEASE_MS


def test_it_says_how_long_a_release_still_has_to_last() -> None:
    """So that somebody looks then: at rest nothing else would."""
    t = trigger.Trigger(0)
    t.update(0, True, _elapsed)
    assert not t.waiting
    t.update(100, False, _elapsed)
    assert t.waiting
    left_ms = t.left_ms(150, _elapsed)
    assert RELEASE_MS - 50 < left_ms <= RELEASE_MS
    t.update(150 + left_ms, False, _elapsed)
    assert not t.waiting and t.released
