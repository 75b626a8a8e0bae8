"""Codes of the converter as quantities: erratum, NTC, battery, plausibility."""

from __future__ import annotations

import array
import itertools

import numpy as np
import pytest

import needlepen.emulator  # noqa: F401  (chooses the compiled physics first)
from needlepen.board import load
from needlepen.emulator.front_end import JUMP_CODES, AdcModel
from needlepen.emulator.parameters import PenParameters
from needlepen.firmware_modules import firmware_module

analogue = firmware_module("pen.analogue")
BOARD = load()
PARAMETERS = PenParameters()
SEEDS = range(8)
AVERAGED = 64
DWELL_LSB = 24  # dwell and noise around a jump


def mean_code(adc: AdcModel, volts: float, count: int = AVERAGED) -> int:
    return int(analogue.mean_q4(sum(adc.code(volts) for _ in range(count)), count))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_erratum_is_corrected_for_every_converter(seed: int) -> None:
    """Each seed draws other dwells of 10 to 15 LSB; only the middle is corrected, so that four times 2.5 LSB can add
    up to 5 LSB on both sides of the middle."""
    adc = AdcModel(PARAMETERS, seed)
    volts = np.linspace(0.1, 3.2, 900)
    true = volts / PARAMETERS.adc_reference_v * 4096
    read = np.array([mean_code(adc, v) for v in volts])
    corrected = np.array([analogue.corrected_q4(int(code)) for code in read])
    before, after = read / 16 - true, corrected / 16 - true
    clear = np.min(np.abs(true[:, None] - np.array(JUMP_CODES)), axis=1) > DWELL_LSB
    rms = [float(np.sqrt(np.mean(e**2))) for e in (before, after)]
    most = [float(np.abs(e[clear]).max()) for e in (before, after)]
    print(f"converter {seed}: error before {rms[0]:.2f} LSB rms, after {rms[1]:.2f}; "
          f"off the jumps at most {most[0]:.1f}, {most[1]:.1f}; at a jump {np.abs(after).max():.1f}")  # fmt: skip
    assert rms[1] < 0.5 * rms[0]
    assert most[1] <= 5.0 and np.abs(after).max() < 10.0


def test_the_correction_rises_without_a_step_back() -> None:
    codes = [analogue.corrected_q4(mean) for mean in range(16 * 4096)]
    assert all(a <= b for a, b in itertools.pairwise(codes))
    assert codes[0] == 0 and 16 * 4094 < codes[-1] < 16 * 4096


@pytest.mark.parametrize(
    ("off_q4", "part"), [(-48, 0), (-47, 2), (-1, 97), (0, 100), (1, 102), (47, 197), (48, 200), (49, 200)]
)
def test_the_correction_of_each_jump_sets_in_over_3_lsb_on_both_sides(off_q4: int, part: int) -> None:
    """Each jump is 12.5 LSB (200 Q4) wide, and the four of them stretch the scale by as much."""
    for jumps, code in enumerate(JUMP_CODES):
        mean = 16 * code + off_q4
        assert analogue.corrected_q4(mean) == (mean + 200 * jumps + part) * 65_536 // (65_536 + 4 * 200)


def test_between_the_jumps_the_correction_is_exact() -> None:
    for mean in range(16 * 3584 + 48, 65_536):
        assert analogue.corrected_q4(mean) == (mean + 800) * 65_536 // 66_336


