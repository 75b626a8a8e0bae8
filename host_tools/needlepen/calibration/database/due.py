"""Which pens are due: by time, by running hours as far as they are known, and for their daily check (SR-05)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from needlepen import requirements
from needlepen.calibration import interval
from needlepen.calibration.database.queries import Filter, Summary, calibrations, summaries, withdrawal
from needlepen.calibration.database.tables import CheckRow
from needlepen.firmware_modules import firmware_module

_EPOCH = date(2000, 1, 1)


@dataclass(frozen=True)
class Due:
    """What a pen needs. `hours` ran since its calibration as far as calibrations and checks know.

    `advised`: when its next calibration is advised from the errors that it came back with; `advice` says why.
    """

    pen: str
    pen_name: str
    number: str
    verdict: str
    calibration_due: date
    blocked_from: date
    check_due: date
    advised: date
    advice: str
    hours: float
    reasons: list[str] = field(default_factory=list)


def due(session: Session, day: date, within_days: int) -> list[Due]:
    """Pens with a reason, the most urgent first."""
    # The last of each pen stays, except that a refused pen may have kept its former calibration.
    newest: dict[str, Summary] = {}
    for one in summaries(session, Filter()):
        if one.written or one.verdict != "refused" or one.pen not in newest:
            newest[one.pen] = one
    found = [_of_pen(session, one, day, day + timedelta(days=within_days)) for one in newest.values()]
    return sorted((one for one in found if one.reasons), key=lambda one: (one.calibration_due, one.pen))


def _of_pen(session: Session, last: Summary, day: date, until: date) -> Due:
    rows = session.scalars(select(CheckRow).where(CheckRow.pen == last.pen).order_by(CheckRow.at)).all()
    # Only a check that passed lasts a day; one that failed is due again.
    checked = max([last.day, *(row.at.date() for row in rows if row.passed)])
    limits = requirements.load()["SR-05"]
    former = [made for made in calibrations(session, last.pen) if withdrawal(session, made.number) is None]
    advice = (
        interval.advise(former)
        if former
        else interval.Advice(0, "all of its calibrations were withdrawn", None)
    )
    one = Due(
        pen=last.pen,
        pen_name=last.pen_name,
        number=last.number,
        verdict=last.verdict,
        calibration_due=min(last.due, _months_later(last.day, int(limits.limit("warn_months")))),
        blocked_from=_months_later(last.day, int(limits.limit("block_months"))) + timedelta(days=1),
        advised=_months_later(last.day, advice.months),
        advice=advice.reason,
        check_due=checked + timedelta(days=int(limits.limit("check_days"))),
        hours=max([0, *(row.run_s - last.run_s for row in rows)]) / 3600,
    )
    failed = bool(rows) and not rows[-1].passed and rows[-1].at.date() >= last.day
    one.reasons.extend(_reasons(one, day, until, failed))
    return one


def _reasons(one: Due, day: date, until: date, failed: bool) -> Sequence[str]:
    limits = requirements.load()["SR-05"]
    warn_h, block_h = limits.limit("warn_h"), limits.limit("block_h")
    if one.verdict != "accepted":
        return [f"its last calibration is {one.verdict}: calibrate it before it is used"]
    found = []
    if day >= one.blocked_from:
        found.append(f"calibration expired: it does not start since {one.blocked_from}")
    elif until >= one.calibration_due:
        since = "overdue since" if day > one.calibration_due else "due on"
        found.append(
            f"calibration {since} {one.calibration_due}; from {one.blocked_from} on it does not start"
        )
    elif until >= one.advised:
        found.append(f"calibration advised by {one.advised}: {one.advice}")
    if one.hours >= block_h:
        found.append(f"ran {one.hours:.0f} h since its calibration: it does not start from {block_h:g} h on")
    elif one.hours >= warn_h:
        found.append(f"ran {one.hours:.0f} h since its calibration: due from {warn_h:g} h on")
    if failed:
        found.append("its last daily check failed: calibrate it before it is used")
    elif until >= one.check_due:
        found.append(f"daily check {'overdue since' if day > one.check_due else 'due on'} {one.check_due}")
    return found


def _months_later(day: date, months: int) -> date:
    later: int = firmware_module("pen.store.dates").months_later((day - _EPOCH).days, months)
    return _EPOCH + timedelta(days=later)
