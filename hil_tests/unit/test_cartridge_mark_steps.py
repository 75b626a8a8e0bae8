"""The used mark of a cartridge step by step: in the scratchpad, written, and what a lost contact makes of it."""

from __future__ import annotations

import pytest
from stepped_cartridge import (
    ABSENT,
    ACCEPTED,
    DAY_S,
    EXPIRED,
    EXPIRY_DAY,
    PEN_ID,
    READ_ALL,
    READING,
    ROM,
    UNREADABLE,
    USED,
    Pen,
    board,
    faults,
    inserted,
    layout,
    places,
    uses,
)


@pytest.fixture
def pen(monkeypatch: pytest.MonkeyPatch) -> Pen:
    return inserted(monkeypatch)


# ---------------------------------------------------------------------- waiting with the mark in the scratchpad
def test_the_scratchpad_is_verified_every_2_s(pen: Pen) -> None:
    pen.accepted()
    assert pen.poll(1_999) == 0 and not pen.calls()
    assert pen.poll(1) == 0 and pen.calls() == [("verify", 0x40)]
    assert pen.poll(1_999) == 0 and not pen.calls()
    pen.chip.fails = ["check sum"]
    assert pen.poll(1) == READING and pen.calls() == [("verify", 0x40)] and pen.part._tries == 1
    pen.until(lambda: pen.part.accepted)
    assert pen.calls() == ACCEPTED


def test_an_error_of_the_verification_is_looked_at_at_once(pen: Pen) -> None:
    pen.accepted()
    pen.part._tries = 2
    pen.poll(1)
    assert pen.calls() == [("verify", 0x40)] and pen.part._tries == 0 and pen.part.blockers == 0


def test_a_new_day_is_put_into_the_mark(pen: Pen) -> None:
    pen.accepted()
    pen.clock_s = 9_000 * DAY_S
    assert pen.poll(2_000) == READING and pen.chip.calls == READ_ALL, "at once"
    pen.until(lambda: pen.part.accepted)
    assert pen.calls() == ACCEPTED and pen.chip.scratchpad == layout.mark_row(9_000, PEN_ID)


def test_the_date_forbids_a_cartridge_the_day_after_its_last(pen: Pen) -> None:
    pen.accepted()
    pen.clock_s = (EXPIRY_DAY + 1) * DAY_S - 1
    assert pen.poll() == 0
    pen.clock_s += 1
    assert pen.poll() == EXPIRED and pen.part.mark_used() == "the cartridge is not ready"
    pen.clock_s = None
    assert pen.poll() == 0


# ---------------------------------------------------------------------- the mark
def test_the_first_press_marks_and_later_ones_touch_nothing(pen: Pen) -> None:
    pen.accepted()
    pen.clock_s = 9_000 * DAY_S
    pen.part._job = "something"
    assert pen.part.mark_used() is None and pen.part._job is None
    assert pen.calls() == [("copy", 0x40, bytes(4))] and pen.part.marked and pen.part.blockers == 0
    assert (pen.part.use.rom, pen.part.use._mark, pen.part.use._clock_s) == (
        ROM, layout.mark_row(None, PEN_ID), 9_000 * DAY_S,
    )  # fmt: skip
    assert pen.part.left_ms == uses.WHOLE_MS and pen.part._started and pen.part._in_run
    pen.part._started = pen.part._in_run = False
    assert pen.part.mark_used() is None and not pen.calls()
    assert pen.part._started and pen.part._in_run


def test_a_press_ends_the_look_at_the_scratchpad(pen: Pen) -> None:
    pen.accepted()
    pen.chip.slices = [5_000, 5_000]
    pen.poll(2_000)
    assert pen.part.busy and pen.part._job is not None
    assert pen.part.mark_used() is None and pen.part._job is None and not pen.part.busy


def test_without_a_seated_and_accepted_cartridge_there_is_no_mark(pen: Pen) -> None:
    assert pen.part.mark_used() == "the cartridge is not ready"
    pen.accepted()
    pen.contact = 1
    assert pen.part.mark_used() == "the cartridge is not ready"
    assert not pen.calls() and not pen.part._started


