"""`needlepen docs`: the tables in the documents that are made from data."""

from __future__ import annotations

import json

import click


@click.command(epilog="Examples:  needlepen docs --check  |  needlepen docs signals --write")
@click.argument("name", default="all", metavar="[signals|supervision|protocol|all]")
@click.option("--check", "only_check", is_flag=True, help="Fail if a document differs from the data.")
@click.option("--write", is_flag=True, help="Bring the documents up to date.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def docs(name: str, only_check: bool, write: bool, as_json: bool) -> None:
    """Print generated tables, or keep those in the documents up to date.

    signals: what pixel and buzzer show (README.md). supervision: states, blockers, warnings and faults
    (firmware/README.md). protocol: the messages between host and pen (host_tools/docs/protocol.md).
    """
    from needlepen.documents import parts
    from needlepen.errors import ProductFailure, UsageError

    known = parts()
    if name != "all" and name not in known:
        raise UsageError(f"there is no table {name!r}; use {', '.join(known)} or all")
    if only_check and write:
        raise UsageError("--check and --write exclude each other; give one of them")
    chosen = [part for part in known.values() if name in ("all", part.name)]
    if write:
        changed = {part.name: part.write() for part in chosen}
        lines = [f"{p.document}: {'written' if changed[p.name] else 'up to date'}" for p in chosen]
        click.echo(json.dumps({"changed": changed}) if as_json else "\n".join(lines))
    elif only_check:
        behind = [part for part in chosen if not part.is_current()]
        if behind:
            raise ProductFailure(
                f"{behind[0].document}: its table '{behind[0].name}' is not what the data say, so that it would "
                f"mislead; run: {behind[0].command}"
            )
        click.echo(json.dumps({"same": True}) if as_json else "up to date")
    else:
        text = {part.name: part.make() for part in chosen}
        click.echo(json.dumps(text, indent=2) if as_json else "\n\n".join(text.values()))
