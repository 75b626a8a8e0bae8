"""`needlepen check`: the daily check of a calibrated pen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from needlepen.devices.option import device_option

if TYPE_CHECKING:
    from rich.console import Console

    from needlepen.calibration.bench import Bench
    from needlepen.calibration.model import DailyCheck


@click.command(
    epilog="Examples:  needlepen check  |  needlepen check --yes  |  needlepen check --gauge dial --chart trend.html"
)
@device_option
@click.option(
    "--gauge",
    metavar="NAME",
    help="A gauge of gauges.toml, or a kind. [default: as for `needlepen calibrate`]",
)
@click.option("--gauge-port", metavar="PORT", help="Where the gauge is, in place of what gauges.toml says.")
@click.option("--operator", metavar="NAME", help="Who checks. [default: the user of this computer]")
@click.option(
    "--room-c",
    type=click.FloatRange(-20, 60),
    metavar="C",
    help="Temperature of the room. [default: that of the pen's nose]",
)
@click.option(
    "--yes", is_flag=True, help="Nobody is asked: the gauge is set up, and doubtful readings are repeated."
)
@click.option(
    "--chart", type=click.Path(path_type=Path, dir_okay=False), help="Draw the trend: .html, .png or .svg."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def check(
    device: str | None,
    gauge: str | None,
    gauge_port: str | None,
    operator: str | None,
    room_c: float | None,
    yes: bool,
    chart: Path | None,
    as_json: bool,
) -> int:
    """Check a calibrated pen at 0.50, 1.00 and 1.50 mm against 0.10 mm, in two minutes, every day of use.

    Keeps the result in the database, notes it in the pen, shows the trend, and warns before the pen goes out: for an
    error over 70 % of the tolerance or inside the guard band, and for a trend that leaves it within 14 days.

    Exit code: 0 passed, 1 out of tolerance, 2 something else failed, 3 the conditions do not allow it.
    """
    from rich.console import Console

    from needlepen.calibration import check_chart, trend
    from needlepen.calibration.bench import open_bench
    from needlepen.errors import UsageError

    if chart is not None and chart.suffix.lower() not in check_chart.KINDS:
        raise UsageError(f"{chart}: a chart is one of {', '.join(check_chart.KINDS)}; name the file so")
    console = Console(stderr=as_json)
    with open_bench(device, gauge, gauge_port, "check", role="operator") as bench:
        result, checks, expanded_um = _run(console, bench, operator, room_c, yes)
    warnings = trend.warnings(result, checks, expanded_um)
    if chart is not None:
        check_chart.write(chart, checks, expanded_um)
    _tell(console, result, checks, expanded_um, warnings, as_json)
    return 0 if result.decision.accepted else 1


def _run(
    console: Console, bench: Bench, operator: str | None, room_c: float | None, yes: bool
) -> tuple[DailyCheck, list[DailyCheck], float]:
    """The check, all checks of its calibration with it, and U of a reading."""
    from needlepen.calibration import trend
    from needlepen.calibration.checking import Checking
    from needlepen.calibration.database import open_database
    from needlepen.calibration.database.store import user
    from needlepen.calibration.dialogue import Dialogue
    from needlepen.calibration.model import Conditions

    with open_database() as database:
        pen = bench.pen.identity.unique_id
        known = database.history(pen)
        nose_c = bench.pen.state().nose_c
        note = "" if room_c is not None else "temperature of the room not measured: that of the pen's nose"
        conditions = Conditions(
            room_c=nose_c if room_c is None else room_c, nose_c=nose_c, cell_v=0.0, note=note
        )
        accepted = [calibration for calibration in known if calibration.decision.accepted]
        number = accepted[-1].number if accepted else ""
        checking = Checking.begin(bench.pen, bench.gauge, operator or user(), conditions, number)
        Dialogue(console, bench, yes, "check").measure(checking)
        result = checking.finish(database.add_check)
        checks = trend.of_calibration(database.checks(pen), number)
    return result, checks, checking.budget.expanded


def _tell(
    console: Console,
    result: DailyCheck,
    checks: Sequence[DailyCheck],
    expanded_um: float,
    warnings: list[str],
    as_json: bool,
) -> None:
    from needlepen.calibration import check_chart

    if as_json:
        rows = [{"set_um": t.point.set_um, "error_um": round(t.error_um, 3)} for t in result.taken]
        told = {
            "pen": result.pen.unique_id,
            "passed": result.decision.accepted,
            "calibration": result.calibration,
            "errors": rows,
            "expanded_uncertainty_um": expanded_um,
            "checks": len(checks),
            "warnings": warnings,
        }
        click.echo(json.dumps(told, indent=2))
        return
    console.print(check_chart.table(result, checks, expanded_um))
    for failed in (one for one in result.decision.checks if not one.passed):
        console.print(failed.reason, style="red", highlight=False, markup=False)
    for warning in warnings:
        console.print(warning, style="yellow", highlight=False, markup=False)
    passed = result.decision.accepted
    console.print("PASS" if passed else "FAIL", style="bold green" if passed else "bold red", highlight=False)
