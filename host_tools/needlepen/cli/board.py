"""`needlepen board`: check a board description, show it, print its wiring."""

from __future__ import annotations

import json

import click

BOARD = click.argument("name", default="pico_pen", metavar="[NAME|FILE]")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group(epilog="Examples:  needlepen board check  |  needlepen board show my_pen.toml")
def board() -> None:
    """Describe, check and document the boards that carry the firmware."""


@board.command(epilog="Examples:  needlepen board check  |  needlepen board check my_pen.toml --json")
@BOARD
@AS_JSON
@click.pass_context
def check(context: click.Context, name: str, as_json: bool) -> None:
    """Check a board file; every problem is one line with place, reason and remedy (exit code 4)."""
    from needlepen.board import BoardError, board_path, load

    try:
        found = load(name)
    except BoardError as error:
        if not as_json:
            raise
        click.echo(json.dumps({"board": name, "ok": False, "problems": error.problems}, indent=2))
        context.exit(error.exit_code)
    if as_json:
        click.echo(json.dumps({"board": found.name, "ok": True, "problems": []}, indent=2))
        return
    assumed = sum(len(table.assumed) for table in found.tables())
    click.echo(f"{board_path(name)}: ok, {len(found.pins)} signals, {len(found.pio)} PIO programs")
    click.echo(f"  {assumed} numbers are assumptions; `needlepen board show` marks them")


@board.command(epilog="Examples:  needlepen board show  |  needlepen board show --json")
@BOARD
@AS_JSON
def show(name: str, as_json: bool) -> None:
    """Show a board: every value, with assumptions marked, or all of it as JSON."""
    from needlepen.board import load

    found = load(name)
    if as_json:
        click.echo(json.dumps(found.as_dict(), indent=2))
        return
    for title, table in found.named_tables():
        click.echo(f"[{title}]")
        for key, value in table.model_dump(mode="json", exclude_none=True, exclude={"assumed"}).items():
            if value not in ("", []):
                click.echo(f"  {key} = {value}{'   (assumed)' if key in table.assumed else ''}")


@board.command(epilog="Examples:  needlepen board wiring  |  needlepen board wiring --write")
@BOARD
@click.option("--check", "only_check", is_flag=True, help="Fail if the table in boards/README.md differs.")
@click.option("--write", is_flag=True, help="Write the table into boards/README.md.")
@AS_JSON
def wiring(name: str, only_check: bool, write: bool, as_json: bool) -> None:
    """Print the wiring table as Markdown, or keep the one in boards/README.md up to date."""
    from needlepen.board import load
    from needlepen.board.wiring import wiring_part, wiring_tables
    from needlepen.errors import ProductFailure, UsageError

    if only_check and write:
        raise UsageError("--check and --write exclude each other; give one of them")
    if (only_check or write) and name != "pico_pen":
        raise UsageError(
            f"boards/README.md holds the wiring of pico_pen, not of {name}; leave out the option"
        )
    found = load(name)
    part = wiring_part(found)
    readme = part.document
    if write:
        changed = part.write()
        text = f"{readme}: {'written' if changed else 'up to date'}"
        click.echo(json.dumps({"changed": changed}) if as_json else text)
    elif only_check:
        same = part.is_current()
        if not same:
            raise ProductFailure(
                f"{readme}: its wiring table is not the one of {found.name}, so that somebody would wire it "
                "wrongly; run: needlepen board wiring --write"
            )
        click.echo(json.dumps({"same": same}) if as_json else f"{readme}: up to date")
    elif as_json:
        pins = found.as_dict()["pins"]
        click.echo(json.dumps(pins, indent=2))
    else:
        click.echo(wiring_tables(found))
