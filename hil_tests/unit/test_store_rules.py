"""The store on files in RAM: what is written when, what is told, which blockers and warnings stand."""

from __future__ import annotations

import pytest
from ram_files import RamFiles
from ram_store import (
    KEYS,
    booted,
    calibration,
    calibrations,
    counted,
    events,
    n,
    news,
    packed,
    quiet,
    sound,
    stores,
)
from support.flash import UNIQUE_ID

from needlepen.firmware_modules import firmware_module

settings = firmware_module("pen.store.settings")
E = firmware_module("pen.events")
S = firmware_module("pen.states")
faults = firmware_module("pen.faults")

DAY_S = 86_400
JOURNAL = "/log/journal"
KINDS = (n.KIND_KEYS, n.KIND_SETTINGS, n.KIND_COUNTERS, n.KIND_CALIBRATION, n.KIND_CHECK)


# ---------------------------------------------------------------------- at the start
def test_before_the_boot_nothing_is_known() -> None:
    files = RamFiles()
    pen = stores.Store(files, UNIQUE_ID)
    for name, value in {
        "fault": faults.NONE, "blockers": 0, "warnings": 0, "keys": None, "calibration": None,
        "calibration_reason": n.MISSING, "check": None, "files": files, "_files": files, "_unique_id": UNIQUE_ID,
        "_development": True, "_now_ms": 0, "_date_s": 0, "_date_ms": 0, "_settings_ms": -1,
        "_counters_changed": False, "_run_ms": 0, "_log_read": False, "_log_failed": False, "_failed_ms": 0,
        "_log_gap": False,
    }.items():  # fmt: skip
        assert getattr(pen, name) == value, name
    assert tuple(pen._pairs) == KINDS and not files.calls
    assert pen.counters.hours_unknown and pen.settings.check() == n.OK
    assert [pair._version for pair in pen._pairs.values()] == [
        n.KEYS_FORMAT, n.SETTINGS_FORMAT, n.COUNTERS_FORMAT, n.CALIBRATION_FORMAT, n.CHECK_FORMAT,
    ]  # fmt: skip


def test_a_boot_reads_all_and_tells_cause_and_what_came_before() -> None:
    pen = stores.Store(sound(), UNIQUE_ID)
    pen.boot(3, 250)
    assert news(pen) == [(E.BOOT, 3, 0, 0)] and pen.log.uptime_ms == pen._now_ms == 250
    assert (pen.log.boot, pen.counters.boots, pen.blockers, pen.fault) == (5, 5, 0, faults.NONE)
    assert pen.warnings == S.WARN_CLOCK_UNKNOWN and pen.busy and pen._files.depth == 0
    assert pen._files.calls == [("make_folder", "/data"), ("make_folder", "/log")], "nothing is written"
    assert n.KIND_CHECK not in pen._pairs
    pen.log.state = S.ARMED
    pen.poll(1_234, False)
    quiet(pen)
    again = booted(pen._files)
    assert news(again) == [(E.BOOT, 1, 1, 1_234)] and again.log.boot == again.counters.boots == 6


def test_the_log_knows_the_number_of_the_boot_too() -> None:
    pen = quiet(booted())
    pen._files.held["/data/counters.a"] = pen._files.held["/data/counters.b"] = counted(boots=2)
    assert booted(pen._files).counters.boots == 6
    pen._files.held["/data/counters.a"] = pen._files.held["/data/counters.b"] = counted(boots=40)
    assert booted(pen._files).log.boot == 41


def test_damaged_log_files_and_refused_copies_are_told_with_their_reasons() -> None:
    files = sound(settings=b"x" * 40)
    files.held |= {"/data/keys.b": b"", JOURNAL: b"y" * 33}
    pen = booted(files)
    assert news(pen) == [
        (E.BOOT, 1, 0, 0),
        (E.LOG_SEGMENT_SET_ASIDE, 0, 0, 2),
        (E.RECORD_REFUSED, n.KIND_KEYS, 1, n.EMPTY),
        (E.RECORD_REFUSED, n.KIND_SETTINGS, 0, n.NOT_A_RECORD),
    ]
    assert (
        pen.warnings == S.WARN_CLOCK_UNKNOWN | S.WARN_LOG_GAP | S.WARN_SETTINGS_DEFAULTED
        and pen.blockers == 0
    )


def test_a_payload_that_is_refused_leaves_the_other_copy() -> None:
    files = sound(settings=packed(n.KIND_SETTINGS, n.SETTINGS_FORMAT, settings.Settings(rate_hz=60).pack()))
    files.held["/data/settings.b"] = packed(n.KIND_SETTINGS, n.SETTINGS_FORMAT, bytes(21), 2)
    pen = booted(files)
    assert pen.settings.rate_hz == 60 and not pen.warnings & S.WARN_SETTINGS_DEFAULTED
    assert (E.RECORD_REFUSED, n.KIND_SETTINGS, 1, n.OUT_OF_RANGE) in news(pen)


