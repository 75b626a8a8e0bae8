"""Cut-offs: what took the drive away, counted from what the requirement counts from.

A stimulus that should end the drive opens a cut-off while the pen drives; what follows before the drive is gone
joins it. Its cause and its reaction are looked up in the recorded signals afterwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from needlepen import requirements
from needlepen.emulator.injection import Fault
from needlepen.emulator.pen import EmulatedPen
from needlepen.scenario.recording import TWO_PI, Recording
from needlepen.scenario.signals import Signals

Moment = tuple[float, str]


@dataclass(frozen=True)
class Kind:
    """How one kind of cut-off is judged and shown."""

    title: str
    requirement: str
    limit: str
    cause: str
    reaction: str
    signals: tuple[str, ...]
    series: tuple[str, ...]
    before_ns: float
    longest_ns: float = 70e6


_TURNING_HZ = 5.0
STROKE_BEFORE_NS = 25e6
"""Longer than a stroke at the lowest rate, so that the rate is known from the fault on."""

_DRIVE = ("RUN_N", "SUPPLY", "BRAKE")
KINDS = {
    "release": Kind(
        "Trigger release", "SR-12", "brake_ms", "the trigger is released", "braked at the gate",
        ("TRIGGER_N", "BRAKE", "RUN_N", "SUPPLY", "INDEX", "TDC"), ("shaft_hz", "needle_mm"), 6e6,
    ),
    "jam": Kind(
        "Jam", "SR-08", "brake_ms", "the next index edge was due", "drive removed",
        ("INDEX", "OVERCURRENT", "TRIP_N", *_DRIVE), ("shaft_hz", "current_a", "needle_mm"), 18e6,
    ),
    "index": Kind(
        "Rotation sensor lost", "SR-08", "brake_ms", "the next index edge was due", "drive removed",
        ("INDEX", *_DRIVE), ("shaft_hz", "current_a"), 18e6,
    ),
    "bridge": Kind(
        "Stuck bridge", "SR-06", "trip_ms", "the stroke rate passes 165 Hz", "supply open, then braked",
        ("INDEX", "SUPPLY_EN", *_DRIVE), ("rate_hz", "shaft_hz", "current_a"), 8e6, 50e6,
    ),
    "halt": Kind(
        "CPU halted", "SR-10", "pio_brake_ms", "the CPU stops", "drive removed",
        ("TICK", "WDT_KICK", *_DRIVE, "INDEX"), ("shaft_hz",), 6e6, 45e6,
    ),
    "spin": Kind(
        "CPU spinning", "SR-10", "pio_brake_ms", "the CPU spins with interrupts off", "drive removed",
        ("TICK", "WDT_KICK", *_DRIVE, "INDEX"), ("shaft_hz",), 6e6, 45e6,
    ),
    "winding": Kind(
        "Shorted winding", "SR-09", "trip_us", "the current passes 2.5 A", "drive removed",
        ("OVERCURRENT", "TRIP_N", "RUN_N", "SUPPLY", "LATCH_BRAKE", "BRAKE"), ("current_peak_a",), 20e3, 90e3,
    ),
}  # fmt: skip


@dataclass
class Cut:
    """One cut-off. Everything but its stimulus is found in the recorded signals when it is asked for."""

    kind: Kind
    stimulus_ns: float
    limit: float
    unit: str
    bridge_stuck: bool
    expected_ns: float | None
    recording: Recording
    signals: Signals
    threshold_hz: float
    end_ns: float = math.inf
    freed_ns: float | None = None
    resets_ns: list[float] = field(default_factory=list)
    joined: list[Moment] = field(default_factory=list)
    judged: set[str] = field(default_factory=set)

    @property
    def _cause(self) -> Moment:
        """The moment that the requirement counts from, and what it is.

        Where the drive was gone before that moment, it is counted from the stimulus, which is earlier.
        """
        title, removed_ns = self.kind.title, self.removed_ns
        found: float | None = self.stimulus_ns
        if title == "Shorted winding":
            found = self.signals.first("OVERCURRENT", 1, self.stimulus_ns, self.end_ns)
        elif title == "Stuck bridge":
            found = self._crossing_ns()
        elif self.expected_ns is not None:
            found = self.expected_ns
        if found is None or (removed_ns is not None and found > removed_ns):
            shaft_ns = self._shaft_crossing_ns() if title == "Stuck bridge" else None
            if shaft_ns is not None and (removed_ns is None or shaft_ns <= removed_ns):
                return shaft_ns, f"the shaft passes {self.threshold_hz:g} Hz inside a stroke"
            return self.stimulus_ns, f"the fault itself, before {self.kind.cause}"
        return found, self.kind.cause

    @property
    def cause_ns(self) -> float:
        """What the requirement counts from."""
        return self._cause[0]

    @property
    def cause_text(self) -> str:
        """What that moment is."""
        return self._cause[1]

    def _shaft_crossing_ns(self) -> float | None:
        """When the shaft itself passes the overspeed threshold, with the ripple inside a stroke."""
        begun_s = self.stimulus_ns / 1e9
        shaft = self.recording.series("shaft_hz", self.stimulus_ns, min(self.end_ns, self.stimulus_ns + 1e9))
        above = np.flatnonzero((shaft.values > self.threshold_hz) & (shaft.t_s > begun_s))
        return float(shaft.t_s[above[0]] * 1e9) if len(above) else None

    def _crossing_ns(self) -> float | None:
        """When the stroke rate, the mean of the whole stroke around an instant, passes the overspeed threshold."""
        rate = self.recording.stroke_series(
            self.stimulus_ns - STROKE_BEFORE_NS, min(self.end_ns, self.stimulus_ns + 1e9)
        )
        above = np.flatnonzero((rate.values > self.threshold_hz) & (rate.t_s * 1e9 > self.stimulus_ns))
        return float(rate.t_s[above[0]] * 1e9) if len(above) else None

    @property
    def braked_ns(self) -> float | None:
        """When the gate first braked."""
        return self.signals.first("BRAKE", 1, self.stimulus_ns, self.end_ns)

    @property
    def supply_off_ns(self) -> float | None:
        """When the supply switch was open."""
        return self.signals.first("SUPPLY", 0, self.stimulus_ns, self.end_ns)

    @property
    def removed_ns(self) -> float | None:
        """When nothing drove the motor any more. A stuck bridge drives on until its supply is open."""
        found = [self.supply_off_ns, None if self.bridge_stuck else self.braked_ns]
        return min((t for t in found if t is not None), default=None)

    @property
    def reaction_ns(self) -> float | None:
        """The reaction that is judged: the drive removed; with a stuck bridge supply open and then braked."""
        if not self.bridge_stuck:
            return self.removed_ns
        if self.supply_off_ns is None or self.braked_ns is None:
            return None
        return max(self.supply_off_ns, self.braked_ns)

    @property
    def is_over(self) -> bool:
        """True once the drive is gone."""
        return self.reaction_ns is not None

    @property
    def standstill_ns(self) -> float | None:
        """When the shaft first stopped: it reversed or came to rest. The spring may swing the cam a little longer."""
        times = (
            self.signals.first(name, 1, self.stimulus_ns, self.end_ns) for name in ("REVERSAL", "STANDSTILL")
        )
        return min((t_ns for t_ns in times if t_ns is not None), default=None)

    @property
    def rest_ns(self) -> float | None:
        """When the shaft came to rest for good before it was driven again."""
        return self.signals.last("STANDSTILL", 1, self.stimulus_ns, self.end_ns)

    @property
    def strokes(self) -> float | None:
        """Revolutions from the cause to the furthest point; None before the first stop."""
        if self.standstill_ns is None:
            return None
        furthest_rad = self.recording.highest("theta_rad", self.cause_ns, self.end_ns)
        begun_rad = self.recording.at("theta_rad", self.cause_ns)
        return max((furthest_rad or begun_rad) - begun_rad, 0.0) / TWO_PI

    @property
    def tips_out_ns(self) -> float | None:
        """When the tips were behind the nose plane for good; infinity if they stay out there."""
        return self.recording.last_time(lambda mm: mm > 0.0, "needle_mm", self.stimulus_ns, self.end_ns)

    @property
    def tips_from_ns(self) -> float:
        """What `tips_out_ns` is counted from: a locked cam can not move before it is freed."""
        return max(self.cause_ns, self.freed_ns or 0.0)

    @property
    def reset_ns(self) -> float | None:
        """When the chip was reset."""
        return next((t for t in self.resets_ns if self.stimulus_ns <= t <= self.end_ns), None)


def _holds_permission(fault: Fault) -> bool:
    """Whether only the other terms of the gate can brake."""
    return fault.target == "run_n" and (fault.kind == "short" or fault.value in ("low", "now"))


class CutOffs:
    """All cut-offs of a run, in order, and the drive that ended without any cause."""

    def __init__(self, pen: EmulatedPen, recording: Recording, signals: Signals) -> None:
        self._pen, self._recording, self._signals = pen, recording, signals
        self._limits = requirements.load()
        self.all: list[Cut] = []
        self.unexplained_ns: list[float] = []
        self._bridge_stuck = self._run_n_stuck = self._removed_on_purpose = False
        pen.chip.on_reset(self._reset)
        pen.electronics.on_output("BRAKE", self._braked)

    @property
    def last(self) -> Cut | None:
        """The latest one, if there was any."""
        return self.all[-1] if self.all else None

    @property
    def driving(self) -> bool:
        """Whether the gate lets the bridge drive now."""
        return not self._signals.level("BRAKE") and bool(self._signals.level("SUPPLY"))

    def open(self, name: str) -> None:
        """A stimulus that has to end the drive. Call it before the stimulus acts."""
        now_ns = self._pen.now_ns
        if not self.driving:
            return
        if self.last is not None and self.last.end_ns == math.inf and not self.last.is_over:
            self.last.joined.append((now_ns, KINDS[name].cause))
            return
        kind = KINDS[name]
        limit = "external_brake_ms" if self._run_n_stuck and name in ("halt", "spin") else kind.limit
        self.all.append(
            Cut(
                kind=kind,
                stimulus_ns=now_ns,
                limit=float(self._limits.limit(kind.requirement, limit)),
                unit=limit.rpartition("_")[2],
                bridge_stuck=self._bridge_stuck,
                expected_ns=self._next_edge_ns() if name in ("jam", "index") else None,
                recording=self._recording,
                signals=self._signals,
                threshold_hz=float(self._limits.limit("SR-06", "threshold_hz")),
            )
        )

    def broken(self, fault: Fault) -> None:
        """An injected fault begins: some decide how the cut-offs after it are judged."""
        if (fault.target, fault.kind) == ("bridge", "short"):
            self._bridge_stuck = True
        elif _holds_permission(fault):
            self._run_n_stuck = True
        elif (fault.target, fault.kind) == ("cell", "off"):
            self.on_purpose()

    def repaired(self, fault: Fault) -> None:
        """An injected fault is over."""
        if (fault.target, fault.kind) == ("bridge", "short"):
            self._bridge_stuck = False
        elif _holds_permission(fault):
            self._run_n_stuck = False
        elif fault.target == "motor" and self.last is not None and self.last.kind is KINDS["jam"]:
            self.last.freed_ns = self._pen.now_ns

    def on_purpose(self) -> None:
        """The drive ends next by something that is no cut-off to be judged: the power or the reset button."""
        self._removed_on_purpose = True

    def _next_edge_ns(self) -> float:
        """When the next rising index edge would come at the present speed."""
        state = self._pen.physics.peek(max(self._pen.now_ns, self._pen.physics.now.t_ns))
        edges = self._pen.parameters.rotation_edges(self._pen.seed)
        angles = [angle for angle, line, level in edges if line == "INDEX" and level == 1]
        ahead_rad = min((angle - state.theta_rad) % TWO_PI for angle in angles)
        return state.t_ns + ahead_rad / max(state.omega_rad_s, 1e-9) * 1e9

    def _reset(self, t_ns: int, _cause: str) -> None:
        if self.last is not None and self.last.end_ns == math.inf:
            self.last.resets_ns.append(t_ns)

    def _braked(self, t_ns: float, braked: float) -> None:
        last = self.last
        if not braked:
            if last is not None and last.end_ns == math.inf and last.is_over:
                last.end_ns = t_ns
            self._removed_on_purpose = False
        elif not self._removed_on_purpose and (last is None or last.end_ns != math.inf) and self._turns():
            self.unexplained_ns.append(t_ns)

    def _turns(self) -> bool:
        """A proof of the cut-off channels lets the gate drive for a moment, but the motor does not turn."""
        state = self._pen.physics.peek(max(self._pen.now_ns, self._pen.physics.now.t_ns))
        return bool(state.rate_hz > _TURNING_HZ)
