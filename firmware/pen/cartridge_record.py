# mypy: disable-error-code="arg-type"
# Viper takes bytes where a function asks for a pointer; the type checker does not know.
"""What the memory of a cartridge means. Pure logic; the host makes records by the same layout.

    0x00  record, 40 bytes, below          pages 0 and 1: write-protected
    0x40  used mark: 4 bytes 0, day of first use, last 2 bytes of the pen's ID          page 2: EPROM mode,
    0x48  minutes of use: the lowest bits are 0, one per minute                         bits only fall
    0x60  not used                                                                      page 3: write-protected
    0x80  protection of the pages, and of that protection itself

Mark and minutes lie in rows of their own: a copy that is cut off can harm no other row.
Record: magic "NC", format version, type, needles, 0, depth limit in um, expiry day, lot (12 bytes ASCII), CRC-16 of
these 22 bytes, then 16 bytes of HMAC-SHA256 over these 24 and the chip's 64-bit ID. Days count from 2000-01-01.
The first 24 bytes keep their places in every version, so that a damaged record is told from a newer one.
"""

import math
import struct

from micropython import const

from pen.board import MOTOR_J_KG_M2, PROTRUSION_MAX_UM
from pen.cartridge_types import ENERGY_MARGIN, FORCE_PER_NEEDLE_N, TYPES
from pen.onewire_crc import crc16
from pen.states import (
    BLOCK_CARTRIDGE_FOREIGN,
    BLOCK_CARTRIDGE_UNREADABLE,
    BLOCK_KEYS_MISSING,
)
from pen.store.auth import hmac_sha256, same

VERSION = const(1)
RECORD_BYTES = const(40)
MARK_ADDRESS = const(0x40)
MINUTES_ADDRESS = const(0x48)
PROTECTION_ADDRESS = const(0x80)
PROTECTION = b"\x55\x55\xaa\x55\x55"
MARK = bytes(4)
UNUSED_ROW = b"\xff" * 8
DAY_UNKNOWN = const(0xFFFF)
LOT_BYTES = const(12)
MOST_MINUTES = const(64)

COUNTERFEIT = "counterfeit, or copied from another"
MAGIC = b"NC"
HEAD = "<2sBBBBHH12s"
CHECKED_BYTES = const(22)
SIGNED_BYTES = const(24)
TAG_BYTES = const(16)


class Record:
    """`expiry_day`: last day on which the cartridge may be used."""

    def __init__(self, type_number, needles, depth_limit_um, expiry_day, lot):
        self.type_number = type_number
        self.needles = needles
        self.depth_limit_um = depth_limit_um
        self.expiry_day = expiry_day
        self.lot = lot


def unpack(memory, rom, key):
    """What the memory from 0x00 to past the protection bytes holds: (0, "", Record) or (BLOCK_ mask, why, None).

    `key`: 32 bytes, or None where the pen has none.
    """
    data = bytes(memory[:RECORD_BYTES])
    if data == b"\xff" * RECORD_BYTES:
        return BLOCK_CARTRIDGE_UNREADABLE, "the cartridge holds no record", None
    if data[:2] != MAGIC:
        return BLOCK_CARTRIDGE_FOREIGN, "not a cartridge of this pen", None
    if crc16(data, CHECKED_BYTES, 0) != data[CHECKED_BYTES] | data[CHECKED_BYTES + 1] << 8:
        return BLOCK_CARTRIDGE_UNREADABLE, "the record is damaged", None
    if data[2] > VERSION:
        return BLOCK_CARTRIDGE_UNREADABLE, "the record needs newer firmware", None
    if key is None:
        return BLOCK_KEYS_MISSING, "the pen has no key to check it", None
    if not same(data[SIGNED_BYTES:], hmac_sha256(key, data[:SIGNED_BYTES] + rom)[:TAG_BYTES]):
        return BLOCK_CARTRIDGE_FOREIGN, COUNTERFEIT, None
    if bytes(memory[PROTECTION_ADDRESS : PROTECTION_ADDRESS + 5]) != PROTECTION:
        return BLOCK_CARTRIDGE_FOREIGN, "its memory is not locked", None
    record = _record(data)
    if record.type_number not in TYPES:
        return BLOCK_CARTRIDGE_UNREADABLE, "type unknown to this firmware", None
    needles, type_limit_um = TYPES[record.type_number]
    if record.needles != needles or not 0 < record.depth_limit_um <= min(type_limit_um, PROTRUSION_MAX_UM):
        return BLOCK_CARTRIDGE_UNREADABLE, "the record contradicts its type", None
    return 0, "", record


def _record(data):
    _, _, number, needles, _, limit_um, expiry_day, lot = struct.unpack(HEAD, data[:CHECKED_BYTES])
    lot = "".join(chr(c) if 32 <= c < 127 else "?" for c in lot.rstrip(b"\0"))
    return Record(number, needles, limit_um, expiry_day, lot)


def mark_row(day, pen_id):
    """The row of the used mark. `day`: None if the pen does not know the date."""
    return MARK + struct.pack("<H", DAY_UNKNOWN if day is None else day) + pen_id[-2:]


def minutes_row(minutes):
    """The row that says so many minutes of use, at most MOST_MINUTES."""
    return bytes((0xFF << max(0, min(8, minutes - 8 * place))) & 0xFF for place in range(8))


def use_of(memory):
    """(row of the mark, row of the minutes) of a chip's memory."""
    return (
        bytes(memory[MARK_ADDRESS : MARK_ADDRESS + 8]),
        bytes(memory[MINUTES_ADDRESS : MINUTES_ADDRESS + 8]),
    )


def minimum_rate_hz(needles, depth_um):
    """SR-24: lowest rate at which the rotor holds 1.5 times the work of one stroke, in whole Hz, rounded up.

    J (2 pi f)^2 / 2 = 1.5 W with W = needles x force x depth.
    """
    work_j = needles * FORCE_PER_NEEDLE_N * depth_um * 1e-6
    return math.ceil(math.sqrt(2 * ENERGY_MARGIN * work_j / MOTOR_J_KG_M2) / (2 * math.pi))
