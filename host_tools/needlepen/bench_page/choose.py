"""The section in which a calibration begins: pen, gauge, person and room; or one that was left and goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from needlepen.bench_page import connecting
from needlepen.bench_page.layout import button, heading, mark, paragraph, raw, safe
from needlepen.bench_page.pen_list import PenList
from needlepen.bench_page.workbench import CALIBRATION, CHECK, Workbench
from needlepen.calibration import listing
from needlepen.errors import NeedlepenError

ROOM_C = (5.0, 45.0)
"""What a thermometer in a room may show; whether the pen can be measured then is judged by its nose."""


@dataclass(frozen=True)
class _Words:
    title: str
    about: str
    start: str


_WORDS = {
    CALIBRATION: _Words(
        "Calibrate a pen",
        "You measure the needle protrusion with a gauge; this page says at each step what to do and why.",
        "Start the calibration",
    ),
    CHECK: _Words(
        "Daily check",
        "Three depths, two minutes: is the pen still within its tolerance? Do it each day before the first use.",
        "Start the check",
    ),
}


class Choosing:
    """Pen, gauge, person and room, for a calibration or a check (`kind`); and calibrations that were left."""

    def __init__(self, workbench: Workbench, kind: str) -> None:
        self._workbench, self._kind = workbench, kind
        words = _WORDS[kind]
        with ui.element("div").classes("halves"):
            with ui.element("section").classes("card"):
                heading(words.title, 1)
                paragraph(words.about, "muted")
                self._pens = PenList(workbench, "1. Choose the pen", self._pen_changed)
            with ui.element("section").classes("card"):
                heading("2. Choose the gauge")
                self._gauge()
                heading("3. You and the room")
                self._person()
                with ui.element("div").props('role="status" aria-live="polite"'):
                    self._missing = raw("")
                with ui.element("div").classes("row"):
                    self._start = button(words.start, self._begin, "s", main=True, big=True)
        with ui.element("section").classes("card") as self._left:
            pass
        self._changed()
        ui.timer(0.05, self._look, once=True)

    # ------------------------------------------------------------------ fields
    def _gauge(self) -> None:
        choice = self._workbench.choice
        gauges = connecting.gauges()
        choice.gauge = choice.gauge if choice.gauge in gauges else next(iter(gauges))
        self._select = ui.select(gauges, value=choice.gauge, label="Gauge").props("outlined options-dense")
        self._select.on_value_change(lambda e: self._take("gauge", e.value))
        self._port = ui.input("Port of the gauge", value=choice.gauge_port).props("outlined clearable")
        self._port.props('hint="For example COM5 or /dev/ttyUSB0"')
        self._port.on_value_change(lambda e: self._take("gauge_port", (e.value or "").strip()))

    def _person(self) -> None:
        choice = self._workbench.choice
        with ui.element("div").classes("fields"):
            who = ui.input("Your name", value=choice.operator).props("outlined")
            who.on_value_change(lambda e: self._take("operator", (e.value or "").strip()))
            room = ui.input(
                "Room temperature in °C", value="" if choice.room_c is None else f"{choice.room_c:g}"
            )
            room.props('outlined inputmode="decimal"')
            room.on_value_change(lambda e: self._take("room_c", _number(e.value)))

    def _take(self, name: str, value: Any) -> None:
        setattr(self._workbench.choice, name, value)
        self._changed()

    def _pen_changed(self) -> None:
        self._select.value = connecting.fitting(self._workbench.pen, self._workbench.choice.gauge)
        self._changed()

    def _changed(self) -> None:
        missing = self._what_is_missing()
        if hasattr(self, "_port"):
            self._port.set_visibility(connecting.asks_for_port(self._workbench.choice.gauge))
        if hasattr(self, "_start"):
            self._start.set_enabled(not missing)
            self._missing.content = f'<p class="small muted">{safe(missing)}</p>' if missing else ""

    def _what_is_missing(self) -> str:
        choice, parts = self._workbench.choice, []
        if self._workbench.pen is None:
            parts.append("a pen")
        if connecting.asks_for_port(choice.gauge) and not choice.gauge_port:
            parts.append("the port of the gauge")
        if not choice.operator:
            parts.append("your name")
        if choice.room_c is None or not ROOM_C[0] <= choice.room_c <= ROOM_C[1]:
            parts.append(f"the room temperature ({ROOM_C[0]:g} to {ROOM_C[1]:g} °C)")
        return f"Still missing: {', '.join(parts)}." if parts else ""

    # ------------------------------------------------------------------ starting
    async def _look(self) -> None:
        self._left.set_visibility(False)
        await self._pens.look()
        await self._show_left()

    async def _show_left(self) -> None:
        if self._kind == CALIBRATION:
            self._draw_left(await asyncio.to_thread(connecting.unfinished, self._workbench.pens))

    async def _begin(self) -> None:
        await self._go(lambda: self._workbench.begin(self._kind))

    async def _go_on(self, one: connecting.Unfinished) -> None:
        await self._go(lambda: connecting.go_on(self._workbench, one.info))

    async def _go(self, begin: Callable[[], None]) -> None:
        """Begin, or go on with one that was left; what is wrong is said here."""
        try:
            await asyncio.to_thread(begin)
        except NeedlepenError as error:
            self._missing.content = f'<div class="verdict stop">{safe(error)}</div>'
            return
        ui.navigate.to(self._workbench.path)

    def _draw_left(self, sessions: list[connecting.Unfinished]) -> None:
        self._left.clear()
        self._left.set_visibility(bool(sessions))
        with self._left:
            heading("Unfinished calibrations")
            for session in sessions:
                self._draw_one(session)

    def _draw_one(self, session: connecting.Unfinished) -> None:
        with ui.element("div").classes("row between"):
            with ui.element("div").classes("stack"):
                raw(f"<b>{safe(session.title)}</b>")
                raw(f'<span class="small muted">{safe(session.about)}</span>')
            with ui.element("div").classes("row"):
                if session.why_not:
                    mark(session.why_not, "doubt")
                button(
                    "Give it up",
                    _asked(f"Give up the calibration of {session.title}?", lambda: self._abandon(session)),
                )
                go_on = button("Go on", lambda: self._go_on(session), "g", main=True)
                go_on.set_enabled(not session.why_not)

    async def _abandon(self, session: connecting.Unfinished) -> None:
        await asyncio.to_thread(listing.abandon, session.info, "given up on the page")
        await self._show_left()


def _asked(question: str, do: Callable[[], Any]) -> Callable[[], None]:
    """Do it only after a second click."""

    def ask() -> None:
        with ui.dialog() as dialog, ui.element("div").classes("card"):
            heading(question)
            paragraph("Its readings stay in their file, but it cannot be gone on with.")

            async def yes() -> None:
                dialog.close()
                await do()

            with ui.element("div").classes("row"):
                button("Yes, give it up", yes, "y")
                button("No", dialog.close, "n", main=True)
        dialog.open()

    return ask


def _number(text: str | None) -> float | None:
    try:
        return float((text or "").replace(",", ".")) if text else None
    except ValueError:
        return None
