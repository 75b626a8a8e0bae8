"""The emulated pen is the one that the board file describes: no number has drifted apart."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from needlepen import board
from needlepen.emulator.parameters import ASSUMED, DATASHEET, PenParameters

# Parameter of the pen: table and key of the board file.
SAME = {
    "winding_ohm": "motor.resistance_ohm",
    "winding_h": "motor.inductance_h",
    "torque_constant_nm_a": "motor.torque_constant_nm_a",
    "inertia_kg_m2": "motor.inertia_kg_m2",
    "bearing_friction_nm": "motor.friction_nm",
    "cam_friction_nm": "motor.cam_friction_nm",
    "bridge_ohm": "bridge.bridge_ohm",
    "shunt_ohm": "bridge.shunt_ohm",
    "wiring_ohm": "bridge.wiring_ohm",
    "cell_ocv_v": "cell.nominal_v",
    "cell_r0_ohm": "cell.r0_ohm",
    "cell_r1_ohm": "cell.r1_ohm",
    "cell_c1_f": "cell.c1_f",
    "eccentric_mm": "mechanics.eccentric_mm",
    "reciprocating_mass_kg": "mechanics.reciprocating_mass_kg",
    "spring_preload_n": "mechanics.spring_preload_n",
    "spring_n_m": "mechanics.spring_n_m",
    "index_pulses_per_rev": "mechanics.index_pulses_per_rev",
    "overcurrent_a": "protection.overcurrent_a",
    "overcurrent_delay_us": "protection.overcurrent_delay_us",
    "supply_switch_us": "protection.supply_open_us",
    "latch_brake_delay_us": "protection.latch_brake_delay_us",
    "watchdog_min_ms": "protection.watchdog_min_ms",
    "watchdog_max_ms": "protection.watchdog_max_ms",
    "adc_reference_v": "adc.reference_v",
    "winding_rth_k_w": "motor.winding_rth_k_w",
    "housing_rth_k_w": "motor.housing_rth_k_w",
    "winding_tau_s": "motor.winding_tau_s",
    "housing_tau_s": "motor.housing_tau_s",
    "winding_reference_c": "motor.winding_reference_c",
    "winding_per_k": "motor.winding_per_k",
    "nose_share": "nose.housing_share",
    "nose_tau_s": "nose.tau_s",
    "ntc_r25_ohm": "converters.NOSE_TEMPERATURE.r25_ohm",
    "ntc_beta_k": "converters.NOSE_TEMPERATURE.beta_k",
    "ntc_divider_ohm": "converters.NOSE_TEMPERATURE.divider_ohm",
    "cell_capacity_mah": "cell.capacity_mah",
    "hard_stop_mm": "mechanics.hard_stop_mm",
}


@pytest.mark.parametrize("name", SAME)
def test_pen_and_board_agree(name: str) -> None:
    described: Any = board.load("pico_pen")
    for key in SAME[name].split("."):
        described = described[key] if isinstance(described, dict) else getattr(described, key)
    assert getattr(PenParameters(), name) == pytest.approx(described), f"{name} against {SAME[name]}"


def test_a_step_of_the_axis_is_the_boards_and_the_hall_sensor_has_its_scale() -> None:
    pico_pen, p = board.load("pico_pen"), PenParameters()
    steps = pico_pen.mechanics
    assert p.step_um == pytest.approx(1e3 * steps.depth_pitch_mm / steps.depth_steps_per_rev)
    hall = pico_pen.converters["DEPTH_POSITION"]
    assert hall.value(p.hall_centre_v, p.adc_reference_v) == pytest.approx(p.hall_centre_mm)
    assert hall.value(p.hall_centre_v + p.hall_v_mm, p.adc_reference_v) == pytest.approx(
        p.hall_centre_mm + 1.0
    )


def test_converter_scales_agree_with_the_amplifier_and_the_divider() -> None:
    converters = board.load("pico_pen").converters
    p = PenParameters()
    assert converters["MOTOR_CURRENT"].value(0.5, p.adc_reference_v) == pytest.approx(0.5 / p.amplifier_v_a)
    assert converters["BATTERY"].value(1.2, p.adc_reference_v) == pytest.approx(1.2 * p.battery_divider)


def test_every_parameter_says_what_it_is_and_where_it_comes_from() -> None:
    for field in dataclasses.fields(PenParameters):
        assert field.metadata["source"] in (DATASHEET, ASSUMED), field.name
        assert len(field.metadata["doc"]) > 10, field.name
