"""Which depths may be set, which step gives them, and when the second opinion of the hall sensor counts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from needlepen import board, requirements
from needlepen.emulator.axis_geometry import AxisGeometry
from needlepen.emulator.parameters import PenParameters
from needlepen.firmware_modules import firmware_module

depth = firmware_module("pen.depth")
Calibration = firmware_module("pen.store.calibration").Calibration
PEN = board.load()
LIMIT = requirements.load().limit
TOP_UM = round(1e3 * float(LIMIT("PR-05", "depth_max_mm")))
GRID_UM = round(1e3 * float(LIMIT("PR-05", "depth_step_mm")))
STEP_UM = 1e3 * PEN.mechanics.depth_step_mm
MOST_REFUSAL_BYTES = 48  # what an answer of the pen holds
SETTINGS_UM = range(0, TOP_UM + 1, GRID_UM)
anything_um = st.integers(-1000, 100_000)
on_grid_um = st.sampled_from(SETTINGS_UM)
names = st.sampled_from(("cartridge", "profile", "calibrated"))
caps = st.lists(st.tuples(names, st.integers(0, 3000)), max_size=4)


# ---------------------------------------------------------------------- SR-01, SR-23: what may be set
@given(um=anything_um, caps=caps, running=st.booleans(), present_um=on_grid_um)
def test_what_is_not_refused_is_allowed_by_every_limit(
    um: int, caps: list[tuple[str, int]], running: bool, present_um: int
) -> None:
    refused = depth.refusal(um, running, present_um, caps)
    allowed = 0 <= um <= min([TOP_UM, *(cap for _, cap in caps)]) and um % GRID_UM == 0
    assert (refused is None) == (allowed and not (running and um > present_um))
    assert refused is None or 0 < len(refused.encode()) <= MOST_REFUSAL_BYTES, refused


@pytest.mark.parametrize("cap_um", [0, 50, 1500, 2450, 2500])
@pytest.mark.parametrize("name", ["cartridge", "profile", "calibrated"])
def test_the_smallest_limit_counts_and_is_named(name: str, cap_um: int) -> None:
    others = (("cartridge", 2500), ("profile", 2500), ("calibrated", 2500), (name, cap_um))
    assert depth.refusal(cap_um, False, 0, others) is None
    refused = depth.refusal(cap_um + GRID_UM, False, 0, others) or "taken"
    assert (name if cap_um < TOP_UM else "pen") in refused and depth.mm_text(cap_um) in refused, refused


@given(present_um=on_grid_um, um=on_grid_um)
def test_a_running_pen_takes_shallower_settings_only(present_um: int, um: int) -> None:
    assert (depth.refusal(um, True, present_um, ()) is None) == (um <= present_um)


@pytest.mark.parametrize(
    ("um", "text"), [(0, "0.00"), (50, "0.05"), (1500, "1.50"), (2500, "2.50"), (-50, "-0.05")]
)
def test_a_depth_is_written_in_mm(um: int, text: str) -> None:
    assert depth.mm_text(um) == text


# ---------------------------------------------------------------------- calibration
def calibrated(geometry: AxisGeometry, set_um: list[int]) -> object:
    """A calibration as a gauge without error would make it; the hall sensor's gain from its ends."""
    true_um = [round(um) for um in geometry.static_curve([float(um) for um in set_um])]
    volts = [geometry.hall_v(c, geometry.pen.reference_c) for c in (0.0, 2500.0)]
    tips = [geometry.tip_um(c) for c in (0.0, 2500.0)]
    slope_uv_mm = round(1e9 * (volts[1] - volts[0]) / (tips[1] - tips[0]))
    return Calibration(list(zip(set_um, true_um, strict=True)), slope_uv_mm, 9000, 9365)


def test_without_calibration_travel_is_protrusion() -> None:
    plain = depth.DepthMap(None)
    assert [plain.steps(um) * STEP_UM for um in SETTINGS_UM] == list(SETTINGS_UM)
    assert plain.cap_um == TOP_UM and plain.home_um == 0


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_every_setting_of_a_calibrated_pen_gives_it_within_its_tolerance(seed: int) -> None:
    """PR-06, the static part: 11 points, every setting, true protrusion of the step that is chosen."""
    geometry = AxisGeometry(PenParameters(), seed)
    pen_map = depth.DepthMap(calibrated(geometry, list(range(0, TOP_UM + 1, 250))))
    steps = [pen_map.steps(um) for um in SETTINGS_UM]
    assert steps[0] == 0 and steps == sorted(steps)
    true_um = geometry.static_curve([STEP_UM * s for s in steps])
    errors = {um: true - um for um, true in zip(SETTINGS_UM, true_um, strict=True)}
    worst = max(errors, key=lambda um: abs(errors[um]))
    assert abs(errors[worst]) <= 1e3 * float(LIMIT("PR-06", "error_mm")), (worst, errors[worst])
    assert max(true_um) <= 1e3 * float(LIMIT("SR-02", "hard_stop_mm"))
    for um, true in zip(SETTINGS_UM, true_um, strict=True):  # what the pen believes of itself
        assert abs(pen_map.protrusion_um(round(STEP_UM * pen_map.steps(um))) - true) < 50


