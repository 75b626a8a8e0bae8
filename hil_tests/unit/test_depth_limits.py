"""SR-03 and SR-04 to the micrometre and millisecond, and the arithmetic of the depth map at its joints."""

from __future__ import annotations

from typing import Any

import pytest

from needlepen import requirements
from needlepen.firmware_modules import firmware_module

depth = firmware_module("pen.depth")
board = firmware_module("pen.board")
Calibration = firmware_module("pen.store.calibration").Calibration
LIMIT = requirements.load().limit
WALK_UM = round(1_000 * float(LIMIT("SR-03", "error_mm")))
RUNAWAY_UM = round(1_000 * float(LIMIT("SR-02", "error_mm")))
STOP_MS = 1_500  # from the warning, which itself takes up to 1 s
BIN_MS = 96
FIRST_MS = 9 * BIN_MS  # the first mean
POINTS = ((0, 10), (1_000, 1_005), (2_500, 2_520))


def _map(points: tuple[tuple[int, int], ...] = POINTS, hall_uv_per_mm: int = 400_000) -> Any:
    return depth.DepthMap(Calibration(list(points), hall_uv_per_mm, 9_000, 9_365))


# ---------------------------------------------------------------------- SR-04
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("set_um", "measured_um", "stuck"), [(249, 0, False), (250, 99, True), (250, 100, False), (250, 0, True)]
)
def test_a_sensor_has_to_show_100_um_of_a_move_of_250(
    set_um: int, measured_um: int, stuck: bool, sign: int
) -> None:
    follower = depth.Follower()
    follower.begin(700, 650)
    assert follower.stuck(700 + sign * set_um, 650 + sign * measured_um) == stuck
    begun_anew = set_um == 250 and not stuck
    assert follower.moved(700 + sign * set_um) == (0 if begun_anew else set_um)


@pytest.mark.parametrize(("measured_um", "still"), [(49, True), (50, False), (-49, True), (-50, False)])
def test_a_sensor_stands_still_below_50_um(measured_um: int, still: bool) -> None:
    follower = depth.Follower()
    assert follower.stood_still(measured_um) == still and follower.moved(-300) == 300


# ---------------------------------------------------------------------- SR-03
@pytest.mark.parametrize("error_um", [WALK_UM, WALK_UM + 1, -WALK_UM, -WALK_UM - 1])
def test_a_drift_is_judged_when_nine_bins_are_full(error_um: int) -> None:
    drift = depth.Drift()
    drift.take(error_um, FIRST_MS - 1)
    assert not drift.warns and drift.mean_um == 0
    drift.take(error_um, 1)
    assert drift.warns == (abs(error_um) > WALK_UM) and drift.mean_um == error_um and not drift.stops


@pytest.mark.parametrize(("after_ms", "stops"), [(STOP_MS - 1, False), (STOP_MS, True)])
def test_a_drift_stops_1500_ms_after_its_warning(after_ms: int, stops: bool) -> None:
    drift = depth.Drift()
    drift.take(WALK_UM + 1, FIRST_MS)
    assert drift.warns
    drift.take(WALK_UM + 1, after_ms)
    assert drift.stops == stops


