"""`needlepen explain`: what a state, blocker, warning or fault of the pen means, and what to do."""

from __future__ import annotations

import json

import click


@click.command(
    epilog="Examples:  needlepen explain nose hot  |  needlepen explain 3  |  needlepen explain all --json"
)
@click.argument("name", nargs=-1, required=True, metavar="NAME|FAULT_NUMBER|all")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def explain(name: tuple[str, ...], as_json: bool) -> None:
    """Explain what the pen reports: a state, blocker, warning, fault or end of a run.

    NAME as the pen or a report writes it: `needlepen explain nose hot`, `needlepen explain CARTRIDGE_USED`,
    `needlepen explain 3`.
    """
    from needlepen.explanation import find

    found = find(" ".join(name))
    if as_json:
        click.echo(json.dumps([each.as_dict() for each in found], indent=2))
        return
    click.echo("\n\n".join("\n".join(each.lines()) for each in found))
