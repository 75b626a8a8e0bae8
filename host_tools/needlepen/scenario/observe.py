"""Measures every quantity and tests every condition that a scenario can name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from needlepen import requirements
from needlepen.scenario.checking import Observed
from needlepen.scenario.cutoffs import Cut
from needlepen.scenario.recording import TWO_PI
from needlepen.scenario.situation import Reported, Situation

_CAPTURE_NS = 400e3
"""From an index edge to its time in the firmware: the debounce, and the wait for the tick."""


def observe(name: str, s: Situation) -> Observed:
    """The value of a quantity now; None if it can not be known (nothing reported, no cut-off yet)."""
    s.recording.sample()
    return OBSERVERS[name](s)


def _now(s: Situation, column: str) -> float:
    return s.recording.at(column, s.pen.now_ns)


def tolerance_pct() -> float:
    """What counts as being at the set rate."""
    return float(requirements.load().limit("PR-02", "loaded_error_pct"))


def settling_ms(s: Situation, t0_ns: float, t1_ns: float, set_hz: float) -> float | None:
    """From t0 until the mean rate stays within the tolerance of the set rate up to t1; infinity if it does not."""
    allowed_hz = tolerance_pct() / 100 * set_hz
    found = s.recording.last_time(lambda hz: np.abs(hz - set_hz) > allowed_hz, "rate_hz", t0_ns, t1_ns)
    return None if found is None else (found - t0_ns) / 1e6


def overshoot_pct(s: Situation, t0_ns: float, t1_ns: float, set_hz: float) -> float | None:
    """How far the mean rate went above the set rate, in percent of it, never below 0."""
    highest = s.recording.highest("rate_hz", t0_ns, t1_ns)
    return None if highest is None else max(100 * (highest / set_hz - 1), 0.0)


def _dip_pct(s: Situation) -> float | None:
    values = s.recording.column("rate_hz", s.stimulus_ns)
    return max(100 * (1 - float(values.min()) / s.set_hz), 0.0) if len(values) else None


def true_rate_of(report: Reported, s: Situation) -> float:
    """The true mean rate of the revolution that a telemetry frame can know of: up to its last index edge."""
    built_ns = min(report.boot_ns + report.telemetry.time_ms * 1e6, report.t_ns)
    edge_ns = s.signals.last("INDEX", 1, built_ns - 50e6, built_ns - _CAPTURE_NS)
    return s.recording.at("rate_hz", edge_ns if edge_ns is not None else built_ns)


def _report_error_pct(s: Situation) -> float | None:
    if s.telemetry is None or not s.reported:
        return None
    true_hz = true_rate_of(s.reported[-1], s)
    return 100 * abs(s.reported[-1].telemetry.rate_hz / true_hz - 1) if true_hz > 0 else None


def _from_cause(s: Situation, moment: Callable[[Cut], float | None], ns_per_unit: float) -> float | None:
    """Time from the cause of the last cut-off; infinity for what has not happened; None without a cut-off."""
    cut = s.cutoffs.last
    if cut is None:
        return None
    t_ns = moment(cut)
    return math.inf if t_ns is None else (t_ns - cut.cause_ns) / ns_per_unit


def _strokes(s: Situation) -> float | None:
    cut = s.cutoffs.last
    if cut is None:
        return None
    strokes = cut.strokes
    return math.inf if strokes is None else strokes


def _tips_out_ms(s: Situation) -> float | None:
    cut = s.cutoffs.last
    if cut is None or cut.tips_out_ns is None:
        return None
    return max(cut.tips_out_ns - cut.tips_from_ns, 0.0) / 1e6


def _ready_ms(s: Situation) -> float:
    boot = s.boots[-1]
    return math.inf if boot.ready_ns is None else (boot.ready_ns - boot.t_ns) / 1e6


def at_rest(s: Situation) -> bool:
    """The shaft stands still."""
    return _now(s, "shaft_hz") == 0.0


def _retracted(s: Situation) -> bool:
    """At rest inside the window of the TDC sensor."""
    off_rad = abs((_now(s, "theta_rad") % TWO_PI) - math.pi)
    return at_rest(s) and off_rad <= math.radians(s.pen.parameters.tdc_width_deg / 2)


OBSERVERS: Mapping[str, Callable[[Situation], Observed]] = {
    "rate_hz": lambda s: _now(s, "rate_hz"),
    "reported_rate_hz": lambda s: s.telemetry.rate_hz if s.telemetry else None,
    "rate_error_pct": lambda s: 100 * abs(_now(s, "rate_hz") / s.set_hz - 1),
    "report_error_pct": _report_error_pct,
    "rate_peak_hz": lambda s: s.recording.highest("shaft_hz", s.stimulus_ns),
    "overshoot_pct": lambda s: overshoot_pct(s, s.stimulus_ns, math.inf, s.set_hz),
    "dip_pct": _dip_pct,
    "settling_ms": lambda s: settling_ms(s, s.stimulus_ns, math.inf, s.set_hz),
    "current_a": lambda s: _now(s, "current_a"),
    "current_peak_a": lambda s: s.recording.highest("current_a", s.stimulus_ns),
    "cell_v": lambda s: _now(s, "supply_v"),
    "supply_v": lambda s: _now(s, "supply_v") * s.signals.level("SUPPLY"),
    "needle_mm": lambda s: _now(s, "needle_mm"),
    "protrusion_mm": lambda s: s.pen.axis.protrusion_mm,
    "depth_mm": lambda s: s.telemetry.depth_mm if s.telemetry else None,
    "nose_c": lambda s: s.pen.link.status.nose_c if s.pen.link.status else None,
    "reaction_us": lambda s: _from_cause(s, lambda cut: cut.removed_ns, 1e3),
    "reaction_ms": lambda s: _from_cause(s, lambda cut: cut.removed_ns, 1e6),
    "supply_off_ms": lambda s: _from_cause(s, lambda cut: cut.supply_off_ns, 1e6),
    "standstill_ms": lambda s: _from_cause(s, lambda cut: cut.standstill_ns, 1e6),
    "standstill_strokes": _strokes,
    "tips_out_ms": _tips_out_ms,
    "reset_ms": lambda s: _from_cause(s, lambda cut: cut.reset_ns, 1e6),
    "ready_ms": _ready_ms,
    "braked": lambda s: s.pen.electronics.braked,
    "supply_on": lambda s: bool(s.signals.level("SUPPLY")),
    "run_permitted": lambda s: not s.signals.level("RUN_N"),
    "latched": lambda s: not s.signals.level("TRIP_N"),
    "standstill": at_rest,
    "retracted": _retracted,
    "state": lambda s: s.telemetry.state if s.telemetry else None,
    "fault": lambda s: s.telemetry.fault if s.telemetry else None,
}
"""Braked counts whoever brakes: every term of the gate, not the PWM."""

_FAST_NS, _SLOW_NS = 20e3, 500e3


def condition(name: str, s: Situation) -> tuple[Callable[[], bool], float]:
    """A test of a condition that counts from now, and how often it has to be asked, in ns of device time."""
    if name in ("top_dead_centre", "bottom_dead_centre"):
        return _passes(s, math.pi if name == "top_dead_centre" else 0.0), _FAST_NS
    if name == "reset":
        known, since_ns = len(s.boots), s.step_ns
        return (lambda: len(s.boots) > known or s.boots[-1].t_ns > since_ns > 0), _SLOW_NS
    if name == "rate_reached":
        allowed_pct = tolerance_pct()
        return (lambda: abs(_now(s, "rate_hz") / s.set_hz - 1) * 100 <= allowed_pct), _SLOW_NS
    simple: Mapping[str, Callable[[], bool]] = {
        "ready": lambda: _reports(s, "armed"),
        "running": lambda: _reports(s, "running"),
        "fault": lambda: _reports(s, "safe", "locked_out"),
        "no_fault": lambda: s.telemetry is not None and s.telemetry.fault == "none",
        "standstill": lambda: _still(s),
        "retracted": lambda: _still(s) and observe("retracted", s) is True,
        "braked": lambda: s.pen.electronics.braked,
    }
    return simple[name], _SLOW_NS


def _reports(s: Situation, *states: str) -> bool:
    return s.telemetry is not None and s.telemetry.state in states


def _still(s: Situation) -> bool:
    return s.pen.physics.peek(max(s.pen.now_ns, s.pen.physics.now.t_ns)).omega_rad_s == 0.0


def _passes(s: Situation, angle_rad: float) -> Callable[[], bool]:
    def turns() -> int:
        state = s.pen.physics.peek(max(s.pen.now_ns, s.pen.physics.now.t_ns))
        return math.floor((state.theta_rad - angle_rad) / TWO_PI)

    before = turns()
    return lambda: turns() > before
