# cython: infer_types=True, annotation_typing=False
"""The pen as a physical system, integrated over device time (ns).

The state advances in steps that end on a fixed absolute grid (20 us) and at the instants where an input
changes, nowhere else: looking at the pen never changes what it does. The future under the present inputs is
computed once, kept, and thrown away when an input changes. Within a step the electrical pole (15 us) is
integrated exactly and the mechanics by an implicit midpoint rule.

Runs plain, and compiled (with physics.pxd) some twenty times faster with the same results.

Simplifications: a winding short is a motor with fewer turns (the shorted ones do not brake); a shorted
high-side transistor drives fully through PWM, and only a held brake meets it as a short across the cell; a
jam stops the rotor at once; the shunt lies in line with the motor; the cell has the voltage it is given.
"""

from __future__ import annotations

import math

from cython.cimports.libc.math import exp, expm1, fabs, floor  # type: ignore[import-untyped]

from needlepen.emulator.cam import Cam
from needlepen.emulator.motor_circuit import BRAKE, COAST, DRIVE, MotorCircuit
from needlepen.emulator.parameters import NEEDLE_COUNTS, PenParameters
from needlepen.emulator.pen_state import PenState
from needlepen.errors import UsageError

__all__ = ["BRAKE", "COAST", "DRIVE", "PenPhysics"]

PROTRUSION_MIN_MM = -1.0
PROTRUSION_MAX_MM = 2.6  # hard stop of the depth actuator
TWO_PI = 2.0 * math.pi
# A pen that stands still with a constant current needs no 20 us steps; its longer step stays on an absolute
# grid too, so that results still do not depend on who asks when.
SETTLED_STEP_NS = 10e6
SETTLED_A = 1e-6
LOOK_AHEAD_NS = 1e6
SPENT = 256  # states behind the present before their objects are used again
ROOT_NS = 0.01
NEVER = 1e300
FORWARD, BACKWARD, RISE, FALL, STOP = 0, 1, 2, 3, 4  # what _root looks for


