"""What is kept: calibrations, daily checks and withdrawals as canonical JSON, and the columns that follow from it.

`columns` and `readings` are the only place where columns are worked out: for storing, and for finding out later whether
a stored row still says what its content says.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from needlepen.calibration.database.tables import (
    TEXT_LENGTH,
    Base,
    CalibrationRow,
    CheckRow,
    WithdrawalRow,
)
from needlepen.calibration.model import Calibration, DailyCheck, GaugeIdentity, Phase, Taken, Withdrawal
from needlepen.errors import Refused

Content = Calibration | DailyCheck | Withdrawal
Columns = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """One kind of record: its name in `audit`, its class, its table and that table's key."""

    name: str
    model: type[Calibration] | type[DailyCheck] | type[Withdrawal]
    row: type[CalibrationRow] | type[CheckRow] | type[WithdrawalRow]
    key: str


KINDS = {
    kind.name: kind
    for kind in (
        Kind("calibration", Calibration, CalibrationRow, "number"),
        Kind("check", DailyCheck, CheckRow, "id"),
        Kind("withdrawal", Withdrawal, WithdrawalRow, "number"),
    )
}


def kind_of(content: Content) -> Kind:
    """Its entry in KINDS."""
    return next(kind for kind in KINDS.values() if isinstance(content, kind.model))


def canonical(content: Content | GaugeIdentity) -> str:
    """The one JSON text of a content: sorted keys, no blanks, ASCII. Raises Refused for what JSON cannot hold."""
    try:
        text = json.dumps(
            content.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), allow_nan=False
        )
        same = type(content).model_validate_json(text) == content
    except ValueError:
        same = False
    if not same:
        raise Refused(
            f"{type(content).__name__}: holds a value that cannot be kept without a loss (not a number, or infinite); "
            "nothing was stored: repeat the measurement that it comes from"
        )
    return text


def lasting(content: Content | GaugeIdentity) -> str:
    """The same without the fields that have their default: a later version with more fields gives the same text."""
    plain = content.model_dump(mode="json", exclude_defaults=True)
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256(text: str) -> str:
    """64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def subject(content: Content) -> str:
    """By which key it is found: the number of the certificate; of a check the hash of its content."""
    return sha256(lasting(content)) if isinstance(content, DailyCheck) else content.number


def columns(content: Content) -> Columns:
    """The columns beside entry and content."""
    if isinstance(content, Calibration):
        return _of_calibration(content)
    if isinstance(content, DailyCheck):
        return _of_check(content)
    return {
        "number": content.number,
        "at": content.at,
        "reason": plain(content.reason, None),
        "operator": plain(content.operator),
    }


def _of_calibration(made: Calibration) -> Columns:
    return {
        "number": made.number,
        "pen": made.pen.unique_id,
        "pen_name": plain(made.pen.name),
        "gauge": gauge_key(made.gauge),
        "operator": plain(made.operator),
        "begun": made.begun,
        "ended": made.ended,
        "day": made.day,
        "due": made.due,
        "accepted": made.decision.accepted,
        "written": bool(made.record_hex),
        "expanded_um": made.budget.expanded,
        "as_found_um": worst(made.taken, Phase.AS_FOUND),
        "as_left_um": worst(made.taken, Phase.VERIFICATION),
        "run_s": made.pen.run_s,
        "firmware": plain(made.pen.version),
        "software": plain(made.software),
    }


def _of_check(check: DailyCheck) -> Columns:
    return {
        "id": subject(check),
        "pen": check.pen.unique_id,
        "gauge": gauge_key(check.gauge),
        "operator": plain(check.operator),
        "at": check.at,
        "calibration": check.calibration,
        "passed": check.decision.accepted,
        "worst_um": check.worst_error_um,
        "run_s": check.pen.run_s,
    }


def readings(content: Content) -> list[Columns]:
    """The rows of `readings` of a calibration; none of another content."""
    if not isinstance(content, Calibration):
        return []
    every = [(taken, False) for taken in content.taken] + [(taken, True) for taken in content.replaced]
    return [_reading(content.number, place, *one) for place, one in enumerate(every)]


def _reading(number: str, place: int, taken: Taken, replaced: bool) -> Columns:
    point, reading = taken.point, taken.reading
    return {
        "number": number,
        "place": place,
        "replaced": replaced,
        "phase": point.phase.value,
        "set_um": point.set_um,
        "run": point.run,
        "direction": point.direction,
        "raw": plain(reading.raw, None),
        "value_mm": reading.value_mm,
        "unit": reading.unit,
        "at": reading.at,
        "travel_um": taken.travel_um,
        "hall_um": taken.hall_um,
        "nose_c": taken.nose_c,
        "cell_v": taken.cell_v,
    }


def gauge_key(gauge: GaugeIdentity) -> str:
    """Fingerprint of a gauge with all that is known of it."""
    return sha256(lasting(gauge))


def gauge_columns(gauge: GaugeIdentity) -> Columns:
    """The row of a gauge, beside its first entry."""
    texts = {name: plain(getattr(gauge, name)) for name in ("kind", "model", "serial", "certificate")}
    return {**texts, "fingerprint": gauge_key(gauge), "due": gauge.due, "content": lasting(gauge)}


def worst(taken: list[Taken], phase: Phase) -> float | None:
    """The error of a phase that is furthest from 0, with its sign; None without readings."""
    return max((t.error_um for t in taken if t.point.phase == phase), key=abs, default=None)


def plain(text: str, length: int | None = TEXT_LENGTH) -> str:
    """A text as every database takes it in a column; the content keeps it as it is."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()[:length]


def row_of(content: Content, entry: int) -> Base:
    """The row of its table."""
    return kind_of(content).row(**columns(content), entry=entry, content=canonical(content))
