"""`needlepen calibration`: the database of calibrations."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from needlepen.calibration.database import open_database
from needlepen.calibration.database.option import database_option

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
DAY = click.DateTime(formats=["%Y-%m-%d"])
PEN = click.argument("pen")


@click.group(
    epilog="Examples:  needlepen calibration list --pen left  |  needlepen calibration due --within 30"
)
def calibration() -> None:
    """Calibrations of pens: list, show, history, due, export, import, withdraw.

    Records are only ever added. NEEDLEPEN_DATABASE, or --database, names another database than that of this user.
    """


@calibration.command(
    "list", epilog="Examples:  needlepen calibration list --operator Kim --from 2026-01-01 --json"
)
@click.option("--pen", metavar="PEN", help="Of a pen: its ID, the beginning of it, or its name.")
@click.option("--operator", help="By an operator.")
@click.option("--gauge", help="With a gauge: serial number, model or kind.")
@click.option("--from", "since", type=DAY, metavar="DATE", help="From this day on.")
@click.option("--to", "until", type=DAY, metavar="DATE", help="Up to this day.")
@click.option("--verdict", type=click.Choice(["accepted", "refused", "withdrawn"]), help="With this result.")
@database_option
@AS_JSON
def list_calibrations(
    pen: str | None, operator: str | None, gauge: str | None, since: datetime | None, until: datetime | None,
    verdict: str | None, database: str | None, as_json: bool,
) -> None:  # fmt: skip
    """List calibrations, oldest first."""
    from needlepen.calibration.database import printing
    from needlepen.calibration.database.queries import Filter

    wanted = Filter(pen, operator, gauge, since and since.date(), until and until.date(), verdict)
    with open_database(database) as opened:
        found = opened.list(wanted)
    _print(as_json, printing.summaries_json(found), lambda: printing.summaries(found))


@calibration.command(epilog="Examples:  needlepen calibration show NP-260115-7F3K2Q --json")
@click.argument("number")
@database_option
@AS_JSON
def show(number: str, database: str | None, as_json: bool) -> None:
    """Show all of the calibration NUMBER: results, checks, uncertainty, whether it was withdrawn."""
    from needlepen.calibration.database import printing

    with open_database(database) as opened:
        found = opened.get(number)
        withdrawn = opened.withdrawal(found.number)
    content = {
        "calibration": found.model_dump(mode="json"),
        "withdrawal": withdrawn and withdrawn.model_dump(mode="json"),
    }
    _print(as_json, content, lambda: printing.calibration(found, withdrawn))


@calibration.command(epilog="Examples:  needlepen calibration history left")
@PEN
@database_option
@AS_JSON
def history(pen: str, database: str | None, as_json: bool) -> None:
    """Show what happened to PEN (ID, beginning of the ID, or name): calibrations and daily checks."""
    from needlepen.calibration.database import printing
    from needlepen.calibration.database.queries import Filter

    with open_database(database) as opened:
        unique_id = opened.pen(pen)
        found, checks = opened.list(Filter(pen=unique_id)), opened.checks(unique_id)
    content = {
        "pen": unique_id,
        "calibrations": printing.summaries_json(found),
        "checks": [check.model_dump(mode="json") for check in checks],
    }
    _print(as_json, content, lambda: printing.history(unique_id, found, checks))


@calibration.command(epilog="Examples:  needlepen calibration due --within 30")
@click.option("--within", "days", type=click.IntRange(0), default=0, show_default=True, metavar="DAYS",
              help="Also what gets due in so many days.")  # fmt: skip
@click.option("--day", type=DAY, metavar="DATE", help="As of this day; without: today (UTC).")
@database_option
@AS_JSON
def due(days: int, day: datetime | None, database: str | None, as_json: bool) -> None:
    """List the pens that need a calibration or their daily check, by date and by running hours as far as known."""
    from needlepen.calibration.database import printing

    with open_database(database) as opened, _progress("looking through the calibrations"):
        found = opened.due(day and day.date(), days)
    _print(as_json, printing.dues_json(found), lambda: printing.dues(found))


@calibration.command(epilog="Examples:  needlepen calibration export calibrations.json")
@click.argument("file", type=click.Path(path_type=Path))
@database_option
@AS_JSON
def export(file: Path, database: str | None, as_json: bool) -> None:
    """Write all records to the new FILE, without a loss."""
    from needlepen.calibration.database import exchange
    from needlepen.calibration.model import now

    with open_database(database) as opened, _progress(f"writing {file}"):
        count = exchange.export(opened, file, now())
    _print(
        as_json,
        {"file": str(file), "records": count},
        lambda: click.echo(f"{count} records written to {file}"),
    )


@calibration.command("import", epilog="Examples:  needlepen calibration import calibrations.json")
@click.argument("file", type=click.Path(path_type=Path))
@database_option
@AS_JSON
def import_file(file: Path, database: str | None, as_json: bool) -> None:
    """Add the records of FILE that are new, all or none; refused if one differs from the record that is there."""
    from needlepen.calibration.database import exchange
    from needlepen.calibration.database.store import user

    with open_database(database) as opened, _progress(f"reading {file}"):
        done = exchange.import_file(opened, file, user())
    text = f"{done.new} new records; {done.known} were there already"
    _print(as_json, {"new": done.new, "known": done.known}, lambda: click.echo(text))


@calibration.command(
    epilog="Examples:  needlepen calibration withdraw NP-260115-7F3K2Q --reason 'gauge was dropped'"
)
@click.argument("number")
@click.option("--reason", required=True, help="Why it is not valid any more.")
@click.option("--operator", help="Who says so; without: the user of this computer.")
@database_option
@AS_JSON
def withdraw(number: str, reason: str, operator: str | None, database: str | None, as_json: bool) -> None:
    """Declare the calibration NUMBER invalid. It stays; the withdrawal refers to it. The pen itself is not changed."""
    with open_database(database) as opened:
        made = opened.withdraw(number, reason, operator)
    text = f"{made.number} withdrawn by {made.operator}: {made.reason}; calibrate the pen before it is used again"
    _print(as_json, made.model_dump(mode="json"), lambda: click.echo(text))


@calibration.command(
    epilog="Examples:  needlepen calibration migrate --database postgresql://bench@host/calibrations"
)
@database_option
@AS_JSON
def migrate(database: str | None, as_json: bool) -> None:
    """Make the tables, or bring them to the form of this version. Every other command does that by itself, too."""
    with open_database(database) as opened:
        before, after = opened.migrated
        where = opened.shown
    done = (
        f"was version {before or 'empty'}, is {after}" if before != after else f"is version {after} already"
    )
    _print(
        as_json, {"database": where, "before": before, "after": after}, lambda: click.echo(f"{where}: {done}")
    )


@calibration.command(
    "verify-database", epilog="Examples:  needlepen calibration verify-database --expect 3f9a61c2"
)
@click.option(
    "--expect", metavar="HASH", help="A hash that this command told before: is it still in the chain?"
)
@database_option
@AS_JSON
def verify_database(expect: str | None, database: str | None, as_json: bool) -> int:
    """Look for records that were changed or removed. Exit code 1 if there are any.

    Note the hash that it tells, on paper or elsewhere: with --expect the removal of the newest records is found, too.
    """
    with open_database(database) as opened, _progress("verifying the database"):
        found = opened.verify(expect)
        where = opened.shown
    content = {"entries": found.entries, "hash": found.last_hash, "problems": found.problems}
    if as_json:
        click.echo(json.dumps(content, indent=2))
    else:
        for problem in found.problems:
            click.secho(problem, fg="red")
        verdict = f"{len(found.problems)} problems" if found.problems else "nothing was changed or removed"
        click.echo(f"{where}: {found.entries} entries, {verdict}; hash {found.last_hash}")
    return 1 if found.problems else 0


def _print(as_json: bool, content: Any, show: Any) -> None:
    if as_json:
        click.echo(json.dumps(content, indent=2))
    else:
        show()


def _progress(text: str) -> Any:
    """A spinner on standard error while it lasts, in a terminal."""
    from rich.console import Console

    return Console(stderr=True).status(text)
