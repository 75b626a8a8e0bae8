"""The depth buttons to the millisecond, pass by pass: debounce, repetition, acknowledgement, stuck buttons."""

from __future__ import annotations

from operator import sub
from typing import Any

import pytest

from needlepen.firmware_modules import firmware_module

buttons = firmware_module("pen.buttons")
NONE, ACKNOWLEDGE = buttons.EVENT_NONE, buttons.EVENT_ACKNOWLEDGE
UP, DOWN = buttons.EVENT_UP, buttons.EVENT_DOWN
PRESSED_MS = 115  # when a press at 100 ms is taken as one


def _released() -> Any:
    panel = buttons.Buttons(0, sub)
    assert [panel.update(ms, False, False, False) for ms in (15, 30)] == [NONE, NONE]
    assert not panel.busy and not panel.stuck
    return panel


def _held(*passes: tuple[int, bool], up: bool = False) -> list[Any]:
    """The answers to passes (ms, whether a fault is shown) with one button held from 100 ms on."""
    panel = _released()
    panel.update(100, up, not up, passes[0][1])
    return [panel.update(ms, up, not up, fault) for ms, fault in passes]


def test_answers_can_be_told_apart_and_none_is_false() -> None:
    assert len({NONE, UP, DOWN, ACKNOWLEDGE}) == 4 and NONE == 0


def test_a_button_says_nothing_before_it_was_seen() -> None:
    button = buttons.Button(5)
    assert (button.stuck, button.settled, button.pressed) == (False, False, False)
    assert button.held_ms(9, sub) == 4


@pytest.mark.parametrize(("ms", "stuck"), [(14, False), (15, True)])
def test_a_button_held_since_power_on_is_stuck_after_the_debounce_time(ms: int, stuck: bool) -> None:
    button = buttons.Button(0)
    button.update(ms, True, sub)
    assert button.stuck is stuck and not button.pressed


@pytest.mark.parametrize(("up", "event"), [(True, UP), (False, DOWN)])
def test_a_press_counts_after_15_ms(up: bool, event: int) -> None:
    assert _held((PRESSED_MS - 1, False), (PRESSED_MS, False), up=up) == [NONE, event]


def test_a_held_down_repeats_after_600_ms_and_then_every_200() -> None:
    after_ms = (0, 599, 600, 799, 800, 999, 1_000)
    answers = _held(*((PRESSED_MS + ms, False) for ms in after_ms))
    assert answers == [DOWN, NONE, DOWN, NONE, DOWN, NONE, DOWN]


def test_down_acknowledges_after_1500_ms_once() -> None:
    answers = _held(*((PRESSED_MS + ms, True) for ms in (0, 1_499, 1_500, 1_501)))
    assert answers == [NONE, NONE, ACKNOWLEDGE, NONE]


@pytest.mark.parametrize(("ms", "stuck"), [(29_999, False), (30_000, True)])
def test_a_button_is_stuck_after_30_s(ms: int, stuck: bool) -> None:
    panel = _released()
    for now_ms in (100, PRESSED_MS, PRESSED_MS + ms):
        panel.update(now_ms, True, False, False)
    assert panel.stuck is stuck


def test_a_fault_that_comes_and_goes_during_a_press_ends_it() -> None:
    answers = _held((PRESSED_MS, False), (200, True), (900, False), (2_000, False))
    assert answers == [DOWN, NONE, NONE, NONE], "no more steps"
    answers = _held((PRESSED_MS, True), (200, False), (300, True), (PRESSED_MS + 2_000, True))
    assert answers == [NONE, NONE, NONE, NONE], "no acknowledgement of another fault"


def test_every_pass_has_an_answer() -> None:
    """Both held, UP under a fault, nothing held."""
    panel = _released()
    held = [(True, True, False)] * 2 + [(False, False, False)] * 2 + [(True, False, True)] * 2
    for k, (up, down, fault) in enumerate(held):
        assert panel.update(100 + 100 * k, up, down, fault) == NONE
