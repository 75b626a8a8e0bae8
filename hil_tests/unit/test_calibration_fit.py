"""The curve through readings: what it is, what the firmware makes of it, and what it says of the readings."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st

from needlepen.calibration import fit as curve, plan
from needlepen.calibration.fit import curve_at, fit, hall_gain, predicted_errors
from needlepen.calibration.tolerances import HARD_STOP_UM, SETTINGS_UM
from needlepen.emulator.axis_geometry import AxisGeometry
from needlepen.emulator.axis_parameters import AxisParameters
from needlepen.emulator.factory import factory_calibration
from needlepen.emulator.reduced_pen import ReducedPen
from needlepen.errors import Refused
from needlepen.firmware_modules import firmware_module

CALIBRATIONS = firmware_module("pen.store.calibration")
TRAVELS = range(0, 2501, 250)


def _accepted(points: list[tuple[int, int]]) -> bool:
    return CALIBRATIONS.Calibration(points, 640_000, 0, 0).check() == 0


def test_bounds_are_the_firmware_s() -> None:
    low, high = (round(1000 * slope) for slope in (curve.SLOPE_MIN, curve.SLOPE_MAX))
    assert _accepted([(0, 0), (1000, low)]) and not _accepted([(0, 0), (1000, low - 1)])
    assert _accepted([(0, 0), (1000, high)]) and not _accepted([(0, 0), (1000, high + 1)])
    assert _accepted([(0, 0), (2500, HARD_STOP_UM)]) and not _accepted([(0, 0), (2500, HARD_STOP_UM + 1)])
    assert len(SETTINGS_UM) == 51


def test_straight_pen() -> None:
    made = fit([(t, t + 30) for t in TRAVELS for _ in range(10)])
    assert made.points_um == [(t, t + 30) for t in TRAVELS]
    assert made.residual_um == made.repeatability_um == made.reversal_um == 0.0
    assert made.hall_uv_per_mm == 640_000


def test_knots_are_the_means() -> None:
    made = fit([(t, t + off) for t in TRAVELS for off in (-6, 0, 12)])
    assert made.points_um == [(t, t + 2) for t in TRAVELS]


def test_repeatability_and_reversal() -> None:
    """Up 0 and 8, down 20 and 28 at each place: s^2 = 32, 2 s = 11.3; reversal 20."""
    samples = [(t, t + off) for t in TRAVELS for off in (0, 8, 20, 28)]
    for ways in (["up", "up", "down", "down"], ["down", "down", "up", "up"]):
        made = fit(samples, directions=ways * 11)
        assert made.repeatability_um == pytest.approx(2 * 32**0.5)
        assert made.reversal_um == pytest.approx(20.0), "whichever run lies higher"


def test_between_is_signed() -> None:
    made = fit([(t, t) for t in TRAVELS], [(125, 130), (2600, 2580)])
    assert made.between == [(125, 5.0), (2600, -20.0)]
    assert made.between_um == 20.0


@settings(max_examples=60, deadline=None)
@given(amplitude=st.floats(0, 40), phase=st.floats(0, 6.28), shift=st.sampled_from([-50, -25, 0, 25, 50]))
def test_the_finer_curve_finds_the_wave_of_the_screw(amplitude: float, phase: float, shift: int) -> None:
    """Whatever its phase, and so also where it is zero at all points: foretold within 2 um at every setting."""

    def true_um(travel: float) -> float:
        return 20.0 + 1.01 * travel + amplitude * np.sin(2 * np.pi * travel / 500 + phase)

    def travelled(settings_um: Iterable[int]) -> list[float]:
        return [float(max(0, um + shift)) for um in settings_um]

    samples = [(t, true_um(t)) for t in travelled(TRAVELS) for _ in range(10)]
    made = fit(samples, [(t, true_um(t)) for t in travelled(plan.AS_FOUND_UM)])
    steps = curve.depth_map(made.points_um).steps
    assert [um for um, _ in made.fine_errors_um][-50:] == list(SETTINGS_UM[1:])
    home_um = true_um(0) if shift <= 0 else -np.inf
    for um, error_um in made.fine_errors_um:
        if um:
            assert error_um == pytest.approx(max(true_um(25 * steps(um)), home_um) - um, abs=2.0), um
    assert made.leftover_um < 2.0


def test_too_few_readings_make_no_finer_curve() -> None:
    assert fit([(t, t) for t in TRAVELS]).fine_errors_um == []


def test_the_play_near_home_gets_a_bend() -> None:
    """40 um of play: nothing moves for 40 um, then all does. Every setting is then within a step's half and a bit."""

    def true_um(travel: float) -> float:
        return max(0.0, travel - 40.0)

    made = fit([(t, true_um(t)) for t in TRAVELS], [(150, true_um(150))])
    assert len(made.points_um) == 12 and _accepted(made.points_um)
    pen_map = curve.depth_map(made.points_um)
    errors = {um: true_um(25 * pen_map.steps(um)) - um for um in SETTINGS_UM}
    assert max(map(abs, errors.values())) <= 25.0, errors
    straight = curve.depth_map([(t, round(true_um(t))) for t in TRAVELS])
    assert abs(true_um(25 * straight.steps(50)) - 50) > 30.0  # what it would be without


def test_a_reading_speaks_against_a_bend() -> None:
    """Where the first piece is straight, a steep second one is no play."""
    heights = [t + (40 if t else 0) for t in TRAVELS]
    heights[2] += 60
    samples = list(zip(TRAVELS, heights, strict=True))
    straight = fit(samples, [(150, curve_at(samples, 150))])
    assert len(straight.points_um) == 11


