"""The monitor where there is no terminal to redraw: lines for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol

from needlepen.link.client import Telemetry
from needlepen.monitor.frame import Frame, Gap, conditions, fault_of

EVERY_S = 1.0
"""A line for people at least this often, and whenever something changes that they should know."""


class Output(Protocol):
    """Shows what the monitor sees."""

    def show(self, moment: Frame | Gap) -> None:
        """A frame, or the loss or return of the pen."""


class JsonLines:
    """One JSON object for each frame, with blockers and warnings as lists."""

    def __init__(self, put: Callable[[str], None]) -> None:
        self._put = put

    def show(self, moment: Frame | Gap) -> None:
        """One line, always."""
        self._put(json.dumps(_frame_dict(moment) if isinstance(moment, Frame) else moment.values()))


class PlainLines:
    """A line each second and at each change."""

    def __init__(self, put: Callable[[str], None]) -> None:
        self._put = put
        self._told: object = None
        self._told_s = float("-inf")

    def show(self, moment: Frame | Gap) -> None:
        """A line if it is due; with a fault, a blocker or a warning that is new, more of them."""
        if isinstance(moment, Gap):
            self._put(f"{moment.host_s:9.3f} s  {moment.event}")
            self._told = None
            return
        t, s = moment.telemetry, moment.status
        news = (t.state, t.fault, s.blockers if s else (), s.warnings if s else ())
        if news == self._told and moment.host_s - self._told_s < EVERY_S:
            return
        self._put(f"{moment.host_s:9.3f} s  {numbers(moment)}")
        if news != self._told:
            for text in explained(moment):
                self._put(f"{'':11}  {text}")
        self._told, self._told_s = news, moment.host_s


def numbers(frame: Frame) -> str:
    """What a frame says, in one line."""
    t, s = frame.telemetry, frame.status
    parts = [
        f"{state_words(t):11}",
        f"{t.rate_hz:5.1f} of {t.set_hz:g} Hz",
        f"{t.current_a:5.2f} A",
        f"{t.depth_mm:4.2f} of {t.depth_set_mm:4.2f} mm",
        f"{t.cell_v:4.2f} V",
    ]
    if s:
        parts += [f"nose {s.nose_c:.1f} C", f"winding {s.winding_c:.1f} C"]
        if s.needles:
            parts.append(f"{s.needles} needles, {minutes(s.cartridge_left_s)} left")
    return "  ".join(parts)


def explained(frame: Frame) -> list[str]:
    """Fault, blockers and warnings in words, each with what to do."""
    found = []
    fault = fault_of(frame)
    if fault is not None:
        found.append(f"fault {fault.name} ({fault.requirement}): {fault.text} What to do: {fault.remedy}")
    elif frame.telemetry.fault != "none":
        found.append(f"{frame.telemetry.fault}: of newer firmware than these tools; update them")
    for kind, word in (("blockers", "no start"), ("warnings", "warning")):
        found += [f"{word}: {c.text} What to do: {c.remedy}" for c in conditions(frame, kind)]
    return found


def state_words(telemetry: Telemetry) -> str:
    """The state as people read it."""
    return telemetry.state.replace("_", " ")


def minutes(seconds: float) -> str:
    """A time that is left, as minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02} min"


def _frame_dict(frame: Frame) -> dict[str, Any]:
    values = frame.values()
    status, fault = frame.status, fault_of(frame)
    values["blockers"] = list(status.blockers) if status else None
    values["warnings"] = list(status.warnings) if status else None
    if fault is not None:
        values |= {"fault_requirement": fault.requirement, "fault_remedy": fault.remedy}
    return values
