"""Records in flash: whole and genuine ones are read, everything else is refused with a reason; nothing is erased."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import struct
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st
from support.flash import UNIQUE_ID, RecordedFlash, files

from needlepen.errors import Refused, UsageError
from needlepen.firmware_modules import firmware_module
from needlepen.records import making
from needlepen.records.calibration import ACCEPTED, WITHDRAWN, unpack as unpack_calibration

numbers = firmware_module("pen.store.numbers")
envelope = firmware_module("pen.store.envelope")
pair = firmware_module("pen.store.pair")
auth = firmware_module("pen.store.auth")
keys = firmware_module("pen.store.keys")
settings = firmware_module("pen.store.settings")
counters = firmware_module("pen.store.counters")
calibrations = firmware_module("pen.store.calibration")
event = firmware_module("pen.store.event")
dates = firmware_module("pen.store.dates")
reason_texts = firmware_module("pen.store.reason_texts")

OTHER_ID = bytes.fromhex("e660000000000002")
DAY = date(2026, 1, 15)
KEYS = making.development_keys(UNIQUE_ID)
SIGNING = making.technician_key(KEYS.pen)
CALIBRATION = making.calibration(
    [(0, 10), (1000, 1030), (2500, 2480)], day=DAY, gauge="dial 7", operator="A. B."
)

# kind: (number, format, sound payload, how it is taken apart)
KINDS: dict[str, tuple[int, int, bytes, Callable[[bytes], tuple[int, Any]]]] = {
    "settings": (
        numbers.KIND_SETTINGS, numbers.SETTINGS_FORMAT, settings.Settings(120, 1_250, 1, "cheek").pack(),
        settings.unpack,
    ),
    "counters": (
        numbers.KIND_COUNTERS, numbers.COUNTERS_FORMAT,
        counters.Counters(7, 123_456, 3_600, 3, 4_200, 300, False).pack(), counters.unpack,
    ),
    "calibration": (
        numbers.KIND_CALIBRATION, numbers.CALIBRATION_FORMAT, CALIBRATION.pack(SIGNING, UNIQUE_ID),
        lambda payload: unpack_calibration(payload, SIGNING, UNIQUE_ID),
    ),
    "check": (
        numbers.KIND_CHECK, numbers.CHECK_FORMAT, struct.pack(calibrations.CHECK, 9_511, -35, 1),
        calibrations.unpack_check,
    ),
    "keys": (numbers.KIND_KEYS, numbers.KEYS_FORMAT, KEYS.pack(), lambda payload: keys.unpack(payload, True)),
}  # fmt: skip


def _record(kind: str, unique_id: bytes = UNIQUE_ID, version: int | None = None) -> bytes:
    number, current, payload, _ = KINDS[kind]
    packed: bytes = envelope.pack(number, current if version is None else version, 41, unique_id, payload)
    return packed


def _reason(kind: str, data: bytes | None) -> int:
    """Why the pen refuses these bytes as a record of that kind; OK if it takes them."""
    number, version, _, unpack = KINDS[kind]
    reason, _, payload = envelope.parse(data, number, version, UNIQUE_ID)
    if payload is not None:
        reason, record = unpack(payload)
        assert (record is None) == (reason != numbers.OK)
    return int(reason)


def _flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


# ---------------------------------------------------------------------- one record
@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_record_is_read_as_it_was_written(kind: str) -> None:
    number, version, payload, unpack = KINDS[kind]
    assert envelope.parse(_record(kind), number, version, UNIQUE_ID) == (numbers.OK, 41, payload)
    reason, record = unpack(payload)
    assert reason == numbers.OK
    if kind == "check":
        assert struct.pack(calibrations.CHECK, *record) == payload
    else:
        assert record.pack(*((SIGNING, UNIQUE_ID) if kind == "calibration" else ())) == payload


@pytest.mark.parametrize("kind", KINDS)
def test_every_flipped_bit_of_a_record_is_refused_with_a_reason(kind: str) -> None:
    data = _record(kind)
    for bit in range(8 * len(data)):
        reason = _reason(kind, _flipped(data, bit))
        assert reason != numbers.OK, f"bit {bit} of {len(data)} bytes"
        assert reason != numbers.NEWER_FORMAT, f"bit {bit} looks like newer firmware"
        assert 0 < len(reason_texts.text(reason)) <= 48


@pytest.mark.parametrize("kind", KINDS)
def test_every_truncated_or_lengthened_record_is_refused(kind: str) -> None:
    data = _record(kind)
    for length in range(len(data)):
        assert _reason(kind, data[:length]) in (numbers.EMPTY, numbers.TRUNCATED), length
    for surplus in (1, 4, 24, 256):
        assert _reason(kind, data + bytes(surplus)) == numbers.TOO_LONG


@pytest.mark.parametrize("kind", KINDS)
def test_foreign_newer_wrong_and_missing_records_are_told_apart(kind: str) -> None:
    version = KINDS[kind][1]
    assert _reason(kind, _record(kind, OTHER_ID)) == numbers.FOREIGN
    assert _reason(kind, _record(kind, version=version + 1)) == numbers.NEWER_FORMAT
    assert _reason(kind, _record(kind, version=0)) == numbers.UNKNOWN_FORMAT
    assert _reason(kind, None) == numbers.MISSING
    other = next(k for k in KINDS if k != kind)
    assert _reason(kind, _record(other)) == numbers.WRONG_KIND
    assert _reason(kind, b"\xff" * 64) == numbers.NOT_A_RECORD
    assert _reason(kind, bytes(64)) == numbers.NOT_A_RECORD


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.binary(max_size=300))
def test_no_other_payload_crashes_the_pen(kind: str, data: bytes) -> None:
    """Also with a right checksum: a payload from a faulty host."""
    number, version, _, _ = KINDS[kind]
    _reason(kind, envelope.pack(number, version, 1, UNIQUE_ID, data))


def test_every_reason_has_a_text_that_fits_into_an_answer() -> None:
    values = [v for k, v in vars(numbers).items() if k.isupper() and isinstance(v, int)]
    first, last = numbers.MISSING, numbers.WITHDRAWN
    texts = [reason_texts.text(number) for number in range(first, last + 1)]
    assert last == max(values[values.index(numbers.OK) :]) and len(set(texts)) == len(texts)
    assert all(0 < len(text.encode()) <= 48 and not text.startswith("reason") for text in texts)
    assert reason_texts.text(200) == "reason 200" and reason_texts.text(numbers.OK) == ""


@pytest.mark.parametrize(
    "changes",
    [{"rate_hz": 45}, {"rate_hz": 155}, {"rate_hz": 52}, {"depth_um": 2_550}, {"depth_um": 1_010},
     {"depth_um": -50}, {"volume": 4}, {"volume": -1}, {"profile": "seventeen letters"}, {"profile": "naïve"}],
    ids=str,
)  # fmt: skip
def test_settings_that_the_pen_cannot_have_are_refused(changes: dict[str, Any]) -> None:
    assert settings.Settings(**changes).check() == numbers.OUT_OF_RANGE
    assert settings.Settings().check() == numbers.OK


def test_stored_settings_out_of_range_are_refused_whole() -> None:
    for payload in (struct.pack("<HHB16s", 160, 0, 1, b""), struct.pack("<HHB16s", 100, 0, 1, b"a\x07b")):
        assert settings.unpack(payload) == (numbers.OUT_OF_RANGE, None)


def test_default_settings_are_the_harmless_ones() -> None:
    default = settings.Settings()
    assert (default.rate_hz, default.depth_um, default.profile) == (100, 0, "")


# ---------------------------------------------------------------------- an event
RAW_EVENT = event.pack(UNIQUE_ID, 1234, 56_789, 820_000_000, 17, 11, 4, (120, -5, 0xFFFF_FFFF))


def test_every_flipped_bit_and_truncation_of_an_event_is_noticed() -> None:
    assert event.unpack(UNIQUE_ID, RAW_EVENT) == (1234, 56_789, 820_000_000, 17, 11, 4, 120, -5, -1)
    assert len(RAW_EVENT) == numbers.EVENT_BYTES
    for bit in range(8 * len(RAW_EVENT)):
        assert event.unpack(UNIQUE_ID, _flipped(RAW_EVENT, bit)) is None, bit
    for length in range(len(RAW_EVENT)):
        assert event.unpack(UNIQUE_ID, RAW_EVENT[:length]) is None
    assert event.unpack(OTHER_ID, RAW_EVENT) is None, "an event of another pen"


@given(
    number=st.integers(0, 255), run_ms=st.integers(0, 2**31), strokes=st.integers(0, 2**32 - 1),
    happened=st.integers(0, 2**24 - 1), warnings=st.integers(0, 2**12 - 1),
)  # fmt: skip
def test_the_record_of_a_run_holds_all_of_it(
    number: int, run_ms: int, strokes: int, happened: int, warnings: int
) -> None:
    values = event.pack_run(number, run_ms, strokes, happened, warnings)
    raw = event.pack(UNIQUE_ID, 1, 0, 0, 1, 2, 5, values)
    seen = event.unpack_run(event.unpack(UNIQUE_ID, raw)[6:])
    assert seen == (number, min(run_ms, 2**20 - 1), strokes, happened, warnings)


# ---------------------------------------------------------------------- calibration
def _signed(**changes: Any) -> bytes:
    made = making.calibration([(0, 0), (2500, 2500)], day=DAY)
    return dataclasses.replace(made, **changes).pack(SIGNING, UNIQUE_ID)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"points": ((0, 0),)}, numbers.WRONG_LENGTH),
        ({"points": tuple((100 * k, 100 * k) for k in range(17))}, numbers.WRONG_LENGTH),
        ({"points": ((0, 0), (0, 10))}, numbers.POINTS_NOT_RISING),
        ({"points": ((0, 0), (1000, 1000), (900, 1100))}, numbers.POINTS_NOT_RISING),
        ({"points": ((0, 100), (1000, 100))}, numbers.POINTS_NOT_RISING),
        ({"points": ((0, 0), (1000, 499))}, numbers.POINTS_IMPLAUSIBLE),
        ({"points": ((0, 0), (1000, 500))}, numbers.OK),
        ({"points": ((0, 0), (1000, 2000))}, numbers.OK),
        ({"points": ((0, 0), (1000, 2001))}, numbers.POINTS_IMPLAUSIBLE),
        ({"points": ((0, -501), (2500, 2500))}, numbers.OUT_OF_RANGE),
        ({"points": ((0, 0), (2500, 2601))}, numbers.OUT_OF_RANGE),
        ({"points": ((0, 0), (2500, 2600))}, numbers.OK),
        ({"points": ((0, -70), (2575, 2500))}, numbers.OK),
        ({"points": ((0, 0), (2800, 2500))}, numbers.OK),
        ({"points": ((0, 0), (2801, 2500))}, numbers.OUT_OF_RANGE),
        ({"points": ((-1, 0), (2500, 2500))}, numbers.OUT_OF_RANGE),
        ({"as_found": tuple((100 * k, 0) for k in range(16))}, numbers.OK),
        ({"as_found": tuple((100 * k, 0) for k in range(17))}, numbers.WRONG_LENGTH),
        ({"status": 0}, numbers.OUT_OF_RANGE),
        ({"status": 3}, numbers.OUT_OF_RANGE),
        ({"status": WITHDRAWN, "points": ()}, numbers.OK),
        ({"status": WITHDRAWN, "points": ((0, 0), (0, 10))}, numbers.OK),
        ({"status": WITHDRAWN, "due_day": 0}, numbers.DATES_WRONG),
        ({"hall_uv_per_mm": 319_999}, numbers.OUT_OF_RANGE),
        ({"hall_uv_per_mm": 1_280_001}, numbers.OUT_OF_RANGE),
        ({"due_day": 0}, numbers.DATES_WRONG),
        ({"due_day": 20_000}, numbers.DATES_WRONG),
    ],
    ids=str,
)
def test_an_authentic_calibration_still_has_to_be_one_of_a_depth_axis(
    changes: dict[str, Any], reason: int
) -> None:
    assert calibrations.unpack(_signed(**changes), SIGNING, UNIQUE_ID)[0] == reason


def test_a_calibration_counts_only_with_the_pens_key_and_for_the_pen() -> None:
    payload = _signed()
    assert calibrations.unpack(payload, SIGNING, UNIQUE_ID)[0] == numbers.OK
    assert calibrations.unpack(payload, bytes(32), UNIQUE_ID)[0] == numbers.NOT_AUTHENTIC
    assert calibrations.unpack(payload, SIGNING, OTHER_ID)[0] == numbers.NOT_AUTHENTIC
    assert calibrations.unpack(payload, None, UNIQUE_ID)[0] == numbers.NO_KEY


def test_every_changed_byte_of_a_signed_calibration_fails_even_with_a_right_checksum() -> None:
    payload = CALIBRATION.pack(SIGNING, UNIQUE_ID)
    for bit in range(8 * len(payload)):
        assert calibrations.unpack(_flipped(payload, bit), SIGNING, UNIQUE_ID)[0] != numbers.OK, bit


def test_a_calibration_keeps_what_the_certificate_needs() -> None:
    made = making.calibration(
        [(0, 3), (2500, 2490)], day=DAY, hall_uv_per_mm=655_000, run_s=777, temperature_dc=215, uncertainty_um=11,
        as_found=((0, 40), (2500, 2600)), firmware=b"12345678", gauge="ID-C112 1234", operator="Jörg",
        certificate="NP-260115-7F3K2Q",
    )  # fmt: skip
    back = making.read_calibration(making.calibration_record(made, SIGNING, UNIQUE_ID), SIGNING, UNIQUE_ID)
    assert (back.points, back.as_found) == (made.points, made.as_found)
    assert (back.hall_uv_per_mm, back.run_s, back.temperature_dc, back.uncertainty_um) == (
        655_000,
        777,
        215,
        11,
    )
    assert (back.firmware, back.gauge, back.operator) == (b"12345678", "ID-C112 1234", "J?rg")
    assert back.certificate == "NP-260115-7F3K2Q" and back.status == ACCEPTED
    assert back.due_day == making.day_number(date(2027, 1, 15))


def test_a_record_that_the_host_cannot_trust_is_refused_with_the_reason() -> None:
    sound = making.calibration_record(CALIBRATION, SIGNING, UNIQUE_ID)
    for record, key, unique_id, reason in (
        (sound[:-1], SIGNING, UNIQUE_ID, "cut short"),
        (_flipped(sound, 200), SIGNING, UNIQUE_ID, "damaged"),
        (sound, SIGNING, OTHER_ID, "belongs to another pen"),
        (sound, KEYS.pen, UNIQUE_ID, "not signed"),
    ):
        with pytest.raises(Refused, match=reason):
            making.read_calibration(record, key, unique_id)


def test_the_host_refuses_to_make_a_calibration_that_no_pen_would_take() -> None:
    with pytest.raises(UsageError, match="do not rise"):
        making.calibration([(0, 0), (1000, 0)], day=DAY)


# ---------------------------------------------------------------------- authentication, dates
@pytest.mark.parametrize("length", [0, 20, 63, 64, 65, 131])
def test_hmac_agrees_with_the_reference(length: int) -> None:
    key = bytes(range(length))
    for message in (b"", b"what do ya want for nothing?", bytes(1000)):
        assert auth.hmac_sha256(key, message) == hmac.new(key, message, hashlib.sha256).digest()


def test_tags_are_compared_whole() -> None:
    tag = bytes(range(32))
    assert auth.same(tag, bytes(tag)) and not auth.same(tag, tag[:-1])
    for bit in range(256):
        assert not auth.same(tag, _flipped(tag, bit))


def test_development_keys_differ_from_pen_to_pen_and_share_the_cartridge_key() -> None:
    other = making.development_keys(OTHER_ID)
    assert KEYS.development and other.pen != KEYS.pen and other.cartridge == KEYS.cartridge
    assert KEYS.cartridge == making.development_cartridge_key()


def test_every_day_of_the_century_is_counted_as_the_calendar_does() -> None:
    first = date(2000, 1, 1)
    for number in range((date(2099, 12, 31) - first).days + 1):
        day = first + timedelta(days=number)
        assert dates.civil(number) == (day.year, day.month, day.day)
        assert dates.day_number(day.year, day.month, day.day) == number


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        (date(2026, 1, 15), 12, date(2027, 1, 15)),
        (date(2026, 1, 15), 15, date(2027, 4, 15)),
        (date(2026, 11, 30), 15, date(2028, 2, 29)),
        (date(2025, 11, 30), 15, date(2027, 2, 28)),
        (date(2024, 2, 29), 12, date(2025, 2, 28)),
        (date(2026, 12, 31), 12, date(2027, 12, 31)),
    ],
)
def test_months_end_on_the_same_day_or_the_last_of_the_month(day: date, months: int, later: date) -> None:
    assert dates.months_later(making.day_number(day), months) == making.day_number(later)


# ---------------------------------------------------------------------- two copies
def _pair(flash: RecordedFlash, version: int = 1, unique_id: bytes = UNIQUE_ID) -> Any:
    return pair.Pair(files(flash), numbers.KIND_SETTINGS, version, unique_id)


def test_copies_are_written_in_turn_and_the_newest_is_read() -> None:
    flash = RecordedFlash()
    writer = _pair(flash)
    assert writer.load() is None and writer.reason == numbers.MISSING
    for k in range(5):
        assert writer.save(b"%d" % k) == numbers.OK
        assert _pair(flash).load() == b"%d" % k
    contents = {files(flash).read(f"/data/settings.{copy}")[20:-4] for copy in "ab"}  # type: ignore[index]
    assert contents == {b"3", b"4"}


@pytest.mark.parametrize("copy", ["a", "b"])
@pytest.mark.parametrize("damage", ["bit", "short", "foreign", "gone"])
def test_one_bad_copy_leaves_the_other_and_is_kept_when_its_place_is_used(copy: str, damage: str) -> None:
    flash = RecordedFlash()
    assert _pair(flash).save_both(b"good") == numbers.OK
    target, path = files(flash), f"/data/settings.{copy}"
    data = target.read(path)
    assert data is not None
    bad = {
        "bit": _flipped(data, 170),
        "short": data[:-1],
        "foreign": envelope.pack(numbers.KIND_SETTINGS, 1, 9, OTHER_ID, b"evil"),
        "gone": b"",
    }[damage]
    target.write(path, bad)
    reader = _pair(flash)
    assert reader.load() == b"good" and reader.reason == numbers.OK
    assert sorted(r == numbers.OK for r in reader.reasons) == [False, True]
    assert files(flash).read(path) == bad, "reading changed it"
    assert reader.save(b"new") == numbers.OK and _pair(flash).load() == b"new"
    kept = files(flash).read(path + ".bad")
    assert kept == (None if damage == "gone" else bad)
    assert "good" in str({files(flash).read(f"/data/settings.{c}") for c in "ab"})


def test_a_copy_of_newer_firmware_is_neither_used_nor_overwritten() -> None:
    flash = RecordedFlash()
    assert _pair(flash).save(b"old") == numbers.OK
    assert _pair(flash, version=2).save(b"newer") == numbers.OK
    before = {copy: files(flash).read(f"/data/settings.{copy}") for copy in "ab"}
    reader = _pair(flash)
    assert reader.load() is None and reader.reason == numbers.NEWER_FORMAT
    assert reader.save(b"older firmware again") == numbers.NEWER_FORMAT
    assert before == {copy: files(flash).read(f"/data/settings.{copy}") for copy in "ab"}
    assert _pair(flash, version=2).load() == b"newer"


def test_two_bad_copies_give_nothing_and_say_why() -> None:
    flash = RecordedFlash()
    _pair(flash).save_both(b"good")
    target = files(flash)
    for copy in "ab":
        target.write(f"/data/settings.{copy}", _flipped(target.read(f"/data/settings.{copy}") or b"", 200))
    reader = _pair(flash)
    assert reader.load() is None and reader.reason == numbers.DAMAGED
