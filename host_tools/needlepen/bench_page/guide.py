"""The guided steps: what to do now and why, what gauge and pen say, the reading and its verdict, the plot."""

from __future__ import annotations

import asyncio
from typing import Any

from nicegui import ui

from needlepen.bench_page import charts, connecting, pictures, result, wording
from needlepen.bench_page.layout import Value, button, heading, paragraph, raw, safe
from needlepen.bench_page.measuring import Measuring
from needlepen.bench_page.snapshot import ENDED, WAITING, Activity, Snapshot
from needlepen.bench_page.workbench import CALIBRATION, Workbench

_REDRAW_S = 0.15


async def show(workbench: Workbench, work: Measuring) -> None:
    """What is being measured, or its result."""
    snapshot = work.snapshot
    if snapshot.result is not None:
        await result.show(workbench, snapshot.result)
    elif snapshot.activity in ENDED:
        _ended(workbench, snapshot)
    else:
        _Guide(workbench, work)


def _ended(workbench: Workbench, snapshot: Snapshot) -> None:
    async def again() -> None:
        await asyncio.to_thread(workbench.put_away)
        ui.navigate.to(workbench.path)

    with ui.element("section").classes("card"):
        if snapshot.activity == Activity.LEFT:
            heading("It is left", 1)
            paragraph(
                "All readings are kept. Go on with it whenever you like: it is in the list of unfinished ones."
            )
        else:
            heading("It cannot go on", 1)
            raw(f'<div class="verdict stop" role="alert">{safe(snapshot.message)}</div>')
            paragraph(
                "All readings are kept. Mend the cause, then go on with it from the list of unfinished ones."
            )
        with ui.element("div").classes("row"):
            button("To the beginning", again, "b", main=True, big=True)


def busy(workbench: Workbench) -> None:
    """Something else is going on with the pen; says what, and leads there."""
    doing = "A calibration" if workbench.kind == CALIBRATION else "A daily check"
    with ui.element("section").classes("card"):
        heading("The pen is busy", 1)
        paragraph(f"{doing} is going on with it. Finish or leave that first.")
        ui.link("Go there", workbench.path)


