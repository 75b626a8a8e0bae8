"""The pen in numbers alone does what the whole emulated depth axis does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st
from support.calibration_trials import truth

from needlepen.calibration.tolerances import SETTINGS_UM
from needlepen.emulator.axis_geometry import AxisGeometry
from needlepen.emulator.axis_parameters import AxisParameters
from needlepen.emulator.factory import factory_calibration
from needlepen.emulator.reduced_pen import ReducedPen

STILL = AxisParameters(home_scatter_um=0.0, hall_noise_v=0.0)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), order=st.permutations(list(SETTINGS_UM[1::5])))
def test_depths_are_those_of_the_static_curve(seed: int, order: list[int]) -> None:
    """In whatever order they are set: every depth is reached outward."""
    pen = ReducedPen(STILL, seed)
    for um in order:
        pen.set_depth(um)
        expected_um = AxisGeometry(STILL, seed).static_curve([um])[0]
        assert pen.protrusion_um == pytest.approx(expected_um, abs=1e-6), (seed, um)
        assert pen.travel_um == um


@pytest.mark.parametrize("seed", range(6))
def test_a_factory_calibrated_pen_keeps_its_tolerance(seed: int) -> None:
    pen = ReducedPen(STILL, seed, factory_calibration(STILL, seed))
    errors, scatter, reversal = truth(pen)
    assert max(abs(um) for um in errors.values()) < 60.0
    assert max(scatter.values()) == 0.0 and reversal < 1e-6


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("backlash_um", [30.0, 300.0])
def test_truth_is_what_moves_give(seed: int, backlash_um: float) -> None:
    """Means over 300 homings, up and down, against the probabilities that `truth` works out."""
    parameters = AxisParameters(home_scatter_um=9.0, backlash_um=backlash_um, backlash_um_spread=0.0)
    pen = ReducedPen(parameters, seed)
    settings_um = (0, 500, 1500)
    sums: dict[tuple[int, str], float] = dict.fromkeys(
        [(um, way) for um in settings_um for way in ("up", "down")], 0.0
    )
    rounds = 300
    for _ in range(rounds):
        for way, before in (("up", 0), ("down", 2500)):
            for um in settings_um:
                pen.set_depth(2500)
                pen.set_depth(0)
                pen.set_depth(before)
                pen.set_depth(um)
                sums[um, way] += pen.protrusion_um - um
    errors = truth(pen)[0]
    for um in settings_um:
        means = [sums[um, way] / rounds for way in ("up", "down")]
        assert max(means, key=abs) == pytest.approx(errors[um], abs=4.0), (um, means)


def test_growth_with_heat() -> None:
    pen = ReducedPen(STILL, 1)
    pen.set_depth(1000)
    cold_um = pen.protrusion_um
    pen.nose_c += 10.0
    assert pen.protrusion_um == pytest.approx(cold_um + 8.0)


def test_hall_sensor_reports_what_the_pen_would() -> None:
    """Within its tolerances before a calibration; within 20 um with one."""
    for seed in range(10):
        new, known = ReducedPen(STILL, seed), ReducedPen(STILL, seed, factory_calibration(STILL, seed))
        for um in (0, 400, 1250, 2000, 2500):
            new.set_depth(um)
            known.set_depth(um)
            assert abs(new.hall_um - new.protrusion_um) < 250.0
            assert abs(known.hall_um - known.protrusion_um) < 30.0
