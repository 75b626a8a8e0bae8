"""`needlepen faults`: what can be broken on the emulated pen, and how."""

from __future__ import annotations

import json

import click


@click.command(epilog="Examples:  needlepen faults  |  needlepen faults motor")
@click.argument("target", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def faults(target: str | None, as_json: bool) -> int:
    """List every fault of the emulated pen: target, kind, what it does, the requirement that it provokes.

    With TARGET only those of one target. Inject one with: needlepen run --inject TARGET:KIND[=VALUE]@START[+DURATION]
    """
    from needlepen.emulator.injection import catalogue

    if target is not None:
        catalogue.known_target(target)
    rows = [row for row in catalogue.rows() if target in (None, row["target"])]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return 0
    from rich.console import Console
    from rich.table import Table

    table = Table("target", "kind", "what happens", "=VALUE", "provokes", box=None, pad_edge=False)
    last = ""
    for row in rows:
        name = row["target"] if row["target"] != last else ""
        last = row["target"]
        table.add_row(name, row["kind"], row["does"], row["value"], row["requirement"])
    console = Console()
    console = console if console.is_terminal else Console(width=LOG_WIDTH)
    console.print(table)
    return 0


LOG_WIDTH = 150
