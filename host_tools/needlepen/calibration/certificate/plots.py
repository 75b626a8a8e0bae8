"""The plots of a certificate, drawn with matplotlib: always the same bytes for the same calibration."""

from __future__ import annotations

import io
from typing import Any, Literal

from needlepen.calibration.certificate.results import of_phase
from needlepen.calibration.decision import accept_um
from needlepen.calibration.model import Calibration, Phase, Taken
from needlepen.calibration.tolerances import TOLERANCE_UM

DPI = 220
SIZE_MM = (180.0, 82.0)
_INCH_MM = 25.4
_FOUND, _LEFT, _RUN, _LIMIT = (
    "#b45309",
    "#1d4ed8",
    "#64748b",
    "#b91c1c",
)  # told apart by colour-blind people, too


def draw(made: Calibration, kind: Literal["svg", "png"]) -> bytes:
    """Error against depth, as found and as left, up and down, with the limits and the guard band."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style: Any = {
        "svg.hashsalt": made.number,
        "svg.fonttype": "path",
        "font.family": "DejaVu Sans",
        "font.size": 8,
    }
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(SIZE_MM[0] / _INCH_MM, SIZE_MM[1] / _INCH_MM), layout="constrained")
        FigureCanvasAgg(figure)
        _axes(figure.add_subplot(), made)
        out = io.BytesIO()
        fixed: dict[str, Any] = (
            {"Date": None, "Creator": "needlepen"} if kind == "svg" else {"Software": "needlepen"}
        )
        figure.savefig(out, format=kind, dpi=DPI, metadata=fixed)
    return out.getvalue()


def _axes(axes: Any, made: Calibration) -> None:
    tolerance, accept = TOLERANCE_UM / 1e3, accept_um(made.budget) / 1e3
    for sign in (-1, 1):
        axes.axhline(sign * tolerance, color=_LIMIT, linewidth=1.1)
        axes.axhspan(sign * accept, sign * tolerance, color=_LIMIT, alpha=0.10, linewidth=0)
    axes.axhline(0, color="#94a3b8", linewidth=0.6)
    found = sorted(of_phase(made, Phase.AS_FOUND), key=lambda taken: taken.point.set_um)
    axes.plot(*_points(found), "o-", color=_FOUND, markersize=4, linewidth=1, label="as found")
    for way, marker in (("up", "^"), ("down", "v")):
        runs = [taken for taken in of_phase(made, Phase.CALIBRATION) if taken.point.direction == way]
        axes.plot(*_points(runs), marker, color=_RUN, markersize=2.6, alpha=0.6, linewidth=0,
                  label=f"calibration runs {way}")  # fmt: skip
        left = [taken for taken in of_phase(made, Phase.VERIFICATION) if taken.point.direction == way]
        # Side by side, so that one does not hide the other.
        axes.plot(*_points(left, 0.008 if way == "up" else -0.008), marker, color=_LEFT, markersize=5, linewidth=0,
                  fillstyle="full" if way == "up" else "none", label=f"as left, {way}")  # fmt: skip
    worst = max((abs(taken.error_um) for taken in made.taken), default=0.0) / 1e3
    axes.set_ylim(-max(1.25 * tolerance, 1.08 * worst), max(1.25 * tolerance, 1.08 * worst))
    axes.set_xlim(-0.05, max((taken.point.set_um for taken in made.taken), default=2500) / 1e3 + 0.05)
    axes.set_xlabel("set depth, mm")
    axes.set_ylabel("error of needle protrusion, mm")
    axes.grid(color="#e2e8f0", linewidth=0.5)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(
        ncols=5, loc="upper center", bbox_to_anchor=(0.5, 1.14), frameon=False, fontsize=7, handletextpad=0.2
    )


def _points(taken: list[Taken], aside_mm: float = 0.0) -> tuple[list[float], list[float]]:
    return [one.point.set_um / 1e3 + aside_mm for one in taken], [one.error_um / 1e3 for one in taken]
