"""SR-13, SR-19: the closed forms of the current ripple against the wave itself, to a millionth."""

from __future__ import annotations

import numpy as np
import pytest

from needlepen.firmware_modules import firmware_module

ripple = firmware_module("pen.ripple")
board = firmware_module("pen.board")

PERIOD = 1e6 / board.PWM_N_HZ / (board.MOTOR_L_NH / board.LOOP_R_MOHM)  # in time constants
STEPS = 40_000


def _ripple_a(duty: float, cell_v: float) -> np.ndarray:
    """The current around its mean over one period in steady state, in equal steps of time."""
    t = (np.arange(STEPS) + 0.5) / STEPS * PERIOD
    driven = duty * PERIOD
    top = (1 - np.exp(-driven)) / (1 - np.exp(-PERIOD))
    bottom = top * np.exp(driven - PERIOD)
    wave = np.where(t < driven, 1 - (1 - bottom) * np.exp(-t), top * np.exp(driven - t))
    return (wave - duty) * cell_v / (board.LOOP_R_MOHM / 1000)


@pytest.mark.parametrize("cell_v", [3.5, 4.2])
@pytest.mark.parametrize("duty", [0.125, 0.5, 0.75, 0.9])
def test_heat_and_reading_are_those_of_the_wave(duty: float, cell_v: float) -> None:
    around_a = _ripple_a(duty, cell_v)
    assert around_a.mean() == pytest.approx(0, abs=1e-6)
    assert ripple.heat_a2(duty, cell_v) == pytest.approx(np.mean(around_a**2), rel=1e-6)
    for mean_a in (-0.3, -0.1, 0.0, 0.1, 0.3, 0.6):
        seen_a = np.maximum(around_a + mean_a, 0.0).mean()
        assert ripple.seen_a(mean_a, duty, cell_v) == pytest.approx(seen_a, rel=1e-5, abs=1e-7), mean_a


@pytest.mark.parametrize("duty", [0.25, 0.5])
def test_a_current_that_never_crosses_zero_is_seen_as_it_is_or_not_at_all(duty: float) -> None:
    around_a = _ripple_a(duty, 3.7)
    above, below = -around_a.min() + 0.001, -around_a.max() - 0.001
    assert ripple.seen_a(above, duty, 3.7) == above and ripple.seen_a(below, duty, 3.7) == 0.0


@pytest.mark.parametrize("duty", [-0.1, 0.0, 1.0, 1.1])
def test_without_switching_there_is_no_ripple(duty: float) -> None:
    assert ripple.heat_a2(duty, 3.7) == 0.0
    assert [ripple.seen_a(a, duty, 3.7) for a in (-0.2, 0.0, 0.4)] == [0.0, 0.0, 0.4]
