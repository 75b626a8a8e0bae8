"""The wrapping of every record: its bytes, and the reason for which any other bytes are refused."""

from __future__ import annotations

import zlib

import pytest

from needlepen.firmware_modules import firmware_module

envelope = firmware_module("pen.store.envelope")
n = firmware_module("pen.store.numbers")
UNIQUE_ID = bytes(range(8))
WRITTEN = b"NPen\x03\x02\x07\0\x44\x33\x22\x11" + UNIQUE_ID + b"payload"
WRITTEN += zlib.crc32(WRITTEN).to_bytes(4, "little")


def judged(data: bytes | None, kind: int = 3, version: int = 2) -> int:
    reason, sequence, payload = envelope.parse(data, kind, version, UNIQUE_ID)
    assert (sequence, payload) == ((0x1122_3344, b"payload") if reason == n.OK else (0, None))
    return int(reason)


def test_a_record_is_written_byte_for_byte() -> None:
    assert envelope.pack(3, 2, 0x1122_3344, UNIQUE_ID, b"payload") == WRITTEN and judged(WRITTEN) == n.OK


def test_each_kind_has_the_name_of_its_files() -> None:
    assert envelope.KIND_NAMES == {
        1: "settings", 2: "counters", 3: "calibration", 4: "keys", 5: "access", 6: "release", 7: "check",
        8: "black box",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (None, n.MISSING),
        (b"", n.EMPTY),
        (WRITTEN[:1], n.TRUNCATED),
        (WRITTEN[:17], n.TRUNCATED),
        (WRITTEN[:23], n.TRUNCATED),
        (WRITTEN[:24], n.TRUNCATED),
        (WRITTEN[:-1], n.TRUNCATED),
        (WRITTEN + b"\0", n.TOO_LONG),
        (b"x" * 24, n.NOT_A_RECORD),
        (WRITTEN[:25] + b"X" + WRITTEN[26:], n.DAMAGED),
        (WRITTEN[:-1] + bytes((WRITTEN[-1] ^ 1,)), n.DAMAGED),
        (envelope.pack(3, 2, 1, UNIQUE_ID[::-1], b"payload"), n.FOREIGN),
    ],
    ids=[
        "none", "empty", "1 byte", "17 bytes", "23 bytes", "24 bytes", "one too few", "one too many", "garbage",
        "another payload", "another check sum", "another pen's",
    ],
)  # fmt: skip
def test_other_bytes_are_refused_with_their_reason(data: bytes | None, reason: int) -> None:
    assert judged(data) == reason


def test_kind_and_format_are_judged_when_the_bytes_are_sound() -> None:
    assert judged(WRITTEN, kind=4) == n.WRONG_KIND and judged(WRITTEN, kind=4, version=1) == n.WRONG_KIND
    assert judged(WRITTEN, version=1) == n.NEWER_FORMAT and judged(WRITTEN, version=3) == n.UNKNOWN_FORMAT
