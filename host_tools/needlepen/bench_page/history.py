"""What the database knows of a pen: calibrations, as-found trend, daily checks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from nicegui import ui

from needlepen.bench_page import charts, connecting
from needlepen.bench_page.layout import document_links, heading, paragraph, raw, safe, table
from needlepen.bench_page.workbench import Workbench
from needlepen.calibration.model import Calibration, DailyCheck, Phase, Taken
from needlepen.errors import NeedlepenError


async def show(workbench: Workbench) -> None:
    """Of the chosen pen, or of one that is chosen here."""
    try:
        pens = await asyncio.to_thread(connecting.known_pens)
    except NeedlepenError as error:
        raw(f'<div class="verdict stop" role="alert">{safe(error)}</div>')
        return
    chosen = workbench.pen.unique_id if workbench.pen else None
    with ui.element("section").classes("card"):
        heading("History", 1)
        if not pens:
            paragraph("No pen has been calibrated or checked on this computer yet.", "muted")
            return
        select = ui.select(pens, value=chosen if chosen in pens else next(iter(pens)), label="Pen").props(
            "outlined"
        )
    part = ui.element("div").classes("column-of-cards")
    select.on_value_change(lambda e: _draw(str(e.value), part))
    await _draw(str(select.value), part)


async def _draw(unique_id: str, part: ui.element) -> None:
    calibrations, checks = await asyncio.to_thread(connecting.past, unique_id)
    part.clear()
    with part:
        with ui.element("div").classes("halves"):
            with ui.element("section").classes("card"):
                heading("As found at each calibration")
                _as_found(calibrations)
            with ui.element("section").classes("card"):
                heading("Daily checks")
                check_trend(checks)
        with ui.element("section").classes("card"):
            heading("Calibrations")
            _calibrations(calibrations)


def _as_found(calibrations: Sequence[Calibration]) -> None:
    """The worst as-found error of each, with its sign."""
    days, worst = [], []
    for calibration in calibrations:
        found = [t for t in calibration.taken if t.point.phase == Phase.AS_FOUND]
        if found:
            days.append(f"{calibration.day:%Y-%m-%d}")
            worst.append(round(max((t.error_um for t in found), key=abs) / 1e3, 4))
    if not days:
        paragraph("No calibration yet.", "muted")
        return
    _chart(
        charts.trend(days, [("largest as-found error", worst)], "error in mm"),
        "Largest as-found error by day",
    )


def check_trend(checks: Sequence[DailyCheck]) -> None:
    """The error at each depth of the daily checks."""
    if not checks:
        paragraph("No daily check yet.", "muted")
        return
    depths = sorted({t.point.set_um for check in checks for t in check.taken})
    series = [(f"{um / 1e3:.1f} mm", [_error_mm(check.taken, um) for check in checks]) for um in depths]
    days = [f"{check.at:%Y-%m-%d %H:%M}" for check in checks]
    _chart(charts.trend(days, series, "error in mm"), "Errors of the daily checks by day")


def _error_mm(taken: Sequence[Taken], um: int) -> float | None:
    found = [t.error_um / 1e3 for t in taken if t.point.set_um == um]
    return round(found[-1], 4) if found else None


def _chart(options: charts.Options, text: str) -> None:
    ui.echart(options, renderer="svg").classes("chart low").props(f'role="img" aria-label="{text}"')


def _calibrations(calibrations: Sequence[Calibration]) -> None:
    if not calibrations:
        paragraph("None.", "muted")
        return
    rows = []
    for calibration in reversed(calibrations):
        verdict = "pass" if calibration.decision.accepted else "fail"
        verified = [abs(t.error_um) for t in calibration.taken if t.point.phase == Phase.VERIFICATION]
        rows.append(
            [
                f"{calibration.day:%Y-%m-%d}",
                safe(calibration.number),
                f'<span class="mark {verdict}">{verdict}</span>',
                f"{max(verified):.0f}" if verified else "",
                safe(calibration.operator),
                f"{calibration.due:%Y-%m-%d}",
                document_links(calibration.number),
            ]
        )
    head = ["Day", "Number", "Verdict", "Largest error as left, µm", "Operator", "Due", "Documents"]
    raw(table(head, rows, "Calibrations of this pen", numbers=(3,))).classes("scroll")
