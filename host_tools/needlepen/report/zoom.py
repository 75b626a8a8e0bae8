"""One cut-off close up: its cause at zero, the reaction, and the limit, over ns, us or ms."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go  # type: ignore[import-untyped]

from needlepen.evidence import NS_PER, CutOff, RunRecord
from needlepen.report import theme, words
from needlepen.report.lanes import Stack, axis_range, lane_axis

BINS = 1200
_LEFT_PX, _TOP_PX = 92, 34


def zoom(record: RunRecord, cutoff: CutOff) -> go.Figure:
    """The figure of one card. Names that were not recorded are left out."""
    stack = Stack(_LEFT_PX, BINS)
    t0_s, t1_s = cutoff.window_s
    unit = _axis_unit(t1_s - t0_s)
    per_s = 1e9 / NS_PER[unit]
    zero_s = cutoff.cause_t_ns / 1e9
    for name in cutoff.series:
        found = cutoff.detail.get(name) or record.series.get(name)
        if found is None or not len(found.t_s):
            continue
        part = found.window(t0_s, t1_s)
        look = theme.look(name)
        axis = stack.panel(96, gap_px=20, range=axis_range([part]))
        stack.label(axis, [(f"{look.label}, {words.unit(found.unit)}", look.colour)])
        stack.line(axis, (part.t_s - zero_s) * per_s, part.values, look, found.unit)
    names = [name for name in cutoff.signals if name in record.digital]
    if names:
        axis = stack.panel(26 * len(names), gap_px=10, **lane_axis(names))
        window_ns = round(t0_s * 1e9), round(t1_s * 1e9)
        lines = []
        for name in names:
            times, levels = record.digital[name].steps(*window_ns)
            # Subtract as integers: a float of seconds would round the nanoseconds away late in a run.
            lines.append((name, (times - cutoff.cause_t_ns) / NS_PER[unit], levels))
        stack.lanes(axis, lines)
    if not names and not stack.figure.data:
        stack.panel(40, visible=False)
    x_range = ((t0_s - zero_s) * per_s, (t1_s - zero_s) * per_s)
    _add_moments(stack, cutoff, unit, x_range)
    return stack.finish(f"after the cause, {words.unit(unit)}", x_range, _TOP_PX)


def _axis_unit(span_s: float) -> str:
    if span_s < 3e-6:
        return "ns"
    return "us" if span_s < 3e-3 else "ms"


def _add_moments(stack: Stack, cutoff: CutOff, unit: str, view: tuple[float, float]) -> None:
    """Lines and labels for cause, steps between, reaction and limit."""
    shapes, notes = stack.shapes, stack.notes
    scale = NS_PER[cutoff.unit] / NS_PER[unit]
    limit = cutoff.limit * scale
    shapes.append(_upright(0.0, theme.INK, "solid"))
    notes.append(_note(0.0, "cause", theme.INK, "right" if view[0] < -0.12 * (view[1] - view[0]) else "left"))
    if limit <= view[1]:
        shapes.append(_upright(limit, theme.FAIL, "dash"))
        crowded = limit > view[0] + 0.8 * (view[1] - view[0])
        notes.append(_note(limit, "limit", theme.FAIL, "right" if crowded else "left"))
    if cutoff.reaction_t_ns is not None:
        at = (cutoff.reaction_t_ns - cutoff.cause_t_ns) / NS_PER[unit]
        colour = theme.PASS if cutoff.value <= cutoff.limit else theme.FAIL
        shapes += [_between(at, colour), _upright(at, colour, "solid")]
        notes.append(_note(at, f"<b>{words.amount(cutoff.value, cutoff.unit)}</b>", colour, "left", 15))
    for t_ns, _ in cutoff.steps:
        shapes.append(_upright((t_ns - cutoff.cause_t_ns) / NS_PER[unit], theme.FAINT, "dot"))


def _upright(x: float, colour: str, dash: str) -> dict[str, Any]:
    line = {"color": colour, "width": 1.2, "dash": dash}
    return {"type": "line", "xref": "x", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1, "line": line}


def _between(x: float, colour: str) -> dict[str, Any]:
    """The reaction time as a faint block."""
    return {
        "type": "rect", "xref": "x", "yref": "paper", "x0": 0, "x1": x, "y0": 0, "y1": 1, "fillcolor": colour,
        "opacity": 0.09, "line": {"width": 0}, "layer": "below",
    }  # fmt: skip


def _note(x: float, text: str, colour: str, anchor: str, up_px: int = 0) -> dict[str, Any]:
    font = {"size": 11, "color": colour}
    place = {"x": x, "xanchor": anchor, "y": 1, "yref": "paper", "yanchor": "bottom", "yshift": up_px}
    return {**place, "text": text, "font": font, "showarrow": False}