def test_a_folder_that_cannot_be_made_is_a_fault() -> None:
    files = sound()
    files.refused = {"make_folder"}
    pen = booted(files)
    assert pen.fault == faults.STORE and pen.blockers == S.BLOCK_STORE and files.depth == 0
    assert not pen._log_read and not pen.busy and pen.flush() == "could not be written"


def test_keys_and_calibration_belong_together() -> None:
    pen = booted()
    assert pen.keys.pen == KEYS.pen and pen.calibration.points == ((0, 20), (2500, 2450))
    assert pen.calibration_reason == n.OK
    without = sound()
    del without.held["/data/keys.a"]
    pen = booted(without)
    assert pen.keys is None and pen.calibration is None and pen.calibration_reason == n.NO_KEY
    assert pen.blockers == S.BLOCK_KEYS_MISSING | S.BLOCK_CALIBRATION_REFUSED
    pen = booted(development=False)
    assert pen.keys is None and pen._pairs[n.KIND_KEYS].reason == n.OTHER_BUILD


def test_no_calibration_is_told_from_a_refused_and_a_withdrawn_one() -> None:
    for data, reason, blocker in (
        (None, n.MISSING, S.BLOCK_CALIBRATION_MISSING),
        (b"", n.EMPTY, S.BLOCK_CALIBRATION_MISSING),
        (b"x" * 40, n.NOT_A_RECORD, S.BLOCK_CALIBRATION_REFUSED),
        (calibration(status=calibrations.WITHDRAWN), n.WITHDRAWN, S.BLOCK_CALIBRATION_REFUSED),
    ):
        files = sound()
        del files.held["/data/calibration.a"]
        if data is not None:
            files.held["/data/calibration.a"] = files.held["/data/calibration.b"] = data
        pen = booted(files)
        assert (pen.calibration, pen.calibration_reason, pen.blockers) == (None, reason, blocker)


# ---------------------------------------------------------------------- time
def test_the_date_goes_on_with_the_uptime() -> None:
    pen = quiet(booted())
    assert pen.seconds is None and pen.day is None and pen.log.date_s == 0
    begun_ms = pen._now_ms
    assert pen.set_time(DAY_S) is None
    assert (pen.seconds, pen.day, pen.log.date_s) == (DAY_S, 1, DAY_S)
    assert not pen.warnings & S.WARN_CLOCK_UNKNOWN
    for passed_ms, seconds in ((999, DAY_S), (1_000, DAY_S + 1), (5_999, DAY_S + 5)):
        pen.poll(begun_ms + passed_ms, True)
        assert pen.seconds == pen.log.date_s == seconds
    assert pen.set_time(DAY_S - 1) is None and (pen.seconds, pen.day) == (DAY_S - 1, 0)
    assert news(pen) == [(E.TIME_SET, 0, 0, 0), (E.TIME_SET, -6, 0, 0)]


@pytest.mark.parametrize("seconds", [-1, 0, 1 << 32])
def test_a_date_that_cannot_be_is_refused(seconds: int) -> None:
    pen = quiet(booted())
    assert pen.set_time(seconds) == "no date of the years 2000 to 2136"
    assert pen.seconds is None and not news(pen)


def test_the_first_and_the_last_second_are_dates_and_the_correction_fits_into_its_event() -> None:
    pen = quiet(booted())
    for seconds in (1, (1 << 32) - 1, 1, 1 << 31, 1):
        assert pen.set_time(seconds) is None and pen.seconds == seconds
    most = (1 << 31) - 1
    assert [told[1] for told in news(pen)] == [0, most, -(1 << 31), most, -most]


def test_ticks_that_wrap_keep_the_uptime_going() -> None:
    pen = stores.Store(sound(), UNIQUE_ID)
    pen.boot(1, (1 << 30) - 100)
    pen.poll(150, True)
    assert pen.log.uptime_ms == (1 << 30) + 150 and pen._now_ms == 150
    pen.poll((1 << 30) - 1, True)
    assert pen.log.uptime_ms == (1 << 31) - 1, "up to 12 days between two passes"


# ---------------------------------------------------------------------- settings
def test_only_what_is_given_changes() -> None:
    pen = quiet(booted())
    assert pen.change(rate_hz=120) is None and pen.change(depth_um=50) is None
    assert pen.change(volume=0) is None and pen.change(profile="cheek") is None
    assert vars(pen.settings) == {"rate_hz": 120, "depth_um": 50, "volume": 0, "profile": "cheek"}
    assert pen.change(depth_um=0) is None and pen.change(profile="") is None
    assert vars(pen.settings) == {"rate_hz": 120, "depth_um": 0, "volume": 0, "profile": ""}
    assert pen.change(volume=9) == "holds a value that the pen cannot have" and pen.settings.volume == 0


