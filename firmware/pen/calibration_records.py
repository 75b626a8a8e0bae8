"""What a host changes in the pen's records about depth: the calibration, and the last daily check (SR-05).

A part of pen.store that is in memory only while pen.calibrating is.
"""

import struct

from pen.events import CALIBRATION_CHANGED, CALIBRATION_WITHDRAWN, CHECK_NOTED
from pen.store import calibration as calibrations, envelope
from pen.store.numbers import (
    CALIBRATION_FORMAT,
    CHECK_FORMAT,
    KIND_CALIBRATION,
    KIND_CHECK,
    NOT_NOW,
    OK,
    WITHDRAWN,
)
from pen.store.pair import Pair
from pen.store.reason_texts import text


def judge(store, data):
    """(reason, Calibration, payload) of a record made by the host (an envelope with a signed payload)."""
    reason, _, payload = envelope.parse(data, KIND_CALIBRATION, CALIBRATION_FORMAT, store._unique_id)
    record = None
    if reason == OK:
        reason, record = calibrations.unpack(payload, store._technician_key(), store._unique_id)
    return reason, record, payload


def accept(store, data):
    """Take over a calibration, or the withdrawal of the one that the pen has.

    Returns None when both copies are written and read back, else the reason; the old one then still counts.
    """
    reason, record, payload = judge(store, data)
    if reason == OK and not store._files.may_write:
        reason = NOT_NOW
    if reason == OK:
        reason = store._save(KIND_CALIBRATION, payload, True)
    if reason != OK:
        return text(reason)
    store._load_calibration()
    if store.calibration is not None:
        store.counters.hours_unknown = False
        store.counters.run_s = max(store.counters.run_s, record.run_s)
        store._counters_changed = True
        store.log.add(CALIBRATION_CHANGED, record.day, len(record.points))
    elif store.calibration_reason == WITHDRAWN:
        store.log.add(CALIBRATION_WITHDRAWN, record.day)
    else:
        return text(store.calibration_reason)
    store._judge()
    return None


def note_check(store, day, worst_error_um, passed):
    """Keep the result of a daily check. Returns None when it is written and read back, else the reason."""
    today = store.day
    if today is not None and day > today + 1:  # one day ahead is a host in another time zone
        return "the day of the check lies ahead"
    if not store._files.may_write:
        return text(NOT_NOW)
    pair = store._pairs[KIND_CHECK] = Pair(store._files, KIND_CHECK, CHECK_FORMAT, store._unique_id)
    pair.load()
    reason = store._save(KIND_CHECK, struct.pack(calibrations.CHECK, day, worst_error_um, passed))
    del store._pairs[KIND_CHECK]
    if reason != OK:
        return text(reason)
    store.check = (day, worst_error_um, passed)
    store.log.add(CHECK_NOTED, day, worst_error_um, passed)
    store._judge()
    return None
