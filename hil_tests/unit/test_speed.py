"""SR-07 in numbers: how slow for how long, at every rate, with the main loop at any phase."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from needlepen import requirements
from needlepen.firmware_modules import firmware_module

speed = firmware_module("pen.speed")
LIMIT = requirements.load().limit
RATES_HZ = (50, 55, 65, 70, 100, 150)
PASS_MS = 10
START_MS = 400  # when the dip begins
Rate = Callable[[float], float]


def stop_hz(set_hz: float) -> float:
    return max(set_hz * float(LIMIT("SR-07", "stop_pct")) / 100, float(LIMIT("SR-07", "stop_hz")))


def run(
    set_hz: int, turn_hz: Rate, end_ms: int, phase_ms: int = 0, set_mhz: Rate | None = None
) -> dict[str, float]:
    """Index edges four times a stroke, stroke times from the rate at the edge; when warning and fault first came."""
    state, edges_us, t_us = speed.Underspeed(), [], 0.0
    while t_us < 1000 * end_ms:
        t_us += 250_000 / max(turn_hz(t_us / 1000), 1.0)
        edges_us.append(t_us)
    came: dict[str, float] = {}
    now_us, k = 1000.0 * phase_ms, -1
    while now_us < 1000 * end_ms:
        while k + 1 < len(edges_us) and edges_us[k + 1] <= now_us:
            k += 1
        edge_us = edges_us[k] if k >= 0 else 0
        turn_us = 1e6 / turn_hz(edge_us / 1000) if k > 3 else 0
        mhz = int(set_mhz(now_us / 1000)) if set_mhz else 1000 * set_hz
        state.judge(int(now_us / 1000), mhz, 1000 * set_hz, int(edge_us), int(turn_us))
        for name in ("warning", "fault", "reached"):
            if getattr(state, name):
                came.setdefault(name, now_us / 1000)
        now_us += 1000 * PASS_MS
    came["warned"] = state.warning
    return came


def dip(set_hz: float, low_hz: float, for_ms: float) -> Rate:
    return lambda t: low_hz if START_MS <= t < START_MS + for_ms else set_hz


@pytest.mark.parametrize("phase_ms", range(0, 10, 3))
@pytest.mark.parametrize("set_hz", RATES_HZ)
def test_a_rate_just_above_the_limits_does_nothing_for_ever(set_hz: int, phase_ms: int) -> None:
    came = run(set_hz, dip(set_hz, 1.005 * stop_hz(set_hz), 1e9), 1000, phase_ms)
    assert "fault" not in came
    came = run(set_hz, dip(set_hz, set_hz * 0.855, 1e9), 1000, phase_ms)
    assert came.keys() == {"reached", "warned"}


@pytest.mark.parametrize("phase_ms", range(10))
@pytest.mark.parametrize("set_hz", RATES_HZ)
def test_45_ms_below_the_stop_limit_do_nothing(set_hz: int, phase_ms: int) -> None:
    assert "fault" not in run(set_hz, dip(set_hz, 0.99 * stop_hz(set_hz), 45), 700, phase_ms)


@pytest.mark.parametrize("phase_ms", range(10))
@pytest.mark.parametrize("set_hz", RATES_HZ)
@pytest.mark.parametrize("part", [0.99, 0.7])
def test_below_the_stop_limit_is_a_fault_after_50_ms(set_hz: int, part: float, phase_ms: int) -> None:
    came = run(set_hz, dip(set_hz, part * stop_hz(set_hz), 1e9), 700, phase_ms)
    edge_ms = 250 / (part * stop_hz(set_hz))
    assert 50 - edge_ms <= came["fault"] - START_MS <= 50 + 2 * PASS_MS + edge_ms


@pytest.mark.parametrize("phase_ms", range(0, 10, 3))
@pytest.mark.parametrize("set_hz", RATES_HZ)
def test_below_85_percent_warns_after_100_ms(set_hz: int, phase_ms: int) -> None:
    low_hz = 0.845 * set_hz
    assert "warning" not in run(set_hz, dip(set_hz, low_hz, 95), 900, phase_ms)
    came = run(set_hz, dip(set_hz, low_hz, 1e9), 900, phase_ms)
    assert 100 - 250 / low_hz <= came["warning"] - START_MS <= 100 + 2 * PASS_MS + 250 / low_hz
    assert "fault" not in came


def test_a_warning_ends_a_second_after_the_rate_is_right_again() -> None:
    slow = dip(100, 80, 200)
    assert run(100, slow, START_MS + 200 + 900)["warned"]
    assert not run(100, slow, START_MS + 200 + 1100)["warned"]


@pytest.mark.parametrize("set_hz", RATES_HZ)
def test_a_start_that_does_not_arrive_is_a_fault_and_one_that_does_is_not(set_hz: int) -> None:
    assert "fault" not in run(set_hz, lambda t: set_hz if t > 440 else 0.5 * set_hz, 1500)
    came = run(set_hz, lambda t: 0.85 * set_hz, 1500)
    assert speed.START_MS <= came["fault"] <= speed.START_MS + 2 * PASS_MS and "reached" not in came


def test_a_slow_start_is_no_underspeed() -> None:
    came = run(100, lambda t: min(100.0, 10 + 0.3 * t), 1000)
    assert came["reached"] > 250 and "fault" not in came and "warning" not in came


@pytest.mark.parametrize(("first_hz", "then_hz"), [(50, 150), (150, 50)])
def test_the_limits_follow_the_ramp_of_the_set_rate(first_hz: int, then_hz: int) -> None:
    """50 Hz/s: the target is far away for 2 s, the set rate on its way is what counts."""

    def ramp(t_ms: float) -> float:
        change = 0.05 * max(0.0, t_ms - START_MS)
        return min(then_hz, first_hz + change) if then_hz > first_hz else max(then_hz, first_hz - change)

    state, came = speed.Underspeed(), []
    for now_ms in range(0, 3000, PASS_MS):
        target_mhz = 1000 * (first_hz if now_ms < START_MS else then_hz)
        edge_us = 1000 * now_ms + 100
        state.judge(now_ms, int(1000 * ramp(now_ms)), target_mhz, edge_us, int(1e6 / ramp(now_ms - 20)))
        came.append(state.fault or state.warning)
    assert state.reached and not any(came)


def test_the_clock_may_wrap_around() -> None:
    state = speed.Underspeed()
    edge_us = (1 << 31) - 30_000
    for k in range(30):
        wrapped = (edge_us + 10_000 * k + (1 << 31)) % (1 << 32) - (1 << 31)
        state.judge(10 * k, 100_000, 100_000, wrapped, 10_000 if k < 2 else 20_000)
        assert state.fault == (k >= 7), k


@pytest.mark.parametrize("set_hz", [50, 150])
def test_no_division_leaves_the_small_integers_of_the_pen(set_hz: int) -> None:
    for pct in (1, 60, 85, 90, 100):
        assert 0 < speed.longest_turn_us(1000 * set_hz, pct) < 1 << 30
