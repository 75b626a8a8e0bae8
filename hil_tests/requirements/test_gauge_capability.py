"""CR-03: a gauge study of 10 depths, 3 operators and 3 trials on a pen tells a good gauge from a bad one."""

from __future__ import annotations

import random

import numpy as np
import pytest
from support.measuring import Measure

from needlepen.calibration.gauge_study import Study, anova
from needlepen.calibration.gauge_study_file import OPERATORS, PARTS_MM, TRIALS, missing_of
from needlepen.calibration.gauges.simulated import SimulatedGauge
from needlepen.calibration.tolerances import TOLERANCE_UM
from needlepen.emulator.axis_parameters import AxisParameters
from needlepen.emulator.reduced_pen import ReducedPen


def _study(seed: int, repeatability_um: float, operator_um: float) -> Study:
    """Measured in the order of the command. `operator_um`: standard deviation of how operators zero it."""
    pen = ReducedPen(AxisParameters(), seed)
    gauge = SimulatedGauge(lambda: pen.protrusion_um / 1e3, seed, repeatability_um=repeatability_um)
    draw = random.Random(f"operators {seed}")
    values = np.full((len(PARTS_MM), OPERATORS, TRIALS), np.nan)
    for operator in range(OPERATORS):
        off_um = draw.gauss(0.0, operator_um)
        for part, trial in missing_of({}, f"operator {operator}"):
            pen.set_depth(round(1000 * float(part)))
            values[PARTS_MM.index(part), operator, trial - 1] = 1e3 * gauge.read().value_mm + off_um
    return anova(values, 2 * TOLERANCE_UM)


@pytest.mark.parametrize("seed", range(5))
def test_good_indicator_is_capable(measure: Measure, seed: int) -> None:
    study = _study(seed, 1.0, 1.0)
    assert study.verdict == "capable", study.reason
    worst_pct = max(study.grr_pct, study.tolerance_pct or 0.0)
    measure("CR-03", "capable_pct", worst_pct, f"%GRR of an indicator with 1 um of scatter, seed {seed}")
    measure("CR-03", "ndc_min", study.ndc, f"distinct categories, seed {seed}", relation=">=")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("repeatability_um", "operator_um"), [(15.0, 0.0), (1.0, 60.0)])
def test_bad_gauge_and_bad_operators_are_refused(
    measure: Measure, seed: int, repeatability_um: float, operator_um: float
) -> None:
    """Of the total variation of depths from 0.25 to 2.50 mm they would be some percent: the tolerance judges them."""
    study = _study(seed, repeatability_um, operator_um)
    assert study.verdict == "refused" and study.grr_pct < 30.0
    what = f"%GRR, scatter {repeatability_um:g} um, operators {operator_um:g} um, seed {seed}"
    measure("CR-03", "refuse_pct", study.tolerance_pct, what, relation=">=")
