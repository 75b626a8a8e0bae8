"""The calibration database, on SQLite and, where a server is installed, on PostgreSQL: the same tests."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import delete, text, update
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session
from support import calibrations as make, postgres

from needlepen.calibration import interval
from needlepen.calibration.database import (
    adding,
    exchange,
    migrating,
    numbers,
    open_database,
    opening,
    verifying,
)
from needlepen.calibration.database.queries import Filter
from needlepen.calibration.database.store import Database
from needlepen.calibration.database.tables import TABLES, Base, CalibrationRow
from needlepen.calibration.model import Calibration, GaugeIdentity, Phase, now
from needlepen.cli import main
from needlepen.errors import InfrastructureError, Refused, UsageError

OTHER = "e660000000000002"
_COUNT = itertools.count()


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    reason = postgres.missing()
    if reason:
        pytest.skip(reason)
    with postgres.server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Gives the URL of a new, empty database."""
    if request.param == "sqlite":
        return lambda: f"sqlite:///{tmp_path / f'{next(_COUNT)}.db'}"
    server = request.getfixturevalue("server")
    return lambda: postgres.new_database(server, f"d{os.getpid()}_{next(_COUNT)}")


@pytest.fixture
def database(fresh: Callable[[], str]) -> Iterator[Database]:
    with open_database(fresh()) as opened:
        yield opened


def _engine(database: Database) -> sqlalchemy.Engine:
    """Past the program: as somebody with another tool."""
    return sqlalchemy.create_engine(database.url)


# ---------------------------------------------------------------------- keeping
def test_what_is_kept_comes_back_equal(database: Database) -> None:
    made, refused = make.calibration(1), make.calibration(2, seed=2, pen=OTHER, bent_after_um=150.0)
    check = make.daily_check(made, date(2026, 1, 16))
    assert made.decision.accepted and not refused.decision.accepted
    assert database.add(made) and database.add(refused) and database.add_check(check)
    assert database.get(made.number) == made and database.get(refused.number) == refused
    assert database.history(make.PEN) == [made] and database.checks(make.PEN) == [check]
    assert database.verify().problems == [] and database.verify().entries == 3


def test_the_same_again_is_no_second_record_and_another_one_is_refused(database: Database) -> None:
    made = make.calibration(1)
    assert database.add(made) and not database.add(made)
    with pytest.raises(Refused, match="another one with this number"):
        database.add(made.model_copy(update={"operator": "Kim"}))
    assert database.get(made.number) == made and database.verify().entries == 1


def test_any_text_and_zone_is_kept(database: Database) -> None:
    """Raw strings hold what a broken gauge sent."""
    made = make.calibration(1)
    odd = made.taken[0].reading.model_copy(update={"raw": "01A\0+0000.000\r\n\x7f 漢 \U0001f600"})
    taken = [made.taken[0].model_copy(update={"reading": odd}), *made.taken[1:]]
    made = made.model_copy(update={"taken": taken, "operator": "O" * 200})
    database.add(made)
    assert database.get(made.number) == made and database.verify().problems == []


def test_what_json_cannot_hold_is_refused(database: Database) -> None:
    made = make.calibration(1)
    bad = made.model_copy(update={"fit": made.fit.model_copy(update={"residual_um": float("nan")})})
    with pytest.raises(Refused, match="cannot be kept without a loss"):
        database.add(bad)
    assert database.list() == []


def test_a_mistyped_number_is_not_stored(database: Database) -> None:
    made = make.calibration(1)
    with pytest.raises(UsageError, match="mistyped"):
        database.add(made.model_copy(update={"number": "NP-260115-10000Y"}))


# ---------------------------------------------------------------------- append-only
@pytest.mark.parametrize("table", TABLES)
def test_no_row_is_changed_or_removed(database: Database, table: str) -> None:
    """By whatever program: the database itself refuses it."""
    _fill(database)
    column = next(iter(Base.metadata.tables[table].columns)).name
    statements = [f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}"]
    statements += [f"TRUNCATE {table} CASCADE"] if database.url.drivername.startswith("postgresql") else [
        f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}"]  # fmt: skip
    engine = _engine(database)
    for statement in statements:
        with pytest.raises(DatabaseError), engine.begin() as connection:
            connection.execute(text(statement))
    engine.dispose()
    assert database.verify().problems == []


def test_the_program_itself_sends_no_change(database: Database) -> None:
    """In any dialect, also one without triggers."""
    _fill(database)
    for statement in (update(CalibrationRow).values(operator="x"), delete(CalibrationRow)):
        with pytest.raises(Refused, match="only added"), database._session(writing=True) as session:
            session.execute(statement)


