"""The time of use of a cartridge step by step: what counts, when it is told, and when it ends."""

from __future__ import annotations

import pytest
from stepped_cartridge import EXPIRED, READ_ALL, READING, Pen, S, inserted, layout, places, uses


@pytest.fixture
def pen(monkeypatch: pytest.MonkeyPatch) -> Pen:
    return inserted(monkeypatch)


# ---------------------------------------------------------------------- time of use
def test_time_counts_while_the_motor_turns(pen: Pen) -> None:
    pen.marked()
    use = pen.part.use
    pen.state[places.TICKS] = 500
    pen.poll(100)
    first = use.used_ms
    pen.state[places.TICKS] = 800
    pen.poll(100)
    assert use.used_ms == first, "awake, and the motor stood"
    pen.state[places.DRIVE] = 1
    pen.poll(1, awake=True)
    assert use.used_ms == first
    pen.state[places.TICKS] = 850
    pen.poll(99, awake=True)
    assert use.used_ms == first
    pen.poll(1, awake=True)
    assert use.used_ms == first + 50
    pen.poll(100, awake=True)
    assert use.used_ms == first + 50, "no tick, no time"
    pen.state[places.DRIVE], pen.state[places.TICKS] = 0, 870
    pen.poll(1, awake=True)
    assert use.used_ms == first + 70, "at the end at once"
    pen.state[places.DRIVE] = 2
    pen.state[places.TICKS] = 970
    pen.poll(100, awake=True)
    assert use.used_ms == first + 70, "it brakes"


def test_a_press_between_two_passes_counts_from_the_ticks_of_its_waking(pen: Pen) -> None:
    pen.marked()
    use = pen.part.use
    pen.state[places.TICKS] = 900
    pen.poll(100)
    begun = use.used_ms
    pen.state[places.TICKS] = 40
    assert pen.part.mark_used() is None and pen.part._ticks == 0
    pen.state[places.TICKS] = 340
    pen.poll(1_000)
    assert use.used_ms == begun + 340 and not pen.part._started
    assert pen.part.mark_used() is None and pen.part._ticks == 340, "they went on"
    pen.state[places.TICKS] = 30
    pen.poll(1_000)
    assert use.used_ms == begun + 370, "they began anew"
    pen.state[places.TICKS] = 50
    pen.poll(1_000)
    assert use.used_ms == begun + 370


def test_the_window_passes_with_each_count(pen: Pen) -> None:
    pen.marked()
    use = pen.part.use
    pen.poll(100)
    begun = use.window_ms
    pen.poll(99)
    assert use.window_ms == begun
    pen.poll(1)
    assert use.window_ms == begun + 100
    pen.clock_s = 50
    use._clock_s = 49
    pen.poll(100)
    assert use.window_ms == max(begun + 200, 1_000)


def test_the_last_five_minutes_are_a_warning_and_the_end_stops_a_run(pen: Pen) -> None:
    pen.marked()
    use = pen.part.use
    use.used_ms = uses.WHOLE_MS - 300_000
    use.minutes_written = use.minutes
    assert pen.poll() == 0 and pen.part.warnings == 0 and pen.part.left_ms == 300_000
    use.used_ms += 1
    assert pen.poll() == 0 and pen.part.warnings == S.WARN_CARTRIDGE_TIME
    pen.state[places.DRIVE] = 1
    pen.poll(1, awake=True)
    use.used_ms = uses.WHOLE_MS - 1
    pen.poll(100, awake=True)
    assert pen.part.stop_note == S.NOTE_NONE and pen.part.blockers == 0
    use.used_ms += 1
    pen.poll(100, awake=True)
    assert pen.part.stop_note == S.NOTE_CARTRIDGE_TIME and pen.part.blockers == EXPIRED
    pen.state[places.DRIVE] = 0
    pen.poll(1, awake=True)
    assert pen.part.stop_note == S.NOTE_NONE and pen.part.blockers == EXPIRED
    assert pen.part.mark_used() == "the cartridge is not ready"


def test_a_session_that_is_over_says_nothing_about_a_fresh_cartridge(pen: Pen) -> None:
    pen.accepted()
    assert pen.part.use.left_ms == 0 and pen.part.warnings == 0 and pen.part.stop_note == S.NOTE_NONE
    pen.part._running = True
    pen.part._conclude()
    assert pen.part.stop_note == S.NOTE_NONE and pen.part.blockers == 0


def test_each_begun_minute_is_written_at_rest(pen: Pen) -> None:
    pen.marked()
    pen.run(1)
    assert not pen.part.busy
    assert pen.part._minutes_due() and not pen.calls()
    pen.poll()
    assert pen.calls() == [("write", 0x48)] and not pen.part.busy and pen.part.use.minutes_written == 1
    assert pen.chip.memory[0x48:0x50] == layout.minutes_row(1) and pen.part.blockers == 0
    pen.run(59_999)
    pen.poll()
    assert ("write", 0x48) not in pen.calls()
    pen.run(1)
    pen.poll()
    assert pen.calls() == [("write", 0x48)] and pen.part.use.minutes_written == 2


def test_no_more_minutes_are_written_than_the_chip_has_room_for(pen: Pen) -> None:
    pen.marked()
    pen.part.use.used_ms = 70 * 60_000
    pen.poll()
    assert pen.chip.memory[0x48:0x50] == bytes(8) and pen.part.use.minutes_written == 64
    pen.calls()
    pen.poll()
    assert not pen.calls() and not pen.part.busy


def test_minutes_wait_for_a_cartridge_that_is_marked(pen: Pen) -> None:
    pen.accepted()
    pen.part.use.used_ms = 90_000
    assert pen.poll() == 0 and not pen.calls() and not pen.part.busy


def test_minutes_that_fail_block_until_they_are_written(pen: Pen) -> None:
    pen.marked()
    pen.chip.fails = ["copy not done"]
    pen.run(1)
    assert pen.poll() == READING and pen.part._tries == 1 and pen.part.busy
    assert pen.calls() == [("write", 0x48)]
    for _ in range(2):
        pen.poll()
    assert pen.poll() in (0, READING) and pen.calls()[:2] == READ_ALL
    pen.until(lambda: pen.part.accepted)
    assert pen.part.use.minutes_written == 1 and pen.part._tries == 0
