"""Temperature of the motor winding, which has no sensor: I2t in a model of two nodes (SR-19). Pure.

    winding: tau1 / R1 dTw/dt = I2 R(Tw) - (Tw - Th) / R1
    housing: tau2 / R2 dTh/dt = F + (Tw - Th) / R1 - (Th - Ta) / R2

R1, tau1, R2, tau2: data sheet of the motor, in the board file; R(Tw): copper; F: friction of bearing and cam.
I2 is the mean square of what the amplifier reads plus the ripple that it cannot see (pen.ripple). Reading too much of
small currents makes that up to 0.06 A2 too large, 2.6 K in the end: on the safe side.
The surroundings Ta are what the nose shows at rest, less the share of the housing's heat that reaches the nose.
"""

from math import pi

from pen.board import (
    HOUSING_RTH_K_W,
    HOUSING_TAU_S,
    MOTOR_FRICTION_A,
    MOTOR_KT_NM_A,
    MOTOR_R_OHM,
    NOSE_SHARE,
    NOSE_TAU_S,
    WINDING_PER_K,
    WINDING_REFERENCE_C,
    WINDING_RTH_K_W,
    WINDING_TAU_S,
)

_WINDING_W_S_PER_K = WINDING_TAU_S / WINDING_RTH_K_W
_HOUSING_W_S_PER_K = HOUSING_TAU_S / HOUSING_RTH_K_W
_FRICTION_J = 2 * pi * MOTOR_FRICTION_A * MOTOR_KT_NM_A  # per revolution
_WARMEST_AMBIENT_C = 40.0  # also if nothing is known
_LONGEST_STEP_S = 2.0
_FOLLOW_S = 10.0  # slow enough that a hand on the nose moves the surroundings little


class Winding:
    """`winding_k`: winding above housing, `housing_k`: housing above surroundings, `ambient_c`: surroundings."""

    def __init__(self, heat=0):
        """`heat` as `heat` gave it before the last reset; 0: cold."""
        self.winding_k = float(heat >> 8)
        self.housing_k = float(heat & 255)
        self._nose_k = NOSE_SHARE * self.housing_k
        self.ambient_c = _WARMEST_AMBIENT_C
        self._ambient_known = False

    @property
    def winding_c(self):
        return self.ambient_c + self.housing_k + self.winding_k

    @property
    def heat(self):
        """The heat in 16 bits, rounded up, for the time after a reset."""
        return min(255, int(self.winding_k + 0.99)) << 8 | min(255, int(self.housing_k + 0.99))

    def step(self, elapsed_s, current_a2, rate_hz, nose_c):
        """Move on by `elapsed_s`, at most 2 s. `current_a2`: mean square of the current, 0 at rest; `nose_c`: None if
        the sensor is broken, or not to be followed (the motor runs)."""
        elapsed_s = min(elapsed_s, _LONGEST_STEP_S)
        ohm = MOTOR_R_OHM * (1 + WINDING_PER_K * (self.winding_c - WINDING_REFERENCE_C))
        through_w = self.winding_k / WINDING_RTH_K_W
        housing_w = _FRICTION_J * rate_hz + through_w - self.housing_k / HOUSING_RTH_K_W
        housing_k = housing_w / _HOUSING_W_S_PER_K * elapsed_s
        self.winding_k += (current_a2 * ohm - through_w) / _WINDING_W_S_PER_K * elapsed_s - housing_k
        self.housing_k += housing_k
        self._nose_k += (NOSE_SHARE * self.housing_k - self._nose_k) / NOSE_TAU_S * elapsed_s
        if nose_c is not None:
            self._follow(nose_c - self._nose_k, elapsed_s)

    def _follow(self, ambient_c, elapsed_s):
        ambient_c = min(ambient_c, _WARMEST_AMBIENT_C)
        if self._ambient_known:
            self.ambient_c += (ambient_c - self.ambient_c) / _FOLLOW_S * elapsed_s
        else:
            self.ambient_c = ambient_c
            self._ambient_known = True
