"""Temperatures of the pen: motor winding, housing and nose, and the NTC in the nose.

Two nodes by the motor's data sheet, each a thermal resistance and a time constant:

    winding: C1 dTw/dt = P - (Tw - Th) / R1                       C1 = tau1 / R1
    housing: C2 dTh/dt = F + (Tw - Th) / R1 - (Th - Ta) / R2      C2 = tau2 / R2

P is the squared current in the warm winding, F the friction of bearing and cam guide. The nose follows a share of the
housing's rise with a time constant of its own. Constant heat over a step is integrated exactly, so that the length of
the steps does not matter.
"""

from __future__ import annotations

import math

from needlepen.emulator.parameters import PenParameters

KELVIN = 273.15
NTC_REFERENCE_K = 298.15


class Thermal:
    """Temperatures in C, moved on by `advance`.

    Attributes:
        winding_c, housing_c, nose_c: present temperatures.
        ntc_v: volts of the nose's NTC at the converter.
        ambient_c: surroundings; set it at any time.
    """

    def __init__(self, parameters: PenParameters) -> None:
        p = self._p = parameters
        self.ambient_c = self.winding_c = self.housing_c = self.nose_c = p.ambient_c
        self._fixed_nose = False
        self.ntc_v = ntc_volts(p, self.nose_c)
        self._r1, self._r2 = p.winding_rth_k_w, p.housing_rth_k_w
        self._c1, self._c2 = p.winding_tau_s / self._r1, p.housing_tau_s / self._r2
        self._friction_nm = p.bearing_friction_nm + p.cam_friction_nm

    @property
    def winding_ohm(self) -> float:
        """Resistance of the winding at its temperature."""
        p = self._p
        return p.winding_ohm * (1.0 + p.winding_per_k * (self.winding_c - p.winding_reference_c))

    def fix_nose(self, nose_c: float | None) -> None:
        """Hold the nose at a temperature; None lets it follow the housing again."""
        self._fixed_nose = nose_c is not None
        if nose_c is not None:
            self.nose_c = nose_c
            self.ntc_v = ntc_volts(self._p, nose_c)

    def advance(self, seconds: float, heat_a2s: float, strokes: float) -> None:
        """Let time pass in which the winding has carried so many A2s and the cam has turned so often."""
        if seconds <= 0.0:
            return
        winding_w = heat_a2s / seconds * self.winding_ohm
        friction_w = 2.0 * math.pi * self._friction_nm * abs(strokes) / seconds
        self._nodes(seconds, winding_w, friction_w)
        if not self._fixed_nose:
            goal_c = self.ambient_c + self._p.nose_share * (self.housing_c - self.ambient_c)
            self.nose_c += (goal_c - self.nose_c) * -math.expm1(-seconds / self._p.nose_tau_s)
            self.ntc_v = ntc_volts(self._p, self.nose_c)

    def _nodes(self, seconds: float, winding_w: float, friction_w: float) -> None:
        """Exact for constant heat: towards the steady state along the two natural modes."""
        c1, c2, r1, r2 = self._c1, self._c2, self._r1, self._r2
        end_housing = self.ambient_c + r2 * (winding_w + friction_w)
        end_winding = end_housing + r1 * winding_w
        x, y = self.winding_c - end_winding, self.housing_c - end_housing
        a, b = -1.0 / (r1 * c1), 1.0 / (r1 * c1)
        c, d = 1.0 / (r1 * c2), -(1.0 / r1 + 1.0 / r2) / c2
        mean, root = 0.5 * (a + d), math.sqrt(0.25 * (a - d) ** 2 + b * c)
        fast, slow = math.exp((mean - root) * seconds), math.exp((mean + root) * seconds)
        even, odd = 0.5 * (fast + slow), 0.5 * (slow - fast) / root
        self.winding_c = end_winding + x * even + odd * ((a - mean) * x + b * y)
        self.housing_c = end_housing + y * even + odd * (c * x + (d - mean) * y)


def ntc_ohm(p: PenParameters, nose_c: float) -> float:
    """Resistance of the NTC at a temperature, by its B."""
    return p.ntc_r25_ohm * math.exp(p.ntc_beta_k * (1.0 / (nose_c + KELVIN) - 1.0 / NTC_REFERENCE_K))


def ntc_volts(p: PenParameters, nose_c: float) -> float:
    """Volts at the converter: the NTC to ground, the divider's resistor to the supply."""
    ohm = ntc_ohm(p, nose_c)
    return p.adc_reference_v * ohm / (ohm + p.ntc_divider_ohm)
