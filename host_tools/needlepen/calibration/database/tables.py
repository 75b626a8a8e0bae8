"""The tables. Records are only ever added; a correction is a record that refers to an older one.

Of calibrations, checks and withdrawals all is kept as JSON, beside the columns that are searched. `audit` has one line
for each of them, and chains them by hashes (see chain.py). Nothing here is special to one kind of database.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, Double, ForeignKey, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

NUMBER_LENGTH = 16
TEXT_LENGTH = 80
_HASH = String(64)
_NAMES = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ix": "ix_%(table_name)s_%(column_0_name)s",
}


class Utc(TypeDecorator[datetime]):
    """Moments with their zone. SQLite keeps none: there they are stored, and read back, as UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("a time without a zone: it means another moment elsewhere")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Of all tables."""

    metadata = MetaData(naming_convention=_NAMES)
    type_annotation_map = {datetime: Utc(), float: Double(), str: String(TEXT_LENGTH)}  # noqa: RUF012 (SQLAlchemy reads it)


class AuditRow(Base):
    """Who put what into the database, when, by which software, on a pen with which firmware."""

    __tablename__ = "audit"
    entry: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    who: Mapped[str]
    what: Mapped[str] = mapped_column(String(16))
    subject: Mapped[str] = mapped_column(String(64))
    software: Mapped[str]
    firmware: Mapped[str]
    gauge: Mapped[str]
    note: Mapped[str] = mapped_column(Text)
    content_hash: Mapped[str] = mapped_column(_HASH)
    previous: Mapped[str] = mapped_column(_HASH, unique=True)
    hash: Mapped[str] = mapped_column(_HASH, unique=True)


class PenRow(Base):
    """A pen that was calibrated or checked."""

    __tablename__ = "pens"
    unique_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    board: Mapped[str]
    first_entry: Mapped[int] = mapped_column(ForeignKey("audit.entry"))


class GaugeRow(Base):
    """A gauge with what its own calibration says of it: a new one of those is a new row."""

    __tablename__ = "gauges"
    fingerprint: Mapped[str] = mapped_column(_HASH, primary_key=True)
    kind: Mapped[str]
    model: Mapped[str]
    serial: Mapped[str] = mapped_column(index=True)
    certificate: Mapped[str]
    due: Mapped[date | None]
    content: Mapped[str] = mapped_column(Text)
    first_entry: Mapped[int] = mapped_column(ForeignKey("audit.entry"))


class NumberRow(Base):
    """A number that was given out: nobody gets it again, also if its calibration was never finished."""

    __tablename__ = "numbers"
    number: Mapped[str] = mapped_column(String(NUMBER_LENGTH), primary_key=True)
    at: Mapped[datetime]
    who: Mapped[str]


class CalibrationRow(Base):
    """A calibration, accepted or refused."""

    __tablename__ = "calibrations"
    number: Mapped[str] = mapped_column(String(NUMBER_LENGTH), primary_key=True)
    entry: Mapped[int] = mapped_column(ForeignKey("audit.entry"), unique=True)
    pen: Mapped[str] = mapped_column(ForeignKey("pens.unique_id"), index=True)
    pen_name: Mapped[str]
    gauge: Mapped[str] = mapped_column(ForeignKey("gauges.fingerprint"))
    operator: Mapped[str] = mapped_column(index=True)
    begun: Mapped[datetime]
    ended: Mapped[datetime]
    day: Mapped[date] = mapped_column(index=True)
    due: Mapped[date] = mapped_column(index=True)
    accepted: Mapped[bool]
    written: Mapped[bool]
    expanded_um: Mapped[float]
    as_found_um: Mapped[float | None]
    as_left_um: Mapped[float | None]
    run_s: Mapped[int]
    firmware: Mapped[str]
    software: Mapped[str]
    content: Mapped[str] = mapped_column(Text)


class ReadingRow(Base):
    """A reading of a calibration; the replaced ones follow those that count."""

    __tablename__ = "readings"
    number: Mapped[str] = mapped_column(
        String(NUMBER_LENGTH), ForeignKey("calibrations.number"), primary_key=True
    )
    place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    replaced: Mapped[bool]
    phase: Mapped[str] = mapped_column(String(16))
    set_um: Mapped[int]
    run: Mapped[int]
    direction: Mapped[str] = mapped_column(String(4))
    raw: Mapped[str] = mapped_column(Text)
    value_mm: Mapped[float]
    unit: Mapped[str] = mapped_column(String(4))
    at: Mapped[datetime]
    travel_um: Mapped[int]
    hall_um: Mapped[int]
    nose_c: Mapped[float]
    cell_v: Mapped[float]


class WithdrawalRow(Base):
    """A calibration that is not valid any more, and why."""

    __tablename__ = "withdrawals"
    number: Mapped[str] = mapped_column(
        String(NUMBER_LENGTH), ForeignKey("calibrations.number"), primary_key=True
    )
    entry: Mapped[int] = mapped_column(ForeignKey("audit.entry"), unique=True)
    at: Mapped[datetime]
    reason: Mapped[str] = mapped_column(Text)
    operator: Mapped[str]
    content: Mapped[str] = mapped_column(Text)


class CheckRow(Base):
    """A daily check. `id` is the hash of its content: the same check twice is one."""

    __tablename__ = "checks"
    id: Mapped[str] = mapped_column(_HASH, primary_key=True)
    entry: Mapped[int] = mapped_column(ForeignKey("audit.entry"), unique=True)
    pen: Mapped[str] = mapped_column(ForeignKey("pens.unique_id"), index=True)
    gauge: Mapped[str] = mapped_column(ForeignKey("gauges.fingerprint"))
    operator: Mapped[str]
    at: Mapped[datetime] = mapped_column(index=True)
    calibration: Mapped[str] = mapped_column(String(NUMBER_LENGTH))
    passed: Mapped[bool]
    worst_um: Mapped[float]
    run_s: Mapped[int]
    content: Mapped[str] = mapped_column(Text)


TABLES = tuple(table.name for table in Base.metadata.sorted_tables)
