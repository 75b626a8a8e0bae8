"""Where things are along the depth axis: rotor, nut, carriage, needle tip, and what the hall sensor says of it.

Positions are in um from the resting point of the rotor at home, positive outward.

    nut        = steps x 25 um, with the lead error and the periodic error of the screw
    protrusion = offset + carriage x gain + bow + heat, never beyond the hard stop
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable

from needlepen.emulator.axis_parameters import AxisParameters

STEPS_PER_TURN = 20
HALF_TRAVEL_UM = 1250.0


class AxisGeometry:
    """The axis of one pen, cold and at rest.

    Args:
        parameters: the type; the pen of `seed` is drawn from it.

    Attributes:
        pen: what this pen is, with its tolerances drawn.
        home_um: carriage at which the home switch closes, on the average.
        rear_um, front_um: carriage at its stops.
    """

    def __init__(self, parameters: AxisParameters, seed: int = 0) -> None:
        self.pen = p = parameters.drawn(seed)
        self._phase_rad = random.Random(f"screw {seed}").uniform(0.0, 2.0 * math.pi)
        self.home_um = self.nut_um(p.home_step) + p.home_off_um
        self.rear_um = self.home_um - p.behind_home_um
        self.front_um = self._carriage_at_stop()

    def nut_um(self, steps: float) -> float:
        """The nut with the rotor at a place; the carriage lies up to the backlash behind it."""
        p = self.pen
        turn_rad = 2.0 * math.pi * steps / STEPS_PER_TURN + self._phase_rad
        wave_um = p.screw_periodic_um * (math.sin(turn_rad) - math.sin(self._phase_rad))
        return steps * p.step_um * (1.0 + p.screw_gain) + wave_um

    def steps_at(self, nut_um: float) -> float:
        """The rotor with the nut at a place: `nut_um` backwards."""
        steps = nut_um / self.pen.step_um
        for _ in range(30):  # converges fast, since the screw's errors are small against its lead
            steps += (nut_um - self.nut_um(steps)) / self.pen.step_um
        return steps

    def tip_um(self, carriage_um: float, nose_c: float | None = None) -> float:
        """True needle protrusion at bottom dead centre; without a temperature at the reference."""
        p = self.pen
        bow_um = p.tip_bow_um * (1.0 - ((carriage_um - HALF_TRAVEL_UM) / HALF_TRAVEL_UM) ** 2)
        warm_k = 0.0 if nose_c is None else nose_c - p.reference_c
        um = p.tip_offset_um + carriage_um * (1.0 + p.tip_gain) + bow_um + p.tip_um_k * warm_k
        return min(um, p.hard_stop_mm * 1e3)

    def hall_v(self, carriage_um: float, nose_c: float) -> float:
        """Output of the hall sensor, without noise, at a supply of 3.3 V."""
        p = self.pen
        off_mm = carriage_um * 1e-3 - p.hall_centre_mm
        gain = (1.0 + p.hall_gain) * (1.0 + p.hall_gain_per_k * (nose_c - p.reference_c))
        bow_mm = p.hall_bow_mm * (off_mm / p.hall_centre_mm) ** 3
        volts = p.hall_centre_v + p.hall_offset_v + p.hall_v_mm * gain * (off_mm + bow_mm)
        return min(max(volts, p.hall_low_v), p.hall_high_v)

    def zero_steps(self, grid: float = 0.0) -> float:
        """The first resting point at which the home switch is closed when the axis comes in.

        `grid` is the place of the resting points between full steps: 0 with one coil energised at rest, 0.5 with
        two.
        """
        return math.floor(self.steps_at(self.home_um) - grid) + grid

    def static_curve(self, set_um: Iterable[float], grid: float = 0.0) -> list[float]:
        """True protrusion in um at settings in um, cold and without scatter: what a factory calibration finds.

        Settings are full steps of 25 um reached outward from `zero_steps`.
        """
        p = self.pen
        zero = self.zero_steps(grid)
        at_zero_um = self.nut_um(zero)
        found = []
        for um in set_um:
            pushed_um = self.nut_um(zero + um / p.step_um) - p.backlash_um
            found.append(self.tip_um(min(max(at_zero_um, pushed_um), self.front_um)))
        return found

    def _carriage_at_stop(self) -> float:
        stop_um = self.pen.hard_stop_mm * 1e3
        low, high = 0.0, 2.0 * stop_um
        for _ in range(60):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if self.tip_um(middle) < stop_um else (low, middle)
        return low
