"""The depth calibration as a host reads, tries and replaces it, the daily check, and the black box as a host reads it.
Imported when somebody asks.

    GET_CALIBRATION offset                     ->  RECORD_PART: the stored record
    GET_BLACK_BOX offset                       ->  RECORD_PART: what was stored after the last fault
    PUT_CALIBRATION offset, part ...           ->  RESULT each; then, with the length of the whole, one of
    TRY_CALIBRATION, COMMIT_CALIBRATION length ->  RESULT; the axis finds home anew
    NOTE_CHECK day, worst_error_um, passed     ->  RESULT

A calibration on trial is in RAM alone: whatever ends the service, a reset or a fault, ends it too.
"""

from machine import unique_id
from micropython import const

from pen.events import CALIBRATION_TRIED
from pen.link.kinds import (
    COMMIT_CALIBRATION,
    GET_BLACK_BOX,
    GET_CALIBRATION,
    NOTE_CHECK,
    PUT_CALIBRATION,
    RECORD_PART,
    TRY_CALIBRATION,
)
from pen.link.messages import pack
from pen.states import SERVICE
from pen.store import envelope
from pen.store.calibration import ACCEPTED
from pen.store.numbers import BLACK_BOX_PATH, CALIBRATION_FORMAT, KIND_CALIBRATION, OK, WITHDRAWN
from pen.store.pair import Pair
from pen.store.reason_texts import text

_LONGEST = const(1024)
_PART_BYTES = const(64)


def get(app, sequence, fields):
    """A part of the record as it was put: without the number that the pen gives each of its writes."""
    pair = Pair(app.store.files, KIND_CALIBRATION, CALIBRATION_FORMAT, unique_id())
    payload, record = pair.load(), b""
    if payload is not None:
        record = envelope.pack(KIND_CALIBRATION, CALIBRATION_FORMAT, 0, unique_id(), payload)
    _tell_part(app, record, fields["offset"])


def get_black_box(app, sequence, fields):
    """A part of the record that pen.black_box_keep stored."""
    _tell_part(app, app.store.files.read(BLACK_BOX_PATH) or b"", fields["offset"])


def _tell_part(app, record, offset):
    part = record[offset : offset + _PART_BYTES]
    app.host._port.answer(RECORD_PART, pack(RECORD_PART, len(record), len(part), part))


def put(app, sequence, fields):
    """The next part of a record."""
    host, offset, part = app.host, fields["offset"], fields["part"]
    refused = None
    if not app.supervisor.service_open:
        refused = "open the service access first"
    elif offset + len(part) > _LONGEST:
        refused = "the record is longer than 1024 bytes"
    else:
        if host.calibration is None:
            host.calibration = bytearray(_LONGEST)
        host.calibration[offset : offset + len(part)] = part
    host._result(sequence, refused)


def _take(app, length):
    """(refusal, record) of what was put; the next one begins anew."""
    record, app.host.calibration = app.host.calibration, None
    if app.supervisor.state != SERVICE or record is None:
        return "send the record in service first", b""
    if not app.supervisor.sound:
        return "a fault stands: nothing moves", b""
    return None, bytes(record[:length])


def commit(app, sequence, fields):
    """Store the record: from now on it counts, whether it is a calibration or the withdrawal of one."""
    from pen import calibration_records

    refused, record = _take(app, fields["length"])
    refused = refused or calibration_records.accept(app.store, record)
    if not refused:
        app.commands.use_calibration(app.store.calibration, False)
        app.axis.home()
    app.host._result(sequence, refused)


def try_out(app, sequence, fields):
    """Measure with the record, and store nothing."""
    from pen import calibration_records

    refused, record = _take(app, fields["length"])
    if not refused:
        reason, calibration, _ = calibration_records.judge(app.store, record)
        if reason == OK and calibration.status != ACCEPTED:
            reason = WITHDRAWN
        refused = text(reason) or None
        if not refused:
            app.store.log.add(CALIBRATION_TRIED, calibration.day, len(calibration.points))
            app.commands.use_calibration(calibration, True)
            app.axis.home()
    app.host._result(sequence, refused)


def note_check(app, sequence, fields):
    """Keep the result of a daily check."""
    from pen import calibration_records

    passed = 1 if fields["passed"] else 0
    refused = calibration_records.note_check(app.store, fields["day"], fields["worst_error_um"], passed)
    app.host._result(sequence, refused)


ANSWERS = {
    GET_CALIBRATION: get,
    GET_BLACK_BOX: get_black_box,
    PUT_CALIBRATION: put,
    COMMIT_CALIBRATION: commit,
    TRY_CALIBRATION: try_out,
    NOTE_CHECK: note_check,
}
