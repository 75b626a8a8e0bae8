"""Was a record removed or changed? Every hash of the chain, and every column, is worked out anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from needlepen.calibration.database.chain import FIRST, line_hash
from needlepen.calibration.database.content import (
    KINDS,
    Columns,
    Content,
    columns,
    gauge_columns,
    gauge_key,
    readings,
    sha256,
    subject,
)
from needlepen.calibration.database.queries import read_content
from needlepen.calibration.database.tables import AuditRow, Base, GaugeRow, PenRow, ReadingRow
from needlepen.calibration.model import Withdrawal
from needlepen.errors import InfrastructureError


@dataclass(frozen=True)
class Verified:
    """What was found: number of entries, the last hash (note it elsewhere: see README), and what is wrong."""

    entries: int
    last_hash: str
    problems: list[str]


def verify(session: Session, expect: str | None = None) -> Verified:
    """Judge everything in the database."""
    lines = list(session.scalars(select(AuditRow).order_by(AuditRow.entry)))
    problems = [*_chain(lines), *_strays(session, lines)]
    for line in lines:
        problems += _record(session, line)
    if expect and not any(line.hash.startswith(expect.lower()) for line in lines):
        problems.append(
            f"the hash {expect}, noted before, is not in the chain: entries were removed or replaced"
        )
    return Verified(len(lines), lines[-1].hash if lines else FIRST, problems)


def verify_record(session: Session, number: str) -> list[str]:
    """Judge one calibration, its withdrawal, and the chain of the whole database."""
    lines = list(session.scalars(select(AuditRow).order_by(AuditRow.entry)))
    own = [line for line in lines if line.subject == number and line.what != "check"]
    found = [] if own else [f"calibration {number} has no entry in the audit"]
    return [*_chain(lines), *found, *(text for line in own for text in _record(session, line))]


def _chain(lines: list[AuditRow]) -> Iterator[str]:
    previous, expected = FIRST, 1
    for line in lines:
        if line.entry != expected:
            count = line.entry - expected
            yield f"audit: {count} {'entry is' if count == 1 else 'entries are'} gone before entry {line.entry}"
        elif line.previous != previous:
            yield f"audit: entry {line.entry} does not follow the one before it: one of them was replaced"
        if line.hash != line_hash(line):
            yield f"audit: entry {line.entry} was changed"
        previous, expected = line.hash, line.entry + 1


def _strays(session: Session, lines: list[AuditRow]) -> Iterator[str]:
    for kind in KINDS.values():
        known = {line.subject for line in lines if line.what == kind.name}
        for key in session.scalars(select(getattr(kind.row, kind.key))):
            if key not in known:
                yield f"{kind.name} {key}: has no entry in the audit"


def _record(session: Session, line: AuditRow) -> Iterator[str]:
    """What is wrong with the record of a line."""
    name = f"{line.what} {line.subject}"
    kind = KINDS.get(line.what)
    row: Any = session.get(kind.row, line.subject) if kind else None
    if row is None:
        yield f"{name}: is gone"
        return
    if sha256(row.content) != line.content_hash:
        yield f"{name}: its content was changed"
    try:
        content: Content = read_content(line.what, row.content)
    except InfrastructureError:
        yield f"{name}: its content cannot be read"
        return
    if subject(content) != line.subject:
        yield f"{name}: its content is that of {subject(content)}"
    yield from _differences(name, row, {**columns(content), "entry": line.entry})
    yield from _readings(session, name, content)
    yield from _parties(session, name, content)


def _readings(session: Session, name: str, content: Content) -> Iterator[str]:
    wanted = readings(content)
    if not wanted:
        return
    number = wanted[0]["number"]
    chosen = select(ReadingRow).where(ReadingRow.number == number).order_by(ReadingRow.place)
    rows = {row.place: row for row in session.scalars(chosen)}
    for one in wanted:
        label = f"{name}: reading {one['place']}"
        if one["place"] in rows:
            yield from _differences(label, rows[one["place"]], one)
        else:
            yield f"{label} is gone"
    surplus = set(rows) - {one["place"] for one in wanted}
    for place in sorted(surplus):
        yield f"{name}: reading {place} was added"


def _parties(session: Session, name: str, content: Content) -> Iterator[str]:
    if isinstance(content, Withdrawal):
        return
    pen = session.get(PenRow, content.pen.unique_id)
    gauge = session.get(GaugeRow, gauge_key(content.gauge))
    if pen is None:
        yield f"{name}: its pen is gone"
    if gauge is None:
        yield f"{name}: its gauge is gone"
    else:
        yield from _differences(f"{name}: its gauge", gauge, gauge_columns(content.gauge))


def _differences(name: str, row: Base, wanted: Columns) -> Iterator[str]:
    for column, value in wanted.items():
        stored = getattr(row, column)
        if stored != value:
            yield f"{name}: {column} is {_told(stored)}, not {_told(value)} as in its content"


def _told(value: Any) -> str:
    return repr(value) if isinstance(value, str) else str(value)
