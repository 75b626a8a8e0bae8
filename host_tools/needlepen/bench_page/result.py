"""The result: a big verdict with its reasons, the certificate, what to do next."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from nicegui import ui

from needlepen.bench_page import charts, connecting, history
from needlepen.bench_page.layout import button, document_links, heading, paragraph, raw, safe, table
from needlepen.bench_page.steps import Result
from needlepen.bench_page.workbench import Workbench
from needlepen.calibration.model import Calibration, Check, DailyCheck, Decision, PenIdentity, Taken
from needlepen.report.words import number, unit

_SIGNS = {"<=": "≤", ">=": "≥"}


async def show(workbench: Workbench, result: Result) -> None:
    """Of what has just ended."""
    if isinstance(result, Calibration):
        _calibration(workbench, result)
    else:
        await _check(workbench, result)


def _calibration(workbench: Workbench, calibration: Calibration) -> None:
    accepted, who = calibration.decision.accepted, _name(calibration.pen)
    sentence = (
        f"{who} is calibrated until {calibration.due:%d %B %Y}." if accepted else f"{who} is not accepted."
    )
    _banner(calibration.decision, sentence)
    with ui.element("div").classes("halves"):
        with ui.element("section").classes("card"):
            heading("What was judged")
            raw(_checks(calibration.decision.checks)).classes("scroll")
            paragraph(calibration.decision.rule, "small muted")
        with ui.element("section").classes("card"):
            heading("Certificate" if accepted else "Refusal report")
            paragraph(f"Number {calibration.number}", "muted")
            raw(f'<p class="row">{document_links(calibration.number)}</p>')
            heading("What to do next")
            for text in _next_steps(calibration):
                paragraph(text)
            _buttons(workbench)
    with ui.element("section").classes("card"):
        heading("Error against depth")
        guarded = charts.tolerance_mm() - calibration.budget.expanded / 1e3
        ui.echart(charts.errors(calibration.taken, guarded), renderer="svg").classes("chart")
        with ui.expansion("All readings as a table").classes("small"):
            raw(readings_table(calibration.taken)).classes("scroll")


async def _check(workbench: Workbench, check: DailyCheck) -> None:
    passed, who = check.decision.accepted, _name(check.pen)
    sentence = (
        f"{who} is within its tolerance today."
        if passed
        else f"{who} is out of its tolerance: do not use it."
    )
    _banner(check.decision, sentence)
    warnings = await asyncio.to_thread(connecting.check_warnings, check)
    _, checks = await asyncio.to_thread(connecting.past, check.pen.unique_id)
    with ui.element("div").classes("halves"):
        with ui.element("section").classes("card"):
            heading("Found today")
            raw(readings_table(check.taken)).classes("scroll")
            paragraph(check.decision.rule, "small muted")
            for warning in warnings:
                raw(f'<div class="verdict doubt">{safe(warning)}</div>')
        with ui.element("section").classes("card"):
            heading("Daily checks of this pen")
            history.check_trend(checks)
            _buttons(workbench)


def _name(pen: PenIdentity) -> str:
    return f"{pen.name or 'Pen'} {pen.unique_id}"


def _buttons(workbench: Workbench) -> None:
    with ui.element("div").classes("row"):
        button("Next pen", lambda: _again(workbench), "n", main=True, big=True)
        ui.link("History of this pen", "/history")


def _banner(decision: Decision, sentence: str) -> None:
    """The verdict, big, with the reasons in plain words; it is said aloud at once."""
    reasons = [
        check.reason or f"{check.name} is {_value(check)}" for check in decision.checks if not check.passed
    ]
    items = "".join(f"<li>{safe(reason)}</li>" for reason in reasons)
    word, kind = ("PASS", "pass") if decision.accepted else ("FAIL", "fail")
    raw(
        f'<div class="banner {kind}" role="alert"><span class="word">{word}</span>'
        f'<div class="why"><p>{safe(sentence)}</p>{f"<ul>{items}</ul>" if items else ""}</div></div>'
    )


async def _again(workbench: Workbench) -> None:
    await asyncio.to_thread(workbench.put_away)
    ui.navigate.to(workbench.path)


def _next_steps(calibration: Calibration) -> list[str]:
    if calibration.decision.accepted:
        return [
            "Take the pen off the gauge and the dummy cartridge out. Print and sign the certificate.",
            "Each day, before the first use: a daily check (two minutes).",
        ]
    return [
        "The pen's old record was withdrawn, since it was found outside its limits: it does not run any more."
        if calibration.record_hex
        else "Nothing of the new curve is on the pen; it keeps the record that it had.",
        "Look at the reasons: dirt or play at the cartridge, a pen that stood askew or was not warm, a loose gauge. "
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
    return table(
        ["Phase", "Run", "Set, mm", "Gauge, mm", "Error, µm", "As sent"], rows, "Readings", numbers=(2, 3, 4)
    )
