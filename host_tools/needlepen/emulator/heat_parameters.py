"""Constants of heat and power: motor winding, housing, nose, NTC, logic supply and charge of the cell."""

from __future__ import annotations

from dataclasses import dataclass

from needlepen.emulator.constants import ASSUMED, DATASHEET, Constants, constant


@dataclass(frozen=True)
class HeatParameters(Constants):
    """What warms and what feeds the pen, apart from the motor circuit itself."""

    ambient_c: float = constant(22.0, ASSUMED, "surroundings, and every part at power-on", -20.0, 60.0)
    winding_reference_c: float = constant(
        22.0, DATASHEET, "temperature of the cold winding resistance", -20.0, 60.0
    )
    winding_per_k: float = constant(0.0039, DATASHEET, "temperature coefficient of copper")
    winding_rth_k_w: float = constant(10.0, DATASHEET, "winding to housing", 0.01)
    housing_rth_k_w: float = constant(29.0, DATASHEET, "housing to surroundings", 0.01)
    winding_tau_s: float = constant(5.6, DATASHEET, "of the winding against the housing", 0.01)
    housing_tau_s: float = constant(220.0, DATASHEET, "of the motor against its surroundings", 0.1)
    nose_share: float = constant(0.35, ASSUMED, "of the housing's rise that reaches the nose", 0.0, 1.0)
    nose_tau_s: float = constant(60.0, ASSUMED, "of the nose behind the housing", 0.01)

    ntc_r25_ohm: float = constant(10_000.0, DATASHEET, "NTC at 25 C", 1.0)
    ntc_beta_k: float = constant(3435.0, DATASHEET, "B of the NTC", 100.0)
    ntc_divider_ohm: float = constant(10_000.0, DATASHEET, "from the NTC to the 3.3 V supply", 1.0)
    ntc_noise_v: float = constant(0.5e-3, ASSUMED, "picked up on the way, rms", 0.0, 1.0)

    cell_capacity_mah: float = constant(800.0, ASSUMED, "capacity of the cell", 1.0)
    logic_a: float = constant(0.045, ASSUMED, "cell current of RP2040, sensors and pixel", 0.0)
    stepper_coil_a: float = constant(0.15, ASSUMED, "cell current of one energised coil of the depth stepper")
    logic_dies_v: float = constant(
        2.8, ASSUMED, "cell voltage below which the logic supply's boost converter fails"
    )
    logic_returns_v: float = constant(3.0, ASSUMED, "cell voltage at which it starts again")
    logic_hold_ms: float = constant(1.0, ASSUMED, "charge in the logic supply bridges gaps up to this")
