"""When to calibrate a pen again, from the errors that it came back with. Never later than SR-05 allows.

Two methods in the manner of NCSLI RP-1 (Establishment and Adjustment of Calibration Intervals); the shorter result
counts. The factors are chosen here.

- Reaction (its method A1, "simple response"): an interval that ended out of tolerance is cut to 55 %, one that ended
  in the guard band to 75 %; one that ended near it stays, and one that ended well inside it may grow by 10 %.
- Drift (variables data): the growth of the largest error from one calibration (as left) to the next (as found) per
  month. The steepest one seen tells when the error of the last calibration will reach the guard band.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final

from needlepen import requirements
from needlepen.calibration import tolerances as limits
from needlepen.calibration.decision import accept_um
from needlepen.calibration.model import Calibration, Phase

MONTHS_MAX: Final = int(requirements.load().limit("SR-05", "warn_months"))
MONTHS_MIN: Final = 1
"""Less than that is no interval: the pen needs repair."""
OUT_FACTOR, GUARD_FACTOR, GOOD_FACTOR = 0.55, 0.75, 1.1
WELL_INSIDE: Final = 0.7
"""Share of the guard band's limit below which an interval may grow."""
DAYS_PER_MONTH: Final = 365.25 / 12
_YEAR_OFF: Final = 0.05
"""Months: a year of 365 days is 11.99 of them."""
SHORTEST_DAYS: Final = 14
"""From calibrations nearer to each other no drift is told: that is their repeatability."""


@dataclass(frozen=True)
class Visit:
    """One calibration as far as the interval needs it. `as_found_um`, `as_left_um`: largest |error|."""

    day: date
    as_found_um: float
    as_left_um: float
    accept_um: float
    """Tolerance less U then."""
    due: date
    """When the next one was due."""


@dataclass(frozen=True)
class Advice:
    """`months`: the interval that is advised; `reason`: one sentence; `drift_um_month`: None if it is not known."""

    months: int
    reason: str
    drift_um_month: float | None


def visit(calibration: Calibration) -> Visit:
    """What the interval needs of a calibration. A refused one leaves the pen as it was found."""
    as_found = [abs(t.error_um) for t in calibration.taken if t.point.phase is Phase.AS_FOUND]
    left = [abs(t.error_um) for t in calibration.taken if t.point.phase is Phase.VERIFICATION]
    found_um = max(as_found, default=0.0)
    left_um = max(left, default=found_um) if calibration.decision.accepted else found_um
    return Visit(calibration.day, found_um, left_um, accept_um(calibration.budget), calibration.due)


def advise(history: Sequence[Calibration]) -> Advice:
    """The interval after the newest of the calibrations of one pen, in any order."""
    return advise_visits([visit(calibration) for calibration in history])


def advise_visits(visits: Sequence[Visit]) -> Advice:
    """The same from what counts of them. Without an as-found state after an interval it is the longest, 12 months."""
    ordered = sorted(visits, key=lambda each: each.day)
    spans = [
        (before, after, (after.day - before.day).days)
        for before, after in pairwise(ordered)
        if (after.day - before.day).days >= SHORTEST_DAYS
    ]
    if not spans:
        return Advice(
            MONTHS_MAX, f"no as-found state after an interval yet: {MONTHS_MAX} months, the longest", None
        )
    months, reason = _reaction(*spans[-1])
    drift_um_month = max((b.as_found_um - a.as_left_um) / days * DAYS_PER_MONTH for a, b, days in spans)
    newest = ordered[-1]
    left_um = newest.accept_um - newest.as_left_um
    if drift_um_month > 0.0 and left_um / drift_um_month < months:
        months = left_um / drift_um_month
        reason = (
            f"the largest error grew by up to {drift_um_month:.1f} um a month and would reach the guard band "
            f"({newest.accept_um:.0f} um) then"
        )
    if months >= MONTHS_MAX:
        return Advice(MONTHS_MAX, f"{reason}; {MONTHS_MAX} months is the longest", drift_um_month)
    if months < MONTHS_MIN:
        return Advice(
            MONTHS_MIN, f"{reason}; less than a month is no interval: have the pen repaired", drift_um_month
        )
    return Advice(int(months + _YEAR_OFF), reason, drift_um_month)


def _reaction(before: Visit, found: Visit, days: int) -> tuple[float, str]:
    """The interval after one that ended like that: it lasted so many days, and may have been meant to last longer."""
    error = f"as found, the largest error was {found.as_found_um:.0f} um"
    meant = (before.due - before.day).days / DAYS_PER_MONTH
    lasted = days / DAYS_PER_MONTH
    if found.as_found_um > limits.TOLERANCE_UM:
        return min(
            lasted, meant
        ) * OUT_FACTOR, f"{error}, out of tolerance: the interval is cut to {OUT_FACTOR:.0%}"
    if found.as_found_um > found.accept_um:
        return min(lasted, meant) * GUARD_FACTOR, f"{error}, in the guard band: cut to {GUARD_FACTOR:.0%}"
    if found.as_found_um > WELL_INSIDE * found.accept_um:
        return meant, f"{error}, near the guard band: the interval stays"
    return meant * GOOD_FACTOR, f"{error}, well inside: the interval may grow"
