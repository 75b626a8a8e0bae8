"""The pens that are connected, as a group of which one is chosen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nicegui import ui

from needlepen.bench_page.layout import button, heading, paragraph, raw, safe
from needlepen.bench_page.workbench import Workbench
from needlepen.devices.model import BUSY, PEN, Device


class PenList:
    """Shows the pens, takes the choice. `changed` is called after each choice and each look."""

    def __init__(self, workbench: Workbench, title: str, changed: Callable[[], object]) -> None:
        self._workbench = workbench
        self._changed = changed
        with ui.element("div").classes("row between"):
            heading(title)
            self._again = button("Look again", self.look)
        self._list = ui.element("div").classes("stack").props('role="radiogroup" aria-label="Pens"')
        with ui.element("div").props('role="status" aria-live="polite"'):
            self._said = paragraph("Looking for pens ...", "muted small")

    async def look(self) -> None:
        """Ask everything that is connected who it is; up to 3 s. The pen that this page itself holds is not asked."""
        self._again.disable()
        self._say("Looking for pens ...")
        found = [device for device in await asyncio.to_thread(self._workbench.find) if _may_be_a_pen(device)]
        self._workbench.pens = found
        usable = [device for device in found if device.kind == PEN]
        before = self._workbench.pen.unique_id if self._workbench.pen else None
        same = [device for device in usable if device.unique_id == before]
        fitting = same or (usable if len(usable) == 1 else [])
        self._workbench.pen = fitting[0] if fitting else None
        self._again.enable()
        self._say("" if found else "No pen is connected. Plug one in, switch it on, and look again.")
        self._draw()
        self._changed()

    def _draw(self) -> None:
        self._list.clear()
        chosen = self._workbench.pen.unique_id if self._workbench.pen else None
        with self._list:
            for device in self._workbench.pens:
                self._entry(device, device.unique_id == chosen)

    def _entry(self, device: Device, is_chosen: bool) -> None:
        entry = ui.element("button").classes("pen")
        entry.props(f'type="button" role="radio" aria-checked="{str(is_chosen).lower()}"')
        if device.kind != PEN and not is_chosen:
            entry.props("disabled")
        entry.on("click", lambda: self._choose(device, entry))
        with entry:
            marks = '<span class="mark accent">emulated</span>' if device.emulated else ""
            who = f'{safe(device.name or "pen")} <span class="muted">{safe(device.unique_id)}</span>'
            raw('<span class="dot" aria-hidden="true"></span>')
            raw(f'<span class="who">{who}</span>')
            raw(marks or "<span></span>")
            raw(safe(_note(device))).classes("note")

    def _choose(self, device: Device, entry: ui.element) -> None:
        self._workbench.choose(device)
        for each in self._list.default_slot.children:
            each.props(f'aria-checked="{str(each is entry).lower()}"')
        self._changed()

    def _say(self, text: str) -> None:
        self._said.content = f'<p class="muted small">{safe(text)}</p>' if text else ""


def _may_be_a_pen(device: Device) -> bool:
    return device.port is not None and device.kind not in ("foreign", "micropython", "bootsel")


def _note(device: Device) -> str:
    """Who holds it, or how it stands with its calibration."""
    if device.held_by is not None:
        return f"In use by {device.held_by}: end that program first."
    if device.kind == BUSY:
        return "In use by another program: end that one first."
    if device.kind != PEN:
        return f"Does not answer. {device.note} Switch it on, or plug it in again."
    about, identity = device.about, device.identity
    parts = (
        [f"firmware {identity.version}" + (", development build" if identity.development else "")]
        if identity
        else []
    )
    if about is not None:
        reason = f" ({about.calibration_reason})" if about.calibration_reason else ""
        parts.append(f"calibration {about.calibration}{reason}")
    return ", ".join(parts)