def test_the_mean_is_that_of_the_last_ten_bins() -> None:
    drift = depth.Drift()
    errors = [7 * k for k in range(1, 40)]
    for k, error_um in enumerate(errors, 1):
        drift.take(error_um, BIN_MS)
        last = errors[max(0, k - 10) : k]
        assert drift.mean_um == (sum(last) // len(last) if k >= 9 else 0)


def test_errors_of_one_bin_are_averaged_and_judged_at_its_end() -> None:
    drift = depth.Drift()
    for _ in range(9):
        drift.take(0, BIN_MS)
    drift.take(3_000, 1)
    drift.take(3_000, BIN_MS - 2)
    assert drift.mean_um == 0 and not drift.warns, "the bin is not full"
    drift.take(0, 1)
    assert drift.mean_um == 6_000 // 12 and drift.warns


def test_what_is_older_than_a_second_is_forgotten_also_after_a_long_pass() -> None:
    drift = depth.Drift()
    for _ in range(12):
        drift.take(500, BIN_MS)
    assert drift.warns
    drift.take(0, 10 * BIN_MS)
    assert drift.mean_um == 0 and not drift.warns and not drift.stops
    for _ in range(3):
        drift.take(500, BIN_MS)
    drift.take(0, 5 * BIN_MS)
    assert drift.mean_um == 1_500 // 5


def test_a_move_begins_a_drift_anew() -> None:
    drift = depth.Drift()
    drift.take(500, FIRST_MS)
    drift.take(500, STOP_MS)
    assert drift.warns and drift.stops
    drift.forget()
    assert not drift.warns and not drift.stops and drift.mean_um == 0
    drift.take(0, FIRST_MS - 1)
    drift.take(0, 1)
    assert drift.mean_um == 0 and not drift.warns


# ---------------------------------------------------------------------- the map
@pytest.mark.parametrize(
    ("travel_um", "protrusion_um"),
    [(0, 10), (500, 508), (1_000, 1_005), (1_001, 1_006), (2_500, 2_520), (2_600, 2_621), (-100, -89)],
)
def test_protrusion_is_linear_between_the_points_and_goes_on_beyond_them(
    travel_um: int, protrusion_um: int
) -> None:
    assert _map().protrusion_um(travel_um) == protrusion_um


@pytest.mark.parametrize(
    ("protrusion_um", "travel_um"), [(10, 0), (508, 501), (1_005, 1_000), (1_006, 1_001), (2_520, 2_500)]
)
def test_travel_is_the_way_back(protrusion_um: int, travel_um: int) -> None:
    assert _map().travel_um(protrusion_um) == travel_um


@pytest.mark.parametrize(
    ("last", "cap_um"),
    [
        ((2_474, 2_460), 2_450),
        ((2_475, 2_460), 2_500),
        ((2_460, 2_475), 2_500),
        ((2_460, 2_474), 2_450),
        ((2_800, 2_790), 2_500),
    ],
)
def test_a_calibration_caps_the_depth_at_the_setting_next_to_its_last_point(
    last: tuple[int, int], cap_um: int
) -> None:
    made = _map(((0, 0), (1_000, 1_000), last))
    assert made.cap_um == cap_um and made.home_um == 0
    assert _map().home_um == 10


@pytest.mark.parametrize("um", [-50, 0, 1, 10, 50, 333, 1_500, 2_500])
def test_the_nearest_full_step_is_chosen(um: int) -> None:
    steps, step_um = depth.DepthMap().steps(um), board.DEPTH_STEP_UM
    assert steps == 0 if um <= 0 else -step_um < 2 * (steps * step_um - um) <= step_um
    assert steps >= 0


@pytest.mark.parametrize(("off_um", "steps"), [(12, 2), (13, 3), (-12, 2), (-13, 1)])
def test_a_travel_between_two_steps_takes_the_nearer_one(off_um: int, steps: int) -> None:
    assert _map(((0, -off_um), (2_500, 2_500 - off_um))).steps(2 * board.DEPTH_STEP_UM) == steps


def test_below_home_there_is_no_step() -> None:
    made = _map(((0, 400), (1_000, 1_400), (2_100, 2_500)))
    assert (
        made.steps(100) == 0
        and made.steps(400) == 0
        and made.steps(1_400) == round(1_000 / board.DEPTH_STEP_UM)
    )


def test_the_tolerance_is_wider_until_a_calibration_has_measured_the_gain() -> None:
    assert _map().tolerance_um == RUNAWAY_UM
    assert depth.DepthMap().tolerance_um == RUNAWAY_UM + 100
    assert depth.DepthMap().um_per_sum_q16 == board.ADC_DEPTH_POSITION_UM_PER_LSB_Q16 // 8


@pytest.mark.parametrize("hall_uv_per_mm", [200_000, 400_000, -400_000])
def test_one_lsb_of_the_sum_of_eight_codes_is_an_eighth_of_a_code(hall_uv_per_mm: int) -> None:
    made = _map(hall_uv_per_mm=hall_uv_per_mm)
    um_per_sum = 1_000 * board.ADC_REFERENCE_UV / 4_096 / hall_uv_per_mm / 8
    assert made.um_per_sum_q16 == round(65_536 * um_per_sum)
    for um in (-1_000, -7, 7, 1_000):
        assert made.sum_off(um) == (um * 65_536) // made.um_per_sum_q16
        assert made.um_off(um) == (um * made.um_per_sum_q16) // 65_536
