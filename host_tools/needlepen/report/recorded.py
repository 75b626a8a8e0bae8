"""The page of a recording that `needlepen monitor` made: the report's lanes over one time axis, and what happened."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import plotly.graph_objects as go  # type: ignore[import-untyped]
import plotly.offline  # type: ignore[import-untyped]
from markupsafe import Markup

from needlepen import requirements, supervision
from needlepen.errors import UsageError
from needlepen.evidence import Event, RunRecord, Series, Span
from needlepen.files import write_whole
from needlepen.monitor.frame import BACK, EVENT, LOST
from needlepen.monitor.recording import Recording
from needlepen.report import page, theme, words
from needlepen.report.overview import overview

_DRAWN = {
    "set_rate_hz": "Hz", "rate_hz": "Hz", "current_a": "A", "depth_set_mm": "mm", "depth_mm": "mm",
    "depth_cap_mm": "mm", "nose_c": "C", "winding_c": "C", "cell_v": "V", "duty_pct": "%",
}  # fmt: skip
_GAP = "rgba(91,104,118,0.16)"


@dataclass(frozen=True)
class Moment:
    """Something that changed. Kinds: state, fault, warning, blocker, gap."""

    time_s: float
    kind: str
    text: str
    remedy: str = ""


def render(recording: Recording) -> str:
    """The page as text, with everything inline."""
    moments = list(find_moments(recording))
    return (
        page.environment()
        .get_template("recording.html.j2")
        .render(
            title=f"Pen {recording.metadata.get('pen') or 'unknown'}",
            lead=f"{recording.path.name}, started {recording.metadata.get('started') or 'at an unknown time'}",
            style=page.style(),
            plotly=Markup(plotly.offline.get_plotlyjs().replace("</script", "<\\/script")),
            figure=page.embedded(figure(recording, moments)),
            figures=_key_figures(recording, moments),
            moments=moments,
            identity=[("file", str(recording.path)), *recording.metadata.items()],
            warnings=["The last line was torn and is left out: the recording was cut off."]
            if recording.torn
            else [],
        )
    )


def figure(recording: Recording, moments: list[Moment]) -> go.Figure:
    """States on top, a panel for each quantity, faults in red, gaps in grey."""
    times_s = np.array(recording.time_s)
    record = RunRecord(title=recording.path.name, device_s=recording.duration_s, complete=True)
    record.spans = [Span("state", t0, t1, state) for t0, t1, state in states(recording)]
    marks = [m for m in moments if m.kind in ("fault", "gap")]
    record.events = [Event(m.time_s, "mark", m.text.partition(":")[0]) for m in marks]
    for name, unit in _DRAWN.items():
        values = np.array(recording.columns.get(name, []), dtype=float)
        if np.isfinite(values).any():
            record.series[name] = Series(times_s, values, unit)
    drawn = overview(record, requirements.load())
    for moment in moments:
        if moment.kind == "fault":
            line = {"color": theme.FAIL, "width": 1.2}
            drawn.add_shape(
                type="line", xref="x", yref="paper", x0=moment.time_s, x1=moment.time_s, y0=0, y1=1, line=line
            )
    for begun_s, ended_s, _ in recording.gaps:
        drawn.add_shape(
            type="rect", xref="x", yref="paper", x0=begun_s, x1=ended_s, y0=0, y1=1,
            fillcolor=_GAP, line={"width": 0}, layer="above",
        )  # fmt: skip
    drawn.update_layout(xaxis_title_text="time since the recording began, s")
    return drawn


def states(recording: Recording) -> Iterator[tuple[float, float, str]]:
    """(from, to, state) in seconds; nothing where the pen was lost."""
    rows = list(zip(recording.time_s, recording.texts["state"], strict=True))
    for state, group in itertools.groupby(range(len(rows)), key=lambda i: rows[i][1]):
        places = list(group)
        end = min(places[-1] + 1, len(rows) - 1)
        if state:
            yield rows[places[0]][0], rows[end][0], state


def find_moments(recording: Recording) -> Iterator[Moment]:
    """What changed, in order of time: states, faults with their remedy, warnings and blockers that appear, gaps."""
    texts = recording.texts
    empty = [""] * len(recording)
    columns = (
        texts["state"],
        texts["fault"],
        *(texts.get(n, empty) for n in ("warnings", "blockers")),
        texts[EVENT],
    )
    last_state, last_fault = "", ""
    told: dict[str, set[str]] = {"warning": set(), "blocker": set()}
    for t, state, fault, warnings, blockers, event in zip(recording.time_s, *columns, strict=True):
        if event:
            kind, _, why = event.partition(": ")
            yield Moment(t, "gap", {LOST: f"pen lost: {why}", BACK: f"pen back: {why}"}.get(kind, event))
            continue
        if state != last_state:
            yield Moment(t, "state", state.replace("_", " "))
        if fault and fault != last_fault:
            yield _fault(t, fault)
        for kind, names in (("warning", warnings.split()), ("blocker", blockers.split())):
            for name in names:
                if name not in told[kind]:
                    yield _condition(t, kind, name)
            told[kind] = set(names)
        last_state, last_fault = state, fault


def _fault(t: float, name: str) -> Moment:
    known = supervision.load().fault_named(name)
    if known is None:
        return Moment(t, "fault", name)
    return Moment(t, "fault", f"{name} ({known.requirement}): {known.text}", f"What to do: {known.remedy}")


def _condition(t: float, kind: str, name: str) -> Moment:
    table = getattr(supervision.load(), f"{kind}s")
    known = table.get(name.upper())
    shown = name.replace("_", " ")
    if known is None:
        return Moment(t, kind, shown)
    return Moment(t, kind, f"{shown} ({known.requirement}): {known.text}", f"What to do: {known.remedy}")


def _key_figures(recording: Recording, moments: list[Moment]) -> list[tuple[str, str, str]]:
    ran_s = sum(t1 - t0 for t0, t1, state in states(recording) if state == "running")
    faults = [m.text.partition(" (")[0] for m in moments if m.kind == "fault"]
    lost_s = sum(t1 - t0 for t0, t1, _ in recording.gaps)
    found = [
        ("recorded", f"{words.number(recording.duration_s)} s", f"{len(recording)} rows"),
        ("motor ran", f"{words.number(ran_s)} s", ""),
        ("faults", str(len(faults)), ", ".join(dict.fromkeys(faults)) or "none"),
        ("gaps", str(len(recording.gaps)), f"{words.number(lost_s)} s lost" if lost_s else "none"),
    ]
    nose_c = np.array(recording.columns.get("nose_c", []), dtype=float)
    if np.isfinite(nose_c).any():
        found.append(("hottest nose", f"{np.nanmax(nose_c):.1f} °C", ""))
    return found


def write(recording: Recording, path: Path) -> Path:
    """Write the page. Raises UsageError for a recording without a row, InfrastructureError if it cannot be written."""
    if not len(recording):
        raise UsageError(f"{recording.path}: holds no row, so there is nothing to draw; record again")
    write_whole(path, render(recording))
    return path
