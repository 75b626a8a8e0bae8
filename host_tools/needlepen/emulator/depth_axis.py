"""The depth axis: coil patterns turn a stepper, its screw moves the carriage, the carriage sets the needle protrusion.

Positions along the axis are in um from the resting point of the rotor at home, positive outward. The rotor is
integrated as a mass on a magnetic spring: lost steps, too fast patterns, too large jumps and a stop in the way
need no rules of their own. Nothing is computed while nothing moves, and reading changes nothing.

    acceleration = torque (A cos - B sin of the rotor's angle, less the back-EMF) - friction - load
    nut          = steps x 25 um, with the lead error and the periodic error of the screw
    carriage     = pushed by the nut within the backlash
    protrusion   = offset + carriage x gain + bow + heat, never beyond the hard stop

A growing angle of the coil vector (A+ then B+ then A- then B-) extends; A+ is A1 high and A2 low.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from needlepen.emulator.axis_parameters import AxisParameters
from needlepen.emulator.watchdog import Alarm, Scheduler

COILS = ("DEPTH_A1", "DEPTH_A2", "DEPTH_B1", "DEPTH_B2")
SLEEP = "DEPTH_SLEEP_N"
STEP_RAD = math.radians(18.0)  # of the rotor, per full step
STEPS_PER_TURN = 20
GRID_NS = 50_000.0  # integration step; the rotor swings at about 100 Hz
FRAME_NS = 250_000.0  # how often a moving axis tells the home switch and the needles
REST_STEPS_S = 1.0
FULL_TRAVEL_MM = 2.5
WALK_STROKES = 150.0  # walk_um_s is what so many strokes make


class DepthAxis:
    """One depth axis. Inputs are pins, strokes and temperatures; outputs are listeners and hall volts.

    Args:
        scheduler: the chip, or a test's plan of calls.
        parameters: the type; the pen of `seed` is drawn from it.
        on_home: called with the level of HOME_N when it changes.
        on_moved: called with the true protrusion in mm when it has changed by more than 1 um.

    Attributes:
        pen: what this pen is, with its tolerances drawn.
        jammed: the rotor is blocked; set it as a fault.
        coil_gain: what is left of the current of coil A and B, 1 to 0; change it as a fault.
    """

    TOLD_UM = 1.0

    def __init__(
        self,
        scheduler: Scheduler,
        parameters: AxisParameters,
        seed: int = 0,
        on_home: Callable[[int], None] = lambda _level: None,
        on_moved: Callable[[float], None] = lambda _mm: None,
    ) -> None:
        self.pen = p = parameters.drawn(seed)
        self.jammed = False
        self.coil_gain = [1.0, 1.0]
        self._scheduler = scheduler
        self._on_home, self._on_moved = on_home, on_moved
        draw = random.Random(f"screw {seed}")
        self._phase_rad = draw.uniform(0.0, 2.0 * math.pi)
        self._walk_sign = draw.choice((-1.0, 1.0))
        self._scatter = random.Random(f"home switch {seed}")
        self._pins = dict.fromkeys((*COILS, SLEEP), 0)
        self._awake_ns = math.inf
        self._now_ns = 0.0
        self._moving = False
        self._alarm: Alarm | None = None
        self._nose_c = p.reference_c
        # Units of the integration: full steps and seconds.
        self._peak = p.stepper_nm / (p.stepper_inertia_kg_m2 * STEP_RAD)
        self._drag = self._peak / p.stepper_speed_limit_hz
        self._hold = self._peak * p.stepper_friction_nm / p.stepper_nm
        self._load = self._peak * p.axis_load_n * p.step_um * 1e-6 / STEP_RAD / p.stepper_nm
        self._home_um = self.nut_um(p.home_step) + p.home_off_um
        self._rear_um = self._home_um - p.behind_home_um
        self._front_um = self._carriage_at_stop()
        self._steps = round(self._steps_at(p.start_um + p.backlash_um))
        self._speed = 0.0
        self.carriage_um = min(max(p.start_um, self._rear_um), self._front_um)
        self._follow()
        self._closes_um = self._home_um
        self.home_n = 1
        self._told_mm = self.protrusion_mm
        self._switch()

    # ------------------------------------------------------------------ inputs
    def set_pin(self, name: str, t_ns: float, level: int | None) -> None:
        """One of COILS or SLEEP changes; None (high impedance) is low, by the driver's pull-downs."""
        value = 1 if level else 0
        if value == self._pins[name]:
            return
        self._integrate(t_ns)
        self._pins[name] = value
        if name == SLEEP:
            self._awake_ns = t_ns + self.pen.stepper_wake_ms * 1e6 if value else math.inf
        self._start(t_ns)

    def vibrate(self, t_ns: float, strokes: float) -> None:
        """So many strokes have shaken the axis since the last call."""
        away_um = self._walk_sign * self.pen.walk_um_s * strokes / WALK_STROKES
        if away_um == 0.0:
            return
        if self.energised(t_ns):
            self._shake(away_um * self.pen.walk_held_share)
        else:
            self.push(t_ns, away_um)

    def set_nose_c(self, nose_c: float) -> None:
        """Temperature of the nose: it grows, and the hall sensor's gain changes."""
        if nose_c != self._nose_c:
            self._nose_c = nose_c
            self._tell()

    def push(self, t_ns: float, um: float) -> None:
        """Turn the screw by force, outward if positive: the fault of a walking or slipping axis."""
        self._integrate(t_ns)
        self._steps += um / self.pen.step_um
        self._shake(um)
        self._start(t_ns)

    def reverse_walk(self) -> None:
        """Vibration walks the other way from now on."""
        self._walk_sign = -self._walk_sign

    # ------------------------------------------------------------------ what can be read
    @property
    def protrusion_mm(self) -> float:
        """True needle protrusion at bottom dead centre, now; negative inside the nose."""
        return 1e-3 * self.tip_um(self.carriage_um, self._nose_c)

    @property
    def steps(self) -> float:
        """Where the rotor stands, in full steps from home."""
        return self._steps

    @property
    def moving(self) -> bool:
        """Whether the rotor is still on its way."""
        return self._moving

    def energised(self, t_ns: float) -> bool:
        """Whether any coil carries current."""
        a, b = self._vector(t_ns)
        return a != 0.0 or b != 0.0

    @property
    def coils_on(self) -> int:
        """How many coils carry current, 0 to 2."""
        if not self._pins[SLEEP]:
            return 0
        p = self._pins
        return (p["DEPTH_A1"] != p["DEPTH_A2"]) + (p["DEPTH_B1"] != p["DEPTH_B2"])

    def hall_v(self) -> float:
        """Volts of the hall sensor without noise, at a supply of 3.3 V (it is ratiometric, as the converter is)."""
        p = self.pen
        off_mm = self.carriage_um * 1e-3 - p.hall_centre_mm
        gain = (1.0 + p.hall_gain) * (1.0 + p.hall_gain_per_k * (self._nose_c - p.reference_c))
        bow_mm = p.hall_bow_mm * (off_mm / p.hall_centre_mm) ** 3
        volts = p.hall_centre_v + p.hall_offset_v + p.hall_v_mm * gain * (off_mm + bow_mm)
        return min(max(volts, p.hall_low_v), p.hall_high_v)

    def nut_um(self, steps: float) -> float:
        """Where the nut is with the rotor at a place; the carriage lies up to the backlash behind it."""
        p = self.pen
        turn_rad = 2.0 * math.pi * steps / STEPS_PER_TURN + self._phase_rad
        wave_um = p.screw_periodic_um * (math.sin(turn_rad) - math.sin(self._phase_rad))
        return steps * p.step_um * (1.0 + p.screw_gain) + wave_um

    def tip_um(self, carriage_um: float, nose_c: float | None = None) -> float:
        """True protrusion with the carriage at a place, by default at the reference temperature."""
        p = self.pen
        half = 0.5e3 * FULL_TRAVEL_MM
        bow_um = p.tip_bow_um * (1.0 - ((carriage_um - half) / half) ** 2)
        warm_k = 0.0 if nose_c is None else nose_c - p.reference_c
        um = p.tip_offset_um + carriage_um * (1.0 + p.tip_gain) + bow_um + p.tip_um_k * warm_k
        return min(um, p.hard_stop_mm * 1e3)

    def static_curve(self, set_um: list[float], grid: float = 0.0) -> list[float]:
        """True protrusion in um at settings in um, cold and without scatter: what a factory calibration finds.

        Zero is the first resting point at which the home switch is closed when the axis comes in; settings are
        reached outward from there. `grid` is the place of the resting points between full steps: 0 with one
        coil energised at rest, 0.5 with two.
        """
        p = self.pen
        zero = math.floor(self._steps_at(self._home_um) - grid) + grid
        at_home_um = self.nut_um(zero)
        found = []
        for um in set_um:
            pushed_um = self.nut_um(zero + um / p.step_um) - p.backlash_um
            found.append(self.tip_um(min(max(at_home_um, pushed_um), self._front_um)))
        return found

    # ------------------------------------------------------------------ inside
    def _carriage_at_stop(self) -> float:
        stop_um = self.pen.hard_stop_mm * 1e3
        low, high = 0.0, 2.0 * stop_um
        for _ in range(60):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if self.tip_um(middle) < stop_um else (low, middle)
        return low

    def _steps_at(self, um: float) -> float:
        """Rotor place with the nut at a place; the error of the screw is small against its lead."""
        steps = um / self.pen.step_um
        for _ in range(30):
            steps += (um - self.nut_um(steps)) / self.pen.step_um
        return steps

    def _vector(self, t_ns: float) -> tuple[float, float]:
        """Currents of coil A and B in units of one energised coil."""
        if t_ns < self._awake_ns:
            return 0.0, 0.0
        p = self._pins
        return (
            self.coil_gain[0] * (p["DEPTH_A1"] - p["DEPTH_A2"]),
            self.coil_gain[1] * (p["DEPTH_B1"] - p["DEPTH_B2"]),
        )

    def _start(self, t_ns: float) -> None:
        if self._alarm is None:
            self._moving = True
            self._alarm = self._scheduler.call_at(t_ns + FRAME_NS, lambda: self._frame(t_ns + FRAME_NS))

    def _frame(self, t_ns: float) -> None:
        self._alarm = None
        self._integrate(t_ns)
        self._tell()
        waking = math.isfinite(self._awake_ns) and t_ns <= self._awake_ns
        if self._moving or waking:
            self._start(t_ns)

    def _integrate(self, t_ns: float) -> None:
        """Up to a time, on the absolute grid; a rotor at rest stays there until a pin changes."""
        if not self._moving:
            self._now_ns = max(self._now_ns, t_ns)
            return
        while self._now_ns < t_ns:
            upto_ns = min(t_ns, (math.floor(self._now_ns / GRID_NS) + 1.0) * GRID_NS)
            self._advance((upto_ns - self._now_ns) * 1e-9)
            self._now_ns = upto_ns
        self._moving = self._speed != 0.0 or self._pull() != 0.0

    def _pull(self) -> float:
        """Acceleration of the rotor in steps/s2; 0 if friction holds it where it is."""
        if self.jammed:
            return 0.0
        a, b = self._vector(self._now_ns)
        angle = 0.5 * math.pi * self._steps
        push = self._peak * (b * math.cos(angle) - a * math.sin(angle)) - self._load
        if self._speed != 0.0:
            damped = self._drag * self._speed if a or b else 0.0
            return push - damped - math.copysign(self._hold, self._speed)
        if abs(push) <= self._hold:
            return 0.0
        return push - math.copysign(self._hold, push)

    def _advance(self, step_s: float) -> None:
        if self.jammed:
            self._speed = 0.0
        pull = self._pull()
        speed = self._speed + pull * step_s
        if self._speed * speed < 0.0 or (abs(speed) < REST_STEPS_S and pull == 0.0):
            speed = 0.0  # the next step decides whether it turns back
        self._steps += 0.5 * (self._speed + speed) * step_s
        self._speed = speed
        self._follow()

    def _follow(self) -> None:
        """The nut takes the carriage along; a stop holds both."""
        nut_um = self.nut_um(self._steps)
        self.carriage_um = min(max(self.carriage_um, nut_um - self.pen.backlash_um), nut_um)
        if self.carriage_um > self._front_um:
            self._block(self._front_um, self._front_um + self.pen.backlash_um)
        elif self.carriage_um < self._rear_um:
            self._block(self._rear_um, self._rear_um)

    def _block(self, carriage_um: float, nut_um: float) -> None:
        self.carriage_um = carriage_um
        self._steps = self._steps_at(nut_um)
        self._speed = 0.0

    def _shake(self, um: float) -> None:
        """Move the carriage by itself, as far as the nut lets it."""
        self.carriage_um += um
        self._follow()
        self._tell()

    def _tell(self) -> None:
        self._switch()
        mm = self.protrusion_mm
        if abs(mm - self._told_mm) * 1e3 >= self.TOLD_UM:
            self._told_mm = mm
            self._on_moved(mm)

    def _switch(self) -> None:
        level = self.home_n
        if self.carriage_um <= self._closes_um:
            level = 0
        elif self.carriage_um > self._closes_um + self.pen.home_hysteresis_um:
            level = 1
        if level != self.home_n:
            self.home_n = level
            if level:  # where it will close next time
                self._closes_um = self._home_um + self._scatter.gauss(0.0, self.pen.home_scatter_um)
            self._on_home(level)