def test_a_mark_that_fails_is_a_fault_until_it_is_taken_out(pen: Pen) -> None:
    pen.accepted()
    pen.chip.fails = ["copy not done"]
    assert pen.part.mark_used() == "used mark: copy not done" == pen.part.reason
    assert (pen.part.fault, pen.part.blockers, pen.part.marked) == (faults.CARTRIDGE_MARK, UNREADABLE, False)
    pen.calls()
    for _ in range(3):
        assert pen.poll(3_000) == UNREADABLE and not pen.calls() and pen.part.fault == faults.CARTRIDGE_MARK
    pen.unseat()
    assert pen.part.fault == faults.NONE


def test_the_mark_is_looked_at_every_2_s(pen: Pen) -> None:
    pen.marked()
    pen.poll(2_000)
    assert pen.calls() == [("read", 0x40, 4)] and pen.part.blockers == 0
    assert pen.poll(1_999) == 0 and not pen.calls()
    pen.chip.memory[0x43] = 1
    assert pen.poll(1) == READING
    assert pen.part._tries == 1
    assert pen.refused() == (USED, "used in another session")


def test_a_marked_cartridge_is_taken_again_in_its_session(pen: Pen) -> None:
    pen.marked()
    pen.unseat()
    pen.contact = 0
    pen.seated().until(lambda: pen.part.accepted)
    assert pen.calls() == READ_ALL and pen.part.marked and pen.part._seen == b""


# ---------------------------------------------------------------------- losing it
def _lost(pen: Pen, reason: int, lines: int) -> int:
    pen.marked()
    pen.part.mark_used()
    pen.state[places.STOP_REASON], pen.state[places.STOPPED_LINES] = reason, lines
    pen.contact = 1
    pen.poll()
    fault: int = pen.part.fault
    return fault


def test_a_run_that_the_contact_ended_is_a_fault_for_a_quiet_second(pen: Pen) -> None:
    assert _lost(pen, places.STOP_LINE, 1 << board.PIN_CARTRIDGE_N | 1) == faults.CARTRIDGE_LOST
    assert pen.part.blockers == ABSENT and not pen.part._in_run
    pen.poll(999)
    assert pen.part.fault == faults.CARTRIDGE_LOST
    pen.poll(1)
    assert pen.part.fault == faults.NONE
    pen.poll()
    assert pen.part.fault == faults.NONE, "the run is over"


def test_a_contact_that_moves_is_not_quiet(pen: Pen) -> None:
    _lost(pen, places.STOP_LINE, 1 << board.PIN_CARTRIDGE_N)
    pen.poll(600)
    pen.contact = 0
    pen.poll(100)
    pen.poll(600)
    assert pen.part.fault == faults.CARTRIDGE_LOST and pen.part.present
    pen.unseat()
    pen.poll(999)
    assert pen.part.fault == faults.CARTRIDGE_LOST
    pen.poll(1)
    assert pen.part.fault == faults.NONE


@pytest.mark.parametrize(
    ("reason", "lines"),
    [
        (places.STOP_LINE, 0),
        (places.STOP_LINE, ~(1 << board.PIN_CARTRIDGE_N)),
        (places.STOP_LINE - 1, 1 << board.PIN_CARTRIDGE_N),
        (places.STOP_LINE + 1, 1 << board.PIN_CARTRIDGE_N),
    ],
)
def test_a_run_that_something_else_ended_is_none(pen: Pen, reason: int, lines: int) -> None:
    assert _lost(pen, reason, lines) == faults.NONE


def test_taken_out_at_rest_is_no_fault(pen: Pen) -> None:
    pen.marked()
    pen.part.mark_used()
    pen.poll()
    pen.state[places.STOP_REASON], pen.state[places.STOPPED_LINES] = (
        places.STOP_LINE,
        1 << board.PIN_CARTRIDGE_N,
    )
    pen.unseat()
    assert pen.part.fault == faults.NONE


def test_while_the_motor_turns_the_contact_is_for_the_tick_to_judge(pen: Pen) -> None:
    pen.marked()
    pen.part.mark_used()
    pen.state[places.DRIVE] = 1
    pen.contact = 1
    for _ in range(3):
        pen.poll(100, awake=True)
    assert pen.part.present and pen.part.blockers == 0 and pen.part._in_run


def test_without_a_fault_nothing_is_forgotten(pen: Pen) -> None:
    pen.marked()
    pen.part.fault = faults.CARTRIDGE_MARK
    pen.poll(5_000)
    assert pen.part.fault == faults.CARTRIDGE_MARK
