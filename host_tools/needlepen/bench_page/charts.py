"""What the charts show, as options of ECharts: error against depth, as-found trend, daily checks, a running pen."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from needlepen import requirements
from needlepen.calibration.model import Phase, Taken
from needlepen.report.theme import SERIES

Options = dict[str, Any]
_UP, _DOWN, _FOUND, _VERIFIED = "#2b8fa3", "#a06a96", "#8a94a0", "#c77b1e"
_LIMIT, _GUARD, _LINE = "#d0483f", "#c98a12", "rgba(128,144,158,0.35)"
_TICK_MM = 0.05
_LEAST_SPAN_MM = 3 * _TICK_MM
_DIGITS = 4


def tolerance_mm() -> float:
    """Largest permitted error of protrusion."""
    return float(requirements.load().limit("CR-02", "tolerance_mm"))


def errors(taken: Sequence[Taken], guarded_mm: float | None) -> Options:
    """Error against set depth, a point for each reading: as found, up, down and verified, with limits and guard band.

    `guarded_mm`: the tolerance less the uncertainty of the gauge; None while it is not known.
    """
    series = [
        _points(
            "as found", "circle", _FOUND, (t for t in taken if t.point.phase == Phase.AS_FOUND), hollow=True
        ),
        _points("up", "triangle", _UP, _runs(taken, "up")),
        _points("down", "triangle", _DOWN, _runs(taken, "down"), turned=True),
        _points(
            "verified", "diamond", _VERIFIED, (t for t in taken if t.point.phase == Phase.VERIFICATION), 11
        ),
    ]
    series[0]["markLine"] = _limit_lines(guarded_mm)
    shown = [t for t in taken if t.point.phase not in (Phase.ZERO, Phase.DRIFT)]
    largest = max([abs(t.error_um) / 1e3 for t in shown], default=0.0)
    span = _span_mm(largest)
    last = series_of_last(shown)
    return {
        **_frame("set protrusion in mm", "error in mm"),
        "xAxis": _axis("set protrusion in mm", 0, float(requirements.load().limit("PR-05", "depth_max_mm"))),
        "yAxis": {**_axis("error in mm", -span, span), "interval": _TICK_MM if span < 0.4 else None},
        "series": [*series, last] if last else series,
    }


def series_of_last(taken: Sequence[Taken]) -> Options | None:
    """A ring around the newest reading."""
    if not taken:
        return None
    return {
        "name": "newest", "type": "scatter", "symbol": "circle", "symbolSize": 20, "data": [_pair(taken[-1])],
        "itemStyle": {"color": "transparent", "borderColor": _UP, "borderWidth": 2}, "z": 5,
    }  # fmt: skip


def _runs(taken: Sequence[Taken], direction: str) -> Iterable[Taken]:
    return (t for t in taken if t.point.phase == Phase.CALIBRATION and t.point.direction == direction)


def _pair(taken: Taken) -> list[float]:
    return [taken.point.set_um / 1e3, round(taken.error_um / 1e3, _DIGITS)]


def _points(
    name: str,
    symbol: str,
    colour: str,
    taken: Iterable[Taken],
    size: int = 9,
    turned: bool = False,
    hollow: bool = False,
) -> Options:
    style: Options = {"color": colour}
    if hollow:
        style = {"color": "transparent", "borderColor": colour, "borderWidth": 2}
    return {
        "name": name, "type": "scatter", "symbol": symbol, "symbolSize": size, "symbolRotate": 180 if turned else 0,
        "itemStyle": style, "data": [_pair(t) for t in taken],
    }  # fmt: skip


def _span_mm(largest_mm: float) -> float:
    """Of the axis to either side, with the limits and the largest error well inside, in whole ticks."""
    return round(max(_LEAST_SPAN_MM, _TICK_MM * math.ceil(1.05 * largest_mm / _TICK_MM)), 2)


def _limit_lines(guarded_mm: float | None) -> Options:
    lines: list[Options] = []
    for name, value, colour, kind, places in (
        ("limit", tolerance_mm(), _LIMIT, "solid", ("insideEndTop", "insideEndBottom")),
        ("guard band", guarded_mm, _GUARD, "dashed", ("insideStartBottom", "insideStartTop")),
    ):
        for sign, place in zip((1, -1), places, strict=True) if value is not None else ():
            label = {
                "formatter": f"{name} {sign * (value or 0.0):+.3f}".replace("-", "\N{MINUS SIGN}"),
                "position": place,
            }
            line = {"color": colour, "type": kind, "width": 1.6}
            lines.append({"yAxis": round(sign * (value or 0.0), _DIGITS), "lineStyle": line, "label": label})
    return {"silent": True, "symbol": "none", "data": lines, "label": {"fontSize": 11}}


def trend(names: Sequence[str], series: Sequence[tuple[str, Sequence[float | None]]], unit: str) -> Options:
    """One line for each series over the days `names`, with the limits of the tolerance."""
    colours = (_UP, _VERIFIED, _DOWN, _FOUND)
    drawn: list[Options] = [
        {
            "name": name, "type": "line", "data": list(values), "symbolSize": 8, "connectNulls": True,
            "itemStyle": {"color": colours[place % len(colours)]}, "lineStyle": {"width": 2},
        }
        for place, (name, values) in enumerate(series)
    ]  # fmt: skip
    if drawn:
        drawn[0]["markLine"] = _limit_lines(None)
    found = [abs(value) for _, values in series for value in values if value is not None]
    span = _span_mm(max(found, default=0.0))
    return {
        **_frame("", unit),
        "xAxis": {"type": "category", "data": list(names), "axisLine": {"lineStyle": {"color": _LINE}}},
        "yAxis": {**_axis(unit, -span, span), "interval": _TICK_MM if span < 0.4 else None},
        "series": drawn,
    }


def running(rows: Sequence[tuple[float, float, float, float]]) -> Options:
    """The last seconds of a pen: (seconds before now, rate in Hz, current in A, depth in mm), oldest first."""
    limit = requirements.load().limit
    panels = (
        ("rate in Hz", "rate_hz", 1, 0.0, float(limit("PR-01", "rate_max_hz"))),
        ("current in A", "current_a", 2, 0.0, None),
        ("protrusion in mm", "depth_mm", 3, -0.1, None),
    )
    tops = ("6%", "39%", "72%")
    least, longest = (rows[0][0] if rows else -30.0), 0.0
    return {
        "animation": False, "tooltip": {"trigger": "axis"},
        "grid": [{"left": 64, "right": 20, "top": top, "height": "19%"} for top in tops],
        "xAxis": [
            {**_axis("", min(least, -5.0), longest), "gridIndex": place, "axisLabel": {"show": place == 2}}
            for place in range(3)
        ],
        "yAxis": [
            {**_axis(name, lowest, highest), "gridIndex": place, "splitNumber": 2, "nameGap": 8, "nameLocation": "end",
             "nameTextStyle": {"align": "left", "color": "#777777"}}
            for place, (name, _, _, lowest, highest) in enumerate(panels)
        ],
        "series": [
            {
                "name": name, "type": "line", "showSymbol": False, "xAxisIndex": place, "yAxisIndex": place,
                "lineStyle": {"width": 2, "color": _visible(SERIES[key].colour)},
                "data": [[round(row[0], 2), round(row[column], 3)] for row in rows],
            }
            for place, (name, key, column, _, _) in enumerate(panels)
        ],
    }  # fmt: skip


def _visible(colour: str) -> str:
    """The report's colours are for white paper; these can be seen on a dark ground as well."""
    return {"#0f6a7c": _UP, "#4b5fa8": "#7282c4", "#8a4f7d": _DOWN}.get(colour, colour)


def _frame(x_name: str, y_name: str) -> Options:
    legend: Options = {"top": 2, "right": 12, "itemGap": 18}
    if x_name:
        legend["data"] = ["as found", "up", {"name": "down", "symbolRotate": 180}, "verified"]
    return {
        "animation": False,
        "grid": {"left": 64, "right": 24, "top": 40, "bottom": 46 if x_name else 30},
        "legend": legend,
        "tooltip": {"trigger": "item", "formatter": f"{{a}}<br>{{c}} ({y_name})"},
        "aria": {"enabled": True},
    }


def _axis(name: str, least: float | None, most: float | None) -> Options:
    axis: Options = {
        "type": "value", "name": name, "nameLocation": "middle", "nameGap": 44 if least and least < 0 else 28,
        "nameTextStyle": {"color": "#777777"},
        "axisLine": {"onZero": False, "lineStyle": {"color": _LINE}}, "splitLine": {"lineStyle": {"color": _LINE}},
    }  # fmt: skip
    if least is not None:
        axis["min"] = least
    if most is not None:
        axis["max"] = most
    return axis
