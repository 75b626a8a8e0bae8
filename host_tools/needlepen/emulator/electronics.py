"""Layer 0 of the pen: drive gate, overcurrent latch, supply switch, external watchdog, and the rotation
sensors.

Event driven: nothing happens here except when a pin changes, when a planned instant comes, or when the
physics predict an event by themselves. Instants are exact device times in ns; where the scheduler rounds,
these do not.

    IN2 = PWM_N or RUN_N or LATCH or WDT_EXPIRED or TRIGGER_RELEASED      (1 brakes)
    SUPPLY = SUPPLY_EN and not LATCH

A line that nobody drives has the level of its pull resistor: it brakes, and opens the supply.
"""

from __future__ import annotations

from collections.abc import Callable

from needlepen.emulator.latch import OvercurrentLatch
from needlepen.emulator.line_faults import DisturbedLine
from needlepen.emulator.physics import BRAKE, COAST, DRIVE, PenPhysics
from needlepen.emulator.watchdog import Alarm, Scheduler, WindowWatchdog
from needlepen.errors import UsageError

LOOK_AHEAD_NS = 1e6
STALL_LOOK_AHEAD_NS = 10e6

# Level of a line that nobody drives: its pull resistor on the circuit board.
UNDRIVEN = {"PWM_N": 1, "RUN_N": 1, "SUPPLY_EN": 0, "LATCH_CLR": 0, "WDT_KICK": 0, "TRIP_N": 1}

# What `stick` holds: IN2 of the bridge, its terms, the supply switch, and the parts of OvercurrentLatch.
TERMS = ("RUN_N_TERM", "LATCH_TERM", "WATCHDOG_TERM", "TRIGGER_TERM")
NODES = ("IN2", *TERMS, "SUPPLY", "COMPARATOR", "LATCH", "LATCH_HOLD")

Listener = Callable[[float, float], None]


