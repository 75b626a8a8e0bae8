"""Digital lanes and panels of quantities over one time axis, for the overview and the zooms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go  # type: ignore[import-untyped]

from needlepen.evidence import Series
from needlepen.report import theme, words
from needlepen.report.decimate import keep_extremes

LANE_HEIGHT = 0.62
"""Of a lane's pitch; the rest is the gap to the next one."""


class Stack:
    """A figure of panels from top to bottom over one shared x axis. Heights are in pixels."""

    def __init__(self, left_px: int, bins: int) -> None:
        self.figure = go.Figure()
        self._bins = bins
        self._left_px = left_px
        self._panels: list[tuple[int, int, dict[str, Any]]] = []
        self.shapes: list[dict[str, Any]] = []
        self.notes: list[dict[str, Any]] = []

    def panel(self, height_px: int, gap_px: int = 0, **axis: Any) -> str:
        """Add a panel below the others and return the name of its y axis; the gap is above it."""
        self._panels.append((height_px, gap_px, axis))
        return "y" if len(self._panels) == 1 else f"y{len(self._panels)}"

    def label(self, axis: str, entries: Sequence[tuple[str, str]]) -> None:
        """Name what a panel shows above its left corner; entries are (text, colour)."""
        text = "&nbsp;&nbsp;&nbsp;".join(
            f'<span style="color:{colour}">{text}</span>' for text, colour in entries
        )
        place = {
            "xref": "paper",
            "x": 0,
            "xanchor": "left",
            "yref": f"{axis} domain",
            "y": 1,
            "yanchor": "bottom",
        }
        font = {"size": 11.5, "color": theme.INK}
        # The white ground keeps the upright lines of the moments out of the text.
        note = {"text": text, "font": font, "showarrow": False, "bgcolor": theme.PANEL, "borderpad": 1}
        self.notes.append({**place, **note})

    def line(self, axis: str, x: npt.NDArray[Any], y: npt.NDArray[Any], look: theme.Look, unit: str) -> None:
        """A quantity; `x` in the unit of the figure's axis."""
        x, y = keep_extremes(x, y, self._bins)
        self.figure.add_scatter(
            x=x.astype(np.float32),
            y=y.astype(np.float32),
            yaxis=axis,
            name=look.label,
            mode="lines",
            line={
                "color": look.colour,
                "width": look.width,
                "dash": look.dash,
                "shape": "hv" if look.step else "linear",
            },
            hovertemplate=f"%{{y:.4g}} {words.unit(unit)}",
            showlegend=False,
        )

    def lanes(self, axis: str, lines: Sequence[tuple[str, npt.NDArray[Any], npt.NDArray[Any]]]) -> None:
        """Digital signals, the first on top; each is (name, x, level)."""
        for row, (name, x, level) in enumerate(lines):
            base = len(lines) - 1 - row
            x, level = _corners(x, level)
            x, level = keep_extremes(x, level, self._bins)
            colour = theme.lane_colour(name)
            y = (base + LANE_HEIGHT * level).astype(np.float32)
            floor = np.full(2, base, dtype=np.float32)
            ends = np.array([x[0], x[-1]] if len(x) else [0, 0], dtype=np.float32)
            self.figure.add_scatter(
                x=ends,
                y=floor,
                yaxis=axis,
                mode="lines",
                line={"width": 0},
                hoverinfo="skip",
                showlegend=False,
            )
            self.figure.add_scatter(
                x=x.astype(np.float32),
                y=y,
                yaxis=axis,
                name=name,
                mode="lines",
                line={"color": colour, "width": 1.2},
                fill="tonexty",
                fillcolor=_faded(colour),
                customdata=level.astype(np.int8),
                hovertemplate="%{customdata}",
                showlegend=False,
            )

    def finish(self, x_title: str, x_range: tuple[float, float], top_px: int) -> go.Figure:
        """Place the panels and set what all plots share."""
        total = sum(height + gap for height, gap, _ in self._panels)
        bottom_px = 46
        y = float(total)
        for number, (height, gap, axis) in enumerate(self._panels, start=1):
            key = "yaxis" if number == 1 else f"yaxis{number}"
            y -= gap
            domain = [max((y - height) / total, 0.0), min(y / total, 1.0)]
            self.figure.update_layout({key: {**_Y_AXIS, "domain": domain, **axis}})
            y -= height
        last = "y" if len(self._panels) == 1 else f"y{len(self._panels)}"
        self.figure.update_layout(
            template="none",
            height=total + top_px + bottom_px,
            margin={"l": self._left_px, "r": 18, "t": top_px, "b": bottom_px},
            paper_bgcolor="rgba(0,0,0,0)",
            plot_bgcolor=theme.PANEL,
            font={"family": theme.FONT, "size": 11.5, "color": theme.MUTED},
            hovermode="x unified",
            hoversubplots="axis",
            hoverlabel={"bgcolor": "#ffffff", "bordercolor": theme.GRID, "font": {"color": theme.INK}},
            dragmode="zoom",
            xaxis={
                **_X_AXIS,
                "title": {"text": x_title, "standoff": 8, "font": {"size": 11.5}},
                "range": list(x_range),
                "anchor": last,
            },
            shapes=self.shapes,
            annotations=self.notes,
            modebar={"bgcolor": "rgba(0,0,0,0)", "color": theme.FAINT, "activecolor": theme.ACCENT},
        )
        return self.figure


_X_AXIS: dict[str, Any] = {
    "gridcolor": theme.GRID,
    "zeroline": False,
    "ticks": "outside",
    "ticklen": 4,
    "tickcolor": theme.GRID,
    "showspikes": True,
    "spikemode": "across",
    "spikesnap": "cursor",
    "spikethickness": 1,
    "spikedash": "solid",
    "spikecolor": theme.FAINT,
    "hoverformat": ".5~f",
}
_Y_AXIS: dict[str, Any] = {
    "gridcolor": theme.GRID,
    "zeroline": False,
    "fixedrange": True,
    "nticks": 5,
}


def lane_axis(names: Sequence[str]) -> dict[str, Any]:
    """Axis settings for a panel of lanes: the signals' names in place of numbers."""
    return {
        "tickmode": "array",
        "tickvals": [len(names) - 1 - i + LANE_HEIGHT / 2 for i in range(len(names))],
        "ticktext": [f"<b>{name}</b>" for name in names],
        "tickfont": {"size": 10.5, "color": theme.INK},
        "showgrid": False,
        "range": [-0.3, len(names) - 0.1],
    }


def axis_range(series: Sequence[Series], include: Sequence[float] = ()) -> list[float]:
    """A range that holds all values and the given ones, with a little air."""
    known = [each.values[np.isfinite(each.values)] for each in series]
    low = min([float(v.min()) for v in known if len(v)] + list(include), default=0.0)
    high = max([float(v.max()) for v in known if len(v)] + list(include), default=1.0)
    air = 0.08 * ((high - low) or 1.0)
    return [low - air, high + air]


def _corners(x: npt.NDArray[Any], level: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """A level that holds until its next change, as points of a plain line (so that lanes can be filled)."""
    if len(x) < 2:
        return x, level
    return np.repeat(x, 2)[1:], np.repeat(level, 2)[:-1]


def _faded(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.14)"