def test_a_withdrawal_refers_to_what_stays(database: Database) -> None:
    made = make.calibration(1)
    database.add(made)
    with pytest.raises(UsageError, match="needs a reason"):
        database.withdraw(made.number, "  ")
    withdrawn = database.withdraw(made.number.lower(), "gauge was dropped", "Kim")
    assert database.withdrawal(made.number) == withdrawn and database.get(made.number) == made
    assert [one.verdict for one in database.list()] == ["withdrawn"]
    with pytest.raises(Refused, match=r"withdrawn already on .* by Kim: gauge was dropped"):
        database.withdraw(made.number, "again")
    with pytest.raises(UsageError, match="no such calibration"):
        database.withdraw("NP-260115-XXXXX", "there is none")


# ---------------------------------------------------------------------- tampering
TAMPERED = {
    "column": "UPDATE calibrations SET operator = 'Kim'",
    "day": "UPDATE calibrations SET due = '2030-01-01'",
    "verdict": "UPDATE calibrations SET accepted = NOT accepted",
    "content": "UPDATE calibrations SET content = replace(content, 'bench 2', 'bench 3')",
    "unreadable": "UPDATE calibrations SET content = '{}'",
    "reading": "UPDATE readings SET value_mm = 0.5 WHERE place = 40",
    "raw": "UPDATE readings SET raw = '01A+0001.000' WHERE place = 40",
    "reading gone": "DELETE FROM readings WHERE place = 40",
    "gauge": "UPDATE gauges SET due = '2030-01-01'",
    "check": "UPDATE checks SET passed = NOT passed",
    "check gone": "DELETE FROM checks",
    "withdrawal gone": "DELETE FROM withdrawals",
    "who": "UPDATE audit SET who = 'Kim' WHERE entry = 2",
    "when": "UPDATE audit SET at = '2020-01-01 00:00:00' WHERE entry = 2",
    "entry gone": "DELETE FROM checks; DELETE FROM audit WHERE entry = 3",
}


def test_what_was_changed_past_the_triggers_is_found(database: Database) -> None:
    _fill(database)
    for what, statements in TAMPERED.items():
        found = _after(database, statements.split("; "))
        print(what, found)
        assert found, what
    assert not _after(database, [])


def test_every_column_of_every_table_is_covered(database: Database) -> None:
    """Nothing can be changed unnoticed, but the board's name in `pens` and who reserved a number when."""
    _fill(database)
    for table, column in _columns():
        found = _after(database, [f"UPDATE {table} SET {column.name} = {_other(column)}"])
        assert found, f"{table}.{column.name}"


def _after(database: Database, statements: list[str]) -> list[str]:
    """The problems that are found after some statements, which are then undone."""
    engine = _engine(database)
    with engine.connect() as connection:
        _without_triggers(connection)
        for statement in statements:
            connection.execute(text(statement))
        with Session(bind=connection) as session:
            found = verifying.verify(session).problems
        connection.rollback()
    engine.dispose()
    return found


def _columns() -> Iterator[tuple[str, Any]]:
    for table in (table for table in TABLES if table != "numbers"):
        for column in Base.metadata.tables[table].columns:
            keys = column.primary_key or column.foreign_keys or column.unique
            if not keys and (table, column.name) != ("pens", "board"):
                yield table, column


def test_the_newest_entries_are_missed_by_a_hash_that_was_noted(database: Database) -> None:
    _fill(database)
    noted = database.verify().last_hash
    assert database.verify(noted[:16]).problems == []
    _past_the_triggers(database, ["DELETE FROM withdrawals", "DELETE FROM audit WHERE entry = 4"])
    assert database.verify().problems == []  # what is left is sound
    assert "not in the chain" in database.verify(noted[:16]).problems[0]


def _fill(database: Database) -> None:
    made, other = make.calibration(1), make.calibration(2, seed=2, pen=OTHER, bent_after_um=150.0)
    database.next_number(make.DAY)
    database.add(made)
    database.add(other)
    database.add_check(make.daily_check(made, date(2026, 1, 16)))
    database.withdraw(made.number, "gauge was dropped", "Kim")


