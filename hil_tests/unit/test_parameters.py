"""The emulated pen is the one that the board file describes: no number has drifted apart."""

from __future__ import annotations

import dataclasses

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
}


@pytest.mark.parametrize("name", SAME)
def test_pen_and_board_agree(name: str) -> None:
    table, key = SAME[name].split(".")
    described = getattr(getattr(board.load("pico_pen"), table), key)
    assert getattr(PenParameters(), name) == pytest.approx(described), f"{name} against {SAME[name]}"


def test_converter_scales_agree_with_the_amplifier_and_the_divider() -> None:
    converters = board.load("pico_pen").converters
    p = PenParameters()
    assert converters["MOTOR_CURRENT"].value(0.5, p.adc_reference_v) == pytest.approx(0.5 / p.amplifier_v_a)
    assert converters["BATTERY"].value(1.2, p.adc_reference_v) == pytest.approx(1.2 * p.battery_divider)


def test_every_parameter_says_what_it_is_and_where_it_comes_from() -> None:
    for field in dataclasses.fields(PenParameters):
        assert field.metadata["source"] in (DATASHEET, ASSUMED), field.name
        assert len(field.metadata["doc"]) > 10, field.name
