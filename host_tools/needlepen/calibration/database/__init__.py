"""The calibration database: append-only records of calibrations, daily checks and withdrawals.

with open_database() as database:
    number = database.next_number()
    database.add(calibration)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from needlepen.calibration.database.store import Database


def open_database(url: str | None = None) -> Database:
    """The database at `url` (SQLAlchemy URL or path of an SQLite file), NEEDLEPEN_DATABASE, or the user's own.

    Its tables are made, or brought to the form of this version. Raises UsageError for a URL that is none, Refused for a
    database of a newer version, InfrastructureError if it cannot be reached or written.
    """
    from needlepen.calibration.database.store import Database  # SQLAlchemy takes 0.3 s

    return Database(url)
