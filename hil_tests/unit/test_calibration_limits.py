"""SR-05 at its limits: which calibrations a pen takes, when one is due or expired, dates, counters and events."""

from __future__ import annotations

import dataclasses
import struct
import zlib
from datetime import date
from typing import Any

import pytest

from needlepen import requirements
from needlepen.firmware_modules import firmware_module
from needlepen.records import making

auth = firmware_module("pen.store.auth")
board = firmware_module("pen.board")
calibrations = firmware_module("pen.store.calibration")
counters = firmware_module("pen.store.counters")
dates = firmware_module("pen.store.dates")
event = firmware_module("pen.store.event")
keys = firmware_module("pen.store.keys")
n = firmware_module("pen.store.numbers")

LIMIT = requirements.load().limit
WARN_H, BLOCK_H = int(LIMIT("SR-05", "warn_h")), int(LIMIT("SR-05", "block_h"))
UNIQUE_ID = bytes(range(8))
POINTS = ((0, 0), (2_500, 2_500))
DAY = making.day_number(date(2026, 1, 15))
YEAR_LATER, LAST_DAY = making.day_number(date(2027, 1, 15)), making.day_number(date(2027, 4, 15))


def made(points: Any = POINTS, **values: int) -> Any:
    details = {"hall_uv_per_mm": 640_000, "day": DAY, "due_day": YEAR_LATER, "run_s": 3_600 * 10} | values
    return calibrations.Calibration(points, **details)


# ---------------------------------------------------------------------- what a pen takes
def test_a_calibration_counts_as_accepted_from_the_start_of_the_pens_life() -> None:
    plain = calibrations.Calibration([(0, 0)], 1, 2, 3)
    assert vars(plain) == {
        "points": ((0, 0),), "hall_uv_per_mm": 1, "day": 2, "due_day": 3, "run_s": 0, "status": 1,
    }  # fmt: skip
    assert (calibrations.ACCEPTED, calibrations.WITHDRAWN) == (1, 2)
    assert (calibrations.POINTS_MIN, calibrations.POINTS_MAX) == (2, 16)
    assert (calibrations.GOOD, calibrations.DUE, calibrations.EXPIRED) == (0, 1, 2)


_STEPS = tuple((150 * k, 150 * k) for k in range(16))


@pytest.mark.parametrize(
    ("points", "values", "reason"),
    [
        (POINTS, {}, n.OK),
        (_STEPS, {}, n.OK),
        ((*_STEPS, (2_400, 2_400)), {}, n.WRONG_LENGTH),
        (POINTS[:1], {}, n.WRONG_LENGTH),
        ((), {"status": 2}, n.OK),
        ((*_STEPS, (2_400, 2_400)), {"status": 2}, n.WRONG_LENGTH),
        (POINTS, {"status": 2, "hall_uv_per_mm": 0}, n.OK),
        (POINTS, {"status": 0}, n.OUT_OF_RANGE),
        (POINTS, {"status": 3}, n.OUT_OF_RANGE),
        (POINTS, {"due_day": DAY}, n.OK),
        (POINTS, {"due_day": DAY - 1}, n.DATES_WRONG),
        (POINTS, {"due_day": LAST_DAY}, n.OK),
        (POINTS, {"due_day": LAST_DAY + 1}, n.DATES_WRONG),
        (POINTS, {"hall_uv_per_mm": 320_000}, n.OK),
        (POINTS, {"hall_uv_per_mm": 319_999}, n.OUT_OF_RANGE),
        (POINTS, {"hall_uv_per_mm": 1_280_000}, n.OK),
        (POINTS, {"hall_uv_per_mm": 1_280_001}, n.OUT_OF_RANGE),
        (((0, -500), (2_000, 500)), {}, n.OK),
        (((0, -501), (2_000, 500)), {}, n.OUT_OF_RANGE),
        (((-1, 0), (2_000, 2_000)), {}, n.OUT_OF_RANGE),
        (((1_000, 1_000), (2_600, 2_600)), {}, n.OK),
        (((1_000, 1_000), (2_600, 2_601)), {}, n.OUT_OF_RANGE),
        (((1_000, 1_000), (1_000, 1_500)), {}, n.POINTS_NOT_RISING),
        (((1_000, 1_000), (1_500, 1_000)), {}, n.POINTS_NOT_RISING),
        (((1_000, 1_000), (1_001, 1_001)), {}, n.OK),
        (((0, 0), (1_000, 500)), {}, n.OK),
        (((0, 0), (1_000, 499)), {}, n.POINTS_IMPLAUSIBLE),
        (((0, 0), (1_000, 2_000)), {}, n.OK),
        (((0, 0), (1_000, 2_001)), {}, n.POINTS_IMPLAUSIBLE),
        (((0, 0), (100, 100), (200, 101)), {}, n.POINTS_IMPLAUSIBLE),
    ],
)
def test_a_pen_takes_what_a_depth_axis_can_be(points: Any, values: dict[str, int], reason: int) -> None:
    assert made(points, **values).check() == reason


