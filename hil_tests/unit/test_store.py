"""The store as the program uses it: event log, settings, counters and calibration, on a file system in memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from support.flash import FLASH, UNIQUE_ID, RecordedFlash, files, settle, store

from needlepen import board, events, provision, requirements, supervision
from needlepen.build import app_image
from needlepen.errors import UsageError
from needlepen.firmware_modules import firmware_module
from needlepen.records import making, read_log
from needlepen.records.image_files import ImageFiles
from needlepen.records.log import Gap, decode, gaps

numbers = firmware_module("pen.store.numbers")
logs = firmware_module("pen.store.log")
calibration_records = firmware_module("pen.calibration_records")
QUIET_MS = firmware_module("pen.store.store")._QUIET_MS
envelope = firmware_module("pen.store.envelope")
E = firmware_module("pen.events")
S = firmware_module("pen.states")
faults = firmware_module("pen.faults")
LIMIT = requirements.load().limit
DAY = date(2026, 1, 15)
KEYS = making.development_keys(UNIQUE_ID)
SIGNING = making.technician_key(KEYS.pen)


def _provisioned(**options: Any) -> RecordedFlash:
    """The flash of a pen from the bench, without its application."""
    empty = RecordedFlash()
    return RecordedFlash(provision.provisioned(bytes(empty.buffer), board.load(), UNIQUE_ID, **options))


def _log(flash: RecordedFlash) -> list[Any]:
    return read_log(files(flash), UNIQUE_ID)


def _damage(flash: RecordedFlash, path: str, bit: int) -> None:
    target = files(flash)
    data = bytearray(target.read(path) or b"")
    data[bit // 8] ^= 1 << bit % 8
    target.write(path, bytes(data))


# ---------------------------------------------------------------------- event log
def test_events_are_stored_in_order_with_number_boot_time_and_state() -> None:
    flash = _provisioned()
    pen = store(flash)
    settle(pen)
    pen.log.state = S.IDLE
    pen.poll(5_000, False)
    for rate_hz in (60, 65):
        pen.log.add(E.RATE_SET, rate_hz, 1)
        settle(pen)
    assert pen.set_time(820_000_000) is None
    settle(pen)
    seen = [(e.sequence, e.boot, e.name, e.state, e.values[0]) for e in _log(flash)]
    assert seen == [
        (1, 1, "BOOT", "boot", 1), (2, 1, "RATE_SET", "idle", 60), (3, 1, "RATE_SET", "idle", 65),
        (4, 1, "TIME_SET", "idle", 0),
    ]  # fmt: skip
    last = _log(flash)[-1]
    assert last.date is not None and last.date.year == 2025 and last.uptime_ms > 5_000
    assert _log(flash)[1].text == "stroke rate set to 60 Hz" and _log(flash)[1].date is None


def test_the_ring_never_holds_fewer_events_than_required_once_it_is_full() -> None:
    """Counted whenever the oldest segment goes, over two rounds of the ring and two boots."""
    flash = _provisioned()
    fewest, removals, now_ms = 1 << 30, 0, 0
    for _ in range(2):
        pen = store(flash)
        oldest = ""
        for k in range(2_600):
            pen.log.add(E.RATE_SET, k)
            now_ms += 10
            while pen.log.pending > k % 3 or pen.log.untidy:
                now_ms += 0 if pen.busy else QUIET_MS
                pen.poll(now_ms, False)
            names = [name for name in files(flash).names("/log") if name.isdigit()] if k % 8 == 0 else []
            if names and names[0] != oldest:
                removals += bool(oldest)
                oldest = names[0]
                fewest = min(fewest, len(pen.log.read(0, 1 << 20)) if removals else fewest)
        settle(pen)
    seen = _log(flash)
    assert removals > 10 and fewest >= int(LIMIT("SR-28", "events")) and seen[-1].values[0] == 2_599
    assert all(g.at_boot for g in gaps(seen)) and len(files(flash).names("/log")) <= logs.SEGMENTS_KEPT + 1


def test_a_missing_number_shows_as_a_gap_and_a_boot_leaves_out_exactly_one() -> None:
    flash = _provisioned()
    for _ in range(3):
        pen = store(flash)
        pen.log.add(E.PROFILE_SELECTED)
        settle(pen)
    assert gaps(_log(flash)) == [Gap(3, 1, True), Gap(6, 1, True)]
    without = [e for e in _log(flash) if e.sequence not in (5, 7)]
    assert [g.count for g in gaps(without) if not g.at_boot] == [3]


def test_the_queue_is_bounded_drops_the_oldest_and_says_so() -> None:
    flash = _provisioned()
    pen = store(flash)
    settle(pen)
    surplus = 9
    for k in range(logs.QUEUE_EVENTS + surplus):
        pen.log.add(E.RATE_SET, k)
        assert pen.log.pending <= logs.QUEUE_EVENTS
    pen.poll(10_000, True)
    assert pen.log.lost == surplus, "nothing is written while the drive is awake"
    settle(pen)
    seen = _log(flash)
    lost = [e for e in seen if e.name == "LOG_GAP"]
    assert [e.values[:2] for e in lost] == [(surplus, 2)]
    assert [g for g in gaps(seen) if not g.at_boot or g.count > 1] == [Gap(2, surplus, False)]
    assert [e.values[0] for e in seen if e.name == "RATE_SET"] == list(
        range(surplus, surplus + logs.QUEUE_EVENTS)
    )
    assert pen.warnings & S.WARN_LOG_GAP == 0


def test_a_run_is_one_record_that_holds_what_happened_in_it() -> None:
    flash = _provisioned()
    pen = store(flash)
    settle(pen)
    pen.log.begin_run()
    pen.log.add(E.RATE_SET, 120)
    pen.log.add(E.WARNING, S.WARN_NOSE_WARM)
    pen.log.add(E.WARNING, S.WARN_UNDERSPEED)
    assert pen.log.pending == 0
    pen.log.end_run(E.FAULT, faults.STALL, 12_345, 1_234)
    assert pen.log.pending == 1
    settle(pen)
    text = _log(flash)[-1].text
    for part in ("stall", "12.3 s", "1234 strokes", "rate_set", "nose_warm", "underspeed"):
        assert part in text, text


def test_codes_that_happen_in_a_run_fit_into_its_record() -> None:
    """And no warning that may begin in a run has a bit beyond the 12 of the record."""
    beyond = {name for name, w in supervision.load().warnings.items() if w.bit >= 12}
    assert beyond == {"CHECK_DUE"}, "it comes with a date or a check, and both are events of their own"
    assert all(e.number != 0 for e in events.load().values())


def test_arming_is_stored_so_that_the_next_boot_knows_of_it() -> None:
    flash = _provisioned()
    pen = store(flash)
    settle(pen)
    pen.log.state = S.ARMED
    settle(pen)
    settle(pen)
    names = [e.name for e in _log(flash)]
    assert names.count("ARMED") == 1
    store_again = store(flash)
    settle(store_again)
    assert store_again.log.was_armed and _log(flash)[-1].values[1] == 1


def test_a_power_cut_between_journal_and_segment_doubles_nothing() -> None:
    """The journal is moved, then the power goes before it is replaced: both hold the events."""
    flash = _provisioned()
    pen = store(flash)
    for k in range(10):
        pen.log.add(E.RATE_SET, k)
    settle(pen)
    assert len(files(flash).names("/log")) == 2 and not pen.log.untidy
    for boot in range(2):
        again = store(flash)
        settle(again)
        sequences = [e.sequence for e in _log(flash)]
        assert sequences == sorted(set(sequences)), boot
    assert [e.values[0] for e in _log(flash) if e.name == "RATE_SET"] == list(range(10))


@pytest.mark.parametrize("where", ["/log/journal", "/log/000001"])
def test_each_bit_of_a_stored_log_may_flip_and_only_its_own_event_goes(where: str) -> None:
    flash = _provisioned()
    pen = store(flash)
    for k in range(12 if where != "/log/journal" else 5):
        pen.log.add(E.RATE_SET, k)
        pen.flush()
    if where != "/log/journal":
        settle(pen)
        pen.log.add(E.PROFILE_SELECTED)
    settle(pen)
    content = bytes(flash.buffer)
    whole = [e.sequence for e in _log(flash)]
    size = len(files(flash).read(where) or b"")
    first = int.from_bytes((files(flash).read(where) or b"")[:4], "little")
    for bit in range(0, 8 * size, 1 if where == "/log/journal" else 7):
        hurt = RecordedFlash(content)
        _damage(hurt, where, bit)
        again = store(hurt)
        settle(again)
        seen = _log(hurt)
        expected = [s for s in whole if s != first + bit // 256]
        assert [e.sequence for e in seen if e.boot == 1] == expected, bit
        aside = [e for e in seen if e.name == "LOG_SEGMENT_SET_ASIDE"]
        assert len(aside) == 1 and aside[0].values[2] == 1 and again.warnings & S.WARN_LOG_GAP
        assert any(name.endswith(".bad") for name in files(hurt).names("/log"))


@pytest.mark.parametrize("where", ["/log/journal", "/log/000001"])
def test_each_truncation_of_a_log_file_keeps_the_events_before_it(where: str) -> None:
    flash = _provisioned()
    pen = store(flash)
    for k in range(12 if where != "/log/journal" else 5):
        pen.log.add(E.RATE_SET, k)
        pen.flush()
    settle(pen)
    content, data = bytes(flash.buffer), files(flash).read(where) or b""
    for length in range(0, len(data), 5):
        hurt = RecordedFlash(content)
        if where != "/log/journal":
            files(hurt).write("/log/journal", b"")
        files(hurt).write(where, data[:length])
        settle(store(hurt))
        assert [e.sequence for e in _log(hurt) if e.boot == 1][: length // 32] == list(
            range(1, 1 + length // 32)
        )
        kept = any(name.endswith(".bad") for name in files(hurt).names("/log"))
        assert kept == (length % 32 != 0)


def test_at_most_four_damaged_log_files_are_kept() -> None:
    flash = _provisioned()
    for _ in range(7):
        pen = store(flash)
        for k in range(9):
            pen.log.add(E.RATE_SET, k)
        settle(pen)
        _damage(flash, f"/log/{max(n for n in files(flash).names('/log') if n.isdigit())}", 100)
    settle(store(flash))
    assert len([n for n in files(flash).names("/log") if n.endswith(".bad")]) == 4


def test_a_log_of_another_pen_is_kept_aside_and_a_new_one_begins() -> None:
    flash = _provisioned()
    pen = store(flash)
    pen.log.add(E.RATE_SET, 77)
    settle(pen)
    stranger = store(flash, bytes(8))
    settle(stranger)
    assert "000000.bad" in files(flash).names("/log")
    assert read_log(files(flash), bytes(8))[0].name == "BOOT"


def test_events_are_read_back_from_any_number_on() -> None:
    flash = _provisioned()
    pen = store(flash)
    for k in range(400):
        pen.log.add(E.RATE_SET, k)
        pen.poll(10 * k, False)
    settle(pen)
    for first in (0, 1, 2, 119, 121, 250, 395, 401, pen.log.last_sequence, 5_000):
        raw = pen.log.read(first, 2)
        expected = [s for s in range(max(first, 1), max(first, 1) + 2) if s <= pen.log.last_sequence]
        assert [e.sequence for e in decode(raw, UNIQUE_ID)] == expected


def test_events_of_newer_firmware_are_shown_with_their_number() -> None:
    raw = firmware_module("pen.store.event").pack(UNIQUE_ID, 1, 2, 0, 1, 250, 3, (1, 2, 3))
    assert "event 250" in decode([raw], UNIQUE_ID)[0].text


def test_a_flash_that_fails_is_a_fault_and_no_event_is_dropped_by_it() -> None:
    flash = _provisioned()
    pen = store(flash)
    settle(pen)

    tries: list[object] = []

    def fails(*what: object) -> None:
        tries.append(what)
        raise OSError(5, "the flash does not take it")

    sound = pen._files.write, pen._files.append
    pen._files.write = pen._files.append = fails
    pen.log.add(E.PROFILE_SELECTED)
    pen.poll(10_000, False)
    assert pen.fault == faults.STORE and pen.blockers & S.BLOCK_STORE and pen.log.pending == 1
    assert pen.flush() == "could not be written"
    assert not pen.busy, "it would be tried in each pass of the main loop"
    tries.clear()
    for k in range(40):
        pen.poll(10_100 + 100 * k, False)
    assert len(tries) == 2
    pen._files.write, pen._files.append = sound
    settle(pen)
    assert pen.fault == faults.NONE and not pen.blockers & S.BLOCK_STORE
    assert _log(flash)[-1].name == "PROFILE_SELECTED"


def test_a_log_that_cannot_be_read_at_boot_is_not_overwritten() -> None:
    flash = _provisioned()
    pen = store(flash)
    pen.log.add(E.PROFILE_SELECTED)
    settle(pen)
    target = files(flash)
    sound = target.read

    def fails(path: str, size: int = -1) -> bytes | None:
        if path.startswith("/log"):
            raise OSError(5, "the flash does not give it")
        return sound(path, size)

    target.read = fails  # type: ignore[method-assign]
    blind = firmware_module("pen.store.store").Store(target, UNIQUE_ID)
    blind.boot(1)
    for k in range(60):
        blind.poll(100 * k, False)
    assert blind.fault == faults.STORE and blind.blockers & S.BLOCK_STORE
    assert blind.flush() == "could not be written"
    assert [e.name for e in _log(flash)] == ["BOOT", "PROFILE_SELECTED"]
    settle(store(flash))
    assert _log(flash)[-1].name == "BOOT"


def test_nothing_is_written_while_the_drive_is_awake_or_writing_is_not_allowed() -> None:
    flash = _provisioned()
    pen = store(flash)
    settle(pen)
    flash.record()
    pen.log.add(E.RATE_SET, 1)
    pen.change(rate_hz=120)
    pen.count_run(100, 1_000)
    for k in range(40):
        pen.poll(10_000 + 100 * k, True)
    pen._files.may_write = False
    for k in range(40):
        pen.poll(20_000 + 100 * k, False)
    assert pen.flush() == "the motor may turn: nothing is written"
    assert not flash.operations and pen.busy
    pen._files.may_write = True
    settle(pen)
    assert flash.operations


# ---------------------------------------------------------------------- settings and counters
def test_settings_survive_and_a_series_of_presses_is_one_write() -> None:
    flash = _provisioned()
    pen = store(flash)
    settle(pen)
    pen.poll(10_000, False)
    for k, depth_um in enumerate(range(50, 1_050, 50)):
        assert pen.change(depth_um=depth_um) is None
        pen.poll(10_000 + 45 * k, False)
    settle(pen)
    assert [e.name for e in _log(flash)].count("SETTINGS_CHANGED") == 1
    assert store(flash).settings.depth_um == 1_000


def test_a_change_the_pen_cannot_have_is_refused_and_changes_nothing() -> None:
    pen = store(_provisioned())
    settle(pen)
    assert pen.change(rate_hz=500) == "holds a value that the pen cannot have"
    assert pen.settings.rate_hz == 100 and not pen.busy


@pytest.mark.parametrize("kind", ["settings", "counters", "calibration", "keys"])
@pytest.mark.parametrize("damage", ["bit", "foreign", "newer"])
def test_a_refused_record_is_reported_kept_and_answered_with_safe_defaults(kind: str, damage: str) -> None:
    flash = _provisioned()
    pen = store(flash)
    pen.change(rate_hz=140, depth_um=500)
    settle(pen)
    settle(pen)
    pen._settings_ms = 0
    settle(pen)
    number = getattr(numbers, f"KIND_{kind.upper()}")
    bad = {}
    for copy in "ab":
        path = f"/data/{kind}.{copy}"
        if damage == "bit":
            _damage(flash, path, 173)
        else:
            identity = bytes(8) if damage == "foreign" else UNIQUE_ID
            current = getattr(numbers, f"{kind.upper()}_FORMAT")
            version = current if damage == "foreign" else current + 1
            files(flash).write(path, envelope.pack(number, version, 9, identity, b"whatever it holds"))
        bad[path] = files(flash).read(path)
    again = store(flash)
    settle(again)
    refused = [e for e in _log(flash) if e.name == "RECORD_REFUSED" and e.boot == 2]
    reason = {"bit": "damaged", "foreign": "another pen", "newer": "newer firmware"}[damage]
    assert len([e for e in refused if kind in e.text and reason in e.text]) == 2
    kept = files(flash)
    for path, data in bad.items():
        assert data in (kept.read(path), kept.read(path + ".bad")), f"{path} is gone"
    if kind == "settings":
        assert (again.settings.rate_hz, again.settings.depth_um) == (100, 0)
        assert again.warnings & S.WARN_SETTINGS_DEFAULTED
    elif kind == "counters":
        assert again.blockers & S.BLOCK_CALIBRATION_EXPIRED, "nobody knows how long the calibration was used"
        assert again.log.boot == 2, "the log still knows"
    elif kind == "calibration":
        assert again.calibration is None and again.blockers & S.BLOCK_CALIBRATION_REFUSED
    else:
        assert again.blockers & S.BLOCK_KEYS_MISSING and again.blockers & S.BLOCK_CALIBRATION_REFUSED


def test_counters_grow_with_runs_and_keep_parts_of_a_second() -> None:
    flash = _provisioned()
    pen = store(flash)
    for k in range(5):
        pen.count_run(150, 1_500)
        pen.poll(1_000 * (k + 1), False)
    pen.count_session()
    pen.keep_heat(4_000, 99_999)
    settle(pen)
    c = store(flash).counters
    assert (c.strokes, c.run_s, c.sessions, c.winding_ck, c.housing_ck) == (750, 7, 1, 4_000, 0xFFFF)


# ---------------------------------------------------------------------- calibration
def _record(points: list[tuple[int, int]] | None = None, **options: Any) -> bytes:
    made = making.calibration(points or [(0, 20), (2500, 2450)], day=DAY, **options)
    return making.calibration_record(made, SIGNING, UNIQUE_ID)


def test_a_calibration_from_the_host_is_checked_written_twice_and_used_at_once() -> None:
    flash = _provisioned(calibration=None)
    pen = store(flash)
    settle(pen)
    assert pen.calibration is None and pen.blockers == S.BLOCK_CALIBRATION_MISSING
    assert calibration_records.accept(pen, _record()) is None
    assert pen.calibration.points == ((0, 20), (2500, 2450)) and pen.blockers == 0
    copies = {files(flash).read(f"/data/calibration.{copy}") is not None for copy in "ab"}
    assert copies == {True}
    settle(pen)
    assert store(flash).calibration.points == pen.calibration.points
    assert _log(flash)[-1].name == "CALIBRATION_CHANGED"


def test_each_changed_byte_of_a_calibration_is_refused_and_the_old_one_stays() -> None:
    flash = _provisioned()
    pen = store(flash)
    settle(pen)
    data = _record()
    flash.record()
    for place in range(len(data)):
        for change in (0x01, 0x80, 0xFF):
            bad = data[:place] + bytes([data[place] ^ change]) + data[place + 1 :]
            refused = calibration_records.accept(pen, bad)
            assert refused and len(refused) <= 48, place
    for length in range(len(data)):
        assert calibration_records.accept(pen, data[:length])
    other = making.technician_key(making.development_keys(bytes(8)).pen)
    made = making.calibration([(0, 20), (2500, 2450)], day=DAY)
    foreign = making.calibration_record(made, other, bytes(8))
    assert calibration_records.accept(pen, foreign) == "belongs to another pen"
    forged = making.calibration_record(made, other, UNIQUE_ID)
    assert calibration_records.accept(pen, forged) == "not signed with this pen's key"
    assert not flash.operations, "something was written"
    assert pen.calibration.points[-1] == (2500, 2500)


def test_no_calibration_is_written_while_the_motor_may_turn_or_without_a_key() -> None:
    pen = store(_provisioned())
    pen._files.may_write = False
    assert calibration_records.accept(pen, _record()) == "the motor may turn: nothing is written"
    assert (
        calibration_records.accept(store(_provisioned(keys=None)), _record())
        == "the pen has no key to check it"
    )


def test_published_keys_count_only_in_a_development_build() -> None:
    flash = _provisioned()
    production = firmware_module("pen.store.store").Store(files(flash), UNIQUE_ID, False)
    production.boot(1)
    assert production.keys is None and production.blockers & S.BLOCK_KEYS_MISSING
    assert production.blockers & S.BLOCK_CALIBRATION_REFUSED


def test_a_lost_counter_is_made_good_by_a_new_calibration() -> None:
    flash = _provisioned(counters=None)
    pen = store(flash)
    assert pen.blockers & S.BLOCK_CALIBRATION_EXPIRED
    assert calibration_records.accept(pen, _record(run_s=500_000)) is None
    assert pen.blockers == 0 and pen.counters.run_s == 500_000
    settle(pen)
    assert store(flash).blockers == 0


# ---------------------------------------------------------------------- image and tables
def test_a_provisioned_image_keeps_the_application_and_is_the_same_each_time() -> None:
    described = board.load()
    image = app_image(described).image
    first = provision.provisioned(image, described, UNIQUE_ID, files={"/note": b"kept"})
    again = provision.provisioned(image, described, UNIQUE_ID, files={"/note": b"kept"})
    assert first == again and len(first) == len(image)
    assert provision.provisioned(image, described, bytes(8)) != first
    target = ImageFiles(RecordedFlash(first), FLASH)
    assert target.read("/main.py") and target.read("/note") == b"kept"
    assert target.names("/data") == [f"{kind}.{copy}" for kind, copy in itertools.product(
        ("calibration", "counters", "keys"), "ab")]  # fmt: skip


def test_an_image_that_holds_no_file_system_is_refused_and_left_as_it_is() -> None:
    garbage = RecordedFlash(bytes(FLASH.filesystem_bytes))
    with pytest.raises(UsageError, match="left as it is"):
        files(garbage)
    assert not any(garbage.buffer)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace("number = 2\n", "number = 1\n"), "given to two events"),
        (lambda t: t.replace("{rate_hz} Hz", "{speed} Hz"), "none of its values"),
        (lambda t: t.replace("number = 4\n", "number = 256\n"), "255"),
        (lambda t: t + "]", "not valid TOML"),
    ],
)
def test_a_wrong_event_table_is_refused_with_one_line(
    tmp_path: Any, change: Callable[[str], str], message: str
) -> None:
    from needlepen import paths

    (tmp_path / events.FILE).write_text(change((paths.firmware_dir() / events.FILE).read_text()))
    with pytest.raises(UsageError, match=message) as caught:
        events.load(tmp_path)
    assert "\n" not in str(caught.value)