def _past_the_triggers(database: Database, statements: list[str]) -> None:
    """As its owner can: without triggers and foreign keys."""
    engine = _engine(database)
    with engine.begin() as connection:
        _without_triggers(connection)
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def _without_triggers(connection: sqlalchemy.Connection) -> None:
    if connection.dialect.name != "sqlite":
        connection.execute(text("SET session_replication_role = replica"))
        return
    triggers = text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
    for name in connection.execute(triggers).scalars().all():
        connection.execute(text(f"DROP TRIGGER {name}"))


def _other(column: Any) -> str:
    """Another value of that type."""
    kind = column.type.python_type if not hasattr(column.type, "impl") else None
    if kind is None:
        return "'2001-01-01 00:00:00'"
    if kind is bool:
        return f"NOT {column.name}"
    if kind is date:
        return "'2001-01-01'"
    if kind in (int, float):
        return f"coalesce({column.name}, 0) + 1"
    return f"substr({column.name}, 1, 3) || 'x'"


# ---------------------------------------------------------------------- migrations
def test_an_empty_database_and_an_older_one_become_the_present_one(fresh: Callable[[], str]) -> None:
    with Database(fresh()) as new:
        assert new.migrated == (None, migrating.newest())
        engine = _engine(new)
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, Base.metadata) == []
        engine.dispose()


def test_an_older_database_keeps_its_records(fresh: Callable[[], str]) -> None:
    url = fresh()
    made = make.calibration(1)
    with Database(url, migrate=False) as old:
        migrating.migrate(old._engine, old.shown, "0001")
        old._write(lambda session: adding.add(session, made, "Kim", ""))
    with Database(url) as opened:
        assert opened.migrated == ("0001", migrating.newest())
        assert opened.get(made.number) == made and opened.verify().problems == []
        opened.withdraw(made.number, "works on the tables that are new")


def test_a_newer_database_is_refused(fresh: Callable[[], str]) -> None:
    url = fresh()
    with Database(url) as opened:
        engine = _engine(opened)
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        engine.dispose()
    with pytest.raises(Refused, match=r"written by a newer needlepen.*update needlepen") as told:
        Database(url)
    assert "\n" not in str(told.value)


# ---------------------------------------------------------------------- several benches
def _bench(url: str, bench: int, count: int, told: Any) -> None:
    with open_database(url) as database:
        for place in range(count):
            number = database.next_number(make.DAY, f"bench {bench}")
            made = make.calibration(100 * bench + place + 1, seed=1, pen=f"e66000000000000{bench}")
            database.add(made)
            told.put((number, made.number))


def test_benches_that_write_at_once_get_different_numbers_and_one_chain(fresh: Callable[[], str]) -> None:
    """On an empty database, too: each of them wants to make the tables."""
    url, benches, count = fresh(), 3, 6
    make.calibration(1)  # the children inherit what is imported
    context = multiprocessing.get_context("fork")
    told = context.Queue()
    running = [
        context.Process(target=_bench, args=(url, bench, count, told)) for bench in range(1, benches + 1)
    ]
    for process in running:
        process.start()
    found = [told.get(timeout=100) for _ in range(benches * count)]
    for process in running:
        process.join(30)
        assert process.exitcode == 0
    assert len({number for number, _ in found}) == benches * count
    with open_database(url) as database:
        verified = database.verify()
        assert (verified.entries, verified.problems) == (benches * count, [])
        assert {one.number for one in database.list()} == {stored for _, stored in found}


def test_a_bench_that_dies_before_its_commit_leaves_nothing(fresh: Callable[[], str]) -> None:
    """A power cut is a transaction that never ended."""
    url, made = fresh(), make.calibration(1)
    with open_database(url) as database:
        database.add(make.calibration(2, seed=2, pen=OTHER))

    def die() -> None:
        with open_database(url) as own, own._session(writing=True) as session:
            adding.add(session, made, "Kim", "")
            os._exit(9)

    process = multiprocessing.get_context("fork").Process(target=die)
    process.start()
    process.join(30)
    assert process.exitcode == 9
    with open_database(url) as database:
        assert database.verify().entries == 1 and database.verify().problems == []
        assert database.add(made) and database.verify().entries == 2


