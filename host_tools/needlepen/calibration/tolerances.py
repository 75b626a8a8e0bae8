"""The limits that a calibration is judged by, in um, from the requirements; and the numbers that only the host uses."""

from __future__ import annotations

from needlepen import requirements
from needlepen.calibration.plan import DEPTH_MAX_UM, DEPTH_STEP_UM

_limit = requirements.load().limit


def _um(requirement: str, name: str) -> float:
    return round(1e3 * float(_limit(requirement, name)), 6)


TOLERANCE_UM = _um("CR-02", "tolerance_mm")
RESIDUAL_UM = _um("CR-02", "residual_mm")
TUR_MIN = float(_limit("CR-02", "tur_min"))
REPEATABILITY_UM = _um("PR-06", "repeatability_mm")
REVERSAL_UM = _um("PR-06", "reversal_mm")
DRIFT_UM = _um("PR-06", "drift_mm")

SETTINGS_UM = tuple(range(0, DEPTH_MAX_UM + 1, DEPTH_STEP_UM))
"""Every setting of the pen: 51."""
HARD_STOP_UM = round(_um("SR-02", "hard_stop_mm"))
"""Of the nose: no needle comes out farther, and no pen takes a point beyond it."""

VERIFY_REPEATS = int(_limit("CR-01", "verify_repeats"))

STEADY_SPAN_UM = 100.0
"""Travels nearer to each other than that are not told apart by a plausibility rule."""
