"""The depth axis: coil patterns turn a stepper, its screw pushes a carriage, the carriage sets the needle protrusion.

Nothing is computed while nothing moves, and reading changes nothing. The carriage lies within the backlash behind the
nut: at its outer end when the axis comes in, at its inner end when it goes out.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from needlepen.emulator.axis_geometry import AxisGeometry
from needlepen.emulator.axis_parameters import AxisParameters
from needlepen.emulator.stepper import COILS, SLEEP, Stepper
from needlepen.emulator.watchdog import Alarm, Scheduler

__all__ = ["COILS", "SLEEP", "DepthAxis"]

GRID_NS = 25_000.0  # integration step; the rotor swings at about 300 Hz
FRAME_NS = 250_000.0  # how often a moving axis tells the home switch and the needles
TOLD_UM = 1.0
WALK_STROKES = 150.0  # walk_um_s is what so many strokes make


class DepthAxis:
    """One depth axis. Inputs are pins, strokes and temperatures; outputs are listeners and attributes.

    Args:
        scheduler: the chip, or a test's plan of calls.
        parameters: the type; the pen of `seed` is drawn from it.
        on_home: called with the level of HOME_N when it changes.
        on_moved: called with the true protrusion in mm when it has changed by 1 um.
        on_hall: called with the output of the hall sensor when it has changed.

    Attributes:
        geometry: the places along the axis of this pen.
        carriage_um: where the carriage stands.
        home_n: level of the home switch, low at home.
        hall_v: output of the hall sensor without its noise, at a supply of 3.3 V (it is ratiometric, as the
            converter is).
    """

    def __init__(
        self,
        scheduler: Scheduler,
        parameters: AxisParameters,
        seed: int = 0,
        on_home: Callable[[int], None] = lambda _level: None,
        on_moved: Callable[[float], None] = lambda _mm: None,
        on_hall: Callable[[float], None] = lambda _v: None,
    ) -> None:
        self.geometry = g = AxisGeometry(parameters, seed)
        self._pen = p = g.pen
        self._scheduler = scheduler
        self._on_home, self._on_moved, self._on_hall = on_home, on_moved, on_hall
        self._walk_sign = random.Random(f"walk {seed}").choice((-1.0, 1.0))
        self._scatter = random.Random(f"home switch {seed}")
        self._now_ns = 0.0
        self._moving = False
        self._alarm: Alarm | None = None
        self._nose_c = p.reference_c
        self._slip_um = 0.0  # how far the nut has slipped against the rotor
        # The last move before power-on went outward.
        self._rotor = Stepper(p, float(round(g.steps_at(p.start_um + p.backlash_um))))
        self.carriage_um = min(max(p.start_um, g.rear_um), g.front_um)
        self._follow()
        self._closes_um = g.home_um
        self.home_n = 1
        self.hall_v = 0.0
        self._told_mm = self.protrusion_mm
        self._tell()

    # ------------------------------------------------------------------ inputs
    def set_pin(self, name: str, t_ns: float, level: int | None) -> None:
        """One of COILS or SLEEP changes; None (high impedance) is low, by the driver's pull-downs."""
        value = 1 if level else 0
        if value != self._rotor.level(name):
            self._integrate(t_ns)
            self._rotor.set_pin(name, t_ns, value)
            self._start(t_ns)

    def vibrate(self, t_ns: float, strokes: float) -> None:
        """So many strokes have shaken the axis since the last call: without current the screw walks, with
        current only the carriage within the backlash."""
        away_um = self._walk_sign * self._pen.walk_um_s * strokes / WALK_STROKES
        if away_um == 0.0:
            return
        if self.energised(t_ns):
            self._shake(away_um * self._pen.walk_held_share)
        else:
            self.turn(t_ns, away_um)

    def set_nose_c(self, nose_c: float) -> None:
        """Temperature of the nose: it grows, and the hall sensor's gain changes."""
        if nose_c != self._nose_c:
            self._nose_c = nose_c
            self._tell()

    # ------------------------------------------------------------------ faults
    def jam(self, t_ns: float, jammed: bool) -> None:
        """Block the rotor where it is, or free it."""
        self._integrate(t_ns)
        self._rotor.jammed = jammed
        self._start(t_ns)

    def weaken_coil(self, t_ns: float, coil: str, share: float) -> None:
        """What is left of the current of coil "A" or "B": 0 = open, 1 = sound."""
        self._integrate(t_ns)
        self._rotor.coil_share[coil] = share
        self._start(t_ns)

    def push(self, t_ns: float, um: float) -> None:
        """Move nut and carriage by force, outward if positive, while the rotor stays: a coupling that slips."""
        self._integrate(t_ns)
        g = self.geometry
        out_um, in_um = g.front_um + self._pen.backlash_um - self._nut_um, g.rear_um - self._nut_um
        um = min(max(um, in_um), out_um)  # the stops hold the nut, and the rotor does not hear of it
        self._slip_um += um
        self._carry(um)

    def turn(self, t_ns: float, um: float) -> None:
        """Turn the rotor by force, outward if positive. Energised coils pull it back to the nearest resting
        point, which may be another one."""
        self._integrate(t_ns)
        self._rotor.steps += um / self._pen.step_um
        self._carry(um)
        self._start(t_ns)

    def _carry(self, um: float) -> None:
        """The carriage goes with the nut, as by friction."""
        self.carriage_um += um
        self._follow()
        self._tell()

    # ------------------------------------------------------------------ what can be read
    @property
    def protrusion_mm(self) -> float:
        """True needle protrusion at bottom dead centre, now; negative inside the nose."""
        return 1e-3 * self.geometry.tip_um(self.carriage_um, self._nose_c)

    @property
    def steps(self) -> float:
        """Where the rotor stands, in full steps from home."""
        return self._rotor.steps

    @property
    def moving(self) -> bool:
        """Whether the rotor is still on its way."""
        return self._moving

    def energised(self, t_ns: float) -> bool:
        """Whether any coil carries current."""
        return self.coils_on(t_ns) > 0

    def coils_on(self, t_ns: float) -> int:
        """How many coils carry current, 0 to 2."""
        a, b = self._rotor.currents(t_ns)
        return (a != 0.0) + (b != 0.0)

    # ------------------------------------------------------------------ inside
    def _start(self, t_ns: float) -> None:
        self._moving = True
        if self._alarm is None:
            self._alarm = self._scheduler.call_at(t_ns + FRAME_NS, lambda: self._frame(t_ns + FRAME_NS))

    def _frame(self, t_ns: float) -> None:
        self._alarm = None
        self._integrate(t_ns)
        self._tell()
        if self._moving or self._rotor.wakes_after(t_ns):
            self._start(t_ns)

    def _integrate(self, t_ns: float) -> None:
        """Up to a time, on the absolute grid; a rotor at rest stays there until something changes."""
        if not self._moving:
            self._now_ns = max(self._now_ns, t_ns)
            return
        while self._now_ns < t_ns:
            upto_ns = min(t_ns, (math.floor(self._now_ns / GRID_NS) + 1.0) * GRID_NS)
            self._rotor.advance(self._now_ns, (upto_ns - self._now_ns) * 1e-9)
            self._follow()
            self._now_ns = upto_ns
        self._moving = self._rotor.moves(t_ns)

    @property
    def _nut_um(self) -> float:
        return self.geometry.nut_um(self._rotor.steps) + self._slip_um

    def _follow(self) -> None:
        """The nut takes the carriage along; a stop holds both."""
        g, backlash_um = self.geometry, self._pen.backlash_um
        nut_um = self._nut_um
        self.carriage_um = min(max(self.carriage_um, nut_um - backlash_um), nut_um)
        if self.carriage_um > g.front_um:
            self._block(g.front_um, min(nut_um, g.front_um + backlash_um))
        elif self.carriage_um < g.rear_um:
            self._block(g.rear_um, max(nut_um, g.rear_um))

    def _block(self, carriage_um: float, nut_um: float) -> None:
        self.carriage_um = carriage_um
        self._rotor.steps = self.geometry.steps_at(nut_um - self._slip_um)
        self._rotor.speed = 0.0

    def _shake(self, um: float) -> None:
        """Move the carriage by itself, as far as the nut and the stops let it."""
        g = self.geometry
        nut_um = self._nut_um
        low_um = max(nut_um - self._pen.backlash_um, g.rear_um)
        self.carriage_um = min(max(self.carriage_um + um, low_um), nut_um, g.front_um)
        self._tell()

    def _tell(self) -> None:
        self._switch()
        volts = self.geometry.hall_v(self.carriage_um, self._nose_c)
        if volts != self.hall_v:
            self.hall_v = volts
            self._on_hall(volts)
        mm = self.protrusion_mm
        if abs(mm - self._told_mm) * 1e3 >= TOLD_UM:
            self._told_mm = mm
            self._on_moved(mm)

    def _switch(self) -> None:
        level = self.home_n
        if self.carriage_um <= self._closes_um:
            level = 0
        elif self.carriage_um > self._closes_um + self._pen.home_hysteresis_um:
            level = 1
        if level != self.home_n:
            self.home_n = level
            if level:  # where it will close next time
                off_um = self._scatter.gauss(0.0, self._pen.home_scatter_um)
                self._closes_um = self.geometry.home_um + off_um
            self._on_home(level)