def test_a_mean_lies_half_an_lsb_above_its_codes() -> None:
    assert [analogue.mean_q4(100, 1), analogue.mean_q4(201, 2), analogue.mean_q4(301, 3)] == [
        1608,
        1616,
        1613,
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_cell_voltage_is_right_to_10_mv_and_nose_to_a_quarter_kelvin(seed: int) -> None:
    adc = AdcModel(PARAMETERS, seed)
    cell, nose = BOARD.converters["BATTERY"], BOARD.converters["NOSE_TEMPERATURE"]
    cell_v = [3.1, 3.2, 3.3, 3.4, 3.5, 4.0, 4.2]
    errors_mv = [analogue.cell_mv(mean_code(adc, cell.volts(v, 3.3))) - 1000 * v for v in cell_v]
    nose_c = [-10.0, 0.0, 10.0, 25.0, 33.0, 41.0, 43.0, 60.0]
    errors_k = [analogue.nose_dc(mean_code(adc, nose.volts(c, 3.3))) / 10 - c for c in nose_c]
    worst_mv, worst_k = (max(map(abs, e)) for e in (errors_mv, errors_k))
    print(f"converter {seed}: cell off by up to {worst_mv:.0f} mV, nose by {worst_k:.2f} K")
    assert worst_mv <= 10 and worst_k <= 0.25


def test_gather_takes_the_codes_of_one_input() -> None:
    ring = array.array("H", [100 * (k % 4) + k // 4 for k in range(32)])
    found = array.array("i", [0, 0, 0])
    for channel in range(4):
        analogue.gather(ring, channel, found)
        assert list(found) == [800 * channel + 28, 100 * channel, 100 * channel + 7]


@pytest.mark.parametrize("code", [0, 4095])
def test_gather_takes_codes_at_both_ends_of_the_scale(code: int) -> None:
    found = array.array("i", [7, 7, 7])
    analogue.gather(array.array("H", 32 * [code]), 2, found)
    assert list(found) == [8 * code, code, code]


def test_valid_ranges_of_the_board_are_those_of_the_quantities() -> None:
    board = firmware_module("pen.board")
    hot, cold = board.ADC_NOSE_TEMPERATURE_VALID_MIN_RAW, board.ADC_NOSE_TEMPERATURE_VALID_MAX_RAW
    assert [round(analogue.nose_dc(16 * code), -1) for code in (hot, cold)] == [800, -200]
    empty, full = board.ADC_BATTERY_VALID_MIN_RAW, board.ADC_BATTERY_VALID_MAX_RAW
    assert [round(analogue.cell_mv(16 * code), -2) for code in (empty, full)] == [2500, 4400]


@pytest.mark.parametrize(
    ("least", "most", "good"),
    [
        (100, 120, True),
        (99, 110, False),
        (180, 201, False),
        (100, 151, False),
        (100, 150, True),
        (150, 200, True),
    ],
)
def test_codes_are_plausible_inside_range_and_spread(least: int, most: int, good: bool) -> None:
    assert analogue.Plausibility(100, 200, 50, 500).judge(least, most, 10) is good


@pytest.mark.parametrize(("bad_ms", "broken"), [(490, False), (500, True)])
def test_a_sensor_is_broken_after_its_time_and_not_before(bad_ms: int, broken: bool) -> None:
    check = analogue.Plausibility(100, 200, 50, 500)
    for _ in range(bad_ms // 10):
        check.judge(0, 0, 10)
    assert check.broken is broken
    check = analogue.Plausibility(100, 200, 50, 500)
    assert not check.broken and not check.doubtful
    check.judge(0, 0, bad_ms + 9 * (bad_ms < 500))
    assert check.broken is broken and check.doubtful is not broken


@pytest.mark.parametrize(("good_of_10", "broken"), [(9, False), (7, True)])
def test_an_intermittent_sensor_is_found(good_of_10: int, broken: bool) -> None:
    check = analogue.Plausibility(100, 200, 50, 500)
    for k in range(2000):
        code = 150 if k % 10 < good_of_10 else 4095
        check.judge(code, code, 10)
    assert check.broken is broken


def test_a_sensor_recovers_after_two_good_seconds() -> None:
    check = analogue.Plausibility(100, 200, 50, 500)
    for _ in range(1000):
        check.judge(0, 0, 10)
    good_ms = 0
    while check.broken and good_ms < 10_000:
        check.judge(150, 150, 40)
        good_ms += 40
    assert good_ms == 2000


def test_a_threshold_has_two_levels() -> None:
    assert not analogue.Threshold(410, 405).judge(409), "it begins below"
    level = analogue.Threshold(410, 405)
    assert [level.judge(v) for v in (400, 409, 410, 405, 404, 409)] == [
        False,
        False,
        True,
        True,
        False,
        False,
    ]
