"""The calibration record of one pen: what its depth settings really give, signed with the pen's key.

Payload, little-endian (the envelope around it holds kind, format version and the pen's unique ID):

    calibrated on u16, due on u16 (days since 2000-01-01) | running time at calibration u32 s
    temperature i16 0.1 C | expanded uncertainty u16 um | hall gain u32 uV/mm
    number of points u8, of as-found points u8 | start of the firmware's hash, 8 bytes | gauge, operator: 24 bytes each
    points, then as-found points: set i16 um, true i16 um | HMAC-SHA256 of unique ID and all of the above
"""

import struct

from micropython import const

from pen.limits import (
    PR05_DEPTH_MAX_MM,
    SR02_HARD_STOP_MM,
    SR05_BLOCK_H,
    SR05_BLOCK_MONTHS,
    SR05_WARN_H,
    SR05_WARN_MONTHS,
)
from pen.store.auth import TAG_BYTES, hmac_sha256, same
from pen.store.dates import months_later
from pen.store.numbers import (
    DATES_WRONG,
    NO_KEY,
    NOT_AUTHENTIC,
    OK,
    OUT_OF_RANGE,
    POINTS_IMPLAUSIBLE,
    POINTS_NOT_RISING,
    WRONG_LENGTH,
)

POINTS_MIN = const(2)
POINTS_MAX = const(16)
_HEAD = "<HHIhHIBB8s24s24s"
_HEAD_BYTES = const(74)
_POINT_BYTES = const(4)
_DOMAIN = b"needlepen calibration 1"

# A screw and a hall sensor that are what they should be: a point far from this is a mistake of the procedure.
_TRUE_LOWEST_UM = const(-500)
_TRUE_HIGHEST_UM = round(1000 * SR02_HARD_STOP_MM)
_SET_HIGHEST_UM = round(1000 * PR05_DEPTH_MAX_MM)
_SLOPE_MIN_PCT = const(50)
_SLOPE_MAX_PCT = const(200)
_HALL_LOWEST_UV_MM = const(320_000)
_HALL_HIGHEST_UV_MM = const(1_280_000)

GOOD = const(0)
DUE = const(1)
EXPIRED = const(2)


class Calibration:
    """`points`, `as_found`: ((set_um, true_um), ...), rising; `hall_uv_per_mm`; `uncertainty_um` (k = 2).

    `day`, `due_day`: days since 2000-01-01; `run_s`: the pen's running time when it was calibrated.
    """

    def __init__(
        self,
        points,
        hall_uv_per_mm,
        day,
        due_day,
        run_s=0,
        temperature_dc=230,
        uncertainty_um=0,
        as_found=(),
        firmware=b"",
        gauge="",
        operator="",
    ):
        self.points = tuple(points)
        self.hall_uv_per_mm = hall_uv_per_mm
        self.day = day
        self.due_day = due_day
        self.run_s = run_s
        self.temperature_dc = temperature_dc
        self.uncertainty_um = uncertainty_um
        self.as_found = tuple(as_found)
        self.firmware = firmware
        self.gauge = gauge
        self.operator = operator

    @property
    def range_um(self):
        """(smallest, largest) setting that was calibrated."""
        return self.points[0][0], self.points[-1][0]

    def check(self):
        """OK, or why no pen can have such a calibration."""
        if not POINTS_MIN <= len(self.points) <= POINTS_MAX or len(self.as_found) > POINTS_MAX:
            return WRONG_LENGTH
        reason = _check_points(self.points)
        if reason != OK:
            return reason
        if not self.day <= self.due_day <= months_later(self.day, SR05_BLOCK_MONTHS):
            return DATES_WRONG
        hall_fits = _HALL_LOWEST_UV_MM <= self.hall_uv_per_mm <= _HALL_HIGHEST_UV_MM
        return OK if hall_fits else OUT_OF_RANGE

    def pack(self, key, unique_id):
        """The signed payload."""
        head = struct.pack(
            _HEAD,
            self.day,
            self.due_day,
            self.run_s,
            self.temperature_dc,
            self.uncertainty_um,
            self.hall_uv_per_mm,
            len(self.points),
            len(self.as_found),
            self.firmware[:8],
            self.gauge.encode()[:24],
            self.operator.encode()[:24],
        )
        body = head + b"".join([struct.pack("<hh", *point) for point in self.points + self.as_found])
        return body + _tag(key, unique_id, body)

    def age(self, day, run_s):
        """GOOD, DUE or EXPIRED (SR-05). `day`: None = unknown, then only the running hours count; `run_s`: in all."""
        used_h = (run_s - self.run_s) / 3600
        if used_h < 0 or used_h >= SR05_BLOCK_H:
            return EXPIRED
        due = used_h >= SR05_WARN_H
        if day is not None:
            if day > months_later(self.day, SR05_BLOCK_MONTHS):
                return EXPIRED
            due = due or day > min(self.due_day, months_later(self.day, SR05_WARN_MONTHS))
        return DUE if due else GOOD


def _check_points(points):
    before = None
    for set_um, true_um in points:
        if not (0 <= set_um <= _SET_HIGHEST_UM and _TRUE_LOWEST_UM <= true_um <= _TRUE_HIGHEST_UM):
            return OUT_OF_RANGE
        if before is not None:
            run_um, rise_um = set_um - before[0], true_um - before[1]
            if run_um <= 0 or rise_um <= 0:
                return POINTS_NOT_RISING
            if not _SLOPE_MIN_PCT * run_um <= 100 * rise_um <= _SLOPE_MAX_PCT * run_um:
                return POINTS_IMPLAUSIBLE
        before = set_um, true_um
    return OK


def _tag(key, unique_id, body):
    return hmac_sha256(key, _DOMAIN + unique_id + body)


def _text(field):
    """A text field: printable ASCII up to the padding, anything else as "?": it is shown, not judged."""
    return "".join([chr(b) if 0x20 <= b < 0x7F else "?" for b in field.rstrip(b"\0")])


def unpack(payload, key, unique_id):
    """(reason, Calibration or None) of a signed payload. `key`: the pen's key, None if it has none."""
    if len(payload) < _HEAD_BYTES + TAG_BYTES:
        return WRONG_LENGTH, None
    values = struct.unpack(_HEAD, payload[:_HEAD_BYTES])
    count, found = values[6], values[7]
    body = payload[:-TAG_BYTES]
    if len(body) != _HEAD_BYTES + _POINT_BYTES * (count + found):
        return WRONG_LENGTH, None
    if key is None:
        return NO_KEY, None
    if not same(_tag(key, unique_id, body), payload[-TAG_BYTES:]):
        return NOT_AUTHENTIC, None
    pairs = [
        struct.unpack("<hh", body[at : at + _POINT_BYTES])
        for at in range(_HEAD_BYTES, len(body), _POINT_BYTES)
    ]
    calibration = Calibration(
        pairs[:count],
        values[5],
        values[0],
        values[1],
        values[2],
        values[3],
        values[4],
        pairs[count:],
        values[8],
        _text(values[9]),
        _text(values[10]),
    )
    reason = calibration.check()
    return reason, calibration if reason == OK else None