def test_a_change_is_stored_a_second_after_the_last_one() -> None:
    pen = quiet(booted())
    begun_ms = pen._now_ms
    assert pen.change(rate_hz=120) is None and pen.busy
    pen.poll(begun_ms + 900, False)
    assert pen.change(rate_hz=125) is None
    pen.poll(begun_ms + 1_000, False)
    assert pen.change(rate_hz=125) is None, "no change"
    pen.poll(begun_ms + 1_899, False)
    assert not pen._files.calls
    pen.poll(begun_ms + 1_900, False)
    assert pen._files.calls == [("write", "/data/settings.b")] and news(pen) == [
        (E.SETTINGS_CHANGED, 0, 0, 0)
    ]
    assert pen._settings_ms == -1
    assert booted(pen._files).settings.rate_hz == 125


def test_a_change_right_at_the_start_is_stored_too() -> None:
    pen = booted()
    assert pen.log.uptime_ms == 0
    for _ in range(3):
        pen.poll(0, False)
    assert not pen.busy and pen.change(rate_hz=120) is None
    assert pen._settings_ms == 0 and pen.busy


def test_settings_that_cannot_be_stored_are_told_and_not_tried_for_ever() -> None:
    pen = quiet(booted())
    pen.change(rate_hz=120)
    pen._files.refused = {"write"}
    pen.poll(pen._now_ms + 1_000, False)
    assert news(pen) == [(E.RECORD_NOT_STORED, n.KIND_SETTINGS, n.WRITE_FAILED, 0)] and pen._settings_ms == -1
    assert pen._files.depth == 0
    assert pen.warnings & S.WARN_SETTINGS_DEFAULTED, "no copy is sound"


def test_each_refused_copy_that_is_set_aside_is_told() -> None:
    pen = quiet(booted(sound(settings=b"x" * 40)))
    told = (E.RECORD_SET_ASIDE, n.KIND_SETTINGS, 1, 0)
    for count, rate_hz in enumerate((120, 125)):
        pen.change(rate_hz=rate_hz)
        assert pen.flush() is None
        pen.poll(pen._now_ms + 1_000, False)
        assert events(pen).count(told) == count
    pen._files.refused = {"write"}
    pen.change(rate_hz=130)
    pen.flush()
    pen.poll(pen._now_ms + 1_000, False)
    pen._files.refused = set()
    pen.change(rate_hz=135)
    pen.flush()
    pen.poll(pen._now_ms + 1_000, False)
    assert events(pen).count(told) == 2 and booted(pen._files).settings.rate_hz == 135


# ---------------------------------------------------------------------- counters
def test_runs_sessions_and_heat_are_counted_up_to_what_fits() -> None:
    pen = quiet(booted())
    for changed in (lambda: pen.count_run(5, 999), pen.count_session, lambda: pen.keep_heat(7, 8)):
        pen._counters_changed = False
        changed()
        assert pen._counters_changed and pen.busy
    pen.count_run(6, 1_002)
    c = pen.counters
    assert (c.strokes, c.run_s, pen._run_ms, c.sessions, c.winding_ck, c.housing_ck) == (11, 2, 1, 1, 7, 8)
    most = 0xFFFF_FFFF
    c.strokes, c.run_s, c.sessions = most - 1, most - 1, most - 1
    pen.count_run(1, 999)
    pen.count_session()
    assert (c.strokes, c.run_s, c.sessions) == (most, most, most)
    pen.count_run(1, 1_000)
    pen.count_session()
    assert (c.strokes, c.run_s, c.sessions) == (most, most, most)


def test_counters_are_written_once_after_a_run() -> None:
    pen = quiet(booted())
    pen.count_run(5, 1_000)
    for _ in range(3):
        pen.poll(pen._now_ms + 100, False)
    assert pen._files.calls == [("write", "/data/counters.a")] and not pen.busy and pen._files.depth == 0
    assert booted(pen._files).counters.strokes == 5


def test_a_run_that_uses_up_the_calibration_blocks_at_once() -> None:
    pen = quiet(booted())
    pen.count_run(1, 1_000 * 250 * 3_600 - 1)
    assert not pen.blockers and pen.warnings & S.WARN_CALIBRATION_DUE
    pen.count_run(1, 1)
    assert pen.blockers == S.BLOCK_CALIBRATION_EXPIRED and not pen.warnings & S.WARN_CALIBRATION_DUE
    lost = booted(sound(counters=counted(hours_unknown=True)))
    assert lost.blockers == S.BLOCK_CALIBRATION_EXPIRED, "nobody knows for how long it was used"


