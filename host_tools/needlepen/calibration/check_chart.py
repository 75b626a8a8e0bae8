"""The trend of a pen's daily checks: in the terminal, as a page, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from needlepen.calibration.model import DailyCheck
from needlepen.calibration.tolerances import TOLERANCE_UM
from needlepen.calibration.trend import Trend, trends
from needlepen.errors import UsageError
from needlepen.files import write_whole

BARS = "▁▂▃▄▅▆▇█"
KINDS = (".html", ".png", ".svg")


def sparkline(errors_um: Sequence[float]) -> str:
    """Errors as bars from -0.10 to +0.10 mm; what is beyond is shown at the end of the scale."""
    top = len(BARS) - 1
    shares = ((error / TOLERANCE_UM + 1.0) / 2.0 for error in errors_um)
    return "".join(BARS[round(min(max(share, 0.0), 1.0) * top)] for share in shares)


def table(check: DailyCheck, checks: Sequence[DailyCheck], expanded_um: float) -> Table:
    """Today's errors with limit and guard band, and the last checks beside them."""
    shown = Table(title=f"Daily check of pen {check.pen.name or check.pen.unique_id}", title_justify="left")
    for heading in ("set", "found", "error", "tolerance (guard band)", "", "last checks", "a day"):
        shown.add_column(
            heading, justify="right" if heading in ("set", "found", "error", "a day") else "left"
        )
    band = f"±{TOLERANCE_UM:.0f} um (±{TOLERANCE_UM - expanded_um:.0f})"
    for taken, trend in zip(check.taken, trends(checks), strict=True):
        passed = abs(taken.error_um) <= TOLERANCE_UM
        verdict = "[green]pass[/green]" if passed else "[red]FAIL[/red]"
        slope = f"{trend.slope_um_day:+.1f} um" if trend.slope_um_day else ""
        shown.add_row(
            f"{taken.point.set_um / 1e3:.2f} mm", f"{taken.value_um / 1e3:.3f} mm", f"{taken.error_um:+.0f} um",
            band, verdict, sparkline(trend.errors_um), slope,
        )  # fmt: skip
    return shown


def write(path: Path, checks: Sequence[DailyCheck], expanded_um: float) -> None:
    """Draw the errors against the days. Raises UsageError for a kind of file that is not known, or without checks."""
    if path.suffix.lower() not in KINDS:
        raise UsageError(f"{path}: a chart is one of {', '.join(KINDS)}; name the file so")
    if not checks:
        raise UsageError(f"{path}: there are no checks of this pen yet, so there is nothing to draw")
    title = f"Daily checks of pen {checks[-1].pen.name or checks[-1].pen.unique_id}"
    draw = _page if path.suffix.lower() == ".html" else _picture
    write_whole(path, draw(title, trends(checks), expanded_um, path.suffix.lower()))


def _page(title: str, found: Sequence[Trend], expanded_um: float, _kind: str) -> str:
    import plotly.graph_objects as go  # type: ignore[import-untyped]

    figure = go.Figure()
    for trend in found:
        name = f"{trend.set_um / 1e3:.2f} mm"
        figure.add_scatter(
            x=list(trend.days), y=[e / 1e3 for e in trend.errors_um], name=name, mode="lines+markers"
        )
    for sign in (-1, 1):
        figure.add_hline(sign * TOLERANCE_UM / 1e3, line_color="firebrick", annotation_text="tolerance")
        figure.add_hline(
            sign * (TOLERANCE_UM - expanded_um) / 1e3, line_color="darkorange", line_dash="dash",
            annotation_text="guard band",
        )  # fmt: skip
    figure.update_layout(title=title, xaxis_title="day", yaxis_title="error of the needle protrusion, mm")
    return str(figure.to_html(include_plotlyjs=True, full_html=True))


def _picture(title: str, found: Sequence[Trend], expanded_um: float, kind: str) -> bytes:
    import io

    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for trend in found:
        days = np.array(trend.days, dtype="datetime64[D]")
        axes.plot(days, [e / 1e3 for e in trend.errors_um], "o-", label=f"{trend.set_um / 1e3:.2f} mm")
    for sign in (-1, 1):
        axes.axhline(sign * TOLERANCE_UM / 1e3, color="firebrick", label="tolerance" if sign > 0 else None)
        axes.axhline(
            sign * (TOLERANCE_UM - expanded_um) / 1e3, color="darkorange", linestyle="--",
            label="guard band" if sign > 0 else None,
        )  # fmt: skip
    axes.set(title=title, xlabel="day", ylabel="error of the needle protrusion, mm")
    axes.legend()
    figure.autofmt_xdate()
    out = io.BytesIO()
    figure.savefig(out, format=kind.lstrip("."))
    return out.getvalue()
