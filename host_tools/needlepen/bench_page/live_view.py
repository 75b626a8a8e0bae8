"""The section that shows a pen as it works. It asks for telemetry and nothing else."""

from __future__ import annotations

import asyncio

from nicegui import ui

from needlepen.bench_page import charts, guide
from needlepen.bench_page.layout import Value, button, heading, paragraph, raw, safe
from needlepen.bench_page.live import LivePen
from needlepen.bench_page.pen_list import PenList
from needlepen.bench_page.workbench import Workbench
from needlepen.monitor.frame import Frame, Gap, conditions, fault_of
from needlepen.monitor.lines import minutes, state_words

_REDRAW_S = 0.25
_CHART_S = 0.5
_STATE_KINDS = {"running": "pass", "armed": "accent", "safe": "fail", "locked_out": "fail"}


def show(workbench: Workbench) -> None:
    """Choose a pen, or watch the one that is being watched."""
    if workbench.work is not None and workbench.work.is_alive:
        guide.busy(workbench)
        return
    if workbench.live is not None:
        _View(workbench, workbench.live)
        return
    with ui.element("section").classes("card"):
        heading("Live view", 1)
        paragraph("See what a pen does while it works. Nothing on the pen is changed.", "muted")
        pens = PenList(workbench, "Choose the pen", lambda: start.set_enabled(workbench.pen is not None))
        with ui.element("div").classes("row"):
            start = button("Watch this pen", lambda: _start(workbench), "w", main=True, big=True)
            start.disable()
    ui.timer(0.05, pens.look, once=True)


def _start(workbench: Workbench) -> None:
    if workbench.watch():
        ui.navigate.reload()


class _View:
    """The frames of a pen, drawn a few times a second."""

    def __init__(self, workbench: Workbench, pen: LivePen) -> None:
        self._workbench, self._pen = workbench, pen
        self._words_told: object = None
        with ui.element("section").classes("card"):
            with ui.element("div").classes("row between"):
                heading(f"Live view: {pen.device.name or 'pen'} {pen.device.unique_id or ''}", 1)
                button("End the live view", self._end, "l")
            with ui.element("div").props('role="status" aria-live="polite"'):
                self._state = raw("")
            with ui.element("div").classes("live-values"):
                self._rate, self._current = Value("Stroke rate"), Value("Motor current")
                self._depth, self._cell = Value("Needle protrusion"), Value("Battery")
                self._nose, self._winding = Value("Nose", True), Value("Motor winding", True)
                self._cartridge, self._session = Value("Cartridge", True), Value("Session", True)
        with ui.element("div").classes("halves"):
            with ui.element("section").classes("card"):
                heading("The last 30 seconds")
                self._chart = ui.echart(charts.running([]), renderer="svg").classes("chart")
            with ui.element("section").classes("card"):
                heading("What the pen says")
                with ui.element("div").props('aria-live="polite"'):
                    self._words = raw("")
        ui.timer(_REDRAW_S, self._draw)
        ui.timer(_CHART_S, self._draw_chart)

    async def _end(self) -> None:
        await asyncio.to_thread(self._workbench.end_live)
        ui.navigate.reload()

    def _draw_chart(self) -> None:
        self._chart.options.clear()
        self._chart.options.update(charts.running(self._pen.last_rows()))

    def _draw(self) -> None:
        frame, gap = self._pen.frame, self._pen.gap
        self._draw_words(frame, gap)
        if frame is None:
            return
        t, s = frame.telemetry, frame.status
        self._rate.show(f"{t.rate_hz:.1f}", "Hz", f"set {t.set_hz:g} Hz")
        self._current.show(f"{t.current_a:.2f}", "A")
        cap = f", at most {s.depth_cap_mm:.2f} mm" if s else ""
        self._depth.show(f"{t.depth_mm:.2f}", "mm", f"set {t.depth_set_mm:.2f} mm{cap}")
        self._cell.show(f"{t.cell_v:.2f}", "V")
        if s:
            self._nose.show(f"{s.nose_c:.1f}", "°C")
            self._winding.show(f"{s.winding_c:.1f}", "°C")
            self._cartridge.show(f"{s.needles}" if s.needles else "none", "needles" if s.needles else "",
                                 f"{minutes(s.cartridge_left_s)} left" if s.needles else "")  # fmt: skip
            self._session.show(minutes(s.session_left_s).removesuffix(" min"), "min left")

    def _draw_words(self, frame: Frame | None, gap: Gap | None) -> None:
        """Only what changed is written again: a screen reader says it."""
        status = frame.status if frame else None
        news = (
            frame and frame.telemetry.state, frame and frame.telemetry.fault, status and status.blockers,
            status and status.warnings, gap, self._pen.problem,
        )  # fmt: skip
        if news == self._words_told:
            return
        self._words_told = news
        self._state.content = _state(frame, gap, self._pen.problem)
        self._words.content = _words(frame)


def _state(frame: Frame | None, gap: Gap | None, problem: str) -> str:
    if problem:
        return (
            f'<div class="verdict lost"><b>The pen cannot be watched.</b><span>{safe(problem)}</span></div>'
        )
    if gap is not None:
        return (
            '<div class="verdict lost"><b>The connection is lost; what is shown is old.</b>'
            f"<span>Plug the pen in and switch it on: the view goes on by itself. ({safe(gap.text)})</span></div>"
        )
    if frame is None:
        return '<div class="verdict">Waiting for the pen ...</div>'
    kind = _STATE_KINDS.get(frame.telemetry.state, "")
    return f'<span class="mark {kind} state">{safe(state_words(frame.telemetry))}</span>'


def _words(frame: Frame | None) -> str:
    """Fault, blockers and warnings with what to do, in the words of the pen's own tables."""
    if frame is None:
        return ""
    found = []
    fault = fault_of(frame)
    if fault is not None:
        found.append(("fault", f"Fault: {fault.name} ({fault.requirement})", fault.text, fault.remedy))
    elif frame.telemetry.fault != "none":
        found.append(
            (
                "fault",
                f"Fault: {frame.telemetry.fault}",
                "Of newer firmware than these tools.",
                "Update the tools.",
            )
        )
    for kind, name in (("blockers", "Does not start"), ("warnings", "Warning")):
        found += [(kind.removesuffix("s"), name, c.text, c.remedy) for c in conditions(frame, kind)]
    if not found:
        return '<p class="muted">Nothing: no fault, no warning.</p>'
    items = "".join(
        f'<li class="{kind}"><b>{safe(title)}.</b> {safe(text)}<br>'
        f'<span class="muted">What to do: {safe(remedy)}</span></li>'
        for kind, title, text, remedy in found
    )
    return f'<ul class="words">{items}</ul>'