def test_the_axis_ends_at_the_stop_and_begins_behind_home() -> None:
    last = board.HARD_STOP_UM + board.DEPTH_BEHIND_HOME_UM
    assert made(((0, 0), (last, 2_000))).check() == n.OK
    assert made(((0, 0), (last + 1, 2_000))).check() == n.OUT_OF_RANGE


def test_up_to_16_points_were_found() -> None:
    assert made().check(16) == n.OK and made().check(17) == n.WRONG_LENGTH


# ---------------------------------------------------------------------- age
@pytest.mark.parametrize(
    ("used_s", "age"),
    [
        (-1, 2),
        (0, 0),
        (3_600 * WARN_H - 1, 0),
        (3_600 * WARN_H, 1),
        (3_600 * BLOCK_H - 1, 1),
        (3_600 * BLOCK_H, 2),
    ],
)
def test_running_hours_age_a_calibration_also_without_a_date(used_s: int, age: int) -> None:
    one = made(due_day=LAST_DAY)
    for day in (None, DAY, YEAR_LATER):
        assert one.age(day, one.run_s + used_s) == age


@pytest.mark.parametrize(
    ("due_day", "day", "age"),
    [
        (YEAR_LATER, YEAR_LATER, 0),
        (YEAR_LATER, YEAR_LATER + 1, 1),
        (LAST_DAY, YEAR_LATER, 0),
        (LAST_DAY, YEAR_LATER + 1, 1),
        (DAY + 30, DAY + 30, 0),
        (DAY + 30, DAY + 31, 1),
        (YEAR_LATER, LAST_DAY, 1),
        (YEAR_LATER, LAST_DAY + 1, 2),
    ],
)
def test_a_calibration_is_due_after_12_months_or_sooner_and_expired_after_15(
    due_day: int, day: int, age: int
) -> None:
    one = made(due_day=due_day)
    assert one.age(day, one.run_s) == age and one.age(None, one.run_s) == 0
    if age == 0:
        assert one.age(day, one.run_s + 3_600 * WARN_H) == 1, "due by its hours"


# ---------------------------------------------------------------------- what is stored of it
SIGNING = bytes(range(32))


def _payload(**changes: Any) -> bytes:
    host = making.calibration(
        [(0, 3), (2_500, 2_490)], day=date(2026, 1, 15), hall_uv_per_mm=655_000, run_s=777
    )
    payload: bytes = dataclasses.replace(host, **changes).pack(SIGNING, UNIQUE_ID)
    return payload


def test_a_stored_calibration_keeps_what_the_pen_needs() -> None:
    reason, one = calibrations.unpack(_payload(as_found=((0, 9), (100, 120))), SIGNING, UNIQUE_ID)
    assert reason == n.OK and vars(one) == {
        "points": ((0, 3), (2_500, 2_490)), "hall_uv_per_mm": 655_000, "day": DAY, "due_day": YEAR_LATER,
        "run_s": 777, "status": 1,
    }  # fmt: skip
    assert calibrations.unpack(_payload(status=3), SIGNING, UNIQUE_ID) == (n.OUT_OF_RANGE, None)
    assert calibrations.unpack(_payload(), None, UNIQUE_ID) == (n.NO_KEY, None)
    assert calibrations.unpack(_payload(), bytes(32), UNIQUE_ID) == (n.NOT_AUTHENTIC, None)


@pytest.mark.parametrize("length", [0, 60, 90, 91, 122, 123, 130, 132])
def test_a_payload_of_another_length_is_refused(length: int) -> None:
    payload = _payload()
    assert len(payload) == 91 + 2 * 4 + 32
    assert calibrations.unpack((payload + b"x")[:length], SIGNING, UNIQUE_ID) == (n.WRONG_LENGTH, None)
    assert calibrations.unpack((payload + b"x")[:length], None, UNIQUE_ID) == (n.WRONG_LENGTH, None)


