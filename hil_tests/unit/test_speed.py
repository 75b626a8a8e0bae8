"""SR-07 in numbers: how slow for how long, at every rate, with the main loop at any phase."""

from __future__ import annotations

import array
import itertools
from collections.abc import Callable

import pytest

from needlepen import requirements
from needlepen.firmware_modules import firmware_module

speed = firmware_module("pen.speed")
LIMIT = requirements.load().limit
RATES_HZ = (50, 55, 65, 70, 100, 150)
PASS_MS = 10  # while the last stroke was slow
SLOW_PASS_MS = 40  # else
START_MS = 400  # when the dip begins
Rate = Callable[[float], float]


def stop_hz(set_hz: float) -> float:
    return max(set_hz * float(LIMIT("SR-07", "stop_pct")) / 100, float(LIMIT("SR-07", "stop_hz")))


def run(
    set_hz: int,
    hz: Rate,
    end_ms: int,
    phase_ms: int = 0,
    set_mhz: Rate | None = None,
) -> dict[str, float]:
    """Index edges four times a stroke, stroke times from the rate; when warning and fault first came."""
    state, edges_us, t_us = speed.Underspeed(), [0.0] * 4, 0.0
    while t_us < 1000 * end_ms:
        t_us += 250_000 / max(hz(t_us / 1000), 1.0)
        edges_us.append(t_us)
    came: dict[str, float] = {}
    now_us, k = 1000.0 * phase_ms, 3
    while now_us < 1000 * end_ms:
        while edges_us[k + 1] <= now_us:
            k += 1
        ring = array.array("i", 16 * [0])
        for n in range(max(0, k - 15), k + 1):
            ring[n & 15] = int(edges_us[n])
        turn_us = int(edges_us[k]) - int(edges_us[k - 4]) if k > 7 else 0
        mhz = int(set_mhz(now_us / 1000)) if set_mhz else 1000 * set_hz
        target_mhz = mhz if now_us < 1000 * START_MS else 1000 * set_hz
        state.judge(int(now_us / 1000), mhz, target_mhz, int(edges_us[k]), turn_us, ring, k + 1 & 15)
        for name in ("warning", "fault", "reached"):
            if getattr(state, name):
                came.setdefault(name, now_us / 1000)
        now_us += 1000 * (PASS_MS if state.dipping else SLOW_PASS_MS)
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
    assert 50 <= came["fault"] - START_MS <= 50 + 2 * PASS_MS + 5 * edge_ms


@pytest.mark.parametrize("phase_ms", range(0, 10, 3))
@pytest.mark.parametrize("set_hz", RATES_HZ)
def test_below_85_percent_warns_after_100_ms(set_hz: int, phase_ms: int) -> None:
    low_hz = 0.845 * set_hz
    assert "warning" not in run(set_hz, dip(set_hz, low_hz, 95), 900, phase_ms)
    came = run(set_hz, dip(set_hz, low_hz, 1e9), 900, phase_ms)
    assert 100 <= came["warning"] - START_MS <= 100 + PASS_MS + SLOW_PASS_MS + 250 / low_hz
    assert "fault" not in came


def test_a_warning_ends_a_second_after_the_rate_is_right_again() -> None:
    slow = dip(100, 80, 200)
    assert run(100, slow, START_MS + 200 + 900)["warned"]
    assert not run(100, slow, START_MS + 200 + 1100)["warned"]


@pytest.mark.parametrize("set_hz", RATES_HZ)
def test_a_start_that_does_not_arrive_is_a_fault_and_one_that_does_is_not(set_hz: int) -> None:
    assert "fault" not in run(set_hz, lambda t: set_hz if t > 440 else 0.5 * set_hz, 1500)
    came = run(set_hz, lambda t: 0.85 * set_hz, 1500)
    assert speed.START_MS <= came["fault"] <= speed.START_MS + SLOW_PASS_MS and "reached" not in came


def test_a_slow_start_is_no_underspeed() -> None:
    came = run(100, lambda t: min(100.0, 10 + 0.3 * t), 1000)
    assert came["reached"] > 250 and "fault" not in came and "warning" not in came


@pytest.mark.parametrize(("first_hz", "then_hz"), [(50, 150), (150, 50)])
def test_the_limits_follow_the_ramp_of_the_set_rate(first_hz: int, then_hz: int) -> None:
    """50 Hz/s: the target is far away for 2 s, the set rate on its way is what counts."""

    def ramp(t_ms: float) -> float:
        change = 0.05 * max(0.0, t_ms - START_MS)
        return min(then_hz, first_hz + change) if then_hz > first_hz else max(then_hz, first_hz - change)

    came = run(then_hz, ramp, 3000, set_mhz=lambda t: 1000 * ramp(t))
    assert came.keys() == {"reached", "warned"} and not came["warned"]


def test_the_clock_may_wrap_around() -> None:
    state = speed.Underspeed()
    us = [
        (1 << 31) - 60_000 + 2_500 * k if k < 20 else (1 << 31) - 10_000 + 5_000 * (k - 20) for k in range(60)
    ]
    edges_us = [(t + (1 << 31)) % (1 << 32) - (1 << 31) for t in us]
    faults = []
    for k, (slow, fast) in itertools.islice(enumerate(zip(edges_us, edges_us[4:], strict=False)), 12, None):
        ring = array.array("i", 16 * [0])
        for n in range(k - 11, k + 5):
            ring[n & 15] = edges_us[n]
        state.judge(k, 100_000, 100_000, fast, (fast - slow) & 0x3FFFFFFF, ring, k + 5 & 15)
        faults.append(us[k + 4] if state.fault else 0)
    assert us[22] + 50_000 <= next(filter(None, faults)) <= us[24] + 55_000


def test_the_beginning_of_a_dip_is_found_in_the_ring() -> None:
    us = [2_500 * k for k in range(10)] + [22_500 + 5_000 * (k + 1) for k in range(6)]
    ring = array.array("i", us)
    assert speed.first_slow(ring, 0, 12_000) == us[10]
    assert speed.first_slow(ring, 0, 16_000) == us[12]
    assert speed.first_slow(ring, 0, 9_000) == us[5]  # no farther back than eleven edges


@pytest.mark.parametrize("set_hz", [50, 150])
def test_no_division_leaves_the_small_integers_of_the_pen(set_hz: int) -> None:
    for pct in (1, 60, 85, 90, 100):
        assert 0 < speed.longest_turn_us(1000 * set_hz, pct) < 1 << 30
