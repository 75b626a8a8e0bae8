"""How the values of each limit are distributed over all tests and cases of a run."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go  # type: ignore[import-untyped]

from needlepen.evidence import NS_PER, Relation
from needlepen.evidence_report.model import Taken
from needlepen.report import theme, words

MOST_POINTS = 400
"""So many points of one limit are drawn: the extremes, and the rest evenly by rank."""
_ROW_PX, _MARGIN_PX = 30, 84


@dataclass(frozen=True)
class Distribution:
    """All values of one limit in ascending order. Infinite ones never happened; what was not measured is left out."""

    requirement: str
    limit_name: str
    unit: str
    relation: Relation
    limit: float
    values: npt.NDArray[np.float64]

    @property
    def is_reaction_time(self) -> bool:
        """A time with an upper limit."""
        return self.unit in NS_PER and self.relation == "<="

    def at(self, percent: float) -> float:
        """The value that so many percent of all do not exceed; always one that was measured, never one between."""
        rank = max(math.ceil(percent / 100 * len(self.values)), 1)
        return float(self.values[rank - 1])

    @property
    def columns(self) -> list[str]:
        """Number of values, min, median, p99, max and the limit, as people read them."""
        found = [words.amount(self.at(percent), self.unit) for percent in (0, 50, 99, 100)]
        sign = {"<=": "≤", ">=": "≥", "==": "="}.get(self.relation, "")
        return [str(len(self.values)), *found, f"{sign} {words.amount(self.limit, self.unit)}"]

    @property
    def beyond(self) -> int:
        """How many values miss the limit."""
        if self.relation == "<=":
            return int((self.values > self.limit).sum())
        return int((self.values < self.limit).sum()) if self.relation == ">=" else 0


def of(all_taken: Iterable[Taken]) -> list[Distribution]:
    """By requirement and limit, of each of which at least two values are known; reaction times first."""
    groups: dict[tuple[str, str, str, Relation, float], list[float]] = {}
    for taken in all_taken:
        m = taken.measurement
        if m.relation not in ("<=", ">="):
            continue
        cases = [value for _, value in m.cases] or ([] if m.value is None else [m.value])
        key = (m.requirement, taken.limit_name, m.unit, m.relation, m.limit)
        groups.setdefault(key, []).extend(value for value in cases if not math.isnan(value))
    found = [Distribution(*key, np.sort(values)) for key, values in sorted(groups.items()) if len(values) > 1]
    return sorted(found, key=lambda d: not d.is_reaction_time)


def figure(distributions: list[Distribution]) -> go.Figure:
    """One row for each upper limit: every value as a share of it, with median and 99th percentile."""
    drawn = go.Figure()
    rows = [d for d in distributions if d.relation == "<=" and d.limit > 0]
    for row, d in enumerate(rows):
        finite = d.values[np.isfinite(d.values)]
        if not len(finite):
            continue
        ranks = np.unique(np.linspace(0, len(finite) - 1, min(len(finite), MOST_POINTS)).round().astype(int))
        points = finite[ranks]
        jitter = 0.28 * np.sin(2.399963 * np.arange(len(points)))  # spread evenly, the same every time
        drawn.add_scatter(
            x=_share(points, d), y=row + jitter, mode="markers", showlegend=False, hoverinfo="text",
            text=[words.amount(float(value), d.unit) for value in points],
            marker={"size": 4, "opacity": 0.45, "color": theme.FAIL if d.beyond else theme.ACCENT},
        )  # fmt: skip
        for percent, symbol in ((50, "line-ns-open"), (99, "diamond-open")):
            value = d.at(percent)
            if math.isfinite(value):
                drawn.add_scatter(
                    x=_share(np.array([value]), d), y=[row], mode="markers", showlegend=False, hoverinfo="text",
                    text=[f"{'median' if percent == 50 else 'p99'} {words.amount(value, d.unit)}"],
                    marker={"size": 15 if percent == 50 else 8, "symbol": symbol, "color": theme.INK,
                            "line": {"width": 1.6}},
                )  # fmt: skip
    line = {"color": theme.FAIL, "width": 1.4, "dash": "dash"}
    drawn.add_shape(type="line", xref="x", yref="paper", x0=100, x1=100, y0=0, y1=1, line=line)
    drawn.update_layout(
        height=_MARGIN_PX + _ROW_PX * max(len(rows), 1), margin={"l": 190, "r": 24, "t": 16, "b": 52},
        paper_bgcolor=theme.PANEL, plot_bgcolor=theme.PANEL, hovermode="closest",
        font={"family": theme.FONT, "size": 12, "color": theme.INK},
        xaxis={"title": {"text": "share of the limit, %"}, "gridcolor": theme.GRID, "rangemode": "tozero"},
        yaxis={"tickvals": list(range(len(rows))), "range": [len(rows) - 0.5, -0.5], "gridcolor": theme.GRID,
               "ticktext": [f"{d.requirement} {d.limit_name}" for d in rows], "zeroline": False},
    )  # fmt: skip
    return drawn


def _share(values: npt.NDArray[np.float64], d: Distribution) -> list[float]:
    return [round(float(share), 4) for share in 100 * values / d.limit]