def test_the_shortest_payload_is_a_withdrawal_without_points() -> None:
    payload = _payload(status=2, points=())
    reason, one = calibrations.unpack(payload, SIGNING, UNIQUE_ID)
    assert (reason, len(payload), one.points, one.status) == (n.OK, 123, (), 2)


def test_the_signature_is_bound_to_purpose_pen_and_contents() -> None:
    text = b"needlepen calibration 2" + UNIQUE_ID + b"body"
    assert calibrations.tag(SIGNING, UNIQUE_ID, b"body") == auth.hmac_sha256(SIGNING, text)


# ---------------------------------------------------------------------- daily check
def test_a_stored_check_says_day_error_and_whether_it_passed() -> None:
    assert calibrations.unpack_check(struct.pack("<HhB", 9_511, -35, 1)) == (n.OK, (9_511, -35, 1))
    assert calibrations.unpack_check(struct.pack("<HhB", 9_511, -35, 0)) == (n.OK, (9_511, -35, 0))
    assert calibrations.unpack_check(struct.pack("<HhB", 9_511, -35, 2)) == (n.OUT_OF_RANGE, None)
    assert (
        calibrations.unpack_check(bytes(4)) == calibrations.unpack_check(bytes(6)) == (n.WRONG_LENGTH, None)
    )


@pytest.mark.parametrize(("later", "due"), [(-2, True), (-1, False), (0, False), (1, False), (2, True)])
def test_a_check_holds_for_its_day_and_the_next(later: int, due: bool) -> None:
    assert calibrations.check_due((100, 5, 1), 100 + later) == due
    assert calibrations.check_due((100, 5, 0), 100 + later), "it failed"


# ---------------------------------------------------------------------- dates
@pytest.mark.parametrize(
    ("civil", "number"),
    [
        ((2000, 1, 1), 0),
        ((2000, 2, 29), 59),
        ((2000, 3, 1), 60),
        ((2000, 12, 31), 365),
        ((2001, 1, 1), 366),
        ((2001, 3, 1), 425),
        ((2003, 12, 31), 1_460),
        ((2004, 1, 1), 1_461),
        ((2004, 2, 29), 1_520),
        ((2004, 12, 31), 1_826),
        ((2099, 12, 31), 36_524),
    ],
)
def test_days_are_counted_from_2000(civil: tuple[int, int, int], number: int) -> None:
    assert dates.day_number(*civil) == number and dates.civil(number) == civil


@pytest.mark.parametrize("month", range(1, 13))
@pytest.mark.parametrize("year", [2023, 2024])
def test_each_month_ends_on_its_last_day(year: int, month: int) -> None:
    longest = (31, 29 if year == 2024 else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]
    from_day = dates.day_number(year - 1, 12, 31)
    assert dates.civil(dates.months_later(from_day, month)) == (year, month, longest)
    assert dates.civil(dates.months_later(dates.day_number(year, month, 5), 0)) == (year, month, 5)
    assert dates.civil(dates.months_later(dates.day_number(year, month, 5), 12)) == (year + 1, month, 5)


# ---------------------------------------------------------------------- counters, events, keys
def test_counters_of_a_pen_without_a_record_start_at_0_and_know_no_hours() -> None:
    assert vars(counters.Counters()) == {
        "boots": 0, "strokes": 0, "run_s": 0, "sessions": 0, "winding_ck": 0, "housing_ck": 0, "hours_unknown": True,
    }  # fmt: skip


def test_counters_are_stored_as_they_are_and_heat_up_to_what_fits() -> None:
    one = counters.Counters(1, 2, 3, 4, 0xFFFF, 0x1_0000, True)
    payload = one.pack()
    assert payload == struct.pack("<IIIIHHB", 1, 2, 3, 4, 0xFFFF, 0xFFFF, 1)
    reason, back = counters.unpack(payload)
    assert reason == n.OK and vars(back) == vars(one) | {"housing_ck": 0xFFFF}
    assert counters.unpack(payload[:-1] + b"\0")[1].hours_unknown is False
    assert counters.unpack(payload[:-1] + b"\2") == (n.OUT_OF_RANGE, None)
    for other in (payload[:-1], payload + b"\0"):
        assert counters.unpack(other) == (n.WRONG_LENGTH, None)
    assert counters.Counters(hours_unknown=False).pack()[-1] == 0
    warm = counters.Counters(winding_ck=0x1_0000, housing_ck=0xFFFE).pack()
    assert warm[16:20] == b"\xff\xff\xfe\xff"