# ---------------------------------------------------------------------- export and import
def test_export_and_import_lose_nothing(fresh: Callable[[], str], tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    with open_database(fresh()) as old, open_database(fresh()) as new:
        _fill(old)
        assert exchange.export(old, first, now()) == 4
        assert exchange.import_file(new, first, "Kim") == exchange.Imported(4, 0)
        assert [content for content, _ in new.contents()] == [content for content, _ in old.contents()]
        assert new.list() == old.list() and new.verify().problems == []
        assert exchange.import_file(new, first, "Kim") == exchange.Imported(0, 4)
        exchange.export(new, second, now())
    assert [content for content, _ in exchange.read(second)] == [
        content for content, _ in exchange.read(first)
    ]


def test_an_import_with_one_record_that_differs_changes_nothing(
    fresh: Callable[[], str], tmp_path: Path
) -> None:
    path, made = tmp_path / "all.json", make.calibration(1)
    with open_database(fresh()) as old, open_database(fresh()) as new:
        old.add(make.calibration(2, seed=2, pen=OTHER))
        old.add(made)
        exchange.export(old, path, now())
        new.add(made.model_copy(update={"operator": "somebody else"}))
        with pytest.raises(Refused, match="another one with this number"):
            exchange.import_file(new, path, "Kim")
        assert new.verify().entries == 1
        with pytest.raises(UsageError, match="is there already"):
            exchange.export(old, path, now())


def _changed_value(data: dict[str, Any]) -> None:
    data["records"][0]["content"]["taken"][-1]["reading"]["value_mm"] += 0.001


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "a value": _changed_value,
    "a record less": lambda data: data["records"].pop(),
    "other order": lambda data: data["records"].reverse(),
    "sum": lambda data: data.update(sha256="0" * 64),
}


@pytest.mark.parametrize("what", CHANGES)
def test_an_export_that_was_changed_is_refused_and_one_laid_out_anew_is_not(
    tmp_path: Path, what: str
) -> None:
    path = tmp_path / "all.json"
    with open_database(str(tmp_path / "old.db")) as old, open_database(str(tmp_path / "new.db")) as new:
        _fill(old)
        exchange.export(old, path, now())
        data = json.loads(path.read_text())
        path.write_text(json.dumps(data))
        assert len(exchange.read(path)) == 4
        CHANGES[what](data)
        path.write_text(json.dumps(data))
        with pytest.raises(UsageError, match="not those that were exported"):
            exchange.import_file(new, path, "Kim")
        assert new.verify().entries == 0


def test_a_database_that_was_changed_is_not_exported(tmp_path: Path) -> None:
    """Its records would look sound in another one."""
    url = str(tmp_path / "c.db")
    with open_database(url) as database:
        database.add(make.calibration(1))
    with closing(sqlite3.connect(url)) as connection, connection:
        connection.execute("DROP TRIGGER calibrations_no_update")
        connection.execute("UPDATE calibrations SET content = replace(content, 'Ines', 'Inez')")
    with open_database(url) as database, pytest.raises(Refused, match="changed past this program"):
        exchange.export(database, tmp_path / "all.json", now())
    assert not (tmp_path / "all.json").exists()


HEAD = '{"what": "needlepen calibrations", "format": 1'
NO_EXPORT = ["", "[]", '{"what": "x"}', HEAD + "}", HEAD + ', "records": [{"kind": "x"}]}']


@pytest.mark.parametrize("content", NO_EXPORT)
def test_a_file_that_is_no_export_is_told_in_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "file.json"
    path.write_text(content)
    with pytest.raises(UsageError, match="not a file that") as told:
        exchange.read(path)
    assert "\n" not in str(told.value)


# ---------------------------------------------------------------------- questions
def test_the_filters(database: Database) -> None:
    other_gauge = GaugeIdentity(kind="manual", model="ID-C112", serial="B9")
    one = make.calibration(1)
    two = make.calibration(2, seed=2, pen=OTHER, bent_after_um=150.0, day=date(2026, 3, 1), operator="Kim",
                           gauge=other_gauge)  # fmt: skip
    database.add(one)
    database.add(two)
    expected = {
        Filter(): [one, two],
        Filter(pen=OTHER): [two],
        Filter(pen="e66"): [one, two],
        Filter(pen="left"): [one, two],
        Filter(pen="right"): [],
        Filter(operator="Kim"): [two],
        Filter(gauge="B9"): [two],
        Filter(gauge="mitutoyo"): [one],
        Filter(since=date(2026, 1, 15), until=date(2026, 2, 28)): [one],
        Filter(since=date(2026, 1, 16)): [two],
        Filter(verdict="refused"): [two],
        Filter(verdict="accepted", pen=OTHER): [],
    }
    for wanted, found in expected.items():
        assert [each.number for each in database.list(wanted)] == [each.number for each in found], wanted
    assert database.pen(OTHER[:16]) == OTHER
    with pytest.raises(UsageError, match="means several pens"):
        database.pen("e66")
    with pytest.raises(UsageError, match="no such pen"):
        database.pen("f0")
    first = database.list()[0]
    assert first.as_left_um == max(
        (t.error_um for t in one.taken if t.point.phase == Phase.VERIFICATION), key=abs
    )


