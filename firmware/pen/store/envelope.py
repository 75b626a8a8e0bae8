"""The wrapping that every record in flash has: what it is, whose it is, which of two copies is newer, and a checksum.

    magic "NPen" | kind u8 | format u8 | payload length u16 | sequence u32 | unique ID of the pen, 8 bytes
    payload | CRC-32 of everything before

Little-endian. The checksum is judged before kind and format, so a flipped bit never reads as a newer format.
"""

import binascii
import struct

from micropython import const

from pen.store.numbers import (
    DAMAGED,
    EMPTY,
    FOREIGN,
    KIND_ACCESS,
    KIND_BLACK_BOX,
    KIND_CALIBRATION,
    KIND_CHECK,
    KIND_COUNTERS,
    KIND_KEYS,
    KIND_RELEASE,
    KIND_SETTINGS,
    MISSING,
    NEWER_FORMAT,
    NOT_A_RECORD,
    OK,
    TOO_LONG,
    TRUNCATED,
    UNKNOWN_FORMAT,
    WRONG_KIND,
)

KIND_NAMES = {
    KIND_SETTINGS: "settings",
    KIND_COUNTERS: "counters",
    KIND_CALIBRATION: "calibration",
    KIND_KEYS: "keys",
    KIND_ACCESS: "access",
    KIND_RELEASE: "release",
    KIND_CHECK: "check",
    KIND_BLACK_BOX: "black box",
}

_MAGIC = b"NPen"
_HEADER = "<4sBBHI8s"
_HEADER_BYTES = const(20)
_CRC_BYTES = const(4)


def pack(kind, version, sequence, unique_id, payload):
    """One record as bytes."""
    head = struct.pack(_HEADER, _MAGIC, kind, version, len(payload), sequence, unique_id)
    return head + payload + struct.pack("<I", binascii.crc32(head + payload) & 0xFFFFFFFF)


def parse(data, kind, version, unique_id):
    """(reason, sequence, payload) of a record read from flash; payload None unless the reason is OK.

    `version`: the newest format that this firmware knows; formats count from 1.
    """
    reason = _judge(data, kind, version, unique_id)
    if reason != OK:
        return reason, 0, None
    sequence = struct.unpack("<I", data[8:12])[0]
    return OK, sequence, bytes(data[_HEADER_BYTES:-_CRC_BYTES])


def _judge(data, kind, version, unique_id):
    if data is None:
        return MISSING
    if not data:
        return EMPTY
    if len(data) < _HEADER_BYTES + _CRC_BYTES:
        return TRUNCATED
    magic, its_kind, its_version, length, _, its_id = struct.unpack(_HEADER, data[:_HEADER_BYTES])
    if magic != _MAGIC:
        return NOT_A_RECORD
    surplus = len(data) - _HEADER_BYTES - _CRC_BYTES - length
    if surplus:
        return TRUNCATED if surplus < 0 else TOO_LONG
    if struct.unpack("<I", data[-_CRC_BYTES:])[0] != binascii.crc32(data[:-_CRC_BYTES]) & 0xFFFFFFFF:
        return DAMAGED
    if its_kind != kind:
        return WRONG_KIND
    if its_version != version:
        return NEWER_FORMAT if its_version > version else UNKNOWN_FORMAT
    return OK if its_id == unique_id else FOREIGN