# ---------------------------------------------------------------------- writing
def test_one_thing_is_written_in_a_pass_events_first() -> None:
    pen = quiet(booted())
    pen.change(rate_hz=120)
    pen.count_run(1, 1)
    pen.log.add(E.RATE_SET, 1)
    pen.log.uptime_ms += 1_000
    for call in (("append", JOURNAL), ("write", "/data/counters.a"), ("write", "/data/settings.b")):
        begun = pen._files.begun
        pen.poll(pen._now_ms, False)
        assert pen._files.calls.pop() == call and not pen._files.calls
        assert pen._files.begun == begun + 1 and pen._files.depth == 0, "the watchdog waits for each write"


def test_nothing_is_written_while_awake_or_without_permission() -> None:
    pen = quiet(booted())
    pen.log.add(E.RATE_SET, 1)
    pen.poll(pen._now_ms + 100, True)
    pen._files.may_write = False
    assert not pen.keep_watch()
    pen.poll(pen._now_ms + 100, False)
    assert pen.flush() == "the motor may turn: nothing is written" and not pen._files.calls
    pen._files.may_write = True
    assert pen.keep_watch() and pen.flush() is None
    assert pen._files.calls == [("append", JOURNAL)] and pen.flush() is None and not pen.log.pending


def test_a_flush_stores_all_that_waits() -> None:
    pen = quiet(booted())
    for k in range(20):
        pen.log.add(E.RATE_SET, k)
    assert pen.flush() is None and pen.log.pending == 0


def test_the_journal_is_moved_two_quiet_seconds_after_the_last_event() -> None:
    pen = quiet(booted())
    for k in range(8):
        pen.log.add(E.RATE_SET, k)
    assert pen.flush() is None and pen.log.untidy and not pen.busy
    begun_ms = pen._now_ms
    pen._files.calls.clear()
    pen.poll(begun_ms + 1_999, False)
    assert not pen._files.calls and not pen.busy
    pen.poll(begun_ms + 2_000, False)
    assert pen._files.calls == [("append", "/log/000001")] and not pen.log.untidy


def test_a_flash_that_fails_is_tried_again_every_two_seconds() -> None:
    pen = quiet(booted())
    pen._files.refused = {"append"}
    pen.log.add(E.RATE_SET, 1)
    begun_ms = pen._now_ms + 100
    pen.poll(begun_ms, False)
    assert (
        pen.fault == faults.STORE and pen.blockers == S.BLOCK_STORE and not pen.busy and pen._files.depth == 0
    )
    begun = pen._files.begun
    pen.poll(begun_ms + 1_999, False)
    assert pen._files.begun == begun and not pen.busy
    pen.poll(begun_ms + 2_000, False)
    assert pen._files.begun == begun + 1 and pen.fault == faults.STORE
    pen._files.refused = set()
    pen.poll(begun_ms + 3_999, False)
    assert pen.fault == faults.STORE
    pen.poll(begun_ms + 4_000, False)
    assert pen.fault == faults.NONE and pen.blockers == 0 and not pen.log.pending


def test_a_failed_move_of_the_journal_is_tried_again_without_an_event() -> None:
    pen = quiet(booted())
    for k in range(8):
        pen.log.add(E.RATE_SET, k)
    assert pen.flush() is None
    pen._files.refused = {"append"}
    pen.poll(pen._now_ms + 2_000, False)
    assert pen.fault == faults.STORE
    pen._files.refused = set()
    pen.poll(pen._now_ms + 2_000, False)
    assert pen.fault == faults.NONE and not pen.log.untidy


def test_a_flush_that_fails_says_so_at_once() -> None:
    pen = quiet(booted())
    pen.log.add(E.RATE_SET, 1)
    pen._files.refused = {"append"}
    assert pen.flush() == "could not be written"
    assert pen.fault == faults.STORE and pen.blockers == S.BLOCK_STORE and pen.log.pending == 1


def test_a_blocked_write_is_told_and_recovered() -> None:
    pen = quiet(booted())
    pen._files.blocked = 3
    assert pen.busy
    pen.poll(pen._now_ms + 100, False)
    assert pen._files.calls == [("recover", "")] and pen._files.blocked == 0
    assert news(pen) == [(E.WRITE_BLOCKED, 3, 0, 0)] and pen.fault == faults.NONE
    pen._files.blocked, pen._files.refused = 1, {"recover"}
    pen.poll(pen._now_ms + 100, False)
    assert pen.fault == faults.STORE


def test_events_that_were_lost_are_a_warning_until_the_gap_is_stored() -> None:
    pen = quiet(booted())
    for k in range(33):
        pen.log.add(E.RATE_SET, k)
    pen._judge()
    assert pen.warnings & S.WARN_LOG_GAP
    quiet(pen)
    assert not pen.warnings & S.WARN_LOG_GAP