class PenPhysics:
    """The pen under its electrical and mechanical inputs.

    Inputs take effect at the time given with them, which may lie up to one step before the present. A new pen
    stands at top dead centre with the supply open and the bridge braking, off the skin.

    Args:
        parameters: the pen.
        seed: draws the errors of the index disc.
        step_ns: the integration grid, 1000 to 50000.
        theta_rad: starting angle of the cam.

    Attributes:
        now: the state at the latest of `advance` and the input changes.
        damage: (t_ns, what) for everything that would have broken a real pen.
    """

    def __init__(
        self, parameters: PenParameters, seed: int = 0, step_ns: float = 20_000.0, theta_rad: float = math.pi
    ) -> None:
        if not 1000.0 <= step_ns <= 50_000.0:
            raise ValueError(f"integration step {step_ns} ns is outside 1000 to 50000 ns")
        p = parameters
        self.parameters = p
        self.now = PenState()
        self.damage: list[tuple[float, str]] = []
        self._cam = Cam(p)
        self._circuit = MotorCircuit(p)
        self._edges = p.rotation_edges(seed)
        # Computed states: from `_head` (the last input change, or the last grid point before the present) on,
        # one at each grid point, up to before `_end`. The objects elsewhere in the list wait for their use.
        self._track = [PenState()]
        self._head = 0
        self._end = 1
        self._cursor = 0
        self._above = 0
        self._turn = 0.0
        self._grid_ns = step_ns
        self._grid_s = step_ns * 1e-9
        self._r0_ohm = p.cell_r0_ohm
        self._r1_ohm = p.cell_r1_ohm
        self._r1c1_s = p.cell_r1_ohm * p.cell_c1_f
        self._threshold_a = p.overcurrent_a
        self._amplifier_ns = p.amplifier_s * 1e9
        self._jammed = False
        self._probe = PenState()
        self._start = PenState()
        self._last = PenState()
        self._track[0].theta_rad = theta_rad
        self._changed()

    # inputs

    def set_drive(
        self,
        t_ns: float,
        mode: int,
        duty: float = 1.0,
        period_ns: float = 40_000.0,
        origin_ns: float | None = None,
    ) -> None:
        """Bridge mode: COAST, BRAKE or DRIVE with the driven fraction `duty` (0 to 1) of the PWM period.

        `origin_ns` is a start of the PWM period, which begins with its braked part; by default `t_ns`. It
        only places the ripple in time.
        """
        if mode not in (COAST, BRAKE, DRIVE):
            raise ValueError(f"bridge mode {mode} is none of COAST, BRAKE, DRIVE")
        if not 0.0 <= duty <= 1.0 or period_ns <= 0.0:
            raise ValueError(f"duty {duty} is outside 0 to 1, or PWM period {period_ns} ns is not positive")
        if mode != DRIVE:
            duty = 0.0
        c = self._circuit
        if mode == c.mode and duty == c.duty and period_ns * 1e-9 == c.period_s:
            return
        self._split(t_ns)
        c.mode = mode
        c.duty = duty
        c.period_s = period_ns * 1e-9
        c.origin_ns = t_ns if origin_ns is None else origin_ns
        self._changed()

    def set_supply(self, t_ns: float, closed: bool) -> None:
        """The supply switch of the bridge. Open, the bridge can still brake, but only coast instead of
        drive."""
        if closed != self._circuit.supply:
            self._split(t_ns)
            self._circuit.supply = closed
            self._changed()

    def set_cell(self, t_ns: float, ocv_v: float) -> None:
        """Open-circuit voltage of the cell, 2.5 to 4.35 V. Raises UsageError outside."""
        checked = self.parameters.but(cell_ocv_v=ocv_v).cell_ocv_v
        if checked != self._circuit.ocv_v:
            self._split(t_ns)
            self._circuit.ocv_v = checked
            self._changed()

    def set_skin(self, t_ns: float, needles: int, protrusion_mm: float, in_contact: bool) -> None:
        """Needles of the cartridge (0, 12, 24, 36), set protrusion (0 to 2.6 mm), and whether the nose is on
        skin.

        Raises:
            UsageError: a needle count or a protrusion that the pen cannot have.
        """
        if needles not in NEEDLE_COUNTS:
            raise UsageError(f"There is no cartridge with {needles} needles: the model has 0, 12, 24 and 36.")
        if not 0.0 <= protrusion_mm <= PROTRUSION_MAX_MM:
            raise UsageError(
                f"A needle protrusion of {protrusion_mm} mm is beyond the hard stop: "
                f"give 0 to {PROTRUSION_MAX_MM} mm."
            )
        cam = self._cam
        protrusion_m = protrusion_mm * 1e-3
        if needles != cam.needles or protrusion_m != cam.protrusion_m or in_contact != cam.contact:
            self._split(t_ns)
            cam.needles = needles
            cam.protrusion_m = protrusion_m
            cam.contact = in_contact
            self._changed()

    def set_protrusion(self, t_ns: float, protrusion_mm: float) -> None:
        """The depth axis has moved: needle protrusion, negative with the tips inside the nose. Raises ValueError
        for one that the axis does not have."""
        if not PROTRUSION_MIN_MM <= protrusion_mm <= PROTRUSION_MAX_MM:
            raise ValueError(
                f"needle protrusion {protrusion_mm} mm is outside {PROTRUSION_MIN_MM} to {PROTRUSION_MAX_MM}"
            )
        if protrusion_mm * 1e-3 != self._cam.protrusion_m:
            self._split(t_ns)
            self._cam.protrusion_m = protrusion_mm * 1e-3
            self._changed()

    def set_winding(self, t_ns: float, winding_ohm: float) -> None:
        """Resistance of the winding at its present temperature."""
        if winding_ohm != self._circuit.winding_ohm:
            self._split(t_ns)
            self._circuit.winding_ohm = winding_ohm
            self._changed()

    def jam(self, t_ns: float, jammed: bool) -> None:
        """Lock the rotor at its present angle, or free it."""
        if jammed != self._jammed:
            self._split(t_ns)
            self._jammed = jammed
            if jammed:
                self._track[0].omega_rad_s = 0.0
                self._track[0].standing = True
            self._changed()

    def set_drag(self, t_ns: float, drag_nm: float) -> None:
        """Extra friction torque of a failing bearing, from 0. Raises ValueError for a negative one."""
        if drag_nm < 0.0:
            raise ValueError(f"a drag of {drag_nm} N m would drive the cam")
        if drag_nm != self._cam.drag_nm:
            self._split(t_ns)
            self._cam.drag_nm = drag_nm
            self._changed()

    def short_winding(self, t_ns: float, shorted: bool) -> None:
        """Short most turns of the motor winding, or heal it."""
        if shorted != self._circuit.winding_short:
            self._split(t_ns)
            self._circuit.winding_short = shorted
            self._changed()

    def short_high_side(self, t_ns: float, shorted: bool) -> None:
        """Short the driving high-side transistor: full drive while the supply is closed, and then braking
        does damage."""
        if shorted != self._circuit.high_side_short:
            self._split(t_ns)
            self._circuit.high_side_short = shorted
            self._changed()

    # reading

    @property
    def cell_ocv_v(self) -> float:
        """Open-circuit voltage of the cell."""
        return float(self._circuit.ocv_v)

    def advance(self, t_ns: float) -> None:
        """Move the present to `t_ns`: nothing before will be asked for again. A past time does nothing."""
        if t_ns <= self.now.t_ns:
            return
        upto_ns = self.now.t_ns
        while upto_ns < t_ns:
            upto_ns = min(t_ns, upto_ns + LOOK_AHEAD_NS)
            self._head = self._locate(upto_ns)
            if self._head >= SPENT:
                self._track = self._track[self._head :] + self._track[: self._head]
                self._end -= self._head
                self._head = self._cursor = 0
        self._view(t_ns, self.now)

    def peek(self, t_ns: float) -> PenState:
        """The state at `t_ns` under the present inputs, from the last input change or the present on; changes
        nothing. Raises ValueError for a time before."""
        out = PenState()
        self._view(t_ns, out)
        return out

    def supply_v(self, t_ns: float) -> float:
        """Voltage at the terminals of the cell; as `peek`."""
        self._view(t_ns, self._probe)
        return self._probe.supply_v

    def sensed_current_a(self, t_ns: float) -> float:
        """Instantaneous motor current with its PWM ripple, as seen through the amplifier's single pole, in A.

        The mean passes the pole as a delay, which is exact for ramps.
        """
        base: PenState = self._track[self._head]
        self._view(max(t_ns - self._amplifier_ns, base.t_ns), self._probe)
        cell_v = self._circuit.ocv_v - self._probe.polarisation_v
        return self._probe.current_a + self._circuit.sensed_ripple_a(t_ns, cell_v)

    @property
    def overcurrent(self) -> bool:
        """Whether the current peaks exceed the comparator's threshold now."""
        return bool(self.now.peak_current_a > self._threshold_a)

    def level(self, line: str) -> int:
        """Level of the line INDEX or TDC at the present cam angle."""
        angle_rad = self.now.theta_rad - math.floor(self.now.theta_rad / TWO_PI) * TWO_PI
        levels = [(edge[0] <= angle_rad, edge[0], edge[2]) for edge in self._edges if edge[1] == line]
        return int(max(levels)[2])  # the last edge passed in this turn, or the last one of the turn before

    # prediction

    def next_crossing(self, t_from_ns: float, t_until_ns: float) -> tuple[float, str, int] | None:
        """What the pen does next by itself under the present inputs, after `t_from_ns` up to `t_until_ns`.

        Returns (t_ns, what, level) with `what` one of INDEX and TDC (new level of the line), OVERCURRENT
        (current peaks above the threshold: 1, no more: 0), STANDSTILL (1) and REVERSAL (1: the cam stops and
        turns back), or None. At `t_ns` the crossing has just happened, so that searching on from there finds
        the next one. Changes nothing.
        """
        t_ns = t_from_ns
        start = self._start
        self._view(t_ns, start)
        self._sector(start.theta_rad)
        last, above = len(self._edges) - 1, self._above
        upper = self._edges[above] if above <= last else self._edges[0]
        lower = self._edges[above - 1] if above > 0 else self._edges[last]
        up_rad = upper[0] + (self._turn if above <= last else self._turn + 1.0) * TWO_PI
        down_rad = lower[0] + (self._turn if above > 0 else self._turn - 1.0) * TWO_PI
        over = self._peak(start) > self._threshold_a
        moving = start.omega_rad_s != 0.0
        best_ns = NEVER
        found: tuple[float, str, int] | None = None
        while t_ns < t_until_ns:
            a = self._track[self._locate(t_ns)]
            b = self._last
            end_ns = self._next_grid(a)
            if end_ns <= t_until_ns:
                b = self._track[self._locate(end_ns)]
            else:
                end_ns = t_until_ns
                self._step(a, b, end_ns)
            if b.theta_rad >= up_rad:
                best_ns = self._root(a, FORWARD, up_rad, t_ns, end_ns)
                found = (best_ns, upper[1], upper[2])
            elif b.theta_rad < down_rad:
                best_ns = self._root(a, BACKWARD, down_rad, t_ns, end_ns)
                found = (best_ns, lower[1], 1 - lower[2])
            if (self._peak(b) > self._threshold_a) != over:
                other_ns = self._root(a, FALL if over else RISE, self._threshold_a, t_ns, end_ns)
                if other_ns < best_ns:
                    best_ns = other_ns
                    found = (best_ns, "OVERCURRENT", 0 if over else 1)
            if moving and b.omega_rad_s == 0.0:
                other_ns = self._root(a, STOP, 0.0, t_ns, end_ns)
                if other_ns < best_ns:
                    found = (other_ns, "STANDSTILL" if self._rests_after(a) else "REVERSAL", 1)
            if found is not None:
                return found
            moving = b.omega_rad_s != 0.0
            t_ns = end_ns
        return None

    def _sector(self, theta_rad: float) -> None:
        """Number of index edges passed in this turn, by the very sums that next_crossing compares with."""
        self._turn = floor(theta_rad / TWO_PI)
        self._above = 0
        for edge in self._edges:
            angle_rad = edge[0]
            if angle_rad + self._turn * TWO_PI <= theta_rad:
                self._above += 1

    def _excess(self, s: PenState, what: int, bound: float) -> float:
        """How far a state is past what _root looks for: the crossing has happened when this is not
        negative."""
        if what == FORWARD:
            return s.theta_rad - bound
        if what == BACKWARD:
            return bound - s.theta_rad if s.theta_rad < bound else -1e-15
        if what == RISE:
            return self._peak(s) - bound if self._peak(s) > bound else -1e-15
        if what == FALL:
            return bound - self._peak(s)
        return 1.0 if s.omega_rad_s == 0.0 else -1.0

    def _root(self, a: PenState, what: int, bound: float, low_ns: float, high_ns: float) -> float:
        """First instant at which a crossing inside one step has happened, to 0.01 ns.

        Regula falsi (Illinois) whose guess leans to the side that shrinks the bracket.
        """
        self._step(a, self._probe, low_ns)
        f_low = self._excess(self._probe, what, bound)
        self._step(a, self._probe, high_ns)
        f_high = self._excess(self._probe, what, bound)
        lean_ns = 0.25 * ROOT_NS
        side = 0
        for _ in range(100):
            if high_ns - low_ns <= ROOT_NS or f_low >= 0.0:
                break
            guess_ns = high_ns - f_high * (high_ns - low_ns) / (f_high - f_low)
            guess_ns += lean_ns if side <= 0 else -lean_ns
            if not low_ns < guess_ns < high_ns:
                guess_ns = 0.5 * (low_ns + high_ns)
            self._step(a, self._probe, guess_ns)
            value = self._excess(self._probe, what, bound)
            if value >= 0.0:
                high_ns, f_high = guess_ns, value
                f_low *= 0.5 if side > 0 else 1.0
                side = 1
            else:
                low_ns, f_low = guess_ns, value
                f_high *= 0.5 if side < 0 else 1.0
                side = -1
        return high_ns

    # bookkeeping

    def _split(self, t_ns: float) -> None:
        """Make the state at an input change the new base: everything computed beyond it is void."""
        base = self._track[self._head]
        if t_ns < base.t_ns:
            raise ValueError(f"the pen cannot change at {t_ns} ns: it is past {base.t_ns} ns already")
        self._step(self._track[self._locate(t_ns)], self._probe, t_ns)
        base = self._track[0]
        self._probe.copy_to(base)
        base.settled = False
        self._head = self._cursor = 0
        self._end = 1

    def _changed(self) -> None:
        """After an input has changed: the new circuit, and the present in its light."""
        c = self._circuit
        shot_through = c.shoot_through
        c.configure()
        ratio = self._grid_s / c.tau_s
        self._decay = exp(-ratio)
        self._phi = -expm1(-ratio) / ratio
        base = self._track[self._head]
        if c.shoot_through and not shot_through:
            self.damage.append((base.t_ns, "braked on a live supply through a shorted high-side transistor"))
        base.copy_to(self.now)
        self._derive(self.now)

    def _locate(self, t_ns: float) -> int:
        """Index in the track of the last computed state at or before `t_ns`, computing up to there."""
        k = max(self._cursor, self._head)
        a = self._track[k]
        if a.t_ns > t_ns:
            k = self._head
            a = self._track[k]
        while True:
            if k + 1 < self._end:
                b = self._track[k + 1]
                if b.t_ns > t_ns:
                    break
            else:
                next_ns = self._next_grid(a)
                if next_ns > t_ns:
                    break
                if self._end == len(self._track):
                    self._track.append(PenState())
                b = self._track[self._end]
                self._step(a, b, next_ns)
                self._end += 1
            a = b
            k += 1
        self._cursor = k
        return k

    def _next_grid(self, a: PenState) -> float:
        grid_ns = SETTLED_STEP_NS if a.settled else self._grid_ns
        return (floor(a.t_ns / grid_ns) + 1.0) * grid_ns

    def _view(self, t_ns: float, out: PenState) -> None:
        """The state at `t_ns` with its derived values."""
        a = self._track[self._locate(t_ns)]
        if t_ns < a.t_ns - 1.0:
            raise ValueError(f"the pen's state at {t_ns} ns is no longer known: it is past {a.t_ns} ns")
        self._step(a, out, max(t_ns, a.t_ns))  # the chip's clock shows whole ns, events are exact
        self._derive(out)

    def _derive(self, s: PenState) -> None:
        cell_v = self._circuit.ocv_v - s.polarisation_v
        s.supply_v = cell_v - self._r0_ohm * self._circuit.cell_a(s.current_a, cell_v)
        s.needle_mm = 1e3 * self._cam.depth_m(s.theta_rad)
        s.peak_current_a = self._peak(s)

    def _peak(self, s: PenState) -> float:
        return self._circuit.peak_a(s.current_a, self._circuit.ocv_v - s.polarisation_v)

    # integration

    def _rests_after(self, a: PenState) -> bool:
        """Whether a pen that stops in the step after state a stays there in the following one."""
        stopped = self._track[self._locate(self._next_grid(a))]
        self._step(stopped, self._probe, self._next_grid(stopped))
        return self._probe.standing

    def _push(self, a: PenState, motor_nm: float, step_s: float) -> float:
        """Torque that accelerates the cam in a step; 0 if friction holds it."""
        omega = a.omega_rad_s
        if omega != 0.0:
            middle_rad = a.theta_rad + 0.5 * step_s * omega
            push_nm = motor_nm + self._cam.torque_nm(a.cut_m, middle_rad, 1.0 if omega > 0.0 else -1.0)
            return push_nm - self._cam.slope_kg_m2 * omega * omega
        push_nm = motor_nm + self._cam.torque_nm(a.cut_m, a.theta_rad, 1.0)
        if push_nm <= 0.0:
            push_nm = min(0.0, motor_nm + self._cam.torque_nm(a.cut_m, a.theta_rad, -1.0))
        return push_nm

    def _step(self, a: PenState, b: PenState, t_ns: float) -> None:
        """From state a to state b at t_ns, in one step."""
        h = (t_ns - a.t_ns) * 1e-9
        if h <= 0.0:
            a.copy_to(b)
            return
        c = self._circuit
        tau = c.tau_s
        if h == self._grid_s:
            decay = self._decay
            phi = self._phi
        else:
            decay = exp(-h / tau)
            phi = -expm1(-h / tau) * tau / h  # mean of the decay over the step
        omega = a.omega_rad_s
        cell_v = c.ocv_v - a.polarisation_v
        pull = c.emf / c.ohm  # A per rad/s
        free_a = c.gain * cell_v / c.ohm - pull * omega
        drag = 0.0  # what acceleration inside the step takes from the mean current
        if c.coasting:
            end_a = c.coast_a(a.current_a, omega, cell_v, decay, phi, h)
            mean_a = c.mean_a
            free_a = pull = 0.0
        else:
            mean_a = free_a + (a.current_a - free_a) * phi
            end_a = free_a + (a.current_a - free_a) * decay
            drag = pull * (0.5 * h - tau * (1.0 - phi))

        alpha = 0.0 if self._jammed else self._push(a, c.kt * mean_a, h)
        b.standing = omega == 0.0 and alpha == 0.0
        if alpha != 0.0:
            alpha /= self._cam.moment_kg_m2 + self._cam.slope_kg_m2 * omega * h + c.kt * drag

        end_omega = omega + alpha * h
        if omega * end_omega < 0.0:  # stops inside the step; the next one decides whether it turns back
            b.theta_rad = a.theta_rad - 0.5 * omega * omega / alpha
            end_omega = 0.0
        else:
            b.theta_rad = a.theta_rad + 0.5 * h * (omega + end_omega)
        b.omega_rad_s = end_omega
        b.current_a = end_a - pull * alpha * (h - tau * (1.0 - decay))
        motor_a = mean_a - drag * alpha
        cell_a = c.cell_a(motor_a, cell_v)
        b.heat_a2s = a.heat_a2s + h * (motor_a * motor_a + c.ripple_square_a2(cell_v))
        b.charge_as = a.charge_as + h * cell_a
        b.polarisation_v = a.polarisation_v + (cell_a * self._r1_ohm - a.polarisation_v) * h / self._r1c1_s
        depth_m = self._cam.depth_m(b.theta_rad)
        b.cut_m = max(depth_m, a.cut_m) if self._cam.contact and depth_m > 0.0 else 0.0
        b.settled = b.standing and fabs(b.current_a - free_a) < SETTLED_A
        b.t_ns = t_ns
