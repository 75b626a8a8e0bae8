"""The calibration database: adds records, finds them, and proves that none was changed."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

import needlepen
from needlepen.calibration.database import adding, due, migrating, opening, queries, verifying
from needlepen.calibration.database.content import Content
from needlepen.calibration.database.due import Due
from needlepen.calibration.database.numbers import new_number
from needlepen.calibration.database.queries import Filter, Summary
from needlepen.calibration.database.tables import CalibrationRow, NumberRow
from needlepen.calibration.model import Calibration, DailyCheck, Withdrawal, now
from needlepen.errors import InfrastructureError, Refused, UsageError

_T = TypeVar("_T")
Calibrations = list[Calibration]  # the class has a method `list`
Checks = list[DailyCheck]
Contents = list[tuple[Content, str]]
Dues = list[Due]
Summaries = list[Summary]
News = list[bool]
Texts = list[str]
_TRIES = 40
"""Two benches that write at once: one of them has to try again; each time at least one gets on."""


def user() -> str:
    """Who uses this computer."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


class Database:
    """An open database. Times are UTC. Errors of the database itself are raised as InfrastructureError."""

    def __init__(self, url: str | None = None, *, migrate: bool = True) -> None:
        """See `open_database`."""
        self.url = opening.where(url)
        self.shown = opening.shown(self.url)
        self._engine: Engine = opening.make_engine(self.url)
        try:
            with opening.told(self.url):
                if migrate:
                    self.migrated = migrating.migrate(self._engine, self.shown)
        except BaseException:
            self.close()
            raise

    # ------------------------------------------------------------------ adding
    def next_number(self, day: date | None = None, who: str | None = None) -> str:
        """A number for a certificate that no other bench on this database gets, also if it is never used."""

        def reserve(session: Session) -> str:
            number = new_number(day or now().date())
            if session.get(CalibrationRow, number) is not None:
                raise IntegrityError("number of an imported calibration", None, Exception("taken"))
            session.add(NumberRow(number=number, at=now(), who=who or user()))
            return number

        return self._write(reserve)

    def add(self, calibration: Calibration, note: str = "") -> bool:
        """Keep a calibration; False if exactly this one is there already.

        Raises Refused if another one has its number, or if it holds what cannot be kept without a loss.
        """
        return self._write(lambda session: adding.add(session, calibration, calibration.operator, note))

    def add_check(self, check: DailyCheck, note: str = "") -> bool:
        """Keep a daily check; False if exactly this one is there already."""
        return self._write(lambda session: adding.add(session, check, check.operator, note))

    def withdraw(self, number: str, reason: str, operator: str | None = None) -> Withdrawal:
        """Declare a calibration invalid; it stays, with a reference to the reason.

        Raises UsageError without such a calibration or without a reason, Refused if it is withdrawn already.
        """
        if not reason.strip():
            raise UsageError(f"{number}: a withdrawal needs a reason: somebody will ask for it")
        who, number = operator or user(), self.get(number).number
        there = self.withdrawal(number)
        if there is not None:
            raise Refused(
                f"{number}: withdrawn already on {there.at:%Y-%m-%d} by {there.operator}: {there.reason}"
            )
        made = Withdrawal(
            number=number, reason=reason.strip(), operator=who, at=now(), software=needlepen.__version__
        )
        self._write(lambda session: adding.add(session, made, who, ""))
        return made

    def add_all(self, contents: Sequence[tuple[Content, str]], who: str) -> News:
        """Keep all of (content, note), or none if one is refused; says of each whether it is new."""
        return self._write(lambda session: [adding.add(session, one, who, note) for one, note in contents])

    # ------------------------------------------------------------------ finding
    def get(self, number: str) -> Calibration:
        """A calibration by its number. Raises UsageError if there is none."""
        found = self._read(lambda session: queries.calibration(session, number.strip().upper()))
        if found is None:
            raise UsageError(
                f"{number}: no such calibration in {self.shown}; 'needlepen calibration list' shows all of them"
            )
        return found

    def withdrawal(self, number: str) -> Withdrawal | None:
        """Why a calibration is not valid any more; None if it was not withdrawn."""
        return self._read(lambda session: queries.withdrawal(session, number))

    def list(self, wanted: Filter | None = None) -> Summaries:
        """Calibrations in short, oldest first."""
        return self._read(lambda session: queries.summaries(session, wanted or Filter()))

    def history(self, pen: str) -> Calibrations:
        """All calibrations of a pen (unique ID), oldest first."""
        return self._read(lambda session: queries.calibrations(session, pen))

    def checks(self, pen: str | None = None) -> Checks:
        """Daily checks of a pen, or of all, oldest first."""
        return self._read(lambda session: queries.checks(session, pen))

    def pen(self, text: str) -> str:
        """The unique ID that is meant by an ID, its beginning or a pen's name. Raises UsageError."""
        return self._read(lambda session: queries.pen(session, text, self.shown))

    def due(self, day: date | None = None, within_days: int = 0) -> Dues:
        """The pens whose calibration or daily check is due at the latest `within_days` after `day`."""
        return self._read(lambda session: due.due(session, day or now().date(), within_days))

    def contents(self) -> Contents:
        """Everything in the order in which it was added, each with a note on its entry here."""
        return self._read(queries.contents)

    # ------------------------------------------------------------------ proving
    def verify(self, expect: str | None = None) -> verifying.Verified:
        """Looks for removed and changed rows, by the chain of hashes and by working every column out anew.

        `expect`: a hash that was noted before and must be in the chain.
        """
        return self._read(lambda session: verifying.verify(session, expect))

    def verify_record(self, number: str) -> Texts:
        """What is wrong with one calibration, its withdrawal, or the chain; nothing if all is as it was stored."""
        return self._read(lambda session: verifying.verify_record(session, number))

    # ------------------------------------------------------------------ within
    def _write(self, work: Callable[[Session], _T]) -> _T:
        last: IntegrityError | None = None
        for _ in range(_TRIES):
            try:
                with self._session(writing=True) as session:
                    done = work(session)
                    session.commit()
                    return done
            except IntegrityError as error:  # another bench was faster: its entry or its number; look again
                last = error
        raise InfrastructureError(
            f"{self.shown}: other benches kept writing at the same time ({last and last.orig}); nothing was stored, "
            "do it again"
        )

    def _read(self, work: Callable[[Session], _T]) -> _T:
        with self._session(writing=False) as session:
            return work(session)

    @contextmanager
    def _session(self, *, writing: bool) -> Iterator[Session]:
        with opening.told(self.url), self._engine.connect() as plain:
            connection = plain.execution_options(needlepen_writing=writing)
            with Session(bind=connection, expire_on_commit=False) as session:
                yield session

    def close(self) -> None:
        """Close its connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
