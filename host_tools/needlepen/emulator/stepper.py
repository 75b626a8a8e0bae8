"""The depth stepper: a rotor on the magnetic spring of its coils.

    acceleration = torque (B cos - A sin of the rotor's angle, less the back-EMF) - friction - load

Too fast or too fast growing patterns, too large jumps and a stop in the way need no rules of their own. A growing
angle of the coil vector (A+ then B+ then A- then B-) extends; A+ is A1 high and A2 low.
"""

from __future__ import annotations

import math

from needlepen.emulator.axis_parameters import AxisParameters

COILS = ("DEPTH_A1", "DEPTH_A2", "DEPTH_B1", "DEPTH_B2")
SLEEP = "DEPTH_SLEEP_N"
STEP_RAD = math.radians(18.0)  # of the rotor, per full step
REST_STEPS_S = 1.0


class Stepper:
    """Rotor and driver.

    Attributes:
        steps: where the rotor stands, in full steps; `speed` in full steps/s. Who holds it may move it.
        jammed: the rotor is blocked.
        coil_share: what is left of the current of coil "A" and "B", 1 = sound.
    """

    def __init__(self, parameters: AxisParameters, steps: float) -> None:
        p = parameters
        self.steps = steps
        self.speed = 0.0
        self.jammed = False
        self.coil_share = {"A": 1.0, "B": 1.0}
        self._wake_ns = p.stepper_wake_ms * 1e6
        self._pins = dict.fromkeys((*COILS, SLEEP), 0)
        self._awake_ns = math.inf
        # In full steps and seconds.
        self._peak = p.stepper_nm / (p.stepper_inertia_kg_m2 * STEP_RAD)
        self._drag = self._peak / p.stepper_speed_limit_hz
        self._load = self._peak * p.axis_load_n * p.step_um * 1e-6 / STEP_RAD / p.stepper_nm
        self._hold = self._peak * p.stepper_friction_nm / p.stepper_nm + p.thread_friction * self._load

    def level(self, name: str) -> int:
        """Level of a pin of the driver."""
        return self._pins[name]

    def set_pin(self, name: str, t_ns: float, level: int) -> None:
        """One of COILS or SLEEP changes."""
        self._pins[name] = level
        if name == SLEEP:
            self._awake_ns = t_ns + self._wake_ns if level else math.inf

    def wakes_after(self, t_ns: float) -> bool:
        """Whether the driver is on its way out of sleep."""
        return t_ns <= self._awake_ns < math.inf

    def currents(self, t_ns: float) -> tuple[float, float]:
        """Currents of coil A and B, in units of one energised coil."""
        if t_ns < self._awake_ns:
            return 0.0, 0.0
        p, share = self._pins, self.coil_share
        return (
            share["A"] * (p["DEPTH_A1"] - p["DEPTH_A2"]),
            share["B"] * (p["DEPTH_B1"] - p["DEPTH_B2"]),
        )

    def pull(self, t_ns: float) -> float:
        """Acceleration in steps/s2; 0 if friction or a jam holds the rotor where it is."""
        if self.jammed:
            return 0.0
        a, b = self.currents(t_ns)
        angle_rad = 0.5 * math.pi * self.steps
        push = self._peak * (b * math.cos(angle_rad) - a * math.sin(angle_rad)) - self._load
        if self.speed != 0.0:
            damped = self._drag * self.speed if a or b else 0.0
            return push - damped - math.copysign(self._hold, self.speed)
        if abs(push) <= self._hold:
            return 0.0
        return push - math.copysign(self._hold, push)

    def advance(self, t_ns: float, step_s: float) -> None:
        """One integration step from t_ns on."""
        if self.jammed:
            self.speed = 0.0
        pull = self.pull(t_ns)
        speed = self.speed + pull * step_s
        if self.speed * speed < 0.0 or (abs(speed) < REST_STEPS_S and pull == 0.0):
            speed = 0.0  # the next step decides whether it turns back
        self.steps += 0.5 * (self.speed + speed) * step_s
        self.speed = speed

    def moves(self, t_ns: float) -> bool:
        """Whether it turns, or begins to."""
        return self.speed != 0.0 or self.pull(t_ns) != 0.0
