"""Opens the database: where it is, how its connections behave, and that it has the tables of this version."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from needlepen import paths
from needlepen.calibration.database.guard import refuse_changes
from needlepen.errors import InfrastructureError, UsageError

WAIT_S = 20.0
"""So long a bench waits for another one that is writing."""
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}


def where(given: str | None = None) -> URL:
    """The database that is meant: `given` (URL, or path of an SQLite file), NEEDLEPEN_DATABASE, else the user's own.

    Raises UsageError if it is no URL.
    """
    text = given or os.environ.get("NEEDLEPEN_DATABASE") or str(paths.data_dir() / "calibrations.db")
    if "://" not in text:
        return URL.create("sqlite", database=str(Path(text).expanduser().absolute()))
    try:
        url = make_url(text)
    except ArgumentError:
        # Not shown: it may hold a password.
        raise UsageError(
            "the URL of the database is not one; they look like postgresql://user@host/calibrations"
        ) from None
    return url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))


def shown(url: URL) -> str:
    """The URL for people: no password in it."""
    return str(url.database) if url.drivername == "sqlite" else url.render_as_string(hide_password=True)


def make_engine(url: URL) -> Engine:
    """An engine whose transactions are durable and wait for each other. Raises UsageError without its driver.

    An SQLite file that this user may only read, as an auditor's copy, is only read.
    """
    read_only = url.drivername == "sqlite" and _is_read_only(url.database)
    try:
        options: dict[str, Any] = {"connect_args": {"timeout": WAIT_S}} if url.drivername == "sqlite" else {}
        if url.drivername == "sqlite" and url.database:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        target = _reading(url) if read_only else url
        engine = create_engine(target, pool_pre_ping=url.drivername != "sqlite", **options)
    except (NoSuchModuleError, ModuleNotFoundError, ImportError) as error:
        hint = (
            "pip install 'needlepen[postgresql]'" if "postgresql" in url.drivername else "install its driver"
        )
        raise UsageError(f"{shown(url)}: this Python has no driver for it ({error}); {hint}") from None
    except OSError as error:
        raise InfrastructureError(
            f"{shown(url)}: cannot be made ({error.strerror}); give another place"
        ) from None
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine, read_only)
    refuse_changes(engine)
    return engine


def _is_read_only(database: str | None) -> bool:
    """Whether the file is there and cannot be written, or nothing beside it (its write-ahead log would be there)."""
    if not database or database == ":memory:" or not Path(database).is_file():
        return False
    return not all(os.access(path, os.W_OK) for path in (database, Path(database).absolute().parent))


def _reading(url: URL) -> URL:
    """The same file, opened for reading. `immutable`: without a log nobody writes to it meanwhile."""
    path = Path(str(url.database)).absolute()
    log = path.with_name(f"{path.name}-wal")
    alone = {} if log.exists() and log.stat().st_size else {"immutable": "1"}
    return url.set(
        database=path.as_uri().replace("file://", "file:"), query={"mode": "ro", "uri": "true", **alone}
    )


def _prepare_sqlite(engine: Engine, read_only: bool) -> None:
    """Transactions that begin when SQLAlchemy says so (a writer at once, so that none fails half-way)."""

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        # WAL: who reads does not wait. FULL: what was committed is still there after a power cut.
        log = () if read_only else ("journal_mode=WAL", "synchronous=FULL")
        for pragma in (*log, "foreign_keys=ON", "recursive_triggers=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        writing = connection.get_execution_options().get("needlepen_writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


@contextmanager
def told(url: URL) -> Iterator[None]:
    """Errors of the database as one line. Raises InfrastructureError; an IntegrityError stays what it is."""
    try:
        yield
    except IntegrityError:  # for who knows what to do about it
        raise
    except DBAPIError as error:
        lines = re.sub(r"\s+", " ", str(error.orig)).strip()
        raise InfrastructureError(
            f"{shown(url)}: the database does not do it ({lines}); nothing was stored, see that it can be reached and "
            "written, then do it again"
        ) from None
    except SQLAlchemyError as error:
        raise InfrastructureError(f"{shown(url)}: the database cannot be used ({error})") from None
