"""Constants of the depth axis: stepper, screw, carriage, home switch, hall sensor and the way to the needle tip.

A field `x` with a field `x_spread` is drawn per pen: evenly from x - spread to x + spread, by the pen's seed.
"""

from __future__ import annotations

import dataclasses
import random
from dataclasses import dataclass
from typing import Self

from needlepen.emulator.constants import ASSUMED, DATASHEET, Constants, constant

SPREAD = "_spread"


@dataclass(frozen=True)
class AxisParameters(Constants):
    """The depth axis of all pens of the type; `drawn` makes the one of a seed."""

    # ------------------------------------------------------------------ stepper and screw
    step_um: float = constant(25.0, ASSUMED, "travel of a full step: 20 steps/rev on a 0.5 mm pitch", 1.0)
    stepper_nm: float = constant(1.6e-3, ASSUMED, "peak torque with one coil energised", 1e-5)
    stepper_inertia_kg_m2: float = constant(3e-9, ASSUMED, "rotor, screw and carriage at the rotor", 1e-10)
    stepper_friction_nm: float = constant(0.12e-3, ASSUMED, "Coulomb friction of rotor, screw and carriage")
    stepper_speed_limit_hz: float = constant(
        700.0,
        ASSUMED,
        "full steps/s at which back-EMF, inductance and grease have taken all torque of one coil",
        10.0,
    )
    stepper_wake_ms: float = constant(
        1.0, ASSUMED, "driver passes current this long after DEPTH_SLEEP_N rises"
    )
    axis_load_n: float = constant(0.5, ASSUMED, "axial force that pushes the carriage back", 0.0, 50.0)
    thread_friction: float = constant(
        1.5,
        ASSUMED,
        "friction torque of the thread under load, per torque of the load; above 1 it locks itself",
    )
    screw_gain: float = constant(0.0, ASSUMED, "lead error of the screw, fraction", -0.05, 0.05)
    screw_gain_spread: float = constant(0.003, ASSUMED, "lead error, per pen", 0.0, 0.05)
    screw_periodic_um: float = constant(4.0, ASSUMED, "amplitude of the error with each turn of the screw")
    backlash_um: float = constant(40.0, ASSUMED, "play between nut and carriage (20-60)", 0.0, 500.0)
    backlash_um_spread: float = constant(20.0, ASSUMED, "backlash, per pen", 0.0, 500.0)

    # ------------------------------------------------------------------ travel
    start_um: float = constant(0.0, ASSUMED, "carriage at power-on", -200.0, 2600.0)
    hard_stop_mm: float = constant(
        2.6, ASSUMED, "needle protrusion that the nose lets no needle exceed", 2.5, 2.6
    )
    behind_home_um: float = constant(200.0, ASSUMED, "travel behind home up to the rear stop", 0.0, 500.0)
    home_step: float = constant(
        0.25,
        ASSUMED,
        "where the home switch closes, in full steps: assembly keeps it off the resting points",
        -2,
        2,
    )
    home_off_um: float = constant(0.0, ASSUMED, "home switch, error of its place", -200.0, 200.0)
    home_off_um_spread: float = constant(2.0, ASSUMED, "its spread from pen to pen", 0.0, 200.0)
    home_scatter_um: float = constant(1.2, ASSUMED, "home switch, from closing to closing, rms")
    home_hysteresis_um: float = constant(
        15.0, ASSUMED, "the switch opens this much farther out than it closed"
    )

    # ------------------------------------------------------------------ vibration
    walk_um_s: float = constant(
        5.0, ASSUMED, "walk of the screw at 150 strokes/s without coil current", 0.0, 1e4
    )
    walk_held_share: float = constant(
        0.05,
        ASSUMED,
        "the same with coil current, fraction: only through the backlash, the rotor stays",
        0.0,
        1.0,
    )

    # ------------------------------------------------------------------ carriage to needle tip
    tip_offset_um: float = constant(0.0, ASSUMED, "protrusion at carriage 0", -300.0, 300.0)
    tip_offset_um_spread: float = constant(50.0, ASSUMED, "its spread from pen to pen", 0.0, 300.0)
    tip_gain: float = constant(0.0, ASSUMED, "protrusion per travel, less one", -0.05, 0.05)
    tip_gain_spread: float = constant(0.01, ASSUMED, "its spread from pen to pen", 0.0, 0.05)
    tip_bow_um: float = constant(0.0, ASSUMED, "deviation from a straight line at mid-travel", -100.0, 100.0)
    tip_bow_um_spread: float = constant(20.0, ASSUMED, "its spread from pen to pen", 0.0, 100.0)
    tip_um_k: float = constant(
        0.8, ASSUMED, "growth of the protrusion with the nose's temperature", -20.0, 20.0
    )
    reference_c: float = constant(22.0, ASSUMED, "temperature at which the pen is as described", -20.0, 60.0)

    # ------------------------------------------------------------------ hall sensor
    hall_v_mm: float = constant(0.64, ASSUMED, "DRV5055A2 with the magnet of the carriage", 0.01, 3.0)
    hall_centre_v: float = constant(1.65, ASSUMED, "half supply, at mid-travel", 0.0, 3.3)
    hall_centre_mm: float = constant(1.25, ASSUMED, "protrusion at mid-travel", 0.0, 2.5)
    hall_offset_v: float = constant(0.0, ASSUMED, "output error at mid-travel", -3.3, 3.3)
    hall_offset_v_spread: float = constant(0.03, ASSUMED, "its spread from pen to pen", 0.0, 3.3)
    hall_gain: float = constant(0.0, ASSUMED, "error of the sensitivity, fraction", -1.0, 1.0)
    hall_gain_spread: float = constant(0.04, ASSUMED, "its spread from pen to pen", 0.0, 1.0)
    hall_bow_mm: float = constant(0.0, ASSUMED, "nonlinearity: error at the ends of travel, cubic", -0.2, 0.2)
    hall_bow_mm_spread: float = constant(0.01, ASSUMED, "its spread from pen to pen", 0.0, 0.2)
    hall_gain_per_k: float = constant(-2e-4, ASSUMED, "sensor and magnet together", -0.01, 0.01)
    hall_noise_v: float = constant(1.5e-3, ASSUMED, "noise of the sensor, rms, behind its filter", 0.0, 1.0)
    hall_low_v: float = constant(0.1, DATASHEET, "DRV5055: the output goes no lower", 0.0, 3.3)
    hall_high_v: float = constant(3.2, DATASHEET, "DRV5055: the output goes no higher", 0.0, 3.3)

    def drawn(self, seed: int) -> Self:
        """The pen of a seed: every spread drawn and then 0. The same seed gives the same pen."""
        changes: dict[str, float] = {}
        for field in dataclasses.fields(AxisParameters):
            if field.name.endswith(SPREAD):
                spread, base = (
                    getattr(self, field.name),
                    AxisParameters.__dataclass_fields__[field.name.removesuffix(SPREAD)],
                )
                value = getattr(self, base.name) + random.Random(f"{base.name} {seed}").uniform(
                    -spread, spread
                )
                low, high = base.metadata["lowest"], base.metadata["highest"]
                changes |= {base.name: min(max(value, low), high), field.name: 0.0}
        return self.but(**changes)
