"""The cartridge part step by step, from seating to acceptance or refusal: what it does in which pass, what it says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from stepped_cartridge import (
    ABSENT,
    ACCEPTED,
    FOREIGN,
    KEY,
    MEMORY,
    PEN_ID,
    READ_ALL,
    READING,
    ROM,
    UNREADABLE,
    USED,
    Clock,
    Pen,
    S,
    faults,
    inserted,
    layout,
    part,
    uses,
)

from needlepen.emulator.ds2431 import make_rom


@pytest.fixture
def pen(monkeypatch: pytest.MonkeyPatch) -> Pen:
    return inserted(monkeypatch)


# ---------------------------------------------------------------------- seating and reading
def test_at_the_start_nothing_is_known(pen: Pen) -> None:
    for name, value in {
        "fault": faults.NONE, "blockers": ABSENT, "warnings": 0, "busy": False, "stop_note": S.NOTE_NONE,
        "rom": None, "record": None, "reason": "", "_job": None, "_tries": 0, "_refusal": 0, "_mark": b"",
        "_seen": b"", "_running": False, "_started": False, "_in_run": False, "_ticks": 0, "_last_ms": 0,
        "_moved_ms": 0, "_checked_ms": 0, "present": False, "accepted": False, "marked": False, "left_ms": 0,
        "needles": 0, "depth_limit_um": 0,
    }.items():  # fmt: skip
        assert getattr(pen.part, name) == value, name
    assert pen.part.minimum_rate_hz(1_000) == 0


def test_a_cartridge_is_read_50_ms_after_it_was_seated(pen: Pen) -> None:
    pen.contact = 1
    assert pen.poll(5_000) == ABSENT and not pen.part.busy
    pen.contact = 0
    assert pen.poll() == READING and pen.part.present and pen.part.busy
    assert pen.poll(49) == READING and pen.part._phase == 1 and pen.part.busy
    assert pen.poll(1) == READING and pen.part._phase == 2 and not pen.calls() and pen.part.busy
    pen.until(lambda: pen.part.accepted)
    assert pen.calls() == ACCEPTED and pen.part.left_ms == uses.WHOLE_MS
    assert not pen.part.busy and not pen.part.marked and pen.part.reason == "" and pen.part.warnings == 0
    assert (pen.part.rom, pen.part.needles, pen.part.depth_limit_um) == (ROM, 24, 2_000)
    assert pen.part.minimum_rate_hz(1_000) == layout.minimum_rate_hz(24, 1_000) > 0
    assert pen.chip.scratchpad == layout.mark_row(None, PEN_ID) and pen.part._seen == b""


def test_a_contact_that_opens_meanwhile_settles_anew(pen: Pen) -> None:
    pen.poll()
    pen.poll(40)
    pen.unseat()
    assert pen.part.blockers == ABSENT and not pen.part.present
    pen.contact = 0
    pen.poll()
    pen.poll(49)
    assert pen.part._phase == 1
    pen.poll(1)
    assert pen.part._phase == 2


def test_a_reading_ends_when_it_is_taken_out(pen: Pen) -> None:
    pen.seated().poll()
    assert pen.calls() and pen.part._job is not None
    pen.unseat()
    pen.contact = 0
    pen.seated()
    assert pen.poll() == READING and pen.calls() == READ_ALL, "from the beginning"


def test_a_pass_does_slices_for_2_ms_and_rests_when_there_is_nothing_to_do(pen: Pen) -> None:
    pen.seated()
    pen.chip.slices = [1_999, 1, 700, 1_300, 2_000, 5]
    for us in (2_000, 4_000, 6_000):
        assert pen.poll() == READING and pen.chip.clock.us == us and pen.part.busy
    assert pen.part._job is not None


def test_reading_pauses_after_the_memory_and_after_the_check(pen: Pen) -> None:
    """Each of the two takes its time."""
    pen.seated()
    for _ in range(2):
        assert pen.poll() == READING and pen.calls() in (READ_ALL, []) and pen.part.busy
    assert pen.poll() == 0 and pen.calls() == [("prepare", 0x40)]


def test_a_pass_while_awake_drops_the_work_and_leaves_the_bus_alone(pen: Pen) -> None:
    pen.seated()
    pen.poll()
    assert pen.part._job is not None and pen.calls()
    assert pen.poll(awake=True) == READING and pen.part._job is None and not pen.part.busy and not pen.calls()
    pen.until(lambda: pen.part.accepted)
    assert pen.calls() == ACCEPTED, "from the beginning"


def test_while_awake_what_is_said_is_renewed_every_100_ms(pen: Pen) -> None:
    pen.accepted()
    pen.poll(100, awake=True)
    pen.part.blockers = 77
    assert pen.poll(99, awake=True) == 77
    assert pen.poll(1, awake=True) == 0
    pen.part.blockers = 77
    pen.contact = 1
    assert pen.poll(1, awake=True) == ABSENT, "and at once without a cartridge"


# ---------------------------------------------------------------------- refusals
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"memory": b"\xff" * 0x88}, (UNREADABLE, "the cartridge holds no record")),
        ({"rom": make_rom(b"\1\2\3\4\5\7")}, (FOREIGN, layout.COUNTERFEIT)),
        ({"memory": MEMORY[:0x40] + bytes(8) + MEMORY[0x48:]}, (USED, "used in another session")),
        ({"memory": MEMORY[:0x48] + b"\xfe" + MEMORY[0x49:]}, (USED, "used in another session")),
    ],
)
def test_what_reads_alike_twice_is_refused(pen: Pen, change: dict[str, Any], told: tuple[int, str]) -> None:
    for name, value in change.items():
        setattr(pen.chip, name, value)
    pen.seated()
    assert pen.refused() == told and pen.part.rom == pen.chip.rom and not pen.part.busy
    assert pen.part.left_ms == 0 and not pen.part.accepted and pen.part.present
    assert (pen.part.record is not None) == (told[0] == USED)


def test_a_first_reading_that_is_refused_is_read_again(pen: Pen) -> None:
    pen.chip.memory[2] ^= 1
    pen.seated()
    pen.until(lambda: pen.part._tries == 1)
    assert pen.part.blockers == READING and pen.calls() == READ_ALL
    pen.chip.memory[2] ^= 1
    pen.until(lambda: pen.part.accepted)
    assert pen.part._seen == b"" and pen.part._tries == 0


def test_readings_that_differ_are_unreadable_at_the_third(pen: Pen) -> None:
    pen.seated()
    for count in range(1, 4):
        pen.chip.memory[20] = count
        pen.until(lambda count=count: pen.part._tries == count)  # type: ignore[misc]
        assert pen.part.blockers == (UNREADABLE if count == 3 else READING)
    assert pen.part.reason == "the record is damaged"


def test_a_development_build_says_why_it_takes_no_treatment_cartridge(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(part, "time", clock)
    for development, reason in (
        (True, "development build: no treatment cartridges"),
        (False, layout.COUNTERFEIT),
    ):
        pen = Pen(clock, SimpleNamespace(cartridge=bytes(32), development=development)).seated()
        assert pen.refused() == (FOREIGN, reason)
    other = Pen(clock, SimpleNamespace(cartridge=KEY, development=True))
    other.chip.memory[0x80] = 0
    assert other.seated().refused() == (FOREIGN, "its memory is not locked")


def test_without_keys_it_is_read_again_every_2_s_until_there_are_some(pen: Pen) -> None:
    keys, pen.part.keys = pen.part.keys, None
    pen.seated()
    assert pen.refused() == (S.BLOCK_KEYS_MISSING, "the pen has no key to check it")
    assert pen.poll(1_999) == S.BLOCK_KEYS_MISSING and not pen.calls()
    pen.part.keys = keys
    pen.poll(1)
    assert pen.calls() == READ_ALL
    pen.until(lambda: pen.part.accepted)


def test_only_what_may_be_mended_is_read_again(pen: Pen) -> None:
    pen.chip.memory[0] = 0
    pen.seated()
    assert pen.refused() == (FOREIGN, "not a cartridge of this pen")
    for _ in range(3):
        assert pen.poll(2_500) == FOREIGN and not pen.calls()


def test_a_refused_cartridge_that_fails_again_stays_refused(pen: Pen) -> None:
    pen.chip.memory[:] = b"\xff" * len(pen.chip.memory)
    pen.seated()
    assert pen.refused()[0] == UNREADABLE
    pen.part._tries = 0
    pen.chip.fails = ["no answer"]
    assert pen.poll(2_000) == UNREADABLE and pen.part.reason == "no answer" and pen.calls() == READ_ALL[:1]
    assert pen.part._tries == 1
    assert pen.poll(1_999) == UNREADABLE and not pen.calls(), "not before 2 s have passed"
    pen.poll(1)
    assert pen.calls() == READ_ALL[:1] + READ_ALL[1:]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_three_errors_in_a_row_refuse(pen: Pen, count: int) -> None:
    pen.chip.fails = ["no answer"] * count
    pen.seated()
    for _ in range(count):
        pen.poll()
    assert pen.calls() == READ_ALL[:1] * count
    if count == 3:
        assert (pen.part.blockers, pen.part.reason) == (UNREADABLE, "no answer")
    else:
        assert pen.part.blockers == READING and pen.part.busy
        pen.until(lambda: pen.part.accepted)
        assert pen.part._tries == 0


def test_errors_with_one_cartridge_do_not_count_for_the_next(pen: Pen) -> None:
    pen.chip.fails = ["no answer"] * 2
    pen.seated()
    pen.poll()
    pen.poll()
    pen.unseat()
    assert pen.part._tries == 0 and pen.calls()
    pen.contact = 0
    pen.chip.fails = ["no answer"] * 2
    pen.seated()
    pen.poll()
    assert pen.poll() == READING


def test_taking_it_out_forgets_all_about_it(pen: Pen) -> None:
    pen.accepted()
    pen.unseat()
    assert (pen.part.rom, pen.part.record, pen.part.reason, pen.part.blockers) == (None, None, "", ABSENT)
    pen.contact = 0
    pen.chip.memory[2] ^= 1
    pen.seated()
    assert pen.refused()[0] == UNREADABLE
    pen.unseat()
    assert pen.part.reason == "" and pen.part._seen == b"" and not pen.part.busy
    pen.contact = 0
    pen.seated()
    pen.until(lambda: pen.part._tries == 1)
    assert pen.part.blockers == READING, "it is read twice again"
