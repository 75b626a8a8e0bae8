"""`needlepen run`: one scenario on the emulated pen, live progress, a report, and the verdict as exit code."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from needlepen.emulator.injection import Fault
    from needlepen.evidence import RunRecord
    from needlepen.scenario import Scenario
    from needlepen.scenario.progress import Progress

LOG_WIDTH = 132
ENGINES = ("auto", "compiled", "python")


@click.command(
    epilog="Examples:  needlepen run  |  needlepen run overspeed --cell 4.2  |  needlepen run --inject cell:off@4"
)
@click.argument("scenario", default="treatment", metavar="[SCENARIO]")
@click.option("--out", type=click.Path(path_type=Path), help="Report folder. [default: reports/NAME-TIME]")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="In place of the scenario's seed.")
@click.option(
    "--cell", "cell_v", type=float, metavar="V", help="Open-circuit voltage of the cell, 3.0 to 4.2."
)
@click.option(
    "--inject",
    "injected",
    multiple=True,
    metavar="FAULT",
    help="Break something: TARGET:KIND[=VALUE]@START[+DURATION][#SEED]; `needlepen faults` lists what. Repeatable.",
)
@click.option(
    "--engine", type=click.Choice(ENGINES), default="auto", show_default=True, help="Emulator engine."
)
@click.option("--runtime", type=click.Path(path_type=Path), help="Use this MicroPython UF2.")
@click.option("--no-report", is_flag=True, help="Write no report folder.")
@click.option("--quiet", is_flag=True, help="No progress and no table, only the exit code.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--list", "list_only", is_flag=True, help="List the shipped scenarios.")
@click.option("--open", "open_page", is_flag=True, help="Open the report in a browser.")
def run(
    scenario: str,
    out: Path | None,
    seed: int | None,
    cell_v: float | None,
    injected: tuple[str, ...],
    engine: str,
    runtime: Path | None,
    no_report: bool,
    quiet: bool,
    as_json: bool,
    list_only: bool,
    open_page: bool,
) -> int:
    """Run a scenario (a shipped name or a .toml file) on the emulated pen and write a report.

    Exit code: 0 all limits kept, 1 a limit missed or not measured, 2 stopped before the end.
    """
    if engine != "auto":
        os.environ["NEEDLEPEN_ENGINE"] = engine  # decides which modules are imported below
    from needlepen.emulator import injection
    from needlepen.report import folder
    from needlepen.scenario import load

    if list_only:
        return _list(as_json)
    described = load(scenario)
    faults = [injection.parse(text) for text in injected]
    target = None if no_report else out or _default_folder(described)
    if target is not None:
        folder.check_target(target)
    record, trace = _run(described, seed, _checked_cell(cell_v), faults, engine, runtime, quiet)
    page = folder.write(record, target, trace) if target is not None else None
    _show(record, page, quiet, as_json)
    if open_page and page is not None:
        click.launch(str(page))
    return record.exit_code


def _run(
    scenario: Scenario,
    seed: int | None,
    cell_v: float | None,
    faults: list[Fault],
    engine: str,
    runtime: Path | None,
    quiet: bool,
) -> tuple[RunRecord, bytes]:
    from rich.console import Console

    from needlepen.emulator import bench, engine as engines

    engines.load(engine)  # compiles now what has to be compiled, and not in the middle of an import
    from needlepen.scenario.runner import Runner

    prepared = bench.prepare(scenario.header.board, runtime=runtime)
    with contextlib.ExitStack() as stack:
        width = None if sys.stderr.isatty() else LOG_WIDTH
        progress = _progress(Console(stderr=True, width=width), scenario, quiet, stack)
        runner = Runner(
            scenario, prepared, seed=seed, cell_v=cell_v, engine=engine, progress=progress, faults=faults
        )
        record = runner.run()
    return record, runner.trace_vcd()


def _progress(console: Console, scenario: Scenario, quiet: bool, stack: contextlib.ExitStack) -> Progress:
    from needlepen.scenario.progress import Lines, Silent, Terminal

    if quiet:
        return Silent()
    if not console.is_terminal:
        return Lines(console)
    return stack.enter_context(Terminal(console, scenario.header.title))


def _checked_cell(cell_v: float | None) -> float | None:
    from needlepen.errors import UsageError
    from needlepen.scenario.actions import CELL_MAX_V, CELL_MIN_V

    if cell_v is not None and not CELL_MIN_V <= cell_v <= CELL_MAX_V:
        raise UsageError(
            f"--cell {cell_v:g}: a cell has {CELL_MIN_V:g} to {CELL_MAX_V:g} V; give one of these"
        )
    return cell_v


def _default_folder(scenario: Scenario) -> Path:
    return Path("reports") / f"{scenario.name}-{datetime.datetime.now().strftime('%Y%m%d-%H%M%S')}"


def _show(record: RunRecord, page: Path | None, quiet: bool, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({**record.as_dict(), "report": str(page) if page else None}, indent=2))
    elif not quiet:
        from rich.console import Console

        from needlepen.report import summary

        console = Console(width=None if sys.stdout.isatty() else LOG_WIDTH)
        console.print(summary(record))
        if page is not None:
            console.print(f"report: {page}", highlight=False, markup=False, soft_wrap=True)


def _list(as_json: bool) -> int:
    from needlepen.scenario import load, names

    found = [load(name) for name in names()]
    if as_json:
        rows = [{"name": s.name, "title": s.header.title, "description": s.header.description} for s in found]
        click.echo(json.dumps(rows, indent=2))
        return 0
    for each in found:
        click.echo(f"{each.name:16} {each.header.title}: {each.header.description}")
    return 0
