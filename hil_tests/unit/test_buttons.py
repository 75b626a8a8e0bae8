"""The depth buttons: what a press does is decided when it begins, and no bounce makes two of one."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, strategies as st

from needlepen.firmware_modules import firmware_module

buttons = firmware_module("pen.buttons")
UP, DOWN, ACKNOWLEDGE = buttons.EVENT_UP, buttons.EVENT_DOWN, buttons.EVENT_ACKNOWLEDGE
PASS_MS = 8  # at rest; 10 while the drive is awake
BOUNCE_MS = 10
WRAP_MS = 1 << 30
Event = tuple[int, int]


def _elapsed(later_ms: int, earlier_ms: int) -> int:
    """As time.ticks_diff of MicroPython, with its wrap-around."""
    return (later_ms - earlier_ms + WRAP_MS // 2) % WRAP_MS - WRAP_MS // 2


class Hand:
    """Presses the buttons of one panel; `events` are (event, ms since the start)."""

    def __init__(
        self, pass_ms: int = PASS_MS, begin_ms: int = 0, held: tuple[bool, bool] = (False, False)
    ) -> None:
        self._begin_ms = begin_ms
        self._pass_ms = pass_ms
        self._levels = list(held)
        self.now_ms = 0
        self.panel = buttons.Buttons(begin_ms, _elapsed)
        self.events: list[Event] = []
        self.wait(50)

    def wait(self, ms: float, fault: bool = False, level: Any = None) -> None:
        """Let time pass; level(ms) gives both levels in place of the hand, for a bounce."""
        begun_ms = self.now_ms
        while self.now_ms < begun_ms + ms:
            up, down = level(self.now_ms - begun_ms) if level else self._levels
            event = self.panel.update((self._begin_ms + self.now_ms) % WRAP_MS, up, down, fault)
            if event:
                self.events.append((event, self.now_ms))
            self.now_ms += self._pass_ms

    def hold(self, ms: float, up: bool = False, down: bool = False, fault: bool = False) -> None:
        """Press for so long and let go, without a bounce."""
        self._levels = [up, down]
        self.wait(ms, fault)
        self._levels = [False, False]
        self.wait(40, fault)

    @property
    def seen(self) -> list[int]:
        return [event for event, _ in self.events]


# ---------------------------------------------------------------- short presses
@pytest.mark.parametrize("pass_ms", [1, 5, 8, 10, 20])
@pytest.mark.parametrize(("button", "event"), [("up", UP), ("down", DOWN)])
def test_a_short_press_is_one_step_at_once(pass_ms: int, button: str, event: int) -> None:
    hand = Hand(pass_ms)
    pressed_ms = hand.now_ms
    hand.hold(100, **{button: True})
    assert hand.seen == [event]
    assert hand.events[0][1] - pressed_ms <= buttons.DEBOUNCE_MS + pass_ms


@pytest.mark.parametrize("pass_ms", [1, 3, 8, 10])
@pytest.mark.parametrize("seed", range(20))
def test_a_bounce_of_up_to_10_ms_is_one_press(pass_ms: int, seed: int) -> None:
    rng = random.Random(seed)

    def bouncing(settled: bool) -> Any:
        return lambda ms: (rng.random() < 0.5 if ms < BOUNCE_MS else settled, False)

    hand = Hand(pass_ms)
    for _ in range(5):
        hand.wait(80, level=bouncing(True))
        hand.wait(80, level=bouncing(False))
    assert hand.seen == [UP] * 5


@pytest.mark.parametrize("glitch_ms", [1, 5, 10])
def test_a_disturbance_as_long_as_a_bounce_is_no_press(glitch_ms: int) -> None:
    hand = Hand(1)
    hand.hold(glitch_ms, up=True)
    hand.hold(glitch_ms, down=True, fault=True)
    assert hand.seen == []


@pytest.mark.parametrize("hold_ms", [700, 5_000, buttons.STUCK_MS - 100])
def test_a_held_up_is_one_step(hold_ms: int) -> None:
    hand = Hand()
    hand.hold(hold_ms, up=True)
    assert hand.seen == [UP]


def test_a_held_down_repeats_and_stops_with_the_release() -> None:
    hand = Hand(1)
    begun_ms = hand.now_ms + buttons.DEBOUNCE_MS
    hand.hold(buttons.DEBOUNCE_MS + buttons.REPEAT_AFTER_MS + 2 * buttons.REPEAT_EVERY_MS + 10, down=True)
    hand.wait(2_000)
    after_ms = [ms - begun_ms for _, ms in hand.events]
    first = buttons.REPEAT_AFTER_MS
    expected_ms = [0, first, first + buttons.REPEAT_EVERY_MS, first + 2 * buttons.REPEAT_EVERY_MS]
    assert set(hand.seen) == {DOWN} and after_ms == pytest.approx(expected_ms, abs=2)


# ---------------------------------------------------------------- acknowledge
@pytest.mark.parametrize("past_ms", [-100, -1, 0, 1, 100])
def test_down_acknowledges_a_shown_fault_at_1500_ms_and_not_before(past_ms: int) -> None:
    hand = Hand(1)
    hand._levels = [False, True]
    hand.wait(buttons.DEBOUNCE_MS + buttons.ACKNOWLEDGE_MS + past_ms + 1, fault=True)
    assert hand.seen == ([ACKNOWLEDGE] if past_ms >= 0 else [])


def test_one_hold_acknowledges_once_and_then_does_nothing_more() -> None:
    hand = Hand()
    hand._levels = [False, True]
    hand.wait(2_000, fault=True)
    hand.wait(5_000)  # the fault has gone, the finger not yet
    assert hand.seen == [ACKNOWLEDGE]
    hand.hold(0)
    hand.hold(100, down=True)
    assert hand.seen == [ACKNOWLEDGE, DOWN]


def test_a_press_from_before_the_fault_neither_acknowledges_nor_steps_on() -> None:
    hand = Hand()
    hand._levels = [False, True]
    hand.wait(100)
    hand.wait(10_000, fault=True)
    assert hand.seen == [DOWN]


def test_short_presses_change_nothing_while_a_fault_is_shown() -> None:
    hand = Hand()
    for _ in range(5):
        hand.hold(200, up=True, fault=True)
        hand.hold(1_400, down=True, fault=True)
        hand.hold(20_000, up=True, fault=True)
    assert hand.seen == []


# ---------------------------------------------------------------- both, stuck, time
@pytest.mark.parametrize("fault", [False, True])
@pytest.mark.parametrize("first", ["up", "down", "together"])
def test_both_buttons_together_do_nothing_more_than_the_first_did(fault: bool, first: str) -> None:
    hand = Hand()
    if first != "together":
        hand._levels = [first == "up", first == "down"]
        hand.wait(100, fault)
    begun = len(hand.seen)
    hand._levels = [True, True]
    hand.wait(5_000, fault)
    hand._levels = [False, True]  # one is let go first: still the same gesture
    hand.wait(5_000, fault)
    assert hand.seen[begun:] == []


@pytest.mark.parametrize("held", [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("fault", [False, True])
def test_a_button_held_at_boot_does_nothing_until_it_was_released(
    held: tuple[bool, bool], fault: bool
) -> None:
    hand = Hand(held=held)
    hand.wait(60_000, fault)
    assert hand.seen == [] and hand.panel.stuck and not hand.panel.busy
    hand.hold(0, fault=fault)
    assert not hand.panel.stuck
    hand.hold(100, up=True)
    assert hand.seen == [UP]


@pytest.mark.parametrize("past_ms", [-50, -1, 0, 1, 50])
def test_a_button_is_stuck_after_30_s_and_not_before(past_ms: int) -> None:
    hand = Hand(1)
    hand._levels = [True, False]
    hand.wait(buttons.DEBOUNCE_MS + buttons.STUCK_MS + past_ms + 1)
    assert hand.panel.stuck == (past_ms >= 0) and hand.panel.busy == (past_ms < 0)


def test_beside_a_stuck_button_the_other_one_acknowledges_and_steps() -> None:
    hand = Hand(held=(True, False))
    hand._levels = [True, True]
    hand.wait(1_600, fault=True)
    hand._levels = [True, False]
    hand.wait(50)
    hand._levels = [True, True]
    hand.wait(100)
    assert hand.seen == [ACKNOWLEDGE, DOWN]


def test_a_stuck_down_stops_repeating() -> None:
    hand = Hand()
    hand._levels = [False, True]
    hand.wait(buttons.STUCK_MS + 100)
    steps = len(hand.seen)
    hand.wait(10_000)
    assert len(hand.seen) == steps and hand.panel.stuck


@pytest.mark.parametrize("before_ms", [20, 1_000, 30_000])
def test_the_wrap_around_of_the_clock_changes_nothing(before_ms: int) -> None:
    def gestures(begin_ms: int) -> list[Event]:
        hand = Hand(begin_ms=begin_ms)
        hand.hold(1_700, down=True)
        hand.hold(1_700, down=True, fault=True)
        hand.hold(31_000, up=True)
        return hand.events

    assert gestures(WRAP_MS - before_ms) == gestures(0)


def test_it_asks_for_every_pass_only_while_something_is_going_on() -> None:
    hand = Hand()
    assert not hand.panel.busy
    hand._levels = [False, True]
    hand.wait(PASS_MS)
    assert hand.panel.busy
    hand.wait(2_000, fault=True)
    assert hand.panel.busy
    hand._levels = [False, False]
    hand.wait(40)
    assert not hand.panel.busy


GESTURES = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.booleans(), st.integers(1, 60)), min_size=1, max_size=40
)


@given(GESTURES)
def test_nothing_but_a_whole_hold_of_down_under_a_fault_acknowledges(
    gestures: list[tuple[bool, bool, bool, int]],
) -> None:
    """Whatever the fingers do: before an acknowledgement the fault was shown and DOWN closed for 1.5 s."""
    hand = Hand(10)
    alone_ms = 0
    for up, down, fault, passes in gestures:
        for _ in range(passes):
            alone_ms = alone_ms + 10 if down and fault else 0
            before = len(hand.events)
            hand._levels = [up, down]
            hand.wait(10, fault)
            for event, _ in hand.events[before:]:
                assert event != ACKNOWLEDGE or alone_ms > buttons.ACKNOWLEDGE_MS
                assert event == ACKNOWLEDGE or not fault
