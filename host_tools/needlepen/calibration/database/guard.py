"""Records are only ever added.

The database itself refuses UPDATE and DELETE: by triggers in SQLite and PostgreSQL, made by the migrations. In any
dialect this program sends no such statement: `refuse_changes` stops it before it gets there.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.sql.dml import Delete, Update

from needlepen.calibration.database.tables import TABLES
from needlepen.errors import Refused

MESSAGE = "records are only added, never changed or removed: withdraw the calibration instead"


def triggers(dialect: str, table: str, key: tuple[str, ...]) -> list[str]:
    """The statements that make `table` append-only; none for a dialect without a known form."""
    if dialect == "sqlite":
        return _sqlite(table, key)
    if dialect == "postgresql":
        return _postgresql(table)
    return []


def _sqlite(table: str, key: tuple[str, ...]) -> list[str]:
    refuse = f"BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
    same = " AND ".join(f"{column} = NEW.{column}" for column in key)
    # INSERT OR REPLACE removes a row without the trigger on DELETE: refused by itself.
    there = f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {same})"
    return [
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} {there} "
        f"BEGIN SELECT RAISE(ABORT, 'UNIQUE constraint failed: {table} has this record already'); END",
    ]


def _postgresql(table: str) -> list[str]:
    return [
        "CREATE OR REPLACE FUNCTION needlepen_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{MESSAGE}' USING ERRCODE = 'restrict_violation'; END $$",
        f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION needlepen_append_only()",
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION needlepen_append_only()",
    ]


def refuse_changes(engine: Engine) -> None:
    """From now on the engine raises Refused for UPDATE and DELETE of a record."""

    @event.listens_for(engine, "before_execute")
    def _refuse(_connection: Connection, clause: Any, *_rest: Any) -> None:
        if isinstance(clause, Update | Delete):
            table = getattr(clause.table, "name", "")
            if table in TABLES:
                raise Refused(f"{table}: {MESSAGE}")
