"""SR-19: the winding temperature that the pen estimates against that of the emulated motor."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import pytest
from support.loop import Loop, board_constants, control

from needlepen import requirements
from needlepen.emulator.parameters import PenParameters
from needlepen.emulator.thermal import Thermal
from needlepen.firmware_modules import firmware_module

thermal = firmware_module("pen.thermal")
ripple = firmware_module("pen.ripple")
LIMIT = requirements.load().limit
ERROR_K = float(LIMIT("SR-19", "model_error_k"))
STEP_S = 0.25


@dataclass(frozen=True)
class Load:
    """A steady load: what heats the motor in truth, and what the pen makes of its readings."""

    rate_hz: float
    true_a2: float
    estimated_a2: float


REST = Load(0.0, 0.0, 0.0)


@functools.cache
def load(set_hz: int, needles: int, cell_v: float = 3.7) -> Load:
    """Measured with the control step closed on the physics."""
    trace, states = Loop(set_hz, cell_v, skin={400: needles}).run(1700)
    rows = np.array([(s[control.CURRENT_MA], s[control.ON_COUNTS], s[control.CELL_MV]) for s in states[700:]])
    sum_q10 = sum(int(ma) ** 2 >> 10 for ma in rows[:, 0])
    duty, volts = rows[:, 1].mean() / board_constants.PWM_N_PERIOD_CLOCKS, rows[:, 2].mean() / 1000
    seen_a2 = sum_q10 / len(rows) * 1024e-6
    estimated_a2 = seen_a2 + ripple.heat_a2(duty, volts)
    return Load(float(trace.rate_hz[700:].mean()), _true_a2(set_hz, needles, cell_v), estimated_a2)


def _true_a2(set_hz: int, needles: int, cell_v: float) -> float:
    loop = Loop(set_hz, cell_v, skin={400: needles})
    loop.run(1700)
    end = loop.pen.peek(1700e6).heat_a2s
    loop = Loop(set_hz, cell_v, skin={400: needles})
    loop.run(700)
    return float(end - loop.pen.peek(700e6).heat_a2s)


# Reference profiles: (seconds, load), a load as rate and needles.
PROFILES = {
    "30 min at 150 Hz, 36 needles": [(1800.0, (150, 36))],
    "30 min at 100 Hz, 24 needles": [(1800.0, (100, 24))],
    "30 min at 50 Hz, free": [(1800.0, (50, 0))],
    "treatment: 20 s on skin, 5 s lifted, 10 s pause": 52
    * [(20.0, (100, 24)), (5.0, (100, 0)), (10.0, None)],
    "10 min hard, 10 min pause, 10 min hard": [(600.0, (150, 36)), (600.0, None), (600.0, (150, 36))],
    "4 min near a stall": [(240.0, Load(100.0, 1.9, 1.95))],
    "short bursts: 3 s at 150 Hz, 36 needles, 2 s pause": 360 * [(3.0, (150, 36)), (2.0, None)],
}


def follow(profile: list, cell_v: float, ambient_c: float = 22.0) -> tuple[np.ndarray, np.ndarray]:
    """True and estimated winding temperature over a profile, every 0.25 s."""
    true = Thermal(PenParameters().but(ambient_c=ambient_c))
    winding = thermal.Winding()
    rows = []
    for seconds, what in profile:
        now = what if isinstance(what, Load) else load(*what, cell_v) if what else REST
        for _ in range(round(seconds / STEP_S)):
            true.advance(STEP_S, now.true_a2 * STEP_S, now.rate_hz * STEP_S)
            winding.step(STEP_S, now.estimated_a2, now.rate_hz, None if what and rows else true.nose_c)
            rows.append((true.winding_c, winding.winding_c))
    return tuple(np.array(rows).T)  # type: ignore[return-value]


@pytest.mark.parametrize("cell_v", [3.5, 4.2])
@pytest.mark.parametrize("name", PROFILES)
def test_the_estimate_stays_within_10_k_of_the_emulated_motor(name: str, cell_v: float) -> None:
    true, estimated = follow(PROFILES[name], cell_v)
    error = estimated - true
    print(f"{name}, {cell_v} V: winding {true.max():.1f} C, error {error.min():.1f} to {error.max():.1f} K")
    assert np.abs(error).max() <= ERROR_K


@pytest.mark.parametrize("ambient_c", [10.0, 35.0])
def test_the_surroundings_are_taken_from_the_nose(ambient_c: float) -> None:
    true, estimated = follow(PROFILES["10 min hard, 10 min pause, 10 min hard"], 3.7, ambient_c)
    assert np.abs(estimated - true).max() <= ERROR_K


@pytest.mark.parametrize(("set_hz", "needles"), [(50, 0), (100, 0), (100, 24), (150, 0), (150, 36)])
def test_heat_that_the_amplifier_cannot_see_is_counted(set_hz: int, needles: int) -> None:
    """The ripple alone is up to twenty times the square of the mean current."""
    now = load(set_hz, needles)
    excess = now.estimated_a2 - now.true_a2
    print(f"{set_hz} Hz, {needles} needles: {now.true_a2:.3f} A2, estimated {now.estimated_a2:.3f} A2")
    assert -0.005 <= excess <= 0.07


def test_a_locked_winding_heats_as_the_data_sheet_says() -> None:
    """1 A2 of constant heat at the reference resistance: 63 % of Rth x P after one time constant."""
    winding = thermal.Winding()
    winding.step(0.01, 0.0, 0.0, 22.0)
    for _ in range(int(5.6 / 0.02)):
        winding.step(0.02, 1.0, 0.0, None)
    assert winding.winding_k == pytest.approx(0.632 * 10.0 * 1.1, rel=0.05)


def test_a_reset_does_not_forget_heat() -> None:
    before = thermal.Winding()
    before.step(0.25, 0.0, 0.0, 22.0)
    for _ in range(2400):
        before.step(0.25, 0.8, 150.0, None)
    after = thermal.Winding(before.heat)
    nose_c = 22.0 + 0.35 * before.housing_k
    after.step(0.25, 0.0, 0.0, nose_c)
    assert before.winding_c > 60.0
    assert 0.0 <= after.winding_c + 0.5 - before.winding_c <= 3.0


@pytest.mark.parametrize("heat", [0, 0x0102, 0xFFFF])
def test_heat_in_16_bits_is_rounded_up_and_bounded(heat: int) -> None:
    winding = thermal.Winding(heat)
    assert winding.heat == heat
    winding.winding_k, winding.housing_k = 10.01, 300.0
    assert winding.heat == (11 << 8 | 255)


def test_without_a_nose_the_surroundings_count_as_warm() -> None:
    winding = thermal.Winding()
    winding.step(0.25, 0.0, 0.0, None)
    assert winding.winding_c == 40.0


@pytest.mark.parametrize("duty", [0.0, 0.05, 0.3, 0.5, 0.8, 0.99, 1.0])
def test_ripple_agrees_with_the_sum_over_a_period(duty: float) -> None:
    """The closed forms against the wave itself, for currents that the amplifier clips or not."""
    tau_us = board_constants.MOTOR_L_NH / board_constants.LOOP_R_MOHM
    period_us = 1e6 / board_constants.PWM_N_HZ
    t_us = np.linspace(0, 40 * period_us, 400_000, endpoint=False)
    driven = (t_us % period_us) >= (1 - duty) * period_us
    wave, step_us = 0.0, t_us[1]
    waves = np.empty_like(t_us)
    for k, on in enumerate(driven):
        wave += (float(on) - wave) * step_us / tau_us
        waves[k] = wave
    last = waves[t_us >= 30 * period_us] * 3.7 / (board_constants.LOOP_R_MOHM / 1000)
    mean_a = last.mean()
    assert ripple.heat_a2(duty, 3.7) == pytest.approx(np.mean((last - mean_a) ** 2), abs=1e-3)
    for motor_a in (-0.2, 0.0, 0.1, 0.5, 2.0):
        seen_a = np.maximum(last - mean_a + motor_a, 0.0).mean()
        assert ripple.seen_a(motor_a, duty, 3.7) == pytest.approx(seen_a, abs=3e-3)


# ---------------------------------------------------------------------- the model to the number
def test_friction_heats_the_housing_by_its_work_of_each_stroke() -> None:
    winding = thermal.Winding()
    winding.step(0.5, 0.0, 100.0, None)
    friction_j = 2 * np.pi * board_constants.MOTOR_FRICTION_A * board_constants.MOTOR_KT_NM_A
    capacity = board_constants.HOUSING_TAU_S / board_constants.HOUSING_RTH_K_W
    assert winding.housing_k == pytest.approx(0.5 * 100 * friction_j / capacity, rel=1e-9)
    assert winding.winding_k == -winding.housing_k


def test_a_late_pass_counts_as_2_s_at_most() -> None:
    late, whole = thermal.Winding(), thermal.Winding()
    late.step(60.0, 1.0, 0.0, None)
    whole.step(2.0, 1.0, 0.0, None)
    assert late.winding_k == whole.winding_k > 1.0


@pytest.mark.parametrize(("winding_k", "housing_k", "heat"), [(300.0, 10.01, 0xFF0B), (10.01, 300.0, 0x0BFF)])
def test_each_half_of_the_heat_stays_in_its_eight_bits(winding_k: float, housing_k: float, heat: int) -> None:
    winding = thermal.Winding()
    winding.winding_k, winding.housing_k = winding_k, housing_k
    assert winding.heat == heat


def test_the_surroundings_follow_the_nose_in_10_s() -> None:
    winding = thermal.Winding()
    winding.step(0.25, 0.0, 0.0, 20.0)
    assert winding.ambient_c == 20.0
    winding.step(0.25, 0.0, 0.0, 30.0)
    assert winding.ambient_c == pytest.approx(20.0 + 10.0 / 10.0 * 0.25)
    winding.step(0.25, 0.0, 0.0, None)
    assert winding.ambient_c == pytest.approx(20.25), "a motor that runs tells nothing about them"


def test_the_heat_of_the_housing_reaches_the_nose_slowly_and_is_not_taken_for_the_surroundings() -> None:
    winding = thermal.Winding()
    winding.housing_k = 40.0
    winding.step(0.5, 0.0, 0.0, 20.0)
    nose_k = board_constants.NOSE_SHARE * winding.housing_k / board_constants.NOSE_TAU_S * 0.5
    assert 0 < nose_k < 1 and winding.ambient_c == pytest.approx(20.0 - nose_k)
