"""The result: a big verdict with its reasons, the certificate, what to do next."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import run, ui

from needlepen.bench_page import charts, connecting
from needlepen.bench_page.layout import button, heading, paragraph, raw, safe, table
from needlepen.bench_page.workbench import Workbench
from needlepen.calibration.model import Calibration, Check, Taken
from needlepen.errors import NeedlepenError
from needlepen.report.words import number, unit

_SIGNS = {"<=": "≤", ">=": "≥"}


async def show(workbench: Workbench, calibration: Calibration) -> None:
    """Of the calibration that has just ended."""
    accepted = calibration.decision.accepted
    banner(
        "PASS" if accepted else "FAIL",
        "pass" if accepted else "fail",
        f"{calibration.pen.name or 'Pen'} {calibration.pen.unique_id} is calibrated until {calibration.due:%d %B %Y}."
        if accepted
        else f"{calibration.pen.name or 'Pen'} {calibration.pen.unique_id} was not accepted.",
        [check.reason or f"{check.name} is {_value(check)}" for check in calibration.decision.checks if not check.passed],
    )
    with ui.element("div").classes("halves"):
        with ui.element("section").classes("card"):
            heading("What was judged")
            raw(_checks(calibration.decision.checks)).classes("scroll")
            paragraph(calibration.decision.rule, "small muted")
        with ui.element("section").classes("card"):
            heading("Certificate" if accepted else "Refusal report")
            await _certificate(calibration)
            heading("What to do next")
            for text in _next_steps(calibration):
                paragraph(text)
            with ui.element("div").classes("row"):
                button("Next pen", lambda: _again(workbench), "n", main=True, big=True)
                ui.link("History of this pen", "/history")
    with ui.element("section").classes("card"):
        heading("Error against depth")
        guarded = charts.tolerance_mm() - calibration.budget.expanded / 1e3
        ui.echart(charts.errors(calibration.taken, guarded), renderer="svg").classes("chart")
        with ui.expansion("All readings as a table").classes("small"):
            raw(readings_table(calibration.taken)).classes("scroll")


def banner(word: str, kind: str, sentence: str, reasons: Sequence[str]) -> None:
    """The verdict, big; it is said aloud at once."""
    items = "".join(f"<li>{safe(reason)}</li>" for reason in reasons)
    raw(
        f'<div class="banner {kind}" role="alert"><span class="word">{safe(word)}</span>'
        f'<div class="why"><p>{safe(sentence)}</p>{f"<ul>{items}</ul>" if items else ""}</div></div>'
    )


async def _certificate(calibration: Calibration) -> None:
    try:
        links = await run.io_bound(connecting.certificate_links, calibration)
    except NeedlepenError as error:
        raw(f'<div class="verdict doubt"><b>It could not be made.</b><span>{safe(error)}</span></div>')
        return
    paragraph(f"Number {calibration.number}", "muted")
    with ui.element("div").classes("row"):
        for name, address in links.items():
            ui.link(name, address, new_tab=True)


async def _again(workbench: Workbench) -> None:
    await run.io_bound(workbench.put_away)
    ui.navigate.to("/")


def _next_steps(calibration: Calibration) -> list[str]:
    if calibration.decision.accepted:
        return [
            "Take the pen off the gauge and the dummy cartridge out. Print and sign the certificate.",
            "Each day, before the first use: a daily check (two minutes).",
        ]
    return [
        "Nothing of the new curve is on the pen. Do not use a pen that was found outside its limits.",
        "Look at the reasons: dirt or play at the cartridge, a pen that was pressed askew or was not warm, a loose gauge. "
        "Mend it and calibrate again; if it fails again, the pen needs repair.",
    ]  # fmt: skip


def _value(check: Check) -> str:
    return f"{number(check.value)} {unit(check.unit)}".rstrip()


def _checks(checks: Sequence[Check]) -> str:
    rows = [
        [
            safe(check.name),
            safe(_value(check)),
            safe(f"{_SIGNS[check.relation]} {number(check.limit)} {unit(check.unit)}".rstrip()),
            f'<span class="mark {"pass" if check.passed else "fail"}">{"pass" if check.passed else "fail"}</span>',
        ]
        for check in checks
    ]
    return table(["Criterion", "Found", "Limit", "Verdict"], rows, "Criteria of the decision", numbers=(1, 2))


def readings_table(taken: Sequence[Taken]) -> str:
    """All readings, the newest first."""
    rows = [
        [
            safe(t.point.phase.value.replace("_", " ")),
            f"{t.point.run} {t.point.direction}",
            f"{t.point.set_um / 1e3:.2f}",
            f"{t.reading.value_mm:.3f}",
            f"{t.error_um:+.0f}".replace("-", "\N{MINUS SIGN}"),
            safe(t.reading.raw),
        ]
        for t in reversed(taken)
    ]
    return table(["Phase", "Run", "Set, mm", "Gauge, mm", "Error, µm", "As sent"], rows, "Readings", numbers=(2, 3, 4))