def test_which_pens_are_due(database: Database) -> None:
    """SR-05: 12 and 15 months, 200 and 250 h; and the daily check."""
    made = make.calibration(1, run_s=36_000)
    database.add(made)

    def reasons(day: date, within: int = 0) -> list[str]:
        return [reason for one in database.due(day, within) for reason in one.reasons]

    assert reasons(date(2026, 1, 15)) == []
    assert reasons(date(2026, 1, 16)) == ["daily check due on 2026-01-16"]
    database.add_check(make.daily_check(made, date(2026, 1, 20)))
    assert reasons(date(2026, 1, 20)) == []
    database.add_check(make.daily_check(made, date(2027, 1, 14), run_s=36_000 + 199 * 3600))
    assert reasons(date(2027, 1, 14)) == []
    assert (
        reasons(date(2027, 1, 14), 1)[0]
        == "calibration due on 2027-01-15; from 2027-04-16 on it does not start"
    )
    assert reasons(date(2027, 1, 16))[0].startswith("calibration overdue since 2027-01-15")
    assert reasons(date(2027, 4, 15))[0].startswith("calibration overdue since")
    assert reasons(date(2027, 4, 16))[0].startswith("calibration expired")
    database.add_check(make.daily_check(made, date(2026, 6, 1), run_s=36_000 + 200 * 3600))
    assert "ran 200 h since its calibration: due from 200 h on" in reasons(date(2026, 6, 1))
    database.add_check(make.daily_check(made, date(2026, 6, 2), run_s=36_000 + 250 * 3600))
    assert "ran 250 h since its calibration: it does not start from 250 h on" in reasons(date(2026, 6, 2))


def test_a_pen_that_drifts_is_due_earlier(database: Database) -> None:
    """By the advice that follows from what it came back with."""
    made = make.calibration(1, day=date(2025, 7, 15))
    worse = [t.model_copy(update={"reading": t.reading.model_copy(update={"value_mm": t.point.set_um / 1e3 + 0.095})})
             if t.point.phase is Phase.AS_FOUND else t for t in make.calibration(2).taken]  # fmt: skip
    database.add(made)
    database.add(make.calibration(2).model_copy(update={"taken": worse}))
    advice = interval.advise(database.history(make.PEN))
    assert 1 <= advice.months < 12
    day = date(2026, 1 + advice.months, 15)
    told = [reason for one in database.due(day) for reason in one.reasons]
    assert f"calibration advised by {day}: {advice.reason}" in told
    assert not any("advised" in r for one in database.due(day - timedelta(days=1)) for r in one.reasons)


def test_a_failed_check_and_a_refused_calibration_are_due_at_once(database: Database) -> None:
    made = make.calibration(1)
    database.add(made)
    database.add_check(make.daily_check(made, date(2026, 1, 16), off_um=120.0))
    assert "its last daily check failed" in database.due(date(2026, 1, 16))[0].reasons[0]
    kept = make.calibration(3, bent_after_um=150.0, day=date(2026, 2, 1))
    database.add(kept.model_copy(update={"record_hex": ""}))  # the pen keeps its former record
    assert database.due(date(2026, 2, 1))[0].verdict == "accepted"
    database.add(make.calibration(4, bent_after_um=150.0, day=date(2026, 3, 1)))
    assert database.due(date(2026, 3, 1))[0].reasons == [
        "its last calibration is refused: calibrate it before it is used"
    ]


# ---------------------------------------------------------------------- numbers
def test_a_mistyped_number_is_noticed() -> None:
    """Every single wrong character of those that are checked, and every swap of neighbours."""
    for serial in (1, 7_654_321, 28_000_000):
        number = make.number(serial)
        assert len(number) == 16 and numbers.read_number(f" {number.lower()} ") == number
        for place in range(3, len(number)):
            for character in numbers.ALPHABET:
                _is_noticed(number, number[:place] + character + number[place + 1 :])
            _is_noticed(number, number[: place - 1] + number[place] + number[place - 1] + number[place + 1 :])
    assert numbers.read_number("np-260115-LOOOOX") == "NP-260115-10000X"  # as people read them


def _is_noticed(number: str, wrong: str) -> None:
    if wrong != number:
        with pytest.raises(UsageError):
            numbers.read_number(wrong)


