"""The whole run over one time axis: phases, rate, current, needles, gate and fault lanes, cut-offs."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go  # type: ignore[import-untyped]

from needlepen.evidence import RunRecord, Series, Span
from needlepen.report import theme, words
from needlepen.report.decimate import keep_extremes
from needlepen.report.lanes import Stack, axis_range, lane_axis
from needlepen.requirements import Requirements

BINS = 5000
"""Of the drawn traces: at 9 s one bin is 1.8 ms, so that single strokes still show when zoomed in."""
_LEFT_PX, _TOP_PX, _WIDTH_PX = 92, 70, 1010
_PIXELS_PER_LETTER = 6.2


def overview(record: RunRecord, requirements: Requirements) -> go.Figure:
    """The figure; panels without data are left out."""
    stack = Stack(_LEFT_PX, BINS)
    end_s = _end(record)
    _add_states(stack, record, end_s)
    for panel, names in _panels(record).items():
        _add_panel(stack, record, requirements, panel, names)
    if record.digital:
        axis = stack.panel(24 * len(record.digital), gap_px=14, **lane_axis(list(record.digital)))
        stack.lanes(axis, [_lane(name, record, end_s) for name in record.digital])
    for number, cutoff in enumerate(record.cutoffs, start=1):
        stack.shapes.append(_upright(cutoff.cause_t_ns / 1e9, theme.FAIL, "solid"))
        stack.notes.append(_badge(number, cutoff.cause_t_ns / 1e9))
    marks = [(event.t_s, event.text) for event in record.events if event.kind == "mark"]
    stack.shapes += [_upright(t_s, theme.FAINT, "dot") for t_s, _ in marks]
    stack.notes += _mark_labels(marks, end_s)
    if not record.complete:
        stack.shapes.append(_upright(record.device_s, theme.UNSET, "dash"))
        stack.notes.append(_stop_note(record.device_s))
    return stack.finish("device time, s", (0.0, end_s), _TOP_PX)


def _add_panel(
    stack: Stack, record: RunRecord, requirements: Requirements, panel: str, names: list[str]
) -> None:
    series = {name: _drawn(name, record.series[name]) for name in names}
    highest = max(float(np.nanmax(one.values, initial=0.0)) for one in series.values())
    limits = [(level, text) for level, text in _limits(panel, requirements) if level <= 1.6 * highest]
    axis = stack.panel(
        190 if panel == "Stroke rate" else 125,
        gap_px=24,
        range=axis_range(list(series.values()), [level for level, _ in limits]),
    )
    unit = words.unit(next(iter(series.values())).unit)
    looks = {name: theme.look(name) for name in names}
    legend = [(look.label, look.colour) for look in looks.values()] if len(looks) > 1 else []
    stack.label(axis, [(f"<b>{panel}</b>, {unit}".rstrip(", "), theme.INK), *legend])
    if panel == "Stroke rate" and "set_rate_hz" in series:
        _add_tolerance_band(stack, axis, series["set_rate_hz"], requirements)
    for name, one in series.items():
        stack.line(axis, one.t_s, one.values, looks[name], one.unit)
    for level, text in limits:
        stack.shapes.append(_level(level, axis))
        stack.notes.append(_level_note(level, text, axis))
    stack.shapes += [_skin_block(span, axis) for span in record.spans if span.kind == "skin"]
    if panel == "Needle protrusion":
        stack.shapes.append(_level(0.0, axis, theme.FAINT, "solid"))
        stack.notes.append(_level_note(0.0, "nose plane", axis, theme.MUTED))


def _drawn(name: str, series: Series) -> Series:
    """A stepped quantity as its changes only, so that it is exact and small; up to where a gap begins."""
    if not theme.look(name).step or len(series.t_s) < 3:
        return series
    kept = np.flatnonzero(np.diff(series.values, prepend=np.nan) != 0)
    before_gaps = np.flatnonzero(np.isnan(series.values)[1:])
    kept = np.unique(np.concatenate((kept, before_gaps, [len(series.t_s) - 1])))
    return Series(series.t_s[kept], series.values[kept], series.unit)


def _end(record: RunRecord) -> float:
    ends_s = [float(one.t_s[-1]) for one in record.series.values() if len(one.t_s)]
    return max([record.device_s, *ends_s]) or 1.0


def _panels(record: RunRecord) -> dict[str, list[str]]:
    """Series by panel; the known ones in their order, then the others."""
    order = [name for name in theme.SERIES if name in record.series]
    order += [name for name in record.series if name not in theme.SERIES]
    panels: dict[str, list[str]] = {}
    for name in order:
        if len(record.series[name].t_s):
            panels.setdefault(theme.look(name).panel, []).append(name)
    return panels


def _lane(name: str, record: RunRecord, end_s: float) -> tuple[str, Any, Any]:
    times, levels = record.digital[name].steps(0, round(end_s * 1e9))
    return name, times / 1e9, levels


def _limits(panel: str, requirements: Requirements) -> list[tuple[float, str]]:
    if panel == "Stroke rate":
        return [(float(requirements.limit("SR-06", "threshold_hz")), "overspeed SR-06")]
    if panel == "Motor current":
        return [
            (float(requirements.limit("PR-04", "current_max_a")), "start limit PR-04"),
            (float(requirements.limit("SR-09", "current_a")), "overcurrent SR-09"),
        ]
    return []


def _add_tolerance_band(stack: Stack, axis: str, set_rate: Series, requirements: Requirements) -> None:
    """The band of PR-02 under load around the set rate."""
    part = float(requirements.limit("PR-02", "loaded_error_pct")) / 100
    x, y = keep_extremes(np.repeat(set_rate.t_s, 2)[1:], np.repeat(set_rate.values, 2)[:-1], BINS)
    common: dict[str, Any] = {
        "yaxis": axis,
        "mode": "lines",
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    stack.figure.add_scatter(x=x.astype(np.float32), y=(y * (1 - part)).astype(np.float32), **common)
    band = {"fill": "tonexty", "fillcolor": theme.ACCENT_SOFT}
    stack.figure.add_scatter(x=x.astype(np.float32), y=(y * (1 + part)).astype(np.float32), **common, **band)


def _add_states(stack: Stack, record: RunRecord, end_s: float) -> None:
    """The strip of what the pen was doing, with its names where they fit."""
    states = [span for span in record.spans if span.kind == "state"]
    if not states:
        return
    axis = stack.panel(18, visible=False, range=[0, 1])
    for span in states:
        colour = theme.STATE_COLOURS.get(span.text, theme.STATE_COLOURS["boot"])
        line = {"width": 1, "color": "#ffffff"}
        stack.shapes.append(_rectangle(span, axis, colour) | {"line": line, "layer": "above"})
        width_px = (span.t1_s - span.t0_s) / end_s * _WIDTH_PX
        if width_px > len(span.text) * _PIXELS_PER_LETTER + 6:
            place = {"x": (span.t0_s + span.t1_s) / 2, "y": 0.5, "yref": axis}
            font = {"size": 10.5, "color": theme.INK}
            stack.notes.append({**place, "text": span.text, "font": font, "showarrow": False})


def _skin_block(span: Span, axis: str) -> dict[str, Any]:
    return _rectangle(span, axis, theme.SKIN) | {"layer": "below", "line": {"width": 0}}


def _rectangle(span: Span, axis: str, colour: str) -> dict[str, Any]:
    across = {"xref": "x", "x0": span.t0_s, "x1": span.t1_s}
    upright = {"yref": f"{axis} domain", "y0": 0, "y1": 1}
    return {"type": "rect", **across, **upright, "fillcolor": colour}


def _level(value: float, axis: str, colour: str = theme.FAIL, dash: str = "dash") -> dict[str, Any]:
    line = {"color": colour, "width": 1, "dash": dash}
    return {
        "type": "line",
        "xref": "paper",
        "yref": axis,
        "x0": 0,
        "x1": 1,
        "y0": value,
        "y1": value,
        "line": line,
    }


def _level_note(value: float, text: str, axis: str, colour: str = theme.FAIL) -> dict[str, Any]:
    font = {"size": 10, "color": colour}
    place = {"xref": "paper", "x": 0.998, "xanchor": "right", "yref": axis, "y": value, "yanchor": "bottom"}
    return {**place, "text": text, "font": font, "showarrow": False}


def _upright(t_s: float, colour: str, dash: str) -> dict[str, Any]:
    line = {"color": colour, "width": 1, "dash": dash}
    return {
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "x0": t_s,
        "x1": t_s,
        "y0": 0,
        "y1": 1,
        "line": line,
    }


def _badge(number: int, t_s: float) -> dict[str, Any]:
    """The number of a cut-off, as on its card."""
    return {
        "x": t_s, "y": 1, "yref": "paper", "yanchor": "bottom", "yshift": 2, "showarrow": False,
        "text": f"<b>{number}</b>",
        "font": {"size": 10, "color": "#ffffff"}, "bgcolor": theme.FAIL, "borderpad": 3,
    }  # fmt: skip


def _mark_labels(marks: list[tuple[float, str]], end_s: float) -> list[dict[str, Any]]:
    """Phase names above the plot, on the first of two rows that is free."""
    free_px = [0.0, 0.0]
    labels = []
    for t_s, text in marks:
        left_px = t_s / end_s * _WIDTH_PX
        row = 0 if left_px >= free_px[0] else 1
        free_px[row] = left_px + len(text) * _PIXELS_PER_LETTER + 10
        font = {"size": 11, "color": theme.INK}
        place = {
            "x": t_s,
            "xanchor": "left",
            "xshift": 2,
            "y": 1,
            "yref": "paper",
            "yanchor": "bottom",
            "yshift": 22 + 15 * row,
        }
        labels.append({**place, "text": text, "font": font, "showarrow": False})
    return labels


def _stop_note(t_s: float) -> dict[str, Any]:
    font = {"size": 11, "color": theme.UNSET}
    place = {"x": t_s, "xanchor": "right", "y": 1, "yref": "paper", "yshift": 60}
    return {**place, "text": "<b>the run was stopped here</b>", "font": font, "showarrow": False}