def test_travels_of_an_old_map_are_drawn_on_to_the_last_setting() -> None:
    """A pen whose map sent it to other travels: the curve is the same line, and its last knot is 2.50 mm."""
    for shift in (-75, 75):
        travels = [max(0, t + shift) for t in TRAVELS]
        made = fit([(t, 1.01 * t + 20) for t in travels])
        assert made.points_um[-1][0] == 2500
        assert _accepted(made.points_um)
        assert all(
            abs(curve_at(made.points_um, t) - (1.01 * t + 20)) <= 1.0 for t in (0, 300, 1200, 2400, 2500)
        )


def test_an_end_beyond_the_hard_stop_is_bent() -> None:
    made = fit([(t, 1.05 * t + 60) for t in TRAVELS if t <= 2250])
    assert made.points_um[-1] == (2500, HARD_STOP_UM)
    assert _accepted(made.points_um)
    assert max(abs(error) for _um, error in predicted_errors(made.points_um)[2:]) <= 14


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.floats(-100, 100), min_size=11, max_size=11),
    st.integers(-100, 300),
    st.floats(0.8, 1.2),
)
@example([0.0] * 9 + [0.5, -81.0], 225, 0.828125)  # a last piece of 25 um with the least slope
def test_whatever_the_readings_the_pieces_keep_the_firmware_s_rules(
    noise: list[float], shift: int, gain: float
) -> None:
    """Heights may be nonsense, and then the residual says so; a pen takes it all the same."""
    travels = [max(0, t + 25 * (shift // 25)) for t in TRAVELS]
    samples = [(float(t), gain * t + off) for t, off in zip(travels, noise, strict=True)]
    made = fit(samples, [(130.0, 100.0)])
    points = made.points_um
    assert 2 <= len(points) <= CALIBRATIONS.POINTS_MAX and points[-1][0] == 2500
    for (t0, h0), (t1, h1) in pairwise(points):
        assert t1 > t0
        assert 50 * (t1 - t0) <= 100 * (h1 - h0) <= 200 * (t1 - t0), points
    if points[0][1] >= -500:
        assert _accepted(points)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(60, 190), min_size=10, max_size=10), st.randoms(use_true_random=False))
def test_least_squares_with_bounds_is_the_best_there_is(rises: list[float], random: object) -> None:
    """No small change of the heights that keeps the bounds comes nearer to the readings."""
    travel = np.array(TRAVELS, float)
    means = np.concatenate(([0.0], np.cumsum(np.array(rises) * 2)))
    means[3] -= 200.0
    heights = curve._heights(travel, means, np.full(11, 10.0))
    low, high = curve.SLOPE_MIN * 250 + 1.5, curve.SLOPE_MAX * 250 - 1.5
    assert np.all(np.diff(heights) >= low - 1e-6) and np.all(np.diff(heights) <= high + 1e-6)
    best = np.sum((heights - means) ** 2)
    for place in range(11):
        for step in (-0.1, 0.1):
            other = heights.copy()
            other[place:] += step
            if np.all(np.diff(other) >= low) and np.all(np.diff(other) <= high):
                assert np.sum((other - means) ** 2) >= best - 1e-6


def test_a_place_that_was_read_more_often_moves_less() -> None:
    """Two places contradict each other, and no curve goes through both: nine readings count more than one."""
    samples = [(t, t) for t in TRAVELS for _ in range(9) if t != 1250] + [(1250, 900.0)]
    points = fit(samples).points_um
    often_um, once_um = abs(curve_at(points, 1000) - 1000), abs(curve_at(points, 1250) - 900)
    assert 0 < 4 * often_um < once_um


def test_too_few_places() -> None:
    with pytest.raises(Refused, match="2 places"):
        fit([(0, 0), (250, 250), (250, 251)])


@settings(max_examples=200)
@given(st.integers(-100, 2700), st.integers(0, 1000))
def test_curve_is_the_firmware_s_map(travel: int, seed: int) -> None:
    points = factory_calibration(AxisParameters(), seed % 20).points
    assert abs(curve.depth_map(points).protrusion_um(travel) - curve_at(points, travel)) <= 1.0


def test_predicted_errors_by_hand() -> None:
    """30 um outside at home: 0.00 mm is 0.03 off, 0.05 is 20 um from home and so one step, 55 - 50 um off."""
    errors = dict(predicted_errors([(0, 30), (2500, 2530)]))
    assert errors[0] == 30 and errors[50] == 5 and errors[100] == 5
    assert len(errors) == 51


# ---------------------------------------------------------------- hall sensor
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("calibrated", [False, True])
def test_hall_gain_is_the_factory_s(seed: int, calibrated: bool) -> None:
    """From what the pen reports with the gain that it has, the gain that fits the sensor is found again."""
    parameters = AxisParameters(hall_noise_v=0.0, backlash_um=0.0, backlash_um_spread=0.0)
    true = factory_calibration(parameters, seed)
    present = SimpleNamespace(points=true.points, hall_uv_per_mm=580_000) if calibrated else None
    pen = ReducedPen(parameters, seed, present)
    readings = []
    for um in TRAVELS:
        pen.set_depth(um)
        readings.append((pen.protrusion_um, float(pen.hall_um)))
    found = hall_gain(readings, present.hall_uv_per_mm if present else None)
    assert found == pytest.approx(true.hall_uv_per_mm, rel=0.004), AxisGeometry(
        parameters, seed
    ).pen.hall_gain


def test_hall_gain_needs_a_millimetre() -> None:
    assert hall_gain([(0, 0), (900, 450)], 600_000) == 600_000
    assert hall_gain([(0, 0), (1000, 500)], 600_000) == 300_000
    assert hall_gain([], None) == 640_000
