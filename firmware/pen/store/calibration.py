"""The calibration record of one pen: what its depth axis really gives, signed with the pen's technician key.

Payload, little-endian (the envelope around it holds kind, format version and the pen's unique ID):

    status u8 (1 accepted, 2 withdrawn) | calibrated on u16, due on u16 (days since 2000-01-01)
    running time at calibration u32 s | temperature i16 0.1 C | expanded uncertainty u16 um | hall gain u32 uV/mm
    number of points u8, of as-found points u8 | start of the firmware's hash, 8 bytes | gauge, operator: 24 bytes each
    number of the certificate, 16 bytes | points: travel of the axis from home i16 um, true protrusion i16 um
    as-found points: set i16 um, true i16 um | HMAC-SHA256 of unique ID and all of the above

A withdrawal says that the pen failed: until a new calibration is accepted it does not run. It may hold no points.
"""

import struct

from micropython import const

from pen.board import DEPTH_BEHIND_HOME_UM, HARD_STOP_UM
from pen.limits import (
    SR05_BLOCK_H,
    SR05_BLOCK_MONTHS,
    SR05_CHECK_DAYS,
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
HEAD = "<BHHIhHIBB8s24s24s16s"
_HEAD_BYTES = const(91)
_POINT_BYTES = const(4)
_DOMAIN = b"needlepen calibration 2"

ACCEPTED = const(1)
WITHDRAWN = const(2)

# A screw and a hall sensor that are what they should be: a point far from this is a mistake of the procedure.
_TRUE_LOWEST_UM = const(-500)
_TRAVEL_HIGHEST_UM = const(HARD_STOP_UM + DEPTH_BEHIND_HOME_UM)
_SLOPE_MIN_PCT = const(50)
_SLOPE_MAX_PCT = const(200)
_HALL_LOWEST_UV_MM = const(320_000)
_HALL_HIGHEST_UV_MM = const(1_280_000)

CHECK = "<HhB"  # day since 2000-01-01, worst error of protrusion in um, 1 if that passed

GOOD = const(0)
DUE = const(1)
EXPIRED = const(2)


class Calibration:
    """What the pen keeps of its record. `points`: ((travel_um, true_um), ...), rising; `day`, `due_day`: days since
    2000-01-01; `run_s`: the pen's running time when it was calibrated; `status`: ACCEPTED, or WITHDRAWN.
    """

    def __init__(self, points, hall_uv_per_mm, day, due_day, run_s=0, status=ACCEPTED):
        self.points = tuple(points)
        self.hall_uv_per_mm = hall_uv_per_mm
        self.day = day
        self.due_day = due_day
        self.run_s = run_s
        self.status = status

    def check(self, found=0):
        """OK, or why no pen can have such a calibration. `found`: number of as-found points."""
        if self.status not in (ACCEPTED, WITHDRAWN):
            return OUT_OF_RANGE
        least = POINTS_MIN if self.status == ACCEPTED else 0
        if not least <= len(self.points) <= POINTS_MAX or found > POINTS_MAX:
            return WRONG_LENGTH
        if not self.day <= self.due_day <= months_later(self.day, SR05_BLOCK_MONTHS):
            return DATES_WRONG
        if self.status == WITHDRAWN:
            return OK  # what was measured then may be no depth axis: that is why it failed
        reason = _check_points(self.points)
        if reason != OK:
            return reason
        hall_fits = _HALL_LOWEST_UV_MM <= self.hall_uv_per_mm <= _HALL_HIGHEST_UV_MM
        return OK if hall_fits else OUT_OF_RANGE

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
    for travel_um, true_um in points:
        if not (0 <= travel_um <= _TRAVEL_HIGHEST_UM and _TRUE_LOWEST_UM <= true_um <= HARD_STOP_UM):
            return OUT_OF_RANGE
        if before is not None:
            run_um, rise_um = travel_um - before[0], true_um - before[1]
            if run_um <= 0 or rise_um <= 0:
                return POINTS_NOT_RISING
            if not _SLOPE_MIN_PCT * run_um <= 100 * rise_um <= _SLOPE_MAX_PCT * run_um:
                return POINTS_IMPLAUSIBLE
        before = travel_um, true_um
    return OK


def tag(key, unique_id, body):
    """What signs a payload without it."""
    return hmac_sha256(key, _DOMAIN + unique_id + body)


def unpack(payload, key, unique_id):
    """(reason, Calibration or None) of a signed payload. `key`: of the pen's technicians, None if it has none."""
    if len(payload) < _HEAD_BYTES + TAG_BYTES:
        return WRONG_LENGTH, None
    values = struct.unpack(HEAD, payload[:_HEAD_BYTES])
    count, found = values[7], values[8]
    body = payload[:-TAG_BYTES]
    if len(body) != _HEAD_BYTES + _POINT_BYTES * (count + found):
        return WRONG_LENGTH, None
    if key is None:
        return NO_KEY, None
    if not same(tag(key, unique_id, body), payload[-TAG_BYTES:]):
        return NOT_AUTHENTIC, None
    points = [
        struct.unpack("<hh", body[at : at + _POINT_BYTES])
        for at in range(_HEAD_BYTES, _HEAD_BYTES + _POINT_BYTES * count, _POINT_BYTES)
    ]
    calibration = Calibration(points, values[6], values[1], values[2], values[3], values[0])
    reason = calibration.check(found)
    return reason, calibration if reason == OK else None


# ---------------------------------------------------------------------- daily check
def unpack_check(payload):
    """(reason, (day, worst_error_um, passed) or None)."""
    if len(payload) != struct.calcsize(CHECK):
        return WRONG_LENGTH, None
    check = struct.unpack(CHECK, payload)
    return (OK, check) if check[2] <= 1 else (OUT_OF_RANGE, None)


def check_due(check, day):
    """Whether the last check failed, or is too old on a day. A day ahead is a host in another time zone."""
    return not check[2] or not -1 <= day - check[0] <= SR05_CHECK_DAYS
