"""Brings the tables of a database to the form of this version, by the migrations that are shipped with the package."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from needlepen.errors import Refused

_SCRIPTS = Path(__file__).with_name("migrations")
_LOCK = 0x6E70656E
"""Key of the advisory lock under which one bench at a time migrates a PostgreSQL database."""


@cache
def newest() -> str:
    """The version of this program."""
    found = ScriptDirectory(str(_SCRIPTS)).get_current_head()
    assert found is not None, "the migrations are shipped with the package"
    return found


def version(connection: Connection) -> str | None:
    """The version of a database; None if it is empty."""
    return MigrationContext.configure(connection).get_current_revision()


def migrate(engine: Engine, shown: str, to: str = "head") -> tuple[str | None, str]:
    """Migrate to version `to`; returns the versions before and after. All in one transaction.

    Raises Refused if the database is newer than this program.
    """
    with engine.connect() as connection:
        present = version(connection)
    if to == "head" and present == newest():
        return present, newest()
    with engine.connect() as plain, plain.execution_options(needlepen_writing=True).begin():
        if plain.dialect.name == "postgresql":
            plain.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        before = version(plain)  # perhaps another bench was faster
        _refuse_newer(before, shown)
        command.upgrade(_config(plain), to)
        after = version(plain)
    assert after is not None
    return before, after


def _refuse_newer(present: str | None, shown: str) -> None:
    known = [script.revision for script in ScriptDirectory(str(_SCRIPTS)).walk_revisions()]
    if present is not None and present not in known:
        raise Refused(
            f"{shown}: written by a newer needlepen (tables of version {present}, known here: up to {newest()}); "
            "it would misread them: update needlepen on this computer"
        )


def _config(connection: Connection) -> Any:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
