"""What the daily checks of a pen tell together: where its errors go, and when they would be out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from needlepen.calibration.model import DailyCheck
from needlepen.calibration.plan import CHECK_UM
from needlepen.calibration.tolerances import TOLERANCE_UM

WARN_SHARE = 0.7
"""An error beyond this part of the tolerance warns."""
TREND_DAYS = 14
"""A trend that reaches the tolerance within so many days warns."""
TREND_CHECKS = 4
"""With fewer checks there is no trend."""
TREND_MOST = 20
"""Older checks than the last so many count no more."""
SURE = 0.05
"""A slope counts if one as large came by chance with less than this probability (t test of linregress)."""


@dataclass(frozen=True)
class Trend:
    """The errors at one setting, oldest first. `slope_um_day`: 0 while there is no sure trend; `days_left`: until the
    tolerance would be reached, None if that is not in sight."""

    set_um: int
    days: tuple[date, ...]
    errors_um: tuple[float, ...]
    slope_um_day: float
    days_left: float | None


def of_calibration(history: Sequence[DailyCheck], calibration: str) -> list[DailyCheck]:
    """The checks that rely on a calibration: those before it say nothing of it."""
    return [check for check in history if check.calibration == calibration][-TREND_MOST:]


def trends(checks: Sequence[DailyCheck]) -> list[Trend]:
    """One for each setting of the check. `checks` oldest first, all relying on the same calibration."""
    return [_trend(set_um, checks) for set_um in CHECK_UM]


def warnings(check: DailyCheck, checks: Sequence[DailyCheck], expanded_um: float) -> list[str]:
    """What to know although the check passed. `checks` includes it; `expanded_um`: U of one reading.

    Warned of: an error over 70 % of the tolerance; one inside the guard band, where it may be out already; and a
    straight line through the last checks (scipy.stats.linregress, slope sure at 5 %) that leaves the tolerance within
    14 days.
    """
    found = []
    for taken in check.taken:
        off_um, where = abs(taken.error_um), f"{taken.point.set_um / 1e3:.2f} mm"
        if off_um > TOLERANCE_UM:
            continue
        if off_um > TOLERANCE_UM - expanded_um:
            found.append(
                f"At {where} the error of {taken.error_um:+.0f} um is within the tolerance, but not by the uncertainty "
                f"of {expanded_um:.0f} um: the pen may be out already. Have it calibrated now."
            )
        elif off_um > WARN_SHARE * TOLERANCE_UM:
            found.append(
                f"At {where} the error of {taken.error_um:+.0f} um is over {WARN_SHARE:.0%} of the tolerance: have the "
                "pen calibrated soon."
            )
    for trend in trends(checks):
        if trend.days_left is not None and trend.days_left <= TREND_DAYS:
            found.append(
                f"At {trend.set_um / 1e3:.2f} mm the error goes by {trend.slope_um_day:+.1f} um a day and would be out "
                f"in {trend.days_left:.0f} days: have the pen calibrated before."
            )
    return found


def _trend(set_um: int, checks: Sequence[DailyCheck]) -> Trend:
    seen = [
        (check.at.date(), taken.error_um)
        for check in checks
        for taken in check.taken
        if taken.point.set_um == set_um
    ]
    days, errors = tuple(day for day, _ in seen), tuple(error for _, error in seen)
    if len(seen) < TREND_CHECKS or len(set(days)) < TREND_CHECKS:
        return Trend(set_um, days, errors, 0.0, None)
    from scipy import stats

    at = [(day - days[0]).days for day in days]
    line = stats.linregress(at, errors)
    slope = float(line.slope)
    if line.pvalue > SURE or slope == 0.0:
        return Trend(set_um, days, errors, 0.0, None)
    now_um = float(line.intercept) + slope * at[-1]
    left = (TOLERANCE_UM - now_um) / slope if slope > 0 else (-TOLERANCE_UM - now_um) / slope
    return Trend(set_um, days, errors, slope, max(0.0, left))
