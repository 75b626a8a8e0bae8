"""Adds one record in a transaction: its rows, and its line in the chain."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

import needlepen
from needlepen.calibration.database.chain import FIRST, line_hash
from needlepen.calibration.database.content import (
    Content,
    canonical,
    gauge_columns,
    gauge_key,
    kind_of,
    plain,
    readings,
    row_of,
    sha256,
    subject,
)
from needlepen.calibration.database.numbers import read_number
from needlepen.calibration.database.queries import read_content
from needlepen.calibration.database.tables import AuditRow, CalibrationRow, GaugeRow, PenRow, ReadingRow
from needlepen.calibration.model import Calibration, Withdrawal, now
from needlepen.errors import Refused


def add(session: Session, content: Content, who: str, note: str) -> bool:
    """Add it; False if exactly this is there. Raises Refused if something else is there under its key."""
    kind, key = kind_of(content), subject(content)
    there: Any = session.get(kind.row, key)
    if there is not None:
        if read_content(kind.name, there.content) == content:
            return False
        raise Refused(
            f"{kind.name} {key}: another one with this number is in the database, and records are never changed; "
            "nothing was stored: find out which of the two is right"
        )
    _judge(session, content)
    line = _line(session, content, who, note)
    session.add(line)
    session.flush()
    if not isinstance(content, Withdrawal):
        _parties(session, content, line.entry)
    session.add(row_of(content, line.entry))
    session.flush()
    session.add_all(ReadingRow(**row) for row in readings(content))
    session.flush()
    return True


def _judge(session: Session, content: Content) -> None:
    if isinstance(content, Calibration):
        read_number(content.number)
    if isinstance(content, Withdrawal) and session.get(CalibrationRow, content.number) is None:
        raise Refused(f"{content.number}: withdrawn, but there is no such calibration; nothing was stored")


def _line(session: Session, content: Content, who: str, note: str) -> AuditRow:
    last = session.scalars(select(AuditRow).order_by(AuditRow.entry.desc()).limit(1)).first()
    of_pen: dict[str, Any] = {"firmware": "", "gauge": ""}
    if not isinstance(content, Withdrawal):
        gauge = content.gauge
        of_pen = {
            "firmware": plain(f"{content.pen.version} {content.pen.application_hash}".strip()),
            "gauge": plain(" ".join(text for text in (gauge.kind, gauge.model, gauge.serial) if text)),
        }
    line = AuditRow(
        entry=last.entry + 1 if last else 1,
        at=now(),
        who=plain(who),
        what=kind_of(content).name,
        subject=subject(content),
        software=plain(needlepen.__version__),
        note=plain(note, None),
        content_hash=sha256(canonical(content)),
        previous=last.hash if last else FIRST,
        **of_pen,
    )
    line.hash = line_hash(line)
    return line


def _parties(session: Session, content: Any, entry: int) -> None:
    """The pen and the gauge, if they are new here."""
    if session.get(PenRow, content.pen.unique_id) is None:
        session.add(
            PenRow(unique_id=content.pen.unique_id, board=plain(content.pen.board), first_entry=entry)
        )
    if session.get(GaugeRow, gauge_key(content.gauge)) is None:
        session.add(GaugeRow(**gauge_columns(content.gauge), first_entry=entry))
    session.flush()
