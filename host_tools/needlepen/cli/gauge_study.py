"""`needlepen gauge-study`: whether gauge and operators are good enough."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from needlepen.devices.option import device_option

if TYPE_CHECKING:
    from rich.console import Console

    from needlepen.calibration.gauge_study import Study


@click.command(
    epilog="Examples:  needlepen gauge-study dial.csv  |  needlepen gauge-study dial.csv --operator ana  |  "
    "needlepen gauge-study parts.csv --tolerance-um 200 --json"
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--operator",
    metavar="NAME",
    help="Take the readings of this operator that FILE lacks, on a pen: 10 depths, 3 times each.",
)
@device_option
@click.option(
    "--gauge", metavar="NAME", help="A gauge of gauges.toml, or a kind. [default: as for `calibrate`]"
)
@click.option("--gauge-port", metavar="PORT", help="Where the gauge is, in place of what gauges.toml says.")
@click.option(
    "--tolerance-um",
    type=click.FloatRange(min=0, min_open=True),
    help="Width of the whole tolerance. [default: that of a depth, both sides of 0.10 mm]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def gauge_study(
    file: Path,
    operator: str | None,
    device: str | None,
    gauge: str | None,
    gauge_port: str | None,
    tolerance_um: float | None,
    as_json: bool,
) -> int:
    """Gauge R&R by analysis of variance (AIAG MSA) of the readings in FILE.

    FILE is a CSV file with the columns part, operator, trial and value_um. A study of a depth gauge is 10 depths, 3
    operators and 3 trials: run this once with --operator for each of them. Each reading is kept at once, and what is
    there already is not measured again.

    Exit code: 0 capable or conditional, 1 the gauge is refused, 2 something failed, 3 refused, 4 wrong input.
    """
    from rich.console import Console

    from needlepen.calibration import gauge_study as study, gauge_study_file as files
    from needlepen.calibration.tolerances import TOLERANCE_UM

    console = Console(stderr=as_json)
    if operator:
        _measure(console, file, operator, device, gauge, gauge_port)
    readings = files.load(file)
    files.refuse_torn(file)
    operators = list(dict.fromkeys(key[1] for key in readings))
    if operator and len(operators) < files.OPERATORS:
        click.echo(
            f"{len(operators)} of {files.OPERATORS} operators have measured: {', '.join(operators)}",
            err=as_json,
        )
        return 0
    found = study.anova(files.table(readings), tolerance_um or 2 * TOLERANCE_UM)
    if as_json:
        click.echo(json.dumps({"file": str(file), **found.as_dict()}, indent=2))
    else:
        _show(console, found)
    return 1 if found.verdict == "refused" else 0


def _measure(
    console: Console, file: Path, operator: str, device: str | None, gauge: str | None, gauge_port: str | None
) -> None:
    """Take what is missing of an operator. The pen is in service meanwhile: its motor cannot start."""
    from needlepen.calibration import gauge_study_file as files
    from needlepen.calibration.bench import open_bench
    from needlepen.runtime.progress import TerminalProgress

    wanted = list(files.missing_of(files.load(file) if file.exists() else {}, operator))
    if not wanted:
        return
    with open_bench(device, gauge, gauge_port, "gauge study") as bench:
        bench.pen.enter_service()
        try:
            bench.gauge.place("pen")
            if not bench.simulated:
                console.print(
                    "Put the gauge on the pen as for a calibration, zeroed on the plate.", highlight=False
                )
            with TerminalProgress("gauge study") as progress:
                for done, (part, trial) in enumerate(wanted):
                    progress.step(f"{operator}: {part} mm, trial {trial}")
                    progress.amount(done, len(wanted))
                    bench.pen.set_depth(round(1000 * float(part)))
                    if bench.gauge.automatic:
                        reading = bench.gauge.read()
                    else:
                        reading = bench.gauge.parse(
                            click.prompt(f"{part} mm, trial {trial}: the gauge shows", err=True)
                        )
                    files.append(file, part, operator, trial, 1e3 * reading.value_mm)
        finally:
            bench.pen.restart()


def _show(console: Console, found: Study) -> None:
    """Both tables and the verdict."""
    from rich.table import Table

    console.print(f"{found.parts} parts, {found.operators} operators, {found.trials} trials", highlight=False)
    for title, rows in (("analysis of variance", found.table), ("interaction pooled", found.pooled)):
        if not rows:
            continue
        table = Table(
            "source", "df", "sum of squares", "mean square", "F", "p", title=title, title_justify="left"
        )
        for row in rows:
            numbers = [_number(value) for value in (row.sum_of_squares, row.mean_square, row.f)]
            p = "" if row.p is None else f"{row.p:.3f}"
            table.add_row(row.source, str(row.degrees_of_freedom), *numbers, p)
        console.print(table)
    table = Table(
        "", "variance", "s", "% contribution", "% of total", "% of tolerance",
        title="components of variation", title_justify="left",
    )  # fmt: skip
    for each in found.components:
        tolerance = "" if each.tolerance_pct is None else f"{each.tolerance_pct:.2f}"
        shares = (f"{each.contribution_pct:.2f}", f"{each.total_pct:.2f}", tolerance)
        table.add_row(each.name, _number(each.variance), _number(each.deviation), *shares)
    console.print(table)
    style = {"capable": "green", "conditional": "yellow", "refused": "red"}[found.verdict]
    console.print(f"[bold {style}]{found.verdict}[/]: {found.reason} (ndc {found.ndc})", highlight=False)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
