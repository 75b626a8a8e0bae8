"""The pen as a physical system: cell, supply switch, bridge, motor, cam, return spring, needles and skin.

One source for two uses (Cython's pure Python mode): it runs as it is, and compiled some fifty times faster
with the same results.

Time is device time in ns. The state advances in steps that end on a fixed absolute grid (20 us) and at the
instants where an input changes, nowhere else: looking at the pen never changes what it does. The future under
the present inputs is computed once, kept, and thrown away when an input changes. Within a step the electrical
pole (15 us) is integrated exactly and the mechanics by an implicit midpoint rule.

The current is the mean over a PWM period: in slow decay both phases conduct, so that the mean is linear in
the duty. The ripple is added in closed form where somebody looks at the instantaneous current.

Simplifications: a winding short is a motor with fewer turns (the shorted ones do not brake); a shorted high-
side transistor drives fully through PWM, and only a held brake meets it as a short across the cell; a jam
stops the rotor at once; the shunt lies in line with the motor; the cell keeps its open-circuit voltage during
a run.
"""
# No `from __future__ import annotations` here: Cython reads the annotations as C types.

import math

import cython  # type: ignore[import-untyped]
from cython.cimports.libc.math import cos, exp, expm1, fabs, floor, log, sin  # type: ignore[import-untyped]

from needlepen.emulator.parameters import NEEDLE_COUNTS, PenParameters
from needlepen.errors import UsageError

COAST = 0  # bridge open
BRAKE = 1  # motor shorted: IN2 held high
DRIVE = 2  # IN2 pulsed: driven for `duty` of the PWM period, braked for the rest

PROTRUSION_MAX_MM = 2.6  # hard stop of the depth actuator

# C constants when compiled. A pen that stands still with a constant current needs no 20 us steps; its longer
# step stays on an absolute grid too, so that results still do not depend on who asks when.
TWO_PI = cython.declare(cython.double, 2.0 * math.pi)
SETTLED_STEP_NS = cython.declare(cython.double, 10e6)
SETTLED_A = cython.declare(cython.double, 1e-6)
LOOK_AHEAD_NS = cython.declare(cython.double, 1e6)
SPENT = cython.declare(cython.Py_ssize_t, 256)
ROOT_NS = cython.declare(cython.double, 0.01)
NEVER = cython.declare(cython.double, 1e300)
# What _root looks for.
FORWARD = cython.declare(cython.int, 0)
BACKWARD = cython.declare(cython.int, 1)
RISE = cython.declare(cython.int, 2)
FALL = cython.declare(cython.int, 3)
STOP = cython.declare(cython.int, 4)


@cython.cclass
class PenState:
    """The pen at one instant. Callers read it and never write it."""

    t_ns = cython.declare(cython.double, visibility="readonly")
    theta_rad = cython.declare(cython.double, visibility="readonly")  # cumulative; 0 = bottom dead centre
    omega_rad_s = cython.declare(cython.double, visibility="readonly")
    current_a = cython.declare(cython.double, visibility="readonly")  # mean over the PWM period
    polarisation_v = cython.declare(cython.double, visibility="readonly")  # of the cell's slow R1//C1
    cut_m = cython.declare(cython.double, visibility="readonly")  # how deep this insertion has cut already
    standing = cython.declare(cython.bint, visibility="readonly")  # held by friction or by a jam
    settled = cython.declare(cython.bint, visibility="readonly")  # standing with a constant current
    # Derived; filled in by PenPhysics.peek and PenPhysics.advance.
    needle_mm = cython.declare(cython.double, visibility="readonly")  # tip beyond the nose plane
    supply_v = cython.declare(cython.double, visibility="readonly")  # at the terminals of the cell
    peak_current_a = cython.declare(cython.double, visibility="readonly")  # top of the PWM ripple

    def __init__(self) -> None:
        self.t_ns = 0.0
        self.theta_rad = math.pi
        self.omega_rad_s = 0.0
        self.current_a = 0.0
        self.polarisation_v = 0.0
        self.cut_m = 0.0
        self.standing = True
        self.settled = False
        self.needle_mm = 0.0
        self.supply_v = 0.0
        self.peak_current_a = 0.0

    @property
    def rate_hz(self) -> float:
        """Stroke rate: revolutions per second, negative backwards."""
        return self.omega_rad_s / (2.0 * math.pi)

    @property
    def strokes(self) -> float:
        """Revolutions since angle 0 (bottom dead centre)."""
        return self.theta_rad / (2.0 * math.pi)


