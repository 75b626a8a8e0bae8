"""Whether a gauge is good enough: a crossed gauge R&R study by analysis of variance.

Several operators measure the same parts (here: depths) several times each. The method is that of AIAG, Measurement
Systems Analysis, 4th edition (2010), chapter III section B, "ANOVA method": a two-way random-effects model with
interaction, which is pooled into the repeatability where its F test gives p > 0.25. The names are those used there:
EV repeatability (equipment), AV reproducibility (appraiser), INT interaction, GRR all three, PV the parts, TV total.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np

from needlepen import requirements
from needlepen.errors import UsageError

POOLING_P: Final = 0.25
STUDY_SIGMAS: Final = 6.0
"""How many standard deviations the study variation is wide."""
CATEGORIES: Final = 1.41
"""Width of a category that the gauge can tell apart: ndc = 1.41 PV / GRR."""
_limit = requirements.load().limit
CAPABLE_PCT, REFUSE_PCT = float(_limit("CR-03", "capable_pct")), float(_limit("CR-03", "refuse_pct"))
NDC_MIN = int(_limit("CR-03", "ndc_min"))

Verdict = Literal["capable", "conditional", "refused"]


@dataclass(frozen=True)
class Row:
    """One source of the analysis of variance. `f`, `p`: None where nothing is tested."""

    source: str
    degrees_of_freedom: int
    sum_of_squares: float
    mean_square: float | None = None
    f: float | None = None
    p: float | None = None


@dataclass(frozen=True)
class Component:
    """One source of variation. `deviation` is a standard deviation in the unit of the values."""

    name: str
    variance: float
    deviation: float
    contribution_pct: float
    """Of the total variance; these add up."""
    total_pct: float
    """Of the total deviation; these do not."""
    tolerance_pct: float | None
    """Six deviations by the width of the tolerance."""


@dataclass(frozen=True)
class Study:
    """What a study found."""

    parts: int
    operators: int
    trials: int
    table: list[Row]
    """With the interaction, before any pooling."""
    pooled: list[Row]
    """Without the interaction; empty if it was kept."""
    components: list[Component]
    grr_pct: float
    """%GRR of the total variation."""
    tolerance_pct: float | None
    """%GRR of the tolerance."""
    ndc: int
    verdict: Verdict
    reason: str

    def component(self, name: str) -> Component:
        """EV, AV, INT, GRR, PV or TV."""
        return next(each for each in self.components if each.name == name)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def anova(values: Any, tolerance: float | None = None) -> Study:
    """Analyse readings.

    Args:
        values: array (parts, operators, trials), each at least 2, in any unit.
        tolerance: width of the whole tolerance in that unit, for %GRR of it.

    Raises UsageError if the array has another shape, holds no number somewhere, or all readings are the same.
    """
    x = _checked(values)
    parts, operators, trials = x.shape
    table = _with_interaction(x)
    p_interaction = table[2].p
    pool = p_interaction is not None and p_interaction > POOLING_P
    pooled = _without_interaction(table) if pool else []
    by_source = {row.source: row.mean_square or 0.0 for row in (pooled or table)}
    error = by_source["repeatability"]
    against = error if pool else by_source["operator by part"]
    variances = {
        "EV": error,
        "AV": max(0.0, (by_source["operator"] - against) / (parts * trials)),
        "INT": 0.0 if pool else max(0.0, (against - error) / trials),
    }
    variances["GRR"] = sum(variances.values())
    variances["PV"] = max(0.0, (by_source["part"] - against) / (operators * trials))
    variances["TV"] = variances["GRR"] + variances["PV"]
    components = [_component(name, value, variances["TV"], tolerance) for name, value in variances.items()]
    found = {each.name: each for each in components}
    grr, pv = found["GRR"].deviation, found["PV"].deviation
    ndc = max(1, math.floor(CATEGORIES * pv / grr)) if grr else 1000
    verdict, reason = judge(found["GRR"].total_pct, found["GRR"].tolerance_pct, ndc)
    return Study(
        parts, operators, trials, table, pooled, components,
        found["GRR"].total_pct, found["GRR"].tolerance_pct, ndc, verdict, reason,
    )  # fmt: skip


def judge(grr_pct: float, tolerance_pct: float | None, ndc: int) -> tuple[Verdict, str]:
    """The verdict of CR-03, and why. The larger of the two %GRR counts.

    Depths from end to end of the range differ far more than pens at one depth do, so that %GRR of the total variation
    alone would let any gauge pass.
    """
    worst = max(grr_pct, tolerance_pct or 0.0)
    what = (
        "of the tolerance"
        if tolerance_pct is not None and tolerance_pct >= grr_pct
        else "of the total variation"
    )
    said = f"%GRR is {worst:.1f} % {what}"
    if ndc < NDC_MIN:
        return "refused", (
            f"the gauge tells only {ndc} categories apart and {NDC_MIN} are the least: it cannot tell a good pen from "
            "a bad one; use a better gauge"
        )
    if worst > REFUSE_PCT:
        return "refused", f"{said}, above {REFUSE_PCT:g} %: use a better gauge or a firmer set-up"
    if worst > CAPABLE_PCT:
        return "conditional", (
            f"{said}, above {CAPABLE_PCT:g} % but not above {REFUSE_PCT:g} %: it may be used if nothing better is at "
            "hand; the uncertainty budget has to hold it"
        )
    return "capable", f"{said}, up to {CAPABLE_PCT:g} %, and {ndc} categories are told apart"


def _checked(values: Any) -> np.ndarray:
    try:
        x = np.asarray(values, float)
    except (TypeError, ValueError):
        x = np.empty(0)
    if x.ndim != 3 or min(x.shape) < 2:
        raise UsageError(
            "a gauge study needs at least 2 parts, 2 operators and 2 trials, and every operator has to measure every "
            "part equally often: complete the readings"
        )
    if not np.all(np.isfinite(x)):
        raise UsageError("a reading of the gauge study is no number: complete the readings")
    if np.ptp(x) == 0.0:
        raise UsageError(
            "all readings of the gauge study are the same: the gauge hangs, or it shows too few digits"
        )
    return x


def _with_interaction(x: np.ndarray) -> list[Row]:
    """The table of the two-way crossed model: MSA 4th ed., appendix A. Parts and operators are random, so both are
    tested against the interaction, and the interaction against the repeatability."""
    n, k, r = x.shape
    mean = x.mean()
    cells, by_part, by_operator = x.mean(axis=2), x.mean(axis=(1, 2)), x.mean(axis=(0, 2))
    part = k * r * float(np.sum((by_part - mean) ** 2))
    operator = n * r * float(np.sum((by_operator - mean) ** 2))
    both = r * float(np.sum((cells - by_part[:, None] - by_operator[None, :] + mean) ** 2))
    error = float(np.sum((x - cells[:, :, None]) ** 2))
    freedom = {
        "part": n - 1,
        "operator": k - 1,
        "operator by part": (n - 1) * (k - 1),
        "repeatability": n * k * (r - 1),
    }
    squares = dict(zip(freedom, (part, operator, both, error), strict=True))
    ms = {name: squares[name] / freedom[name] for name in freedom}
    tested = {"part": "operator by part", "operator": "operator by part", "operator by part": "repeatability"}
    return _rows(freedom, squares, ms, tested)


def _without_interaction(table: Sequence[Row]) -> list[Row]:
    """The same with the interaction pooled into the repeatability, against which all is tested then."""
    part, operator, both, error = table
    freedom = {
        "part": part.degrees_of_freedom,
        "operator": operator.degrees_of_freedom,
        "repeatability": both.degrees_of_freedom + error.degrees_of_freedom,
    }
    squares = {
        "part": part.sum_of_squares,
        "operator": operator.sum_of_squares,
        "repeatability": both.sum_of_squares + error.sum_of_squares,
    }
    ms = {name: squares[name] / freedom[name] for name in freedom}
    return _rows(freedom, squares, ms, {"part": "repeatability", "operator": "repeatability"})


def _rows(
    freedom: dict[str, int], squares: dict[str, float], ms: dict[str, float], tested: dict[str, str]
) -> list[Row]:
    from scipy import stats

    rows = []
    for name in freedom:
        f = p = None
        against = tested.get(name)
        if against and ms[against] > 0.0:
            f = ms[name] / ms[against]
            p = float(stats.f.sf(f, freedom[name], freedom[against]))
        rows.append(Row(name, freedom[name], squares[name], ms[name], f, p))
    return rows


def _component(name: str, variance: float, total: float, tolerance: float | None) -> Component:
    deviation = math.sqrt(variance)
    return Component(
        name,
        variance,
        deviation,
        100.0 * variance / total,
        100.0 * math.sqrt(variance / total),
        None if tolerance is None else 100.0 * STUDY_SIGMAS * deviation / tolerance,
    )