class Electronics:
    """Pins in, lines out, the physics in between.

    `timeline` holds (t_ns, signal, level) of every change, in order. Signals: the pins RUN_N, SUPPLY_EN and
    LATCH_CLR; the lines INDEX, TDC, TRIP_N and TRIGGER_N; and what happens inside: DUTY (driven fraction of
    the PWM period that PWM_N asks for), CELL (its open-circuit voltage changes), BRAKE (IN2 held high by another
    term), SUPPLY (the switch), OVERCURRENT (comparator), LATCH, LATCH_BRAKE, WDT_EXPIRED, REVERSAL (the rotor
    stops and turns back), STANDSTILL (it comes to rest) and SHOOT_THROUGH (damage).
    """

    def __init__(self, scheduler: Scheduler, physics: PenPhysics) -> None:
        p = physics.parameters
        self.physics = physics
        self.timeline: list[tuple[float, str, float]] = []
        self._scheduler = scheduler
        self._delay_supply_ns = p.supply_switch_us * 1e3
        self._pins = dict(UNDRIVEN)
        self._duty = 0.0
        self._period_ns = 40_000.0
        self._origin_ns = 0.0
        self._motor_open = False
        self._trigger_released = 1
        self._stuck: dict[str, int] = {}
        self._duty_recorded = 0.0
        self._supply = 0
        self._braked_recorded = True
        self._damage_recorded = 0
        self._listeners: dict[str, list[Listener]] = {}
        self._alarms: dict[str, Alarm] = {}
        self._now_ns = physics.now.t_ns
        self._watchdog = WindowWatchdog(
            scheduler, p.watchdog_min_ms, p.watchdog_max_ms, self._watchdog_changed
        )
        self._latch = OvercurrentLatch(
            self, p.overcurrent_delay_us * 1e3, p.latch_brake_delay_us * 1e3, self._stuck, self._latch_changed
        )
        self.lines = {
            name: DisturbedLine(scheduler, physics.level(name), self._recorder(name))
            for name in ("INDEX", "TDC")
        }
        self.lines["TRIGGER_N"] = DisturbedLine(scheduler, 1, self._set_trigger)

    # ------------------------------------------------------------------ outputs
    def on_output(self, signal: str, fn: Listener) -> None:
        """Call fn(t_ns, level) at each change of any signal of the timeline."""
        self._listeners.setdefault(signal, []).append(fn)

    def level(self, line: str) -> int:
        """Present level of a line to the chip: INDEX, TDC, TRIP_N or TRIGGER_N."""
        if line in self.lines:
            return self.lines[line].level
        return {"TRIP_N": 1 - self._latch.latched, "TRIGGER_N": self._trigger_released}[line]

    @property
    def braked(self) -> bool:
        """Whether a term other than PWM_N holds IN2 high."""
        terms = [self._pins["RUN_N"], self._latch.braking, self._watchdog.expired, self._trigger_released]
        if self._stuck:
            terms = [self._stuck.get(name, level) for name, level in zip(TERMS, terms, strict=True)]
        return bool(self._stuck.get("IN2", any(terms)))

    def first(self, signal: str, level: float, after_ns: float) -> float | None:
        """When a signal first took a level at or after a time, or None."""
        return next((t for t, s, v in self.timeline if s == signal and v == level and t >= after_ns), None)

    def stopped(self, after_ns: float) -> float | None:
        """When the rotor first stopped at or after a time, or None: the standstill of the requirements.

        The spring may swing the cam to and fro about top dead centre for some tens of ms more before it rests.
        """
        times = (t for t, s, _ in self.timeline if s in ("REVERSAL", "STANDSTILL") and t >= after_ns)
        return next(times, None)

    # ------------------------------------------------------------------ pins
    def set_pin(self, name: str, t_ns: float, level: int | None) -> None:
        """The chip changes one of the pins of UNDRIVEN; None = high impedance. It may pull TRIP_N low."""
        value = UNDRIVEN[name] if level is None else int(bool(level))
        if name == "PWM_N":
            self.set_pwm(t_ns, 1.0 - value, 0.0)
            return
        if value == self._pins[name]:
            return
        t_ns = self._reach(t_ns)
        self._pins[name] = value
        if name == "WDT_KICK":
            if value:
                self._watchdog.kick(t_ns)
            return
        if name != "TRIP_N":  # its changes are the latch's
            self._record(t_ns, name, value)
        if name == "RUN_N":
            self._drive(t_ns)
        elif name == "SUPPLY_EN":
            self._command_supply(t_ns)
        elif name == "TRIP_N":
            self._latch.pull(t_ns, low=value == 0)
        elif value:
            self._latch.clear(t_ns)

    def set_pwm(self, t_ns: float, duty_low: float | None, frequency_hz: float) -> None:
        """The waveform on PWM_N: the fraction of time that it is low (drives), None = high impedance.

        A constant level has duty 0 or 1 and frequency 0.
        """
        duty = 0.0 if duty_low is None else duty_low
        if frequency_hz > 0.0:
            self._period_ns = 1e9 / frequency_hz
            self._origin_ns = t_ns
        if duty != self._duty:
            t_ns = self._reach(t_ns)
            self._duty = duty
            self._drive(t_ns)

    def power_up(self, t_ns: float) -> None:
        """The logic supply returns after a power cut: the latch is clear, the watchdog expired, no pin
        driven."""
        t_ns = self._reach(t_ns)
        for name in UNDRIVEN:
            self.set_pin(name, t_ns, None)
        self._latch.power_up(t_ns)
        self._watchdog.power_up(t_ns)

    # ------------------------------------------------------------------ the operator and the world
    def press_trigger(self, t_ns: float) -> None:
        """The operator presses the trigger."""
        self.lines["TRIGGER_N"].set_true(t_ns, 0)

    def release_trigger(self, t_ns: float) -> None:
        """The operator lets go of it: wired into the gate, it brakes without the chip."""
        self.lines["TRIGGER_N"].set_true(t_ns, 1)

    def set_skin(self, t_ns: float, needles: int, protrusion_mm: float, in_contact: bool) -> None:
        """Needles, protrusion and contact, see PenPhysics.set_skin."""
        self._change(t_ns, lambda t: self.physics.set_skin(t, needles, protrusion_mm, in_contact))

    def set_protrusion(self, t_ns: float, protrusion_mm: float) -> None:
        """The depth axis has moved, see PenPhysics.set_protrusion."""
        self._change(t_ns, lambda t: self.physics.set_protrusion(t, protrusion_mm))

    def set_winding(self, t_ns: float, winding_ohm: float) -> None:
        """Resistance of the motor winding, which grows with its temperature."""
        self._change(t_ns, lambda t: self.physics.set_winding(t, winding_ohm))

    def set_cell(self, t_ns: float, ocv_v: float) -> None:
        """Open-circuit voltage of the cell."""
        self._change(t_ns, lambda t: self.physics.set_cell(t, ocv_v))
        self._record(self._now_ns, "CELL", ocv_v)

    # ------------------------------------------------------------------ faults
    def jam(self, t_ns: float, jammed: bool) -> None:
        """Lock the rotor where it is, or free it."""
        t_ns = self._reach(t_ns)
        moving = self.physics.now.omega_rad_s != 0.0
        self._change(t_ns, lambda t: self.physics.jam(t, jammed))
        if jammed and moving:
            self._record(t_ns, "STANDSTILL", 1)

    def set_drag(self, t_ns: float, drag_nm: float) -> None:
        """Extra friction torque on the cam, N m."""
        self._change(t_ns, lambda t: self.physics.set_drag(t, drag_nm))

    def short_winding(self, t_ns: float, shorted: bool) -> None:
        """Short most of the motor winding."""
        self._change(t_ns, lambda t: self.physics.short_winding(t, shorted))

    def open_motor(self, t_ns: float, is_open: bool) -> None:
        """Break the motor's wire: no current flows, neither driving nor braking."""
        t_ns = self._reach(t_ns)
        self._motor_open = is_open
        self._drive(t_ns)

    def short_high_side(self, t_ns: float, shorted: bool) -> None:
        """Short the driving high-side transistor of the bridge."""
        self._change(t_ns, lambda t: self.physics.short_high_side(t, shorted))

    def glitch_line(
        self, t_ns: float, line: str, period_us: float, width_us: float, duration_ms: float, mode: str = "xor"
    ) -> None:
        """Pulses on INDEX, TDC or TRIGGER_N, see DisturbedLine.burst."""
        self.lines[line].burst(self._reach(t_ns), period_us, width_us, duration_ms, mode)

    def stick_line(self, t_ns: float, line: str, level: int | None) -> None:
        """Hold INDEX, TDC or TRIGGER_N at a level; None lets go, and ends a burst too."""
        t_ns = self._reach(t_ns)
        if level is None:
            self.lines[line].quiet(t_ns)
        self.lines[line].stick(t_ns, level)

    def stick(self, t_ns: float, node: str, level: int | None) -> None:
        """Hold one of NODES at a level; None lets go. IN2 low drives at full duty, whatever the gate says.

        Raises UsageError for another node or level.
        """
        if node not in NODES or level not in (0, 1, None):
            raise UsageError(f"{node!r} cannot be stuck at {level}: use one of {', '.join(NODES)} at 0 or 1.")
        t_ns = self._reach(t_ns)
        if level is None:
            self._stuck.pop(node, None)
        else:
            self._stuck[node] = level
        for follow in (self._latch.look, self._command_supply, self._drive):
            follow(t_ns)

    # ------------------------------------------------------------------ inside
    def _reach(self, t_ns: float) -> float:
        """Times never run backwards here: the scheduler rounds, and its now may lie half a ns before an
        event."""
        self._now_ns = max(self._now_ns, t_ns)
        self.physics.advance(self._now_ns)
        return self._now_ns

    def _record(self, t_ns: float, signal: str, level: float) -> None:
        self.timeline.append((t_ns, signal, level))
        for listener in self._listeners.get(signal, ()):
            listener(t_ns, level)

    def _recorder(self, signal: str) -> Callable[[float, int], None]:
        return lambda t_ns, level: self._record(t_ns, signal, level)

    def plan(self, what: str, t_ns: float, fn: Callable[[float], None]) -> None:
        """Have fn(t) called at that time, instead of an earlier plan of the same name. For the parts of layer 0."""
        self.unplan(what)

        def due() -> None:
            del self._alarms[what]
            fn(self._reach(t_ns))

        self._alarms[what] = self._scheduler.call_at(t_ns, due)

    def unplan(self, what: str) -> None:
        """Forget a plan; harmless if there is none."""
        alarm = self._alarms.pop(what, None)
        if alarm is not None:
            alarm.cancel()

    def _change(self, t_ns: float, apply: Callable[[float], None]) -> None:
        apply(self._reach(t_ns))
        self._look(self._now_ns)

    def _set_trigger(self, t_ns: float, released: int) -> None:
        if released != self._trigger_released:
            t_ns = self._reach(t_ns)
            self._trigger_released = released
            self._record(t_ns, "TRIGGER_N", released)
            self._drive(t_ns)

    def _watchdog_changed(self, t_ns: float, expired: int) -> None:
        t_ns = self._reach(t_ns)
        self._record(t_ns, "WDT_EXPIRED", expired)
        self._drive(t_ns)

    def _drive(self, t_ns: float) -> None:
        """Give the bridge what the gate says now."""
        duty = 1.0 if self._stuck.get("IN2") == 0 else self._duty
        if duty != self._duty_recorded:
            self._duty_recorded = duty
            self._record(t_ns, "DUTY", duty)
        if self._motor_open:
            self.physics.set_drive(t_ns, COAST, 0.0, self._period_ns, self._origin_ns)
        elif not self.braked:
            self.physics.set_drive(t_ns, DRIVE, duty, self._period_ns, self._origin_ns)
        else:
            self.physics.set_drive(t_ns, BRAKE, 0.0, self._period_ns, self._origin_ns)
        self._look(t_ns)

    def _command_supply(self, t_ns: float) -> None:
        wanted = self._stuck.get("SUPPLY", int(self._pins["SUPPLY_EN"] and not self._latch.latched))
        if wanted == self._supply:
            self.unplan("supply")
        elif "supply" not in self._alarms:
            self.plan("supply", t_ns + self._delay_supply_ns, self._switch_supply)

    def _switch_supply(self, t_ns: float) -> None:
        self._supply = 1 - self._supply
        self._record(t_ns, "SUPPLY", self._supply)
        self.physics.set_supply(t_ns, bool(self._supply))
        self._look(t_ns)

    def _latch_changed(self, t_ns: float, signal: str, level: int) -> None:
        self._record(t_ns, signal, level)
        if signal == "LATCH":
            self._command_supply(t_ns)
        elif signal == "LATCH_BRAKE":
            self._drive(t_ns)

    # what the pen does by itself
    def _look(self, t_ns: float) -> None:
        """After a change: what jumped with it, and what comes next."""
        self._latch.compare(t_ns, self.physics.overcurrent)
        if self._braked_recorded != self.braked:
            self._braked_recorded = self.braked
            self._record(t_ns, "BRAKE", int(self.braked))
        while self._damage_recorded < len(self.physics.damage):
            self._damage_recorded += 1
            self._record(t_ns, "SHOOT_THROUGH", 1)
        self._predict(t_ns)

    def _predict(self, t_ns: float) -> None:
        """Plan a look at the next event, or at the end of what can be foreseen."""
        now = self.physics.now
        if now.settled and self.braked:
            self.unplan("next")
            return
        until_ns = t_ns + (STALL_LOOK_AHEAD_NS if now.settled else LOOK_AHEAD_NS)
        crossing = self.physics.next_crossing(t_ns, until_ns)
        if crossing is None:
            self.plan("next", until_ns, self._predict)
        else:
            self.plan("next", crossing[0], lambda t: self._happened(t, crossing[1], crossing[2]))

    def _happened(self, t_ns: float, what: str, level: int) -> None:
        if what == "OVERCURRENT":
            self._latch.compare(t_ns, bool(level))
        elif what in ("STANDSTILL", "REVERSAL"):
            self._record(t_ns, what, level)
        else:
            self.lines[what].set_true(t_ns, level)
        self._predict(t_ns)