def test_new_numbers_are_sound() -> None:
    made = {numbers.new_number(make.DAY) for _ in range(1000)}
    assert len(made) > 990 and all(numbers.read_number(number) == number for number in made)


# ---------------------------------------------------------------------- where it is
def test_where_the_database_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NEEDLEPEN_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("NEEDLEPEN_DATABASE", raising=False)
    assert opening.where().database == str(tmp_path / "data/calibrations.db")
    monkeypatch.setenv("NEEDLEPEN_DATABASE", str(tmp_path / "mine.db"))
    assert opening.where().database == str(tmp_path / "mine.db")
    assert opening.where("postgresql://u:secret@h/c").drivername == "postgresql+psycopg"
    assert "secret" not in opening.shown(opening.where("postgresql://u:secret@h/c"))
    with pytest.raises(UsageError, match="URL") as told:
        opening.where("://u:secret@h")
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(("url", "kind"), [
    ("nosuch://h/c", UsageError),
    ("oracle+nosuchdriver://h/c", UsageError),
    ("sqlite:////proc/nowhere/x.db", InfrastructureError),
])  # fmt: skip
def test_a_database_that_cannot_be_opened_is_one_line(url: str, kind: type[Exception]) -> None:
    with pytest.raises(kind) as told:
        open_database(url)
    assert "\n" not in str(told.value)


def test_a_database_that_may_only_be_read_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An auditor's copy on a disk that nobody can write. A superuser may write anywhere: the answer is given here."""
    path = tmp_path / "a copy of 100 %.db"
    with open_database(str(path)) as database:
        database.add(make.calibration(1))
    monkeypatch.setattr(os, "access", lambda *_: False)
    before = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    with open_database(str(path)) as database:
        assert len(database.list()) == 1 and database.verify().problems == []
        with pytest.raises(InfrastructureError, match="readonly"):
            database.withdraw(make.number(1), "gauge was dropped")
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == before


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_text("no database, but long enough to be looked at\n" * 50)
    with pytest.raises(InfrastructureError, match="not a database") as told:
        open_database(str(path))
    assert "\n" not in str(told.value)


# ---------------------------------------------------------------------- commands
def test_the_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made, other = make.calibration(1), make.calibration(2, seed=2, pen=OTHER, bent_after_um=150.0)
    monkeypatch.setenv("NEEDLEPEN_DATABASE", str(tmp_path / "bench.db"))

    def run(*arguments: str, status: int = 0) -> Any:
        with pytest.raises(SystemExit) as ended:
            main(["calibration", *arguments])
        out, err = capsys.readouterr()
        assert int(ended.value.code or 0) == status, out + err
        return json.loads(out) if "--json" in arguments else out or err

    assert run("migrate", "--json")["after"] == migrating.newest()
    with open_database() as database:
        database.add(made)
        database.add(other)
        database.add_check(make.daily_check(made, date(2026, 1, 16)))
    assert [row["number"] for row in run("list", "--json")] == [made.number, other.number]
    assert [row["number"] for row in run("list", "--verdict", "refused", "--json")] == [other.number]
    assert made.operator in run(
        "list", "--pen", made.pen.unique_id, "--from", "2026-01-01", "--to", "2026-01-31"
    )
    assert Calibration.model_validate(run("show", made.number, "--json")["calibration"]) == made
    assert "accepted" in run("show", made.number) and "failed" in run("show", other.number)
    assert len(run("history", make.PEN, "--json")["checks"]) == 1 and "daily check" in run(
        "history", make.PEN
    )
    assert [row["pen"] for row in run("due", "--day", "2026-01-16", "--json")] == [OTHER]
    assert "calibrate it before it is used" in run("due", "--day", "2026-01-16")
    assert run("export", str(tmp_path / "all.json"), "--json")["records"] == 3
    again = ("import", str(tmp_path / "all.json"), "--json", "--database", str(tmp_path / "other.db"))
    assert run(*again) == {"new": 3, "known": 0} and run(*again) == {"new": 0, "known": 3}
    assert run("withdraw", made.number, "--reason", "gauge was dropped", "--json")["number"] == made.number
    assert "withdrawn" in run("list")
    verified = run("verify-database", "--json")
    assert (verified["entries"], verified["problems"]) == (4, [])
    assert "is not in the chain" in run("verify-database", "--expect", "0" * 64, status=1)
    assert run("show", make.number(5), status=4).count("\n") == 1
    assert "withdrawn already" in run("withdraw", made.number, "--reason", "again", status=3)
