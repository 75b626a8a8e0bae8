"""Which readings a calibration consists of, in their order, and the host's own limits of the procedure.

How many there are comes from CR-01; where the as-found readings lie is chosen here: between the later knots and at
other phases of the screw (0.5 mm a turn), so that they also prove the curve between its knots.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Literal

from needlepen import requirements
from needlepen.calibration.model import Phase, Point

_LIMIT = requirements.load().limit
DEPTH_MAX_UM = round(1e3 * float(_LIMIT("PR-05", "depth_max_mm")))
DEPTH_STEP_UM = round(1e3 * float(_LIMIT("PR-05", "depth_step_mm")))

AS_FOUND_UM = (0, 150, 450, 750, 1050, 1350, 1650, 1950, 2250, 2500)
VERIFICATION_UM = (300, 800, 1300, 1800, 2300)
"""The settings that CR-01 names: fresh ones, which the fit has not seen."""
CHECK_UM = (500, 1000, 1500)
"""Of the daily check."""

ZERO_LIMIT_UM = 5.0
"""A gauge that was just zeroed on the plate shows no more than this."""
NOSE_C = (18.0, 28.0)
"""Within it the pen is measured: its heat growth is small and known there."""
NOSE_STEADY_K = 0.3
NOSE_STEADY_S = 12.0
"""A pen is warmed through, or cooled down, when its nose changes by no more than NOSE_STEADY_K in this time."""
NOSE_CHANGE_K = 1.5
"""The nose may get so much warmer or colder from the first reading to the last."""
ASIDE_UM = 250
"""Before a setting is read a second time, the axis goes so far away and comes back."""
CELL_MIN_V = float(_LIMIT("SR-20", "start_v"))
RESUME_WITHIN_H = 4.0
"""An interrupted session that is older begins anew: zero and temperature of its readings are not those of now."""


@cache
def calibration_um() -> tuple[int, ...]:
    """The settings that are fitted: CR-01's points, evenly from 0.00 mm to the deepest setting."""
    points = int(_LIMIT("CR-01", "points"))
    return tuple(round(DEPTH_MAX_UM * place / (points - 1)) for place in range(points))


@cache
def drift_um() -> int:
    """The calibration setting in the middle of the range, which is read once more at the end."""
    settings = calibration_um()
    return settings[len(settings) // 2]


@cache
def points(cap_um: int = DEPTH_MAX_UM) -> tuple[Point, ...]:
    """All points of the procedure, in their order and numbered.

    `cap_um`: the deepest setting that the pen's present record allows; what lies deeper has no as-found state.
    """
    up, down, fresh = (int(_LIMIT("CR-01", name)) for name in ("runs_up", "runs_down", "verify_repeats"))
    found: list[Point] = []
    _add(found, Phase.ZERO, (0,), 1, "up")
    _add(found, Phase.AS_FOUND, [um for um in AS_FOUND_UM if um <= cap_um], 1, "up")
    for run in range(1, up + down + 1):
        _add(found, Phase.CALIBRATION, calibration_um(), run, _direction(run))
    for run in range(1, fresh + 1):
        _add(found, Phase.VERIFICATION, VERIFICATION_UM, run, _direction(run))
    _add(found, Phase.DRIFT, (drift_um(),), 1, "up")
    return tuple(found)


def _direction(run: int) -> Literal["up", "down"]:
    """Runs up and down take turns, so that a slow drift cannot pass for a difference between them."""
    return "up" if run % 2 else "down"


def _add(
    found: list[Point], phase: Phase, settings: Iterable[int], run: int, direction: Literal["up", "down"]
) -> None:
    for um in sorted(settings, reverse=direction == "down"):
        found.append(Point(phase=phase, number=len(found), set_um=um, run=run, direction=direction))
