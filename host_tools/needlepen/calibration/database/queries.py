"""Questions to the database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session, defer

from needlepen.calibration.database.content import KINDS, Content
from needlepen.calibration.database.tables import (
    AuditRow,
    CalibrationRow,
    CheckRow,
    GaugeRow,
    PenRow,
    WithdrawalRow,
)
from needlepen.calibration.model import Calibration, DailyCheck, Withdrawal
from needlepen.errors import InfrastructureError, UsageError

VERDICTS = ("accepted", "refused", "withdrawn")


@dataclass(frozen=True)
class Filter:
    """Which calibrations. `pen`: beginning of the ID, or name; `gauge`: serial number, model or kind."""

    pen: str | None = None
    operator: str | None = None
    gauge: str | None = None
    since: date | None = None
    until: date | None = None
    verdict: str | None = None


@dataclass(frozen=True)
class Summary:
    """A calibration in short. Errors in um, None without such readings; `verdict` is one of VERDICTS.

    `written`: the pen got a record. A pen that was refused and got none keeps its former calibration.
    """

    number: str
    pen: str
    pen_name: str
    operator: str
    gauge: str
    day: date
    due: date
    verdict: str
    written: bool
    as_found_um: float | None
    as_left_um: float | None
    expanded_um: float
    run_s: int
    firmware: str
    entry: int


def read_content(kind: str, text: str) -> Any:
    """A content from its JSON. Raises InfrastructureError if it is none any more: somebody changed it."""
    try:
        return KINDS[kind].model.model_validate_json(text)
    except (ValueError, KeyError):
        raise InfrastructureError(
            f"a {kind} in the database is not what was stored; 'needlepen calibration verify-database' says more"
        ) from None


def calibration(session: Session, number: str) -> Calibration | None:
    """By its number."""
    row = session.get(CalibrationRow, number)
    found: Calibration | None = read_content("calibration", row.content) if row else None
    return found


def withdrawal(session: Session, number: str) -> Withdrawal | None:
    """Of a calibration."""
    row = session.get(WithdrawalRow, number)
    found: Withdrawal | None = read_content("withdrawal", row.content) if row else None
    return found


def calibrations(session: Session, pen_id: str) -> list[Calibration]:
    """Of a pen, oldest first."""
    chosen = select(CalibrationRow.content).where(CalibrationRow.pen == pen_id)
    rows = session.scalars(chosen.order_by(CalibrationRow.ended, CalibrationRow.entry))
    return [read_content("calibration", text) for text in rows]


def checks(session: Session, pen_id: str | None) -> list[DailyCheck]:
    """Of a pen or of all, oldest first."""
    chosen = select(CheckRow.content).order_by(CheckRow.at, CheckRow.entry)
    rows = session.scalars(chosen.where(CheckRow.pen == pen_id) if pen_id else chosen)
    return [read_content("check", text) for text in rows]


def summaries(session: Session, wanted: Filter) -> list[Summary]:
    """Oldest first."""
    chosen = (
        select(CalibrationRow, GaugeRow, WithdrawalRow.number)
        .join(GaugeRow, CalibrationRow.gauge == GaugeRow.fingerprint)
        .outerjoin(WithdrawalRow, CalibrationRow.number == WithdrawalRow.number)
        .options(defer(CalibrationRow.content, raiseload=True))  # 40 KB each, and not asked for
    )
    rows = session.execute(
        chosen.where(*_conditions(wanted)).order_by(CalibrationRow.ended, CalibrationRow.entry)
    ).all()
    found = [_summary(row, gauge, withdrawn is not None) for row, gauge, withdrawn in rows]
    return [one for one in found if wanted.verdict in (None, one.verdict)]


def _conditions(wanted: Filter) -> Iterator[ColumnElement[bool]]:
    row = CalibrationRow
    if wanted.pen:
        yield or_(row.pen.startswith(wanted.pen.lower(), autoescape=True), row.pen_name == wanted.pen)
    if wanted.operator:
        yield row.operator == wanted.operator
    if wanted.gauge:
        yield or_(*(name == wanted.gauge for name in (GaugeRow.serial, GaugeRow.model, GaugeRow.kind)))
    if wanted.since:
        yield row.day >= wanted.since
    if wanted.until:
        yield row.day <= wanted.until


def _summary(row: CalibrationRow, gauge: GaugeRow, withdrawn: bool) -> Summary:
    named = " ".join(text for text in (gauge.model or gauge.kind, gauge.serial) if text)
    verdict = "withdrawn" if withdrawn else "accepted" if row.accepted else "refused"
    return Summary(
        row.number, row.pen, row.pen_name, row.operator, named, row.day, row.due, verdict, row.written, row.as_found_um,
        row.as_left_um, row.expanded_um, row.run_s, row.firmware, row.entry,
    )  # fmt: skip


def pen(session: Session, text: str, where: str) -> str:
    """The unique ID of the pen that is meant. Raises UsageError if it is none or several."""
    begins = PenRow.unique_id.startswith(text.lower(), autoescape=True)
    named = select(CalibrationRow.pen).where(CalibrationRow.pen_name == text)
    found = sorted({*session.scalars(select(PenRow.unique_id).where(begins)), *session.scalars(named)})
    if len(found) != 1:
        why = f"means several pens: {', '.join(found)}; give more of the ID" if found else (
            f"no such pen in {where}; 'needlepen calibration list' shows which there are"
        )  # fmt: skip
        raise UsageError(f"{text}: {why}")
    return found[0]


def contents(session: Session) -> list[tuple[Content, str]]:
    """Everything in the order of its entries, each with a note on its entry."""
    found = []
    for line in session.scalars(select(AuditRow).order_by(AuditRow.entry)):
        kind = KINDS[line.what]
        row: Any = session.get(kind.row, line.subject)
        if row is None:
            raise InfrastructureError(
                f"{line.what} {line.subject} is gone; 'needlepen calibration verify-database' says more"
            )
        note = f"entry {line.entry} of {line.at:%Y-%m-%dT%H:%M:%SZ} by {line.who}, {line.hash[:16]}"
        found.append((read_content(line.what, row.content), f"{note}; {line.note}" if line.note else note))
    return found