@given(
    points=st.lists(st.tuples(st.integers(100, 400), st.integers(80, 500)), min_size=1, max_size=15),
    first=st.integers(-300, 300),
    um=st.integers(0, 2500),
)
def test_a_map_is_rising_and_inverts_itself(points: list[tuple[int, int]], first: int, um: int) -> None:
    table = [(0, first)]
    for run, rise in points:
        table.append((table[-1][0] + run, table[-1][1] + rise))
    pen_map = depth.DepthMap(Calibration(table, 640_000, 0, 0))
    assert [pen_map.protrusion_um(s) for s, _ in table] == [t for _, t in table]
    assert pen_map.protrusion_um(um) <= pen_map.protrusion_um(um + 25)
    slope = max(rise / run for run, rise in points)
    assert abs(pen_map.protrusion_um(pen_map.travel_um(um)) - um) <= slope + 1
    assert pen_map.cap_um == min((max(table[-1]) + GRID_UM // 2) // GRID_UM * GRID_UM, TOP_UM)


@given(um=st.integers(-2700, 2700), gain=st.integers(320_000, 1_280_000))
def test_the_sensor_scale_is_that_of_the_calibration(um: int, gain: int) -> None:
    pen_map = depth.DepthMap(Calibration([(0, 0), (2500, 2500)], gain, 0, 0))
    exact = um * 1e-3 * gain * 1e-6 / PEN.adc.volts_per_lsb * 8
    assert abs(pen_map.sum_off(um) - exact) <= 1.5 + 2e-4 * abs(exact)
    assert pen_map.um_off(pen_map.sum_off(um)) == pytest.approx(um, abs=2)
    # What MicroPython keeps without an allocation has 31 bits.
    assert abs(um << 16) < 2**30 and abs(8 * 4095 * pen_map.um_per_sum_q16) < 2**31


# ---------------------------------------------------------------------- SR-03: drift
ERROR_UM = round(1e3 * float(LIMIT("SR-03", "error_mm")))
polls = st.sampled_from((10, 13, 20, 250))


def drifts(error_um: int, period_ms: int, drift: object | None = None, ms: int = 6000) -> tuple[int, int]:
    """(ms until it warns, until it stops) of an error that is there from now on; -1: never."""
    drift = drift or depth.Drift()
    warned = stopped = -1
    for now in range(period_ms, ms, period_ms):
        drift.take(error_um, period_ms)  # type: ignore[attr-defined]
        warned = now if warned < 0 and drift.warns else warned  # type: ignore[attr-defined]
        stopped = now if stopped < 0 and drift.stops else stopped  # type: ignore[attr-defined]
    return warned, stopped


@given(period_ms=polls, sign=st.sampled_from((1, -1)), size=st.integers(0, ERROR_UM))
def test_an_error_inside_the_limit_never_warns(period_ms: int, sign: int, size: int) -> None:
    assert drifts(sign * size, period_ms) == (-1, -1)


@given(
    period_ms=polls,
    sign=st.sampled_from((1, -1)),
    size=st.integers(ERROR_UM + 1, 2500),
    known=st.integers(0, 300),
)
def test_an_error_outside_the_limit_warns_within_1_s_and_stops_within_3(
    period_ms: int, sign: int, size: int, known: int
) -> None:
    """Whatever the axis did before; a pass of the main loop may come late by its own period."""
    drift = depth.Drift()
    for _ in range(known):
        drift.take(0, period_ms)
    warned, stopped = drifts(sign * size, period_ms, drift)
    late_ms = period_ms if period_ms > 20 else 0
    assert 0 < warned <= 1e3 * float(LIMIT("SR-03", "warn_s")) + late_ms
    assert warned < stopped <= 1e3 * float(LIMIT("SR-03", "stop_s")) + late_ms


@given(size=st.integers(ERROR_UM + 1, 2000))
def test_an_error_that_goes_takes_its_warning_with_it(size: int) -> None:
    drift = depth.Drift()
    for _ in range(130):
        drift.take(size, 10)
    assert drift.warns and not drift.stops
    for _ in range(120):
        drift.take(0, 10)
    assert not drift.warns and not drift.stops


@given(burst_ms=st.integers(10, 900), size=st.integers(0, 2000))
def test_a_passing_error_counts_by_its_mean(burst_ms: int, size: int) -> None:
    drift = depth.Drift()
    worst = False
    for now in range(10, 4000, 10):
        drift.take(size if 2000 < now <= 2000 + burst_ms else 0, 10)
        worst = worst or drift.warns
    if size * burst_ms <= 0.85 * ERROR_UM * 1000:
        assert not worst
    if size * burst_ms >= 1.15 * ERROR_UM * 1000:
        assert worst


# ---------------------------------------------------------------------- SR-04: stuck sensor
@given(start=st.integers(0, 2200), lag=st.integers(0, 100), step=st.sampled_from((25, 50, 100)))
def test_a_sensor_that_follows_with_play_and_lag_is_never_called_stuck(
    start: int, lag: int, step: int
) -> None:
    follower = depth.Follower()
    follower.begin(start, start)
    for set_um in range(start, start + 1500, step):
        assert not follower.stuck(set_um, max(start, set_um - lag))
    for set_um in range(start + 1500, start, -step):
        assert not follower.stuck(set_um, min(start + 1500 - lag, set_um))


@given(
    start=st.integers(0, 2000),
    out=st.booleans(),
    noise=st.integers(-20, 20),
    step=st.sampled_from((25, 50, 100)),
)
def test_a_sensor_that_stands_still_is_stuck_after_a_quarter_millimetre(
    start: int, out: bool, noise: int, step: int
) -> None:
    follower = depth.Follower()
    follower.begin(start, start)
    for travel in range(0, 500, step):
        found = follower.stuck(start + (travel if out else -travel), start + noise)
        assert found == (travel >= 250)
        if found:
            return