class _Guide:
    """One window's view of the calibration."""

    def __init__(self, workbench: Workbench, work: Measuring) -> None:
        self._workbench, self._work = workbench, work
        self._window = ui.context.client
        self._number = -1
        self._told: dict[str, Any] = {}
        self._head()
        with ui.element("div").classes("guide"):
            with ui.element("div").classes("column-of-cards"):
                self._what_to_do()
                self._plot()
            self._values_and_buttons()
        for each in (
            self._take_it,
            self._keep,
            self._repeat,
            self._auto,
            self._pause,
            self._back,
            self._leave,
        ):
            each.disable()  # until it is known what may be done
        self._elsewhere.set_visibility(False)
        ui.timer(_REDRAW_S, self._draw)

    # ------------------------------------------------------------------ parts
    def _head(self) -> None:
        with ui.element("section").classes("card"):
            with ui.element("div").classes("row between"):
                pen = self._workbench.pen
                doing = "Calibrating" if self._workbench.kind == CALIBRATION else "Checking"
                heading(f"{doing} {pen.name or 'pen'} {pen.unique_id}" if pen else doing, 1)
                self._count = raw("")
            self._phases = raw("")

    def _what_to_do(self) -> None:
        with ui.element("section").classes("card step").props('aria-label="What to do"'):
            with ui.element("div").props('aria-live="polite"'):
                self._instruction = raw("")
            self._picture = raw("")

    def _plot(self) -> None:
        with ui.element("section").classes("card") as self._plot_card:
            heading("Error against depth")
            self._chart = ui.echart(charts.errors([], None), renderer="svg").classes("chart")
            text = "Error of each reading against the set depth; the table below holds the same readings"
            self._chart.props(f'role="img" aria-label="{text}"')
            with ui.expansion("All readings as a table").classes("small"):
                self._table = raw("").classes("scroll")

    def _values_and_buttons(self) -> None:
        with ui.element("section").classes("card").props('aria-label="Values and buttons"'):
            with ui.element("div").classes("values"):
                self._gauge = Value("Gauge")
                self._set = Value("Set protrusion")
                self._hall = Value("Pen's own sensor", small=True)
                self._state = Value("Nose and battery", small=True)
            with ui.element("div").props('role="status" aria-live="polite"'):
                self._verdict = raw("")
            self._typed = ui.input("Type what the gauge shows, then Enter").props("outlined clearable")
            self._typed.props(
                'inputmode="decimal" autocomplete="off" hint="In mm, all digits, for example 1.254"'
            )
            self._typed.on("keydown.enter", self._take)
            with ui.element("div").classes("row"):
                self._take_it = button("Take", self._take, "t", main=True, big=True)
                self._repeat = button("Repeat", lambda: self._order("repeat"), "r", big=True)
                self._keep = button("Keep it knowingly", lambda: self._order("keep"), "k", big=True)
            with ui.element("div").classes("row"):
                self._auto = button("Run by itself", lambda: self._order("auto"), "a")
                self._pause = button("Pause", lambda: self._order("pause"), "p")
                self._back = button("Back", lambda: self._order("back"), "b")
                self._leave = button("Leave", lambda: self._order("leave"), "l")
            with ui.element("div").classes("row") as self._elsewhere:
                paragraph("Another window drives this.", "muted")
                button("Drive it from here", lambda: self._workbench.take_over(self._window), "d")

    # ------------------------------------------------------------------ orders
    def _order(self, what: str) -> None:
        if self._workbench.drives(self._window):
            self._work.order(what)

    def _take(self) -> None:
        if not self._workbench.drives(self._window):
            return
        text = (self._typed.value or "").strip()
        s = self._work.snapshot
        if s.activity == Activity.READY and not s.is_automatic and not text:
            self._typed.run_method("focus")
            return
        self._work.order("take", text)
        self._typed.value = ""

    # ------------------------------------------------------------------ drawing
    def _draw(self) -> None:
        s, drives = self._work.snapshot, self._workbench.drives(self._window)
        if s.activity in ENDED:
            ui.navigate.reload()
            return
        self._buttons(s, drives)
        if s.number == self._number:
            return
        self._number = s.number
        self._progress(s)
        self._step(s)
        self._values(s)
        self._once("verdict", wording.verdict(s), self._verdict)
        self._typed.props["error"] = bool(s.typed_wrong)
        self._typed.props["error-message"] = s.typed_wrong
        if self._told.get("taken") != s.taken:
            self._told["taken"] = s.taken
            guarded_mm = connecting.guarded_mm(s.gauge)
            self._chart.options.clear()
            self._chart.options.update(charts.errors(s.taken, guarded_mm))
            self._table.content = result.readings_table(s.taken)

    def _once(self, name: str, content: str, where: ui.html) -> bool:
        """Write only what changed, so that it is said once and nothing flickers."""
        if self._told.get(name) == content:
            return False
        self._told[name] = content
        where.content = content
        return True

    def _progress(self, s: Snapshot) -> None:
        if s.stage is not None:
            text = f"{s.stage.done} of {s.stage.total} readings"
            self._once("count", f'<span class="muted">{text}</span>', self._count)
        self._once(
            "phases",
            wording.phases(s) if self._workbench.kind == CALIBRATION else wording.bar(s),
            self._phases,
        )

    def _step(self, s: Snapshot) -> None:
        if s.stage is None:
            self._once("words", wording.preparing(s), self._instruction)
            both = pictures.svg("set_up") + pictures.svg("warm_up")
            self._once("picture", f'<div class="picture two">{both}</div>', self._picture)
            return
        words = (
            f'<p class="small muted">{safe(s.stage.title)}</p><p class="instruction">{safe(s.stage.instruction)}</p>'
            f'<p class="why"><b>Why:</b> {safe(s.stage.why)}</p>'
        )
        self._once("words", words, self._instruction)
        self._once("picture", f'<div class="picture">{pictures.svg(s.stage.picture)}</div>', self._picture)

    def _values(self, s: Snapshot) -> None:
        point = s.newest.point if s.auto and s.newest else s.stage.point if s.stage else None
        reading = s.live or (s.newest.reading if s.newest else None)
        raw_text = (
            f"as sent: {reading.raw}" if reading else ("type the reading" if not s.is_automatic else "")
        )
        self._gauge.show(f"{reading.value_mm:.3f}" if reading else "-", "mm", raw_text)
        direction = f"run {point.run}, {point.direction}" if point else ""
        self._set.show(f"{point.set_um / 1e3:.2f}" if point else "-", "mm", direction)
        self._hall.show(f"{s.hall_um / 1e3:.2f}" if s.hall_um is not None else "-", "mm")
        has_state = s.nose_c is not None and s.cell_v is not None
        self._state.show(f"{s.nose_c:.1f} °C, {s.cell_v:.2f} V" if has_state else "-")

    def _buttons(self, s: Snapshot, drives: bool) -> None:
        waits = s.activity in WAITING
        met = all(condition.met for condition in s.conditions)
        state = (drives, waits, met, s.activity, s.auto, s.is_automatic, s.stage and s.stage.name)
        if self._told.get("buttons") == state:
            return
        self._told["buttons"] = state
        self._elsewhere.set_visibility(not drives)
        self._take_it.set_visibility(s.activity not in (Activity.DOUBT, Activity.STOP))
        begins = s.activity == Activity.PREPARING and met
        self._take_it.set_enabled(drives and (begins or (s.activity == Activity.READY and not s.auto)))
        self._take_it.text = "Begin" if s.stage is None else "Take"
        self._keep.set_visibility(s.activity == Activity.DOUBT)
        self._keep.set_enabled(drives)
        self._plot_card.set_visibility(s.stage is not None)
        for each in (self._repeat, self._back):
            each.set_visibility(s.stage is not None)
        self._repeat.set_enabled(drives and waits)
        doubtful = s.activity in (Activity.DOUBT, Activity.STOP)
        self._repeat.classes(add="main-action" if doubtful else "", remove="" if doubtful else "main-action")
        self._back.set_enabled(drives and waits)
        self._leave.set_enabled(drives)
        can_go_by_itself = s.is_automatic and s.stage is not None
        self._auto.set_visibility(can_go_by_itself and not s.auto)
        self._auto.set_enabled(drives and s.activity == Activity.READY)
        self._pause.set_visibility(can_go_by_itself and s.auto)
        self._pause.set_enabled(drives)
        typing = not s.is_automatic and s.activity == Activity.READY and drives
        self._typed.set_visibility(typing)
        if typing:
            self._typed.run_method("focus")
