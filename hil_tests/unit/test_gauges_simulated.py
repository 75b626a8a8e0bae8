"""The simulated gauge: its errors are the stated ones, and the same for the same seed."""

from __future__ import annotations

import itertools
import statistics

import pytest

from needlepen.calibration.gauges import SimulatedGauge

SEEDS = range(100)


def test_its_error_stays_within_the_stated_half_width_and_is_zero_where_it_was_zeroed() -> None:
    largest = []
    for seed in SEEDS:
        gauge = SimulatedGauge(lambda: 0.0, seed, error_um=3.0)
        errors = [gauge.error_um(um / 1e3) for um in range(0, 2601, 10)]
        assert errors[0] == 0.0 and max(map(abs, errors)) <= 3.0 + 1e-9, seed
        steps = [abs(b - a) for a, b in itertools.pairwise(errors)]  # of 10 um
        assert max(steps) < 0.6, f"gauge {seed} has a jump"
        largest.append(max(map(abs, errors)))
    print(f"largest error of {len(SEEDS)} gauges of +-3 um: mean {statistics.mean(largest):.2f} um")
    assert statistics.mean(largest) > 1.5  # the half width is used, not only allowed


def test_its_readings_scatter_as_stated() -> None:
    """500 readings: the estimate of a standard deviation is within 15 % at more than 4 sigma of its own scatter."""
    gauge = SimulatedGauge(lambda: 1.25, seed=1, repeatability_um=3.0, resolution_um=0.1)
    values_um = [1e3 * gauge.read().value_mm for _ in range(500)]
    assert statistics.stdev(values_um) == pytest.approx(3.0, rel=0.15)
    assert statistics.mean(values_um) == pytest.approx(1250.0 + gauge.error_um(1.25), abs=0.6)


def test_the_same_seed_is_the_same_gauge_and_another_one_is_not() -> None:
    one, again, other = (SimulatedGauge(lambda: 2.0, seed) for seed in (7, 7, 8))
    first = [one.read().raw for _ in range(20)]
    assert first == [again.read().raw for _ in range(20)]
    assert first != [other.read().raw for _ in range(20)]
    assert one.identity == again.identity != other.identity


def test_on_the_plate_it_shows_its_zero_and_on_the_pen_what_is_there() -> None:
    gauge = SimulatedGauge(lambda: 1.5, error_um=0.0, repeatability_um=0.0)
    assert gauge.automatic and gauge.read().value_mm == 1.5
    gauge.place("plate")
    assert gauge.read().value_mm == 0.0
    gauge.place("pen")
    assert gauge.read().raw == "01A+0001.500"


@pytest.mark.parametrize(
    ("resolution_um", "raw"), [(1.0, "01A+0001.234"), (10.0, "01A+00001.23"), (0.5, "01A+001.2345")]
)
def test_its_display_rounds(resolution_um: float, raw: str) -> None:
    gauge = SimulatedGauge(lambda: 1.23448, error_um=0.0, repeatability_um=0.0, resolution_um=resolution_um)
    assert gauge.read().raw == raw
