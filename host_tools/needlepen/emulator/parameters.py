"""Every constant of the emulated pen: motor, bridge, cell, cam, skin, sensors and the layer-0 electronics.

The numbers are those of the reference pen; a field says in its metadata where its number comes from
("datasheet" or "assumed"), so that a measurement can replace an assumption in one place.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from needlepen.emulator.axis_parameters import AxisParameters
from needlepen.emulator.constants import ASSUMED, DATASHEET, constant as _constant
from needlepen.emulator.heat_parameters import HeatParameters

__all__ = ["ASSUMED", "DATASHEET", "NEEDLE_COUNTS", "PenParameters"]

NEEDLE_COUNTS = (0, 12, 24, 36)


@dataclass(frozen=True)
class PenParameters(AxisParameters, HeatParameters):
    """The physical pen. Unit in the name, meaning, source and permitted range in the metadata of each field.

    Make a variant with `parameters.but(cell_ocv_v=3.5)`.

    Raises:
        UsageError: a value lies outside its permitted range.
    """

    # ------------------------------------------------------------------ motor and bridge
    winding_ohm: float = _constant(1.1, DATASHEET, "winding resistance, cold", 0.01)
    winding_h: float = _constant(22e-6, DATASHEET, "winding inductance", 1e-9)
    torque_constant_nm_a: float = _constant(2.67e-3, DATASHEET, "Kt = Ke (V s/rad)", 1e-6)
    inertia_kg_m2: float = _constant(6.6e-8, ASSUMED, "rotor (5.3e-8 by datasheet) with cam", 1e-10)
    bridge_ohm: float = _constant(0.28, ASSUMED, "both conducting bridge transistors together", 0.01)
    shunt_ohm: float = _constant(0.05, DATASHEET, "current sense resistor, in line with the motor", 0.001)
    wiring_ohm: float = _constant(0.05, ASSUMED, "wires and connectors between bridge and motor")
    diode_v: float = _constant(
        0.7, ASSUMED, "forward voltage of a body diode, through which a coasting current dies"
    )

    # ------------------------------------------------------------------ cell
    cell_ocv_v: float = _constant(3.7, ASSUMED, "open-circuit voltage; empty 3.0, full 4.2", 2.5, 4.35)
    cell_r0_ohm: float = _constant(0.06, ASSUMED, "series resistance; aged 0.12")
    cell_r1_ohm: float = _constant(0.03, ASSUMED, "resistance of the slow polarisation", 1e-6)
    cell_c1_f: float = _constant(1000.0, ASSUMED, "capacitance of the slow polarisation (30 s with R1)", 1.0)

    # ------------------------------------------------------------------ mechanics
    eccentric_mm: float = _constant(1.5, ASSUMED, "cam eccentricity, half the stroke", 0.1, 5.0)
    reciprocating_mass_kg: float = _constant(0.002, ASSUMED, "needle carrier and cartridge plunger")
    spring_preload_n: float = _constant(0.5, ASSUMED, "return spring at top dead centre")
    spring_n_m: float = _constant(300.0, ASSUMED, "return spring rate")
    bearing_friction_nm: float = _constant(
        0.08e-3, DATASHEET, "Coulomb friction: no-load current 30 mA times Kt"
    )
    cam_friction_nm: float = _constant(
        0.15e-3,
        ASSUMED,
        "cam guide friction, mean torque over one revolution; acts as a constant axial force",
    )

    # ------------------------------------------------------------------ skin (weakest input of the model)
    puncture_n: float = _constant(0.10, ASSUMED, "force to puncture, per needle (0.03-0.30)")
    puncture_reached_mm: float = _constant(
        0.2, ASSUMED, "indentation over which the puncture force builds up", 0.01
    )
    puncture_until_mm: float = _constant(0.3, ASSUMED, "depth at which the skin yields", 0.02)
    puncture_yield_mm: float = _constant(
        0.05, ASSUMED, "travel over which the force falls after yielding", 0.001
    )
    puncture_residual: float = _constant(
        0.4, ASSUMED, "cutting force after yielding, fraction of puncture", 0.0, 1.0
    )
    friction_in_n_mm: float = _constant(
        0.06, ASSUMED, "shaft friction going in, per needle and mm in the skin"
    )
    friction_out_n_mm: float = _constant(
        0.04, ASSUMED, "shaft friction coming out, per needle and mm in the skin"
    )
    bulk_n_mm: float = _constant(0.2, ASSUMED, "elasticity of the skin under the whole tip")
    bulk_return: float = _constant(0.5, ASSUMED, "fraction of the bulk force left on withdrawal", 0.0, 1.0)

    # ------------------------------------------------------------------ rotation sensors
    index_pulses_per_rev: int = _constant(4, ASSUMED, "INDEX pulses per revolution", 1, 64)
    index_offset_deg: float = _constant(
        22.5,
        ASSUMED,
        "first rising INDEX edge after bottom dead centre; keeps edges away from the parking angle",
    )
    index_duty: float = _constant(0.5, ASSUMED, "high part of an INDEX pulse", 0.05, 0.95)
    index_placement_deg: float = _constant(
        0.5, ASSUMED, "each INDEX edge is off by up to this, drawn from the seed"
    )
    tdc_width_deg: float = _constant(
        20.0, ASSUMED, "width of the TDC pulse around top dead centre", 1.0, 90.0
    )

    # ------------------------------------------------------------------ faults
    shorted_winding_ohm: float = _constant(
        0.15, ASSUMED, "winding resistance once its turns are shorted", 0.01
    )
    shorted_turns_left: float = _constant(
        0.14, ASSUMED, "fraction of turns left by a winding short: scales Ke, and L by its square", 0.01, 1.0
    )

    # ------------------------------------------------------------------ layer 0 electronics
    overcurrent_a: float = _constant(2.5, ASSUMED, "threshold of the overcurrent comparator", 0.1)
    overcurrent_delay_us: float = _constant(10.0, ASSUMED, "comparator and filter, a pure delay")
    supply_switch_us: float = _constant(5.0, ASSUMED, "the supply switch opens or closes after this")
    latch_brake_delay_us: float = _constant(
        10.0, ASSUMED, "the latch brakes this much after it opened the supply"
    )
    watchdog_min_ms: float = _constant(2.0, ASSUMED, "external watchdog: an earlier kick expires it")
    watchdog_max_ms: float = _constant(30.0, ASSUMED, "external watchdog: a missing kick expires it")
    amplifier_v_a: float = _constant(1.0, DATASHEET, "50 mOhm x 20 (INA180A1)", 0.01)
    amplifier_hz: float = _constant(350e3, DATASHEET, "INA180A1 bandwidth, single pole", 1e3)
    amplifier_slew_v_us: float = _constant(2.0, DATASHEET, "INA180 slew rate", 0.01)
    battery_divider: float = _constant(3.0, DATASHEET, "VSYS / 3 on the Pico", 1.0)

    # ------------------------------------------------------------------ RP2040 converter
    adc_reference_v: float = _constant(3.3, DATASHEET, "converter reference", 1.0)
    adc_effective_bits: float = _constant(8.7, DATASHEET, "noise and distortion together", 4.0, 12.0)
    adc_jump_min_lsb: float = _constant(
        10.0, DATASHEET, "erratum E11: jump at codes 512, 1536, 2560, 3584, least"
    )
    adc_jump_max_lsb: float = _constant(15.0, DATASHEET, "erratum E11: the same, most")

    @property
    def drive_ohm(self) -> float:
        """Resistance of the motor circuit without the cell: it sets the braking time constant J R / K^2."""
        return self.winding_ohm + self.bridge_ohm + self.shunt_ohm + self.wiring_ohm

    @property
    def amplifier_s(self) -> float:
        """Time constant of the current amplifier."""
        return 1.0 / (2.0 * math.pi * self.amplifier_hz)

    def rotation_edges(self, seed: int) -> list[tuple[float, str, int]]:
        """INDEX and TDC edges of one revolution forward from bottom dead centre: (angle rad, line, new
        level).

        `seed` draws the placement errors of this pen's index disc.
        """
        draw = random.Random(f"index disc {seed}")
        pitch = 360.0 / self.index_pulses_per_rev
        edges: list[tuple[float, str, int]] = []
        for pulse in range(self.index_pulses_per_rev):
            for part, level in ((0.0, 1), (self.index_duty, 0)):
                off = draw.uniform(-self.index_placement_deg, self.index_placement_deg)
                edges.append((self.index_offset_deg + pitch * (pulse + part) + off, "INDEX", level))
        half = self.tdc_width_deg / 2
        edges += [(180.0 - half, "TDC", 1), (180.0 + half, "TDC", 0)]
        return sorted((math.radians(angle % 360.0), line, level) for angle, line, level in edges)