def test_an_event_keeps_numbers_with_and_without_sign() -> None:
    raw = event.pack(UNIQUE_ID, 9, 0x1_0000_0005, 8, 0x1_0007, 6, 5, (0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF))
    found = (9, 5, 8, 7, 6, 5, 0x7FFF_FFFF, -0x8000_0000, -1)
    assert event.unpack(UNIQUE_ID, raw) == found and len(raw) == 32
    assert event.unpack(UNIQUE_ID, raw + b"\0") is None and event.unpack(UNIQUE_ID, raw[:31]) is None
    small = event.pack(
        UNIQUE_ID, 0xFFFF_FFFF, 0xFFFF_FFFF, 0xFFFF_FFFF, 0xFFFF, 255, 255, (-0x8000_0000, -1, 0)
    )
    assert event.unpack(UNIQUE_ID, small)[6:] == (-0x8000_0000, -1, 0)
    assert event.unpack(UNIQUE_ID, small)[:6] == (0xFFFF_FFFF, 0xFFFF_FFFF, 0xFFFF_FFFF, 0xFFFF, 255, 255)


def test_the_check_sum_of_an_event_is_the_crc_32_of_id_and_event() -> None:
    found = [event.pack(UNIQUE_ID, number, 2, 3, 4, 5, 6, (7, 8, 9)) for number in range(8)]
    sums = [int.from_bytes(raw[28:], "little") for raw in found]
    assert sums == [zlib.crc32(UNIQUE_ID + raw[:28]) for raw in found]
    assert {one & 1 for one in sums} == {0, 1}


def test_an_event_is_not_taken_for_one_of_another_pen() -> None:
    raw = event.pack(UNIQUE_ID, 1, 2, 3, 4, 5, 6, (7, 8, 9))
    assert event.unpack(UNIQUE_ID[::-1], raw) is None and event.unpack(UNIQUE_ID, raw) is not None


def test_the_record_of_a_run_has_8_20_24_and_12_bits() -> None:
    assert event.pack_run(255, 0xF_FFFF, 77, 0xFF_FFFF, 0xFFF) == (0xFFFF_FFFF, 0xFFFF_FFFF, 77)
    assert event.pack_run(1, 0x10_0000, 0, 0x1FF_0000, 0x1001) == (0xFF00_0001, 0x1F_FFFF, 0)
    assert event.pack_run(2, 0xF_FFFE, 0, 1, 1) == (0x102, 0x1F_FFFE, 0)
    assert event.unpack_run((-1, -1, -1)) == (255, 0xF_FFFF, 0xFFFF_FFFF, 0xFF_FFFF, 0xFFF)
    assert event.unpack_run((0x102, 0x10_0003, 4)) == (2, 3, 4, 1, 1)


def test_keys_are_three_times_32_bytes_none_of_them_empty() -> None:
    one = keys.Keys(b"p" * 32, b"c" * 32, b"r" * 32)
    assert not one.development and one.pack() == b"p" * 32 + b"c" * 32 + b"r" * 32
    reason, back = keys.unpack(one.pack(), False)
    assert reason == n.OK and vars(back) == vars(one)
    assert keys.unpack(one.pack(), True) == (n.OTHER_BUILD, None)
    for at in (0, 32, 64):
        missing = one.pack()[:at] + bytes(32) + one.pack()[at + 32 :]
        assert keys.unpack(missing, False) == (n.OUT_OF_RANGE, None)
    for other in (one.pack()[:-1], one.pack() + b"\0"):
        assert keys.unpack(other, False) == (n.WRONG_LENGTH, None)
    published = making.development_keys(UNIQUE_ID)
    assert published.development and keys.unpack(published.pack(), True)[0] == n.OK
    assert keys.unpack(published.pack(), False) == (n.OTHER_BUILD, None)


def test_a_role_has_a_key_of_its_own() -> None:
    found = [auth.role_key(b"k" * 32, role) for role in (1, 2, 3)]
    assert found == [
        auth.hmac_sha256(b"k" * 32, b"role:" + name) for name in (b"operator", b"technician", b"engineer")
    ]
    assert auth.KEY_BYTES == auth.TAG_BYTES == 32