@cython.cclass
class PenPhysics:
    """The pen under its electrical and mechanical inputs.

    Inputs take effect at the time given with them; times must not run backwards. A new pen stands at top dead
    centre, supply open, bridge braking, no skin.

    Args:
        parameters: the pen.
        seed: draws the errors of the index disc.
        step_ns: the integration grid, 1000 to 50000.
        theta_rad: starting angle of the cam.
    """

    parameters = cython.declare(object, visibility="readonly")
    now = cython.declare(PenState, visibility="readonly")  # the present state
    damage = cython.declare(list, visibility="readonly")  # (t_ns, what would have broken)
    _edges: list
    # Computed states: from the last input change (or the last grid point before the present) at `_head` on,
    # one at each grid point, up to before `_end`. Everything behind `_head` can be used again.
    _track: list
    _head: cython.Py_ssize_t
    _end: cython.Py_ssize_t
    _cursor: cython.Py_ssize_t
    _grid_ns: cython.double
    _grid_s: cython.double
    _probe: PenState
    _start: PenState
    _last: PenState
    # inputs
    _mode: cython.int
    _duty: cython.double
    _period_s: cython.double
    _origin_ns: cython.double
    _supply: cython.bint
    _high_side_short: cython.bint
    _winding_short: cython.bint
    _jammed: cython.bint
    _contact: cython.bint
    _needles: cython.double
    _protrusion_m: cython.double
    _ocv_v: cython.double
    # constants of the pen, SI
    _inertia: cython.double
    _mass_e2: cython.double
    _ecc_m: cython.double
    _preload_n: cython.double
    _spring_n_m: cython.double
    _bearing_nm: cython.double
    _guide_n: cython.double
    _r0: cython.double
    _r1: cython.double
    _r1c1_s: cython.double
    _diode_v: cython.double
    _amplifier_s: cython.double
    _threshold_a: cython.double
    _reached_m: cython.double
    _until_m: cython.double
    _yield_m: cython.double
    _puncture_n: cython.double
    _residual_n: cython.double
    _in_n_m: cython.double
    _out_n_m: cython.double
    _bulk_n_m: cython.double
    _bulk_return: cython.double
    # the electrical circuit that the inputs make, see _configure
    _coasting: cython.bint
    _kt: cython.double
    _gain: cython.double
    _emf: cython.double
    _ohm: cython.double
    _tau_s: cython.double
    _decay: cython.double
    _phi: cython.double
    _cell_share: cython.double
    _short_s: cython.double
    _ripple: cython.double
    _top: cython.double
    _top_amplifier: cython.double
    # second results of functions
    _moment: cython.double
    _slope: cython.double
    _mean_a: cython.double
    _above: cython.Py_ssize_t
    _turn: cython.double

    def __init__(
        self, parameters: PenParameters, seed: int = 0, step_ns: float = 20_000.0, theta_rad: float = math.pi
    ) -> None:
        p = parameters
        if not 1000.0 <= step_ns <= 50_000.0:
            raise ValueError(f"integration step {step_ns} ns is outside 1000 to 50000 ns")
        self.parameters = p
        self.damage = []
        self._edges = p.rotation_edges(seed)
        self._grid_ns = step_ns
        self._grid_s = step_ns * 1e-9
        self._inertia = p.inertia_kg_m2
        self._ecc_m = p.eccentric_mm * 1e-3
        self._mass_e2 = p.reciprocating_mass_kg * self._ecc_m * self._ecc_m
        self._preload_n = p.spring_preload_n
        self._spring_n_m = p.spring_n_m
        self._bearing_nm = p.bearing_friction_nm
        self._guide_n = p.cam_friction_nm * math.pi / 2.0 / self._ecc_m  # mean of |sin| is 2/pi
        self._r0 = p.cell_r0_ohm
        self._r1 = p.cell_r1_ohm
        self._r1c1_s = p.cell_r1_ohm * p.cell_c1_f
        self._diode_v = p.diode_v
        self._amplifier_s = 1.0 / (2.0 * math.pi * p.amplifier_hz)
        self._threshold_a = p.overcurrent_a
        self._reached_m = p.puncture_reached_mm * 1e-3
        self._until_m = p.puncture_until_mm * 1e-3
        self._yield_m = p.puncture_yield_mm * 1e-3
        self._puncture_n = p.puncture_n
        self._residual_n = p.puncture_n * p.puncture_residual
        self._in_n_m = p.friction_in_n_mm * 1e3
        self._out_n_m = p.friction_out_n_mm * 1e3
        self._bulk_n_m = p.bulk_n_mm * 1e3
        self._bulk_return = p.bulk_return
        self._mode = BRAKE
        self._duty = 0.0
        self._period_s = 40e-6
        self._origin_ns = 0.0
        self._supply = False
        self._high_side_short = False
        self._winding_short = False
        self._jammed = False
        self._contact = False
        self._needles = 0.0
        self._protrusion_m = 0.0
        self._ocv_v = p.cell_ocv_v
        self._track = [PenState()]
        self._head = 0
        self._end = 1
        self._cursor = 0
        self.now = PenState()
        self._probe = PenState()
        self._start = PenState()
        self._last = PenState()
        first: PenState = self._track[0]
        first.theta_rad = theta_rad
        self._configure()

    # -------------------------------------------------- inputs
    def set_drive(
        self, t_ns: float, mode: int, duty: float = 1.0, period_ns: float = 40_000.0, origin_ns: float = -1.0
    ) -> None:
        """Bridge mode: COAST, BRAKE or DRIVE with the driven fraction `duty` (0 to 1) of the PWM period.

        `origin_ns` is a start of the PWM period, which begins with its braked part; by default `t_ns`. It
        only places the ripple in time.
        """
        if mode != COAST and mode != BRAKE and mode != DRIVE:
            raise ValueError(f"bridge mode {mode} is none of COAST, BRAKE, DRIVE")
        if not 0.0 <= duty <= 1.0 or period_ns <= 0.0:
            raise ValueError(f"duty {duty} is outside 0 to 1, or PWM period {period_ns} ns is not positive")
        if mode != DRIVE:
            duty = 0.0
        period_s = period_ns * 1e-9
        if mode == self._mode and duty == self._duty and period_s == self._period_s:
            return
        self._split(t_ns)
        self._mode = mode
        self._duty = duty
        self._period_s = period_s
        self._origin_ns = t_ns if origin_ns < 0.0 else origin_ns
        self._configure()

    def set_supply(self, t_ns: float, closed: bool) -> None:
        """The supply switch of the bridge. Open, the bridge can still brake, but only coasts instead of
        driving."""
        if closed != self._supply:
            self._split(t_ns)
            self._supply = closed
            self._configure()

    def set_cell(self, t_ns: float, ocv_v: float) -> None:
        """Open-circuit voltage of the cell, 2.5 to 4.35 V. Raises UsageError outside."""
        checked = self.parameters.but(cell_ocv_v=ocv_v).cell_ocv_v
        if checked != self._ocv_v:
            self._split(t_ns)
            self._ocv_v = checked
            self._configure()

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
        protrusion_m = protrusion_mm * 1e-3
        if (needles, protrusion_m, in_contact) != (self._needles, self._protrusion_m, self._contact):
            self._split(t_ns)
            self._needles = needles
            self._protrusion_m = protrusion_m
            self._contact = in_contact
            self._configure()

    def jam(self, t_ns: float, jammed: bool) -> None:
        """Lock the rotor at its present angle, or free it."""
        if jammed != self._jammed:
            self._split(t_ns)
            self._jammed = jammed
            if jammed:
                base: PenState = self._track[self._head]
                base.omega_rad_s = 0.0
                base.standing = True
            self._configure()

    def short_winding(self, t_ns: float, shorted: bool) -> None:
        """Short most turns of the motor winding, or heal it."""
        if shorted != self._winding_short:
            self._split(t_ns)
            self._winding_short = shorted
            self._configure()

    def short_high_side(self, t_ns: float, shorted: bool) -> None:
        """Short the driving high-side transistor: full drive while the supply is closed; braking then does
        damage."""
        if shorted != self._high_side_short:
            self._split(t_ns)
            self._high_side_short = shorted
            self._configure()

    # -------------------------------------------------- reading
    def advance(self, t_ns: float) -> None:
        """Move the present to `t_ns`: nothing before it will be asked for again. A time in the past does
        nothing."""
        t: cython.double = t_ns
        upto: cython.double = self.now.t_ns
        while upto < t:
            upto = min(t, upto + LOOK_AHEAD_NS)
            self._head = self._locate(upto)
            if self._head >= SPENT:
                self._track = self._track[self._head :] + self._track[: self._head]
                self._end -= self._head
                self._head = self._cursor = 0
        if t > self.now.t_ns:
            self._view(t, self.now)

    def peek(self, t_ns: float) -> PenState:
        """The state at `t_ns` under the present inputs, from the last input change or the present on. Changes
        nothing.

        Raises:
            ValueError: the time lies before what is still known.
        """
        out: PenState = PenState()
        self._view(t_ns, out)
        return out

    def sensed_current_a(self, t_ns: float) -> float:
        """Instantaneous motor current with its PWM ripple, as seen through the amplifier's single pole, in A.

        The ripple is that of the periodic steady state; the mean passes the pole as a delay, which is exact
        for ramps.
        """
        base: PenState = self._track[self._head]
        t: cython.double = t_ns - self._amplifier_s * 1e9
        self._view(t if t > base.t_ns else base.t_ns, self._probe)
        if self._ripple == 0.0:
            return self._probe.current_a
        tau: cython.double = self._tau_s
        pole: cython.double = self._amplifier_s
        if fabs(tau - pole) < 1e-3 * pole:
            tau = 1.001 * pole  # the two-pole response below has a removable singularity there
        period: cython.double = self._period_s
        phase: cython.double = (t_ns - self._origin_ns) * 1e-9
        phase -= floor(phase / period) * period
        wave: cython.double = (
            tau * self._wave(self._top, tau, phase) - pole * self._wave(self._top_amplifier, pole, phase)
        ) / (tau - pole)
        cell_v: cython.double = self._ocv_v - self._probe.polarisation_v
        return self._probe.current_a + cell_v / self._ohm * (wave - self._duty)

    @property
    def overcurrent(self) -> bool:
        """Whether the current peaks exceed the comparator's threshold now."""
        return self.now.peak_current_a > self._threshold_a

    def level(self, line: str) -> int:
        """Level of the line INDEX or TDC at the present cam angle."""
        turn: cython.double = self.now.theta_rad / TWO_PI
        angle: cython.double = (turn - floor(turn)) * TWO_PI
        levels = [(edge_rad <= angle, edge_rad, new) for edge_rad, name, new in self._edges if name == line]
        return max(levels)[2]  # the last edge passed in this turn, or the last one of the turn before

    def next_crossing(self, t_from_ns: float, t_until_ns: float) -> tuple[float, str, int] | None:
        """What the pen does next by itself under the present inputs, in the time after `t_from_ns` up to
        `t_until_ns`.

        Returns (t_ns, what, level) with `what` one of INDEX and TDC (new level of the line), OVERCURRENT
        (current peaks above the threshold, 1, or no more, 0) and STANDSTILL (1), or None. At `t_ns` the
        crossing has just happened, so that searching on from there finds the next one. Changes nothing.
        """
        t: cython.double = t_from_ns
        until: cython.double = t_until_ns
        start: PenState = self._start
        self._view(t, start)
        self._sector(start.theta_rad)
        edges: list = self._edges
        last: cython.Py_ssize_t = len(edges) - 1
        above: cython.Py_ssize_t = self._above
        upper: tuple = edges[above] if above <= last else edges[0]
        lower: tuple = edges[above - 1] if above > 0 else edges[last]
        up_rad: cython.double = upper[0] + (self._turn if above <= last else self._turn + 1.0) * TWO_PI
        down_rad: cython.double = lower[0] + (self._turn if above > 0 else self._turn - 1.0) * TWO_PI
        over: cython.bint = self._peak(start) > self._threshold_a
        moving: cython.bint = start.omega_rad_s != 0.0
        best: cython.double = NEVER
        other: cython.double
        found: tuple = ()
        while t < until:
            a: PenState = self._track[self._locate(t)]
            b: PenState = self._last
            end_ns: cython.double = self._next_grid(a)
            if end_ns <= until:
                b = self._track[self._locate(end_ns)]
            else:
                end_ns = until
                self._step(a, b, end_ns)
            if b.theta_rad >= up_rad:
                best = self._root(a, FORWARD, up_rad, t, end_ns)
                found = (best, upper[1], upper[2])
            elif b.theta_rad < down_rad:
                best = self._root(a, BACKWARD, down_rad, t, end_ns)
                found = (best, lower[1], 1 - lower[2])
            if (self._peak(b) > self._threshold_a) != over:
                other = self._root(a, FALL if over else RISE, self._threshold_a, t, end_ns)
                if other < best:
                    best = other
                    found = (best, "OVERCURRENT", 0 if over else 1)
            if moving and b.omega_rad_s == 0.0 and self._held(b):
                other = self._root(a, STOP, 0.0, t, end_ns)
                if other < best:
                    found = (other, "STANDSTILL", 1)
            if found:
                return found
            moving = b.omega_rad_s != 0.0
            t = end_ns
        return None

    # --------------------------------------------------
    # bookkeeping
    @cython.cfunc
    def _split(self, t_ns: cython.double) -> cython.void:
        """Make the state at an input change the new base: everything computed beyond it is void."""
        base: PenState = self._track[self._head]
        if t_ns < base.t_ns:
            raise ValueError(f"the pen cannot change at {t_ns} ns: it is past {base.t_ns} ns already")
        self._step(self._track[self._locate(t_ns)], self._probe, t_ns)
        base = self._track[0]
        self._copy(self._probe, base)
        base.settled = False
        self._head = self._cursor = 0
        self._end = 1

    @cython.cfunc
    def _locate(self, t_ns: cython.double) -> cython.Py_ssize_t:
        """Index in the track of the last computed state at or before `t_ns`, computing up to there."""
        track: list = self._track
        k: cython.Py_ssize_t = self._cursor if self._cursor > self._head else self._head
        a: PenState = track[k]
        if a.t_ns > t_ns:
            k = self._head
            a = track[k]
        b: PenState
        next_ns: cython.double
        while True:
            if k + 1 < self._end:
                b = track[k + 1]
                if b.t_ns > t_ns:
                    break
            else:
                next_ns = self._next_grid(a)
                if next_ns > t_ns:
                    break
                if self._end == len(track):
                    track.append(PenState())
                b = track[self._end]
                self._step(a, b, next_ns)
                self._end += 1
            a = b
            k += 1
        self._cursor = k
        return k

    @cython.cfunc
    @cython.exceptval(check=False)
    def _next_grid(self, a: PenState) -> cython.double:
        grid: cython.double = SETTLED_STEP_NS if a.settled else self._grid_ns
        return (floor(a.t_ns / grid) + 1.0) * grid

    @cython.cfunc
    def _view(self, t_ns: cython.double, out: PenState) -> cython.void:
        """The state at `t_ns` with its derived values."""
        a: PenState = self._track[self._locate(t_ns)]
        if t_ns < a.t_ns:
            raise ValueError(f"the pen's state at {t_ns} ns is no longer known: it is past {a.t_ns} ns")
        self._step(a, out, t_ns)
        self._derive(out)

    @cython.cfunc
    @cython.exceptval(check=False)
    def _copy(self, a: PenState, b: PenState) -> cython.void:
        b.t_ns = a.t_ns
        b.theta_rad = a.theta_rad
        b.omega_rad_s = a.omega_rad_s
        b.current_a = a.current_a
        b.polarisation_v = a.polarisation_v
        b.cut_m = a.cut_m
        b.standing = a.standing
        b.settled = a.settled

    @cython.cfunc
    @cython.exceptval(check=False)
    def _derive(self, s: PenState) -> cython.void:
        cell_v: cython.double = self._ocv_v - s.polarisation_v
        s.supply_v = cell_v - self._r0 * (self._cell_share * s.current_a + self._short_s * cell_v)
        s.needle_mm = 1e3 * (self._protrusion_m - self._ecc_m * (1.0 - cos(s.theta_rad)))
        s.peak_current_a = self._peak(s)

    # -------------------------------------------------- finding
    # edges
    @cython.cfunc
    def _sector(self, theta_rad: cython.double) -> cython.void:
        """Number of index edges passed in this turn. Compares the very sums that next_crossing compares
        with."""
        self._turn = floor(theta_rad / TWO_PI)
        self._above = 0
        edge: tuple
        angle: cython.double
        for edge in self._edges:
            angle = edge[0]
            if angle + self._turn * TWO_PI <= theta_rad:
                self._above += 1

    @cython.cfunc
    @cython.exceptval(check=False)
    def _excess(self, s: PenState, what: cython.int, bound: cython.double) -> cython.double:
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

    @cython.cfunc
    def _root(
        self,
        a: PenState,
        what: cython.int,
        bound: cython.double,
        low_ns: cython.double,
        high_ns: cython.double,
    ) -> cython.double:
        """First instant at which a crossing inside one step has happened, to 0.01 ns.

        Regula falsi (Illinois) whose guess leans to the side that shrinks the bracket.
        """
        probe: PenState = self._probe
        self._step(a, probe, low_ns)
        f_low: cython.double = self._excess(probe, what, bound)
        self._step(a, probe, high_ns)
        f_high: cython.double = self._excess(probe, what, bound)
        lean: cython.double = 0.25 * ROOT_NS
        guess: cython.double
        value: cython.double
        side: cython.int = 0
        for _ in range(100):
            if high_ns - low_ns <= ROOT_NS or f_low >= 0.0:
                break
            guess = high_ns - f_high * (high_ns - low_ns) / (f_high - f_low) + (lean if side <= 0 else -lean)
            if not low_ns < guess < high_ns:
                guess = 0.5 * (low_ns + high_ns)
            self._step(a, probe, guess)
            value = self._excess(probe, what, bound)
            if value >= 0.0:
                high_ns = guess
                f_high = value
                if side > 0:
                    f_low *= 0.5
                side = 1
            else:
                low_ns = guess
                f_low = value
                if side < 0:
                    f_high *= 0.5
                side = -1
        return high_ns

    # -------------------------------------------------- electrical
    @cython.cfunc
    def _configure(self) -> cython.void:
        """The circuit that the present inputs make: i settles at (gain * cell - emf * omega) / ohm with
        tau."""
        p = self.parameters
        turns: cython.double = p.shorted_turns_left if self._winding_short else 1.0
        winding_ohm: cython.double = p.shorted_winding_ohm if self._winding_short else p.winding_ohm
        base: PenState = self._track[self._head]
        self._kt = p.torque_constant_nm_a * turns
        self._emf = self._kt
        self._ohm = winding_ohm + p.bridge_ohm + p.shunt_ohm + p.wiring_ohm
        self._gain = 0.0
        self._cell_share = 0.0
        self._short_s = 0.0
        self._ripple = 0.0
        duty: cython.double = 1.0 if self._mode == DRIVE and self._high_side_short else self._duty
        self._coasting = self._mode == COAST or (self._mode == DRIVE and duty == 1.0 and not self._supply)
        if self._supply and self._mode == DRIVE:
            self._gain = duty
            self._cell_share = duty
            self._ohm += duty * self._r0
        elif self._supply and self._mode == BRAKE and self._high_side_short:
            # Both transistors of one half bridge conduct: the motor sees the point between them.
            half_ohm: cython.double = 0.5 * p.bridge_ohm
            self._short_s = 1.0 / (self._r0 + p.bridge_ohm)
            self._gain = half_ohm * self._short_s
            self._ohm -= half_ohm - half_ohm * (self._r0 + half_ohm) * self._short_s
            self.damage.append((base.t_ns, "braked on a live supply through a shorted high-side transistor"))
        elif self._mode == DRIVE:
            self._emf = self._kt * (1.0 - duty)  # the braked part alone closes the circuit
        self._tau_s = p.winding_h * turns * turns / self._ohm
        ratio: cython.double = self._grid_s / self._tau_s
        self._decay = exp(-ratio)
        self._phi = -expm1(-ratio) / ratio
        if 0.0 < self._gain < 1.0 and self._short_s == 0.0:
            self._top = self._wave_top(self._tau_s)
            self._top_amplifier = self._wave_top(self._amplifier_s)
            self._ripple = self._top - duty
        self._copy(base, self.now)
        self._derive(self.now)

    @cython.cfunc
    @cython.exceptval(check=False)
    def _wave_top(self, tau_s: cython.double) -> cython.double:
        """Top of the periodic response of one pole to the PWM wave (0 to 1)."""
        return expm1(-self._duty * self._period_s / tau_s) / expm1(-self._period_s / tau_s)

    @cython.cfunc
    @cython.exceptval(check=False)
    def _wave(self, top: cython.double, tau_s: cython.double, phase_s: cython.double) -> cython.double:
        """That response at a time in the period, which begins with its braked part."""
        braked_s: cython.double = (1.0 - self._duty) * self._period_s
        if phase_s <= braked_s:
            return top * exp(-phase_s / tau_s)
        return 1.0 - (1.0 - top * exp(-braked_s / tau_s)) * exp(-(phase_s - braked_s) / tau_s)

    @cython.cfunc
    @cython.exceptval(check=False)
    def _peak(self, s: PenState) -> cython.double:
        return s.current_a + self._ripple * (self._ocv_v - s.polarisation_v) / self._ohm

    @cython.cfunc
    @cython.exceptval(check=False)
    def _coast(
        self, a: PenState, h: cython.double, decay: cython.double, phi: cython.double
    ) -> cython.double:
        """Current at the end of a step with the bridge open: it dies through the body diodes. Mean in
        _mean_a."""
        i0: cython.double = a.current_a
        self._mean_a = 0.0
        if i0 == 0.0:
            return 0.0
        clamp_v: cython.double = -self._diode_v
        if i0 < 0.0:
            clamp_v = (
                self._ocv_v - a.polarisation_v + self._diode_v
            )  # back into the cell
        target: cython.double = (clamp_v - self._emf * a.omega_rad_s) / self._ohm
        end: cython.double = target + (i0 - target) * decay
        if (end > 0.0) == (i0 > 0.0):
            self._mean_a = target + (i0 - target) * phi
            return end
        gone_s: cython.double = self._tau_s * log((i0 - target) / -target)
        self._mean_a = (target * gone_s + self._tau_s * i0) / h
        return 0.0

    # -------------------------------------------------- mechanical
    @cython.cfunc
    @cython.exceptval(check=False)
    def _skin_n(self, cut_m: cython.double, depth_m: cython.double, inward: cython.bint) -> cython.double:
        """Force of the skin that pushes the needles out, at a depth, going in or coming out."""
        if not inward:
            return self._bulk_return * self._bulk_n_m * depth_m - self._needles * self._out_n_m * depth_m
        held_n: cython.double = self._in_n_m * depth_m  # shaft friction in the hole that is there already
        if depth_m >= cut_m:
            yielded_n: cython.double = self._residual_n + held_n
            if depth_m < self._reached_m:
                held_n = self._puncture_n * depth_m / self._reached_m
            elif depth_m < self._until_m:
                held_n = self._puncture_n
            elif depth_m < self._until_m + self._yield_m:
                fallen: cython.double = (depth_m - self._until_m) / self._yield_m
                held_n = self._puncture_n + (yielded_n - self._puncture_n) * fallen
            else:
                held_n = yielded_n
        return self._needles * held_n + self._bulk_n_m * depth_m

    @cython.cfunc
    @cython.exceptval(check=False)
    def _mechanics(self, a: PenState, theta_rad: cython.double, direction: cython.double) -> cython.double:
        """Torque on the cam at an angle when it moves in a direction; moment of inertia in _moment, and half
        its derivative by the angle in _slope."""
        sn: cython.double = sin(theta_rad)
        cs: cython.double = cos(theta_rad)
        self._moment = self._inertia + self._mass_e2 * sn * sn
        self._slope = self._mass_e2 * sn * cs
        axial_n: cython.double = self._preload_n + self._spring_n_m * self._ecc_m * (1.0 + cs)
        if self._contact and self._needles > 0.0:
            depth_m: cython.double = self._protrusion_m - self._ecc_m * (1.0 - cs)
            if depth_m > 0.0:
                axial_n += self._skin_n(a.cut_m, depth_m, sn * direction < 0.0)
        friction_nm: cython.double = self._bearing_nm + self._guide_n * self._ecc_m * fabs(sn)
        return axial_n * self._ecc_m * sn - direction * friction_nm

    @cython.cfunc
    @cython.exceptval(check=False)
    def _held(self, s: PenState) -> cython.bint:
        """Whether a pen at rest stays there under its present current."""
        push_nm: cython.double = self._kt * s.current_a
        if self._jammed:
            return True
        return (
            push_nm + self._mechanics(s, s.theta_rad, 1.0) <= 0.0
            and push_nm + self._mechanics(s, s.theta_rad, -1.0) >= 0.0
        )

    @cython.cfunc
    @cython.exceptval(check=False)
    def _step(self, a: PenState, b: PenState, t_ns: cython.double) -> cython.void:
        """From state a to state b at t_ns, one step."""
        h: cython.double = (t_ns - a.t_ns) * 1e-9
        if h <= 0.0:
            self._copy(a, b)
            return
        tau: cython.double = self._tau_s
        decay: cython.double = self._decay
        phi: cython.double = self._phi  # mean of the decay over the step
        if h != self._grid_s:
            decay = exp(-h / tau)
            phi = -expm1(-h / tau) * tau / h
        omega: cython.double = a.omega_rad_s
        cell_v: cython.double = self._ocv_v - a.polarisation_v
        pull: cython.double = self._emf / self._ohm  # A per rad/s
        free_a: cython.double = self._gain * cell_v / self._ohm - pull * omega
        end_a: cython.double
        drag: cython.double = 0.0  # what acceleration inside the step takes from the mean current
        if self._coasting:
            end_a = self._coast(a, h, decay, phi)
            pull = 0.0
        else:
            self._mean_a = free_a + (a.current_a - free_a) * phi
            end_a = free_a + (a.current_a - free_a) * decay
            drag = pull * (0.5 * h - tau * (1.0 - phi))
        motor_nm: cython.double = self._kt * self._mean_a

        alpha: cython.double = 0.0
        b.standing = False
        if self._jammed:
            b.standing = True
        elif omega != 0.0:
            alpha = motor_nm + self._mechanics(a, a.theta_rad + 0.5 * h * omega, 1.0 if omega > 0.0 else -1.0)
            alpha -= self._slope * omega * omega
        else:
            alpha = motor_nm + self._mechanics(a, a.theta_rad, 1.0)
            if alpha <= 0.0:
                alpha = motor_nm + self._mechanics(a, a.theta_rad, -1.0)
                if alpha >= 0.0:
                    alpha = 0.0
                    b.standing = True
        if alpha != 0.0:
            alpha /= self._moment + self._slope * omega * h + self._kt * drag

        end_omega: cython.double = omega + alpha * h
        if omega * end_omega < 0.0:  # stops inside the step; the next one decides whether it turns back
            b.theta_rad = a.theta_rad - 0.5 * omega * omega / alpha
            end_omega = 0.0
        else:
            b.theta_rad = a.theta_rad + 0.5 * h * (omega + end_omega)
        b.omega_rad_s = end_omega
        b.current_a = end_a - pull * alpha * (h - tau * (1.0 - decay))
        cell_a: cython.double = self._cell_share * (self._mean_a - drag * alpha) + self._short_s * cell_v
        b.polarisation_v = a.polarisation_v + (cell_a * self._r1 - a.polarisation_v) * h / self._r1c1_s
        depth_m: cython.double = self._protrusion_m - self._ecc_m * (1.0 - cos(b.theta_rad))
        b.cut_m = 0.0
        if self._contact and depth_m > 0.0:
            b.cut_m = depth_m if depth_m > a.cut_m else a.cut_m
        b.settled = b.standing and fabs(b.current_a - (0.0 if self._coasting else free_a)) < SETTLED_A
        b.t_ns = t_ns
