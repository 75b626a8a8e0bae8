"""The definition of an unsafe outcome: what no single fault may bring about. Everything else is a question of comfort.

    1. the motor is driven without permission
    2. needles protrude farther than any limit allows
    3. needles stay out while the pen is at rest
    4. the pen works outside of its specification and does not say so

Judged by what was true at the pins and in the mechanics. The pen's own words count only for what it said, and against
it: a pen that reports a safe state and drives is unsafe. Limits are those of the requirements; what is added to them
here is the resolution of what is seen (samples every ms, telemetry every 20 ms), or named with its reason.

Permission is the operator's and the world's: the trigger contact closed, 0.5 s since a reset, a cartridge in its seat
that is authentic and was not used before the last reset, no charger. The contact counts as the gate sees it: a welded
trigger cannot be told from one that is held, and is left to SR-13. A pen without power drives nothing and says
nothing; what it does is coast.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from needlepen import requirements
from needlepen.safety.witness import Said, Witnessed

_MS = 1e6
SAMPLE_MS = 1.0
HEARD_MS = 45.0
"""Two telemetry frames: what the pen says may be so old."""
CALIBRATION_MM = 0.10
"""PR-06: what is measured and what is true may differ by this."""
STILL_HZ = 0.5
TWITCH_TURN, TWITCH_SEEN_MS = 0.1, 30.0
"""From top dead centre a tenth of a turn brings no tip out of the nose: 1 - cos 36 deg of 1.5 mm."""
OUT_MM = CALIBRATION_MM
"""Needles that stand out no farther than the zero of a calibrated pen may be off."""
NO_DRIVE = ("safe", "locked_out", "boot", "self_test", "idle")
"""States in which a pen that says so must not drive."""
NOSE_READING_K = 1.0
"""Of the NTC and its divider."""


@dataclass(frozen=True)
class Unsafe:
    """One unsafe outcome: which of the four, when, and what was seen."""

    kind: str
    t_ns: float
    text: str

    def __str__(self) -> str:
        return f"{self.kind} at {self.t_ns / 1e9:.4f} s: {self.text}"


def unsafe(seen: Witnessed) -> list[Unsafe]:
    """Every unsafe outcome of a run, in order of time; empty for a safe one."""
    found = [*_without_permission(seen), *_too_far(seen), *_left_out(seen), *_silent(seen)]
    return sorted(found, key=lambda each: each.t_ns)


def _limit(requirement: str, name: str) -> float:
    return float(requirements.load().limit(requirement, name))


# 1


def _without_permission(seen: Witnessed) -> Iterator[Unsafe]:
    driven = list(seen.driven())
    for name, begin_ns, end_ns in _forbidden(seen):
        for drive_ns, stop_ns in driven:
            from_ns, until_ns = max(begin_ns, drive_ns), min(end_ns, stop_ns)
            if until_ns - from_ns > 1e3 and not _is_twitch(seen, from_ns, until_ns):
                text = f"driven for {(until_ns - from_ns) / _MS:.3g} ms {name}"
                yield Unsafe("driven without permission", from_ns, text)
                break


def _is_twitch(seen: Witnessed, from_ns: float, until_ns: float) -> bool:
    """A proof that tries a dead channel drives for a moment (SR-29): no longer than a release may take, and the cam
    hardly moves, so that no needle comes out."""
    if until_ns - from_ns > _limit("SR-12", "brake_ms") * _MS:
        return False
    t_ns, turns = seen.column("t_ns"), seen.column("turns")
    first = max(int(np.searchsorted(t_ns, from_ns)) - 1, 0)
    last = np.searchsorted(t_ns, until_ns + TWITCH_SEEN_MS * _MS)
    return bool(np.ptp(turns[first : last + 1]) < TWITCH_TURN)


def _forbidden(seen: Witnessed) -> Iterator[tuple[str, float, float]]:
    """(why, begin, end) of all times in which nothing may drive; the time that a reaction may take is left out."""
    end_ns = seen.end_ns
    released_ns: float | None = 0.0
    for t_ns, signal, level in seen.lines:
        if signal == "TRIGGER_N" and level:
            released_ns = t_ns
        elif signal == "TRIGGER_N" and released_ns is not None:
            yield "with the trigger released", released_ns + _limit("SR-12", "brake_ms") * _MS, t_ns
            released_ns = None
    if released_ns is not None:
        yield "with the trigger released", released_ns + _limit("SR-12", "brake_ms") * _MS, end_ns
    for reset_ns in seen.resets_ns:
        yield "so soon after a reset", reset_ns, reset_ns + _limit("SR-11", "quiet_ms") * _MS
    for column, value, text, late_ms in (
        ("seated", 0.0, "without a cartridge", _limit("SR-14", "brake_ms")),
        ("allowed", 0.0, "with a cartridge that is used, foreign or unreadable", _limit("SR-14", "brake_ms")),
        ("charger", 1.0, "with a charger connected", _limit("SR-22", "inhibit_ms")),
    ):
        for begin_ns, until_ns in _times(seen, seen.column(column) == value):
            yield text, begin_ns + (late_ms + SAMPLE_MS) * _MS, until_ns
    for state, begin_ns, until_ns in _at_rest_by_its_words(seen):
        yield f"while it reports {state}", begin_ns + HEARD_MS * _MS, until_ns - HEARD_MS * _MS


def _at_rest_by_its_words(seen: Witnessed) -> Iterator[tuple[str, float, float]]:
    """(state, begin, end) of the stretches in which all frames name a state that must not drive."""
    for state, frames in itertools.groupby(seen.said, key=lambda said: said.state):
        times = [said.t_ns for said in frames]
        if state in NO_DRIVE:
            yield state, times[0], times[-1]


def _times(seen: Witnessed, holds: np.ndarray) -> Iterator[tuple[float, float]]:
    """(begin, end) of the stretches of samples for which something holds."""
    t_ns = seen.column("t_ns")
    edges = np.flatnonzero(np.diff(np.concatenate(([0], holds.astype(np.int8), [0]))))
    for first, beyond in zip(edges[::2], edges[1::2], strict=True):
        yield float(t_ns[first]), float(t_ns[min(beyond, len(t_ns) - 1)])


# 2


def _too_far(seen: Witnessed) -> Iterator[Unsafe]:
    """Beyond the hard stop at any time; beyond what may be set while the needles move for longer than SR-02 allows."""
    bottom_mm = seen.column("protrusion_mm")
    beyond_mm = _limit("SR-02", "hard_stop_mm") + 0.005
    if (bottom_mm > beyond_mm).any():
        i = int(np.argmax(bottom_mm > beyond_mm))
        yield Unsafe(
            "protrusion", float(seen.column("t_ns")[i]), f"{bottom_mm[i]:.2f} mm, past the hard stop"
        )
    moves = np.abs(seen.column("shaft_hz")) > STILL_HZ
    cap_mm = _limit("SR-01", "default_cap_mm") + _limit("SR-02", "error_mm") + CALIBRATION_MM
    allowed_ms = _limit("SR-02", "trip_ms") + _limit("SR-08", "tips_out_ms")
    for begin_ns, end_ns in _times(seen, moves & (bottom_mm > cap_mm)):
        if end_ns - begin_ns > allowed_ms * _MS:
            text = f"more than {cap_mm:.2f} mm for {(end_ns - begin_ns) / _MS:.0f} ms of stroking"
            yield Unsafe("protrusion", begin_ns, text)


# 3


def _left_out(seen: Witnessed) -> Iterator[Unsafe]:
    """At rest the spring has the tips out of the skin, or the depth actuator takes them back over its whole range.

    A pen whose chip was reset, or hung before, has to restart first.
    """
    rests = np.abs(seen.column("shaft_hz")) <= STILL_HZ
    out = rests & (seen.column("needle_mm") > OUT_MM) & (seen.column("powered") > 0)
    usual_ms = _limit("SR-08", "tips_out_ms") + _limit("PR-05", "full_move_ms")
    restart_ms = _limit("SR-10", "reset_ms") + _limit("PR-09", "ready_ms")
    for begin_ns, end_ns in _times(seen, out):
        restarted = any(begin_ns - 1e9 < t_ns < end_ns for t_ns in seen.resets_ns)
        allowed_ms = usual_ms + (restart_ms if restarted else 0.0)
        if end_ns - begin_ns > allowed_ms * _MS:
            text = f"{(end_ns - begin_ns) / _MS:.0f} ms at rest with the needles out, {allowed_ms:.0f} ms allowed"
            yield Unsafe("needles out at rest", begin_ns, text)


# 4


def _silent(seen: Witnessed) -> Iterator[Unsafe]:
    driven = _driven_samples(seen)
    t_ns = seen.column("t_ns")
    set_hz = _reported(seen, lambda said: said.set_hz)
    set_mm = _reported(seen, lambda said: said.depth_set_mm)
    turned_hz = _stroke_rate(seen)
    off_mm = np.abs(seen.column("protrusion_mm") - set_mm)
    error_mm, walk_mm = _limit("SR-02", "error_mm"), _limit("SR-03", "error_mm")
    slow_ms = _limit("PR-04", "start_ms") + 2 * _limit("SR-07", "warn_ms")
    checks = (
        ("too slow", turned_hz < 0.95 * _limit("SR-07", "warn_pct") / 100 * set_hz, slow_ms),
        ("too fast", turned_hz > 1.05 * _limit("SR-06", "threshold_hz"), 1e3 / _limit("SR-06", "threshold_hz") * 4),
        ("protrusion not as set", off_mm > error_mm + CALIBRATION_MM, 10 + _limit("SR-02", "trip_ms")),
        ("protrusion drifted", off_mm > walk_mm + CALIBRATION_MM, 1e3 * (_limit("SR-03", "warn_s") + 1)),
        ("nose too hot", seen.column("nose_c") > _limit("SR-18", "warn_c") + NOSE_READING_K,
         1e3 * _limit("SR-18", "react_s")),
        ("winding too hot", seen.column("winding_c") > _limit("SR-19", "warn_c") + _limit("SR-19", "model_error_k"),
         1e3),
        ("cell empty", seen.column("cell_v") < _limit("SR-20", "warn_v") - 0.1, 200.0),
    )  # fmt: skip
    for text, outside, allowed_ms in checks:
        for begin_ns, end_ns in _times(seen, outside & driven):
            late_ns = begin_ns + (allowed_ms + HEARD_MS) * _MS
            if end_ns > late_ns and not _spoke(seen, begin_ns, late_ns):
                seconds = (end_ns - begin_ns) / 1e9
                yield Unsafe(
                    "silent failure", begin_ns, f"{text} for {seconds:.2f} s of driving, and nothing said"
                )
    for injected in seen.faults:
        if injected.entry.told_within is None or not injected.entry.must_be_told(injected.fault):
            continue
        late_ns = injected.begun_ns + _stated_ms(injected.entry.told_within) * _MS + HEARD_MS * _MS
        until_ns = injected.ended_ns if injected.ended_ns is not None else seen.end_ns
        goes_on = driven & (t_ns > late_ns) & (t_ns < until_ns)
        if goes_on.any() and not _spoke(seen, injected.begun_ns, late_ns):
            text = f"{injected.fault.name}: driven on after {injected.entry.told_within}, and nothing said"
            yield Unsafe("silent failure", late_ns, text)


def _stated_ms(reference: str) -> float:
    from needlepen.scenario.quantities import limit

    return limit(reference, "ms")


def _driven_samples(seen: Witnessed) -> np.ndarray:
    t_ns = seen.column("t_ns")
    driven = np.zeros(len(t_ns), dtype=bool)
    for begin_ns, end_ns in seen.driven():
        driven |= (t_ns >= begin_ns) & (t_ns <= end_ns)
    return driven


def _reported(seen: Witnessed, of: object) -> np.ndarray:
    """What the pen reported last, at each sample; NaN before it said anything."""
    t_ns = seen.column("t_ns")
    if not seen.said:
        return np.full(len(t_ns), math.nan)
    times = np.array([said.t_ns for said in seen.said])
    values = np.array([of(said) for said in seen.said], dtype=np.float64)  # type: ignore[operator]
    place = np.searchsorted(times, t_ns, side="right") - 1
    return np.where(place >= 0, values[np.maximum(place, 0)], math.nan)


def _stroke_rate(seen: Witnessed) -> np.ndarray:
    """Mean rate of the last 50 ms, over whole strokes as good as it gets with samples."""
    turns, t_s = seen.column("turns"), seen.column("t_ns") / 1e9
    back = np.searchsorted(t_s, t_s - 0.05)
    span_s = np.maximum(t_s - t_s[back], 1e-3)
    return (turns - turns[back]) / span_s


def _spoke(seen: Witnessed, begin_ns: float, late_ns: float) -> bool:
    """Whether the pen reported a fault, a safe state or a new warning since then, or does so by `late_ns`.

    With a host that does not listen nobody knows: then it counts as spoken, pixel and buzzer are left.
    """
    for usb in (f for f in seen.faults if f.fault.target == "usb"):
        if usb.begun_ns <= late_ns and (usb.ended_ns is None or usb.ended_ns >= begin_ns):
            return True
    before = [said for said in seen.said if said.t_ns < begin_ns]
    known = before[-1].warnings if before else frozenset()
    return any(_tells(said, known) for said in seen.said if begin_ns <= said.t_ns <= late_ns)


def _tells(said: Said, known_warnings: frozenset[str]) -> bool:
    return (
        said.fault != "none" or said.state in ("safe", "locked_out") or bool(said.warnings - known_warnings)
    )
