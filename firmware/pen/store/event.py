"""One event of the log: 32 bytes, little-endian.

    sequence u32 | uptime u32 ms | date u32 (s since 2000-01-01, 0 = the host gave none) | boot u16 | code u8 | state u8
    three values i32, what they mean depends on the code (firmware/events.toml) | CRC-32

The CRC begins with the pen's unique ID: an event of another pen does not fit.
"""

import binascii
import struct

from micropython import const

from pen.store.numbers import EVENT_BYTES

_FORMAT = "<IIIHBBiii"
_RUN_MS_BITS = const(20)
_RUN_MS_MAX = const((1 << _RUN_MS_BITS) - 1)


def pack(unique_id, sequence, uptime_ms, date_s, boot, code, state, values):
    """One event as bytes. `values`: three numbers of 32 bits, with or without sign."""
    signed = [v - 0x1_0000_0000 if v > 0x7FFF_FFFF else v for v in values]
    body = struct.pack(
        _FORMAT,
        sequence,
        uptime_ms & 0xFFFF_FFFF,
        date_s,
        boot & 0xFFFF,
        code,
        state,
        signed[0],
        signed[1],
        signed[2],
    )
    return body + struct.pack("<I", _check(unique_id, body))


def unpack(unique_id, data):
    """(sequence, uptime_ms, date_s, boot, code, state, value, value, value); None if damaged or of another pen."""
    if len(data) != EVENT_BYTES or struct.unpack("<I", data[28:])[0] != _check(unique_id, data[:28]):
        return None
    return struct.unpack(_FORMAT, data[:28])


def _check(unique_id, body):
    return binascii.crc32(body, binascii.crc32(unique_id)) & 0xFFFF_FFFF


def pack_run(number, run_ms, strokes, happened, warnings):
    """The three values of RUN_ENDED and FAULT, unsigned.

    `number`: fault or stop note, 0-255; `run_ms`: length of the run, 0 = the fault came at rest; `strokes`;
    `happened`: bit n = event n happened during the run; `warnings`: the warnings seen, at most 12 bits.
    """
    return (
        number | (happened & 0xFF_FFFF) << 8,
        min(run_ms, _RUN_MS_MAX) | (warnings & 0xFFF) << _RUN_MS_BITS,
        strokes,
    )


def unpack_run(values):
    """(number, run_ms, strokes, happened, warnings) of the three values."""
    first, second, strokes = [v & 0xFFFF_FFFF for v in values]
    return first & 0xFF, second & _RUN_MS_MAX, strokes, first >> 8, second >> _RUN_MS_BITS
