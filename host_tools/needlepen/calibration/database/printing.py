"""Records as tables for a terminal, and as plain data for --json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from needlepen.calibration.database.due import Due
from needlepen.calibration.database.queries import Summary
from needlepen.calibration.model import Calibration, DailyCheck, Withdrawal

_STYLES = {"accepted": "green", "passed": "green", "refused": "red", "failed": "red", "withdrawn": "yellow"}


def summaries_json(found: Sequence[Summary]) -> list[dict[str, Any]]:
    """As plain data."""
    return [{**asdict(one), "day": one.day.isoformat(), "due": one.due.isoformat()} for one in found]


def summaries(found: Sequence[Summary]) -> None:
    """One line each."""
    errors = (">as found um", ">as left um", ">U um")
    table = _table("number", "pen", "day", "due", "verdict", *errors, "operator", "gauge")
    for one in found:
        table.add_row(
            one.number, _pen(one.pen, one.pen_name), f"{one.day}", f"{one.due}", styled(one.verdict),
            signed_um(one.as_found_um), signed_um(one.as_left_um), f"{one.expanded_um:.0f}", escape(one.operator),
            escape(one.gauge),
        )  # fmt: skip
    _show(table, f"{len(found)} calibrations")


def calibration(made: Calibration, withdrawn: Withdrawal | None) -> None:
    """One calibration in full."""
    console = _console()
    verdict = "withdrawn" if withdrawn else "accepted" if made.decision.accepted else "refused"
    gauge = made.gauge
    facts = {
        "number": made.number,
        "verdict": styled(verdict),
        "pen": escape(f"{made.pen.unique_id} {made.pen.name}, {made.pen.board}, firmware {made.pen.version}"),
        "gauge": escape(f"{gauge.kind} {gauge.model} {gauge.serial}, due {gauge.due or 'unknown'}"),
        "operator": escape(made.operator),
        "time": f"{made.begun:%Y-%m-%d %H:%M} to {made.ended:%H:%M} UTC, due {made.due}",
        "readings": f"{len(made.taken)}, {len(made.replaced)} repeated",
        "uncertainty": f"U = {made.budget.expanded:.1f} um (k = {made.budget.coverage_factor:g})",
        "software": made.software,
    }
    if withdrawn:
        facts["withdrawn"] = escape(f"{withdrawn.at:%Y-%m-%d} by {withdrawn.operator}: {withdrawn.reason}")
    grid = Table.grid(padding=(0, 2))
    for name, text in facts.items():
        grid.add_row(f"[dim]{name}[/dim]", text)
    console.print(grid)
    table = _table("check", "requirement", ">value", ">limit", "result", "reason")
    for check in made.decision.checks:
        limit = f"{check.relation} {check.limit:.1f} {check.unit}"
        table.add_row(
            escape(check.name), check.requirement, f"{check.value:.1f} {check.unit}", limit,
            styled("passed" if check.passed else "failed"), escape(check.reason),
        )  # fmt: skip
    console.print(table)


def history(pen: str, found: Sequence[Summary], checks: Sequence[DailyCheck]) -> None:
    """Calibrations and checks of a pen in the order of time."""
    rows: list[tuple[str, ...]] = [
        (f"{one.day}", "calibration", styled(one.verdict), signed_um(one.as_found_um), signed_um(one.as_left_um),
         one.number, escape(one.operator))
        for one in found
    ]  # fmt: skip
    rows += [
        (f"{check.at:%Y-%m-%d}", "daily check", styled("passed" if check.decision.accepted else "failed"),
         signed_um(check.worst_error_um), "", check.calibration, escape(check.operator))
        for check in checks
    ]  # fmt: skip
    table = _table("day", "what", "verdict", ">found um", ">left um", "number", "operator")
    for row in sorted(rows, key=lambda row: row[0]):
        table.add_row(*row)
    _show(table, f"pen {pen}: {len(found)} calibrations, {len(checks)} daily checks")


def dues_json(found: Sequence[Due]) -> list[dict[str, Any]]:
    """As plain data."""
    days = ("calibration_due", "blocked_from", "check_due", "advised")
    return [{**asdict(one), **{name: getattr(one, name).isoformat() for name in days}} for one in found]


def dues(found: Sequence[Due]) -> None:
    """One line each, the most urgent first."""
    table = _table("pen", "calibration", "due", ">hours", "what is due")
    for one in found:
        table.add_row(
            _pen(one.pen, one.pen_name), one.number, f"{one.calibration_due}", f"{one.hours:.0f}",
            "\n".join(one.reasons),
        )  # fmt: skip
    _show(table, f"{len(found)} pens are due" if len(found) != 1 else "1 pen is due")


def styled(verdict: str) -> str:
    """A verdict in its colour."""
    style = _STYLES.get(verdict)
    return f"[{style}]{verdict}[/{style}]" if style else verdict


def signed_um(value: float | None) -> str:
    """An error with its sign."""
    return "" if value is None else f"{value:+.0f}"


def _pen(unique_id: str, name: str) -> str:
    return f"{unique_id} {escape(name)}" if name else unique_id


def _table(*names: str) -> Table:
    """Columns whose name begins with ">" hold numbers."""
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for name in names:
        justify: Any = "right" if name.startswith(">") else "left"
        table.add_column(name.lstrip(">"), justify=justify, no_wrap=name in ("number", "pen", "day", "due"))
    return table


def _show(table: Table, total: str) -> None:
    console = _console()
    if table.row_count:
        console.print(table)
    console.print(total, highlight=False)


def _console() -> Console:
    console = Console()
    if console.is_terminal:
        return console
    return Console(width=max(console.width, 200))  # a pipe has no edge at which to break lines
