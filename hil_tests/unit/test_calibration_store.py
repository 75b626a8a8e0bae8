"""What a host changes in the records about depth (SR-05), on files in RAM: the calibration and the daily check."""

from __future__ import annotations

import pytest
from ram_store import (
    DAY_NUMBER,
    booted,
    calibration,
    calibrations,
    check,
    counted,
    n,
    news,
    quiet,
    sound,
)

from needlepen.firmware_modules import firmware_module

calibration_records = firmware_module("pen.calibration_records")
reason_texts = firmware_module("pen.store.reason_texts")
E = firmware_module("pen.events")
S = firmware_module("pen.states")

DAY_S = 86_400


def test_a_new_calibration_counts_when_both_copies_are_written() -> None:
    pen = quiet(booted(sound(counters=counted(run_s=900, hours_unknown=True))))
    assert pen.blockers == S.BLOCK_CALIBRATION_EXPIRED
    assert calibration_records.accept(pen, calibration(run_s=800)) is None
    assert {path for call, path in pen._files.calls if call == "write"} == {
        "/data/calibration.a",
        "/data/calibration.b",
    }
    assert (pen.counters.run_s, pen.counters.hours_unknown, pen._counters_changed) == (900, False, True)
    assert pen.blockers == 0
    assert news(pen) == [(E.CALIBRATION_CHANGED, DAY_NUMBER, 2, 0)]
    assert calibration_records.accept(pen, calibration(run_s=1_000)) is None and pen.counters.run_s == 1_000
    assert pen.calibration.run_s == 1_000


def test_a_withdrawal_takes_the_calibration_away() -> None:
    pen = quiet(booted())
    assert calibration_records.accept(pen, calibration(run_s=5, status=calibrations.WITHDRAWN)) is None
    assert pen.calibration is None and pen.blockers == S.BLOCK_CALIBRATION_REFUSED
    assert news(pen) == [(E.CALIBRATION_WITHDRAWN, DAY_NUMBER, 0, 0)]
    assert not pen._counters_changed and pen.counters.run_s == 0


def test_a_calibration_that_is_not_stored_changes_nothing() -> None:
    pen = quiet(booted())
    before = pen.calibration
    pen._files.may_write = False
    assert calibration_records.accept(pen, calibration(run_s=5)) == "the motor may turn: nothing is written"
    assert calibration_records.accept(pen, b"") == reason_texts.text(n.EMPTY)
    pen._files.may_write = True
    pen._files.refused = {"write"}
    assert calibration_records.accept(pen, calibration(run_s=5)) == "could not be written"
    assert pen.calibration is before and (E.CALIBRATION_CHANGED, DAY_NUMBER, 2, 0) not in news(pen)


def test_a_calibration_that_does_not_come_back_is_refused_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pen = quiet(booted())
    monkeypatch.setattr(pen, "_save", lambda *what: n.OK)
    pen._files.held["/data/calibration.a"] = pen._files.held["/data/calibration.b"] = b"x" * 40
    refused = calibration_records.accept(pen, calibration(run_s=5))
    assert refused == reason_texts.text(n.NOT_A_RECORD) and not news(pen)


def test_what_the_host_made_is_judged_without_being_stored() -> None:
    pen = quiet(booted())
    reason, record, payload = calibration_records.judge(pen, calibration(run_s=5))
    assert (reason, record.run_s) == (n.OK, 5) and payload == calibration(run_s=5)[20:-4]
    assert calibration_records.judge(pen, b"") == (n.EMPTY, None, None) and not pen._files.calls


def test_a_daily_check_is_kept_and_its_age_is_a_warning() -> None:
    pen = quiet(booted())
    assert pen.set_time(DAY_NUMBER * DAY_S) is None
    for day, refusal in (
        (DAY_NUMBER + 2, "the day of the check lies ahead"),
        (DAY_NUMBER + 1, None),
        (DAY_NUMBER, None),
    ):
        assert calibration_records.note_check(pen, day, -35, 1) == refusal
        assert pen.check == (None if refusal else (day, -35, 1))
    assert news(pen)[1:] == [(E.CHECK_NOTED, DAY_NUMBER + 1, -35, 1), (E.CHECK_NOTED, DAY_NUMBER, -35, 1)]
    assert not pen.warnings & S.WARN_CHECK_DUE and n.KIND_CHECK not in pen._pairs
    assert booted(pen._files).check == (DAY_NUMBER, -35, 1)
    pen.set_time((DAY_NUMBER + 1) * DAY_S)
    assert not pen.warnings & S.WARN_CHECK_DUE
    pen.set_time((DAY_NUMBER + 2) * DAY_S)
    assert pen.warnings == S.WARN_CHECK_DUE
    assert calibration_records.note_check(pen, DAY_NUMBER + 2, 5, 1) is None
    assert pen.warnings == 0, "at once"
    assert calibration_records.note_check(pen, DAY_NUMBER + 2, 90, 0) is None
    assert pen.warnings == S.WARN_CHECK_DUE, "it failed"


def test_without_a_date_any_day_of_a_check_is_taken_and_none_is_due() -> None:
    pen = quiet(booted(sound(check=check(9, 5, 0))))
    assert pen.check == (9, 5, 0) and pen.warnings == S.WARN_CLOCK_UNKNOWN
    assert calibration_records.note_check(pen, 60_000, 1, 1) is None and pen.check == (60_000, 1, 1)


def test_a_check_that_is_not_stored_is_not_kept() -> None:
    pen = quiet(booted())
    pen._files.may_write = False
    assert calibration_records.note_check(pen, 9, 1, 1) == "the motor may turn: nothing is written"
    pen._files.may_write, pen._files.refused = True, {"write"}
    assert calibration_records.note_check(pen, 9, 1, 1) == "could not be written"
    assert pen.check is None and n.KIND_CHECK not in pen._pairs
    assert news(pen) == [(E.RECORD_NOT_STORED, n.KIND_CHECK, n.WRITE_FAILED, 0)]


def test_a_new_check_replaces_the_older_copy() -> None:
    pen = quiet(booted(sound(check=check(9, 5, 1))))
    assert calibration_records.note_check(pen, 10, 1, 1) is None
    assert pen._files.calls == [("write", "/data/check.b")]
    assert booted(pen._files).check == (10, 1, 1)
