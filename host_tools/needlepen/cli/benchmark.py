"""`needlepen benchmark`."""

from __future__ import annotations

import json as json_module

import click

from needlepen.cli._build_options import board_option


@click.command(epilog="Examples:  needlepen benchmark  |  needlepen benchmark --quick --json")
@board_option
@click.option(
    "--quick",
    is_flag=True,
    help="One wall second a measurement instead of three; telemetry for 200 s instead of 600 s.",
)
@click.option("--stock/--no-stock", default=True, show_default=True, help="Compare with stock rp2040py.")
@click.option(
    "--engine", type=click.Choice(["auto", "compiled", "python"]), default="auto", show_default=True,
    help="Emulator engine.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def benchmark(board_name: str, quick: bool, stock: bool, engine: str, as_json: bool) -> int:
    """Measure the pace of the emulation, the cost of the firmware, and the link.

    Exit code 1 if a figure to reach is missed.
    """
    from rich.console import Console
    from rich.table import Table

    from needlepen.benchmark import run

    console = Console(stderr=True)
    with console.status("preparing") as status:
        results = run(board_name, 1.0 if quick else 3.0, engine, stock, status.update)
    if as_json:
        click.echo(json_module.dumps([vars(r) | {"verdict": r.verdict} for r in results], indent=2))
    else:
        table = Table("what", "value", "unit", "to reach", "verdict")
        for r in results:
            target = "" if r.target is None else f"{r.better} {r.target:g}"
            table.add_row(
                r.name, f"{r.value:,.4g}" if r.value < 1e4 else f"{r.value:,.0f}", r.unit, target, r.verdict
            )
        Console().print(table)
    return int(any(r.verdict == "fail" for r in results))
