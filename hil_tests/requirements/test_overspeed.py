"""SR-06: a motor that runs away is cut off, supply first, whatever the CPU does."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.bench import (
    CELLS_V,
    CPU_STATES,
    LIMIT,
    MS,
    PROTRUSION_MM,
    RATES_HZ,
    Pens,
    hang,
    never_driven,
    observe,
    rate,
    start,
    stop_and_acknowledge,
    to_angle,
)
from support.forks import each_in_fork, in_fork
from support.measuring import Measure
from support.monitoring import fault, state
from support.nights import mostly_nightly
from support.trace import Trace, record

from needlepen.emulator.pen import EmulatedPen
from needlepen.link.client import messages

THRESHOLD_HZ = float(LIMIT("SR-06", "threshold_hz"))
PULSES = 4
TURNS = (0.0, 0.3, 0.5, 0.8)
MANY_TURNS = tuple(k / 16 for k in range(16))
BEAT_REGISTER, BEAT_COUNTS = 0x5020_0014, 62


@dataclass(frozen=True)
class Case:
    """A stuck bridge, 0 turns after bottom dead centre, with a CPU state from the moment of the fault on."""

    turn: float
    cpu: str


def _run_away(pen: EmulatedPen, case: Case) -> dict[str, Any]:
    """Short the driving transistor. Adds the instant at which the true stroke rate crosses the threshold.

    The stroke rate is that of whole strokes, taken around each instant: the ripple inside a stroke is no overspeed.
    """
    before = record(pen, 12.0, 100.0)
    hang(pen, case.cpu)
    fault_ns = float(pen.now_ns)
    pen.electronics.short_high_side(fault_ns, True)
    seen = observe(pen, fault_ns, ms=300)
    whole = before.then(seen["trace"])
    forward = whole.strokes[: int(whole.strokes.argmax()) + 1]
    whole = Trace(*(getattr(whole, name)[: len(forward)] for name in whole.__dataclass_fields__))
    above = (whole.centred_hz > THRESHOLD_HZ) & (whole.t_ms * MS > fault_ns)
    seen["crossed_ns"] = math.inf
    counted_from_ms = (fault_ns + seen["supply_open_ns"]) / MS  # where it was cut off before it could cross
    if above.any():
        counted_from_ms = float(whole.t_ms[above.argmax()])
        seen["crossed_ns"] = counted_from_ms * MS - fault_ns
    seen["strokes"] = float(whole.strokes[-1] - np.interp(counted_from_ms, whole.t_ms, whole.strokes))
    return seen


def _judge(measure: Measure, what: str, outcomes: dict[str, dict[str, Any]]) -> None:
    """The limits of SR-06, and the order supply before brake."""
    crossed = {k: o for k, o in outcomes.items() if o["crossed_ns"] < math.inf}
    if crossed:
        for line in ("supply_open_ns", "gated_ns"):
            late = {k: (o[line] - o["crossed_ns"]) / MS for k, o in crossed.items()}
            measure.worst("SR-06", "trip_ms", late, f"{line.removesuffix('_ns')}, {what}")
    measure.worst("SR-06", "peak_hz", {k: o["peak_hz"] for k, o in outcomes.items()}, what)
    measure.worst("SR-06", "strokes", {k: o["strokes"] for k, o in outcomes.items()}, what)
    for name, o in outcomes.items():
        assert o["supply_open_ns"] < o["gated_ns"] < math.inf, f"{what}, {name}: not supply first, then brake"
        assert not o["damage"], f"{what}, {name}: {o['damage']}"
        assert o["standstill_ns"] < math.inf


@pytest.mark.parametrize("cpu", CPU_STATES)
@pytest.mark.parametrize("cell_v", mostly_nightly(CELLS_V, CELLS_V[-1]))
@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_stuck_bridge_is_cut_off_in_time_supply_first(
    pens: Pens, measure: Measure, rate_hz: int, cell_v: float, cpu: str
) -> None:
    def sweep(pen: EmulatedPen) -> list[dict[str, Any]]:
        start(pen, rate_hz)
        return each_in_fork(pen, _run_away, [Case(t, cpu) for t in TURNS], lambda p, c: to_angle(p, c.turn))

    outcomes = dict(
        zip((f"{360 * t:.0f} deg" for t in TURNS), in_fork(sweep, pens.ready(cell_v)), strict=True)
    )
    _judge(measure, f"stuck bridge at {rate_hz} Hz, {cell_v} V, CPU {cpu}", outcomes)
    if cpu == "running":
        assert {(o["telemetry"].state, o["telemetry"].fault) for o in outcomes.values()} == {
            ("safe", "overspeed")
        }


@pytest.mark.parametrize(
    ("cell_v", "needles"), mostly_nightly([(v, n) for v in CELLS_V for n in (12, 24)], (4.2, 12))
)
def test_a_runaway_that_skin_slows_down_is_cut_off_in_time(
    pens: Pens, measure: Measure, cell_v: float, needles: int
) -> None:
    """The load lets the rate creep over the threshold, so that single index periods do not show it.

    At many moments, since how long it takes depends on where the cam, the tick and the marks stand then.
    """

    def sweep(pen: EmulatedPen) -> list[dict[str, Any]]:
        start(pen, 150, needles=needles)
        return each_in_fork(
            pen, _run_away, [Case(t, "running") for t in MANY_TURNS], lambda p, c: to_angle(p, c.turn)
        )

    outcomes = dict(
        zip((f"{360 * t:.0f} deg" for t in MANY_TURNS), in_fork(sweep, pens.ready(cell_v)), strict=True)
    )
    if all(o["crossed_ns"] == math.inf for o in outcomes.values()):
        pytest.skip(f"the {cell_v} V cell does not reach {THRESHOLD_HZ} Hz against {needles} needles")
    _judge(measure, f"stuck bridge on skin, {needles} needles, {cell_v} V", outcomes)


# ---------------------------------------------------------------------- a sound pen at its highest rate
def _lift_and_touch(pen: EmulatedPen, needles: int) -> tuple[str, str]:
    for _ in range(2):
        pen.lift()
        pen.run_for(60 * MS)
        pen.touch_skin(needles, PROTRUSION_MM)
        pen.run_for(40 * MS)
    return state(pen), fault(pen)


@pytest.mark.parametrize("needles", mostly_nightly([12, 24, 36], 36))
def test_needles_that_leave_the_skin_at_the_highest_rate_trip_nothing(pens: Pens, needles: int) -> None:
    """A full cell lets the rate swing up most then (PR-03)."""

    def sweep(pen: EmulatedPen) -> list[tuple[str, str]]:
        start(pen, 150, needles=needles)
        return each_in_fork(pen, _lift_and_touch, [needles] * 12, lambda p, _: p.run_for(7.1 * MS))

    assert set(in_fork(sweep, pens.ready(4.2))) == {("running", "none")}


def _lose_an_edge(pen: EmulatedPen, _: int) -> tuple[str, str]:
    """The index line stays where it is for the time between two edges."""
    pen.electronics.stick_line(pen.now_ns, "INDEX", pen.electronics.level("INDEX"))
    pen.run_for(1.7 * MS)
    pen.electronics.stick_line(pen.now_ns, "INDEX", None)
    pen.run_for(60 * MS)
    return state(pen), fault(pen)


def _lost_edges(pens: Pens, firmware: Path | None = None) -> set[tuple[str, str]]:
    def sweep(pen: EmulatedPen) -> list[tuple[str, str]]:
        start(pen, 150)
        return each_in_fork(pen, _lose_an_edge, list(range(12)), lambda p, _: p.run_for(7.1 * MS))

    return set(in_fork(sweep, pens.ready(firmware=firmware)))


def test_a_lost_index_edge_trips_nothing(pens: Pens) -> None:
    """The strokes after it seem to become faster: from five index periods to four."""
    assert _lost_edges(pens) == {("running", "none")}


def test_a_pen_that_takes_a_lost_edge_for_overspeed_is_noticed(pens: Pens) -> None:
    """A test of the test."""
    change = {"pen/control.py": ("_AHEAD_SHIFT = const(4)", "_AHEAD_SHIFT = const(1)")}
    assert ("safe", "overspeed") in _lost_edges(pens, pens.variant("believes_lost_edges", change))


@pytest.mark.parametrize("cpu", ["halted", "spinning"])
def test_the_index_window_alone_cuts_off_with_the_cpu_halted(pens: Pens, measure: Measure, cpu: str) -> None:
    """The heartbeat machine is fed from outside, as by a CPU that only just does that: the index window acts.

    With the CPU halted the heartbeat cuts within 3 ms, which keeps SR-06. This is a second fault on top: the window
    looks at every second index period, so its time is printed and not judged, its peak and order are.
    """

    def alone(pen: EmulatedPen, case: Case) -> dict[str, Any]:
        def feed() -> None:
            pen.chip.mcu.write_uint32(BEAT_REGISTER, BEAT_COUNTS)
            pen.chip.call_at(pen.now_ns + 1e6, feed)

        feed()
        return _run_away(pen, case)

    def sweep(pen: EmulatedPen) -> list[dict[str, Any]]:
        start(pen, 150)
        return each_in_fork(pen, alone, [Case(t, cpu) for t in TURNS], lambda p, c: to_angle(p, c.turn))

    outcomes = dict(zip((f"{360 * t:.0f} deg" for t in TURNS), in_fork(sweep, pens.ready()), strict=True))
    what = f"stuck bridge, heartbeat fooled, CPU {cpu}"
    late = [
        (o["supply_open_ns"] - o["crossed_ns"]) / MS for o in outcomes.values() if o["crossed_ns"] < math.inf
    ]
    print(f"{what}: supply open {min(late):.2f} to {max(late):.2f} ms after the crossing")
    _judge(measure, what, {k: o | {"crossed_ns": math.inf} for k, o in outcomes.items()})


def test_overspeed_is_left_only_by_release_and_acknowledgement(pens: Pens) -> None:
    def recover(pen: EmulatedPen) -> tuple[Any, ...]:
        start(pen, 150)
        pen.electronics.short_high_side(pen.now_ns, True)
        pen.run_for(300 * MS)
        pen.electronics.short_high_side(pen.now_ns, False)
        since_ns = float(pen.now_ns)
        early = pen.request(messages.ACKNOWLEDGE).refused  # trigger still held
        refused = stop_and_acknowledge(pen)
        pen.wait_state("armed")  # a press before that is no start
        pen.run_for(50 * MS)
        pen.press()
        return early, refused, never_driven(pen, since_ns), pen.wait_state("running").state

    early, refused, undriven, state = in_fork(recover, pens.ready())
    assert early == "release the trigger first" and refused is None and undriven and state == "running"


# ---------------------------------------------------------------------- the threshold, with a generator on INDEX
def _edges(pen: EmulatedPen, rates_hz: Iterator[float], gpio: int) -> None:
    """Put rising and falling edges on INDEX: each pulse as long as its rate says."""

    def pulse() -> None:
        half_ns = 1e9 / (PULSES * next(rates_hz)) / 2
        t_ns = float(pen.now_ns)
        pen.chip.drive(gpio, 1)
        pen.chip.call_at(t_ns + half_ns, lambda: pen.chip.drive(gpio, 0))
        pen.chip.call_at(t_ns + 2 * half_ns, pulse)

    pulse()


def _generate(pen: EmulatedPen, rates_hz: Iterator[float]) -> None:
    """Disconnect the index sensor and put a generator in its place."""
    pen.electronics.stick_line(pen.now_ns, "INDEX", 0)
    _edges(pen, rates_hz, pen.board.gpio("INDEX"))


def _constant(rate_hz: float) -> Iterator[float]:
    while True:
        yield rate_hz


# How well the pen can know its rate: PR-08, and twice a sample of the glitch filter (9.6 us) in a revolution of 6 ms.
RESOLUTION = float(LIMIT("PR-08", "error_pct")) / 100.0 + 19.2e-6 * THRESHOLD_HZ


@pytest.mark.parametrize("below_hz", [RESOLUTION * THRESHOLD_HZ, 2.0, 5.0])
def test_just_below_the_threshold_nothing_trips(pens: Pens, below_hz: float) -> None:
    def run(pen: EmulatedPen) -> tuple[float, str]:
        start(pen, 150)
        _generate(pen, _constant(THRESHOLD_HZ - below_hz))
        seen = observe(pen, float(pen.now_ns), ms=500)
        return seen["braked_ns"], seen["telemetry"].state

    braked_ns, state = in_fork(run, pens.ready())
    assert braked_ns == math.inf and state == "running", f"{THRESHOLD_HZ - below_hz} Hz tripped"


def _step_above(pen: EmulatedPen, above_hz: float) -> dict[str, Any]:
    """A generator that steps there; a revolution has to pass before its mean is above the threshold."""
    start(pen, 150)
    _generate(pen, _constant(THRESHOLD_HZ + above_hz))
    return observe(pen, float(pen.now_ns), ms=100)


@pytest.mark.parametrize("above_hz", [RESOLUTION * THRESHOLD_HZ, 2.0, 5.0, 10.0, 30.0])
def test_just_above_the_threshold_trips(pens: Pens, measure: Measure, above_hz: float) -> None:
    seen = in_fork(_step_above, pens.ready(), above_hz)
    turn_ms = 1e3 / (THRESHOLD_HZ + above_hz)
    measure("SR-06", "trip_ms", seen["supply_open_ns"] / MS - turn_ms,
            f"supply open after one revolution at {THRESHOLD_HZ + above_hz} Hz")  # fmt: skip
    assert seen["supply_open_ns"] < seen["gated_ns"] and seen["telemetry"].fault == "overspeed"


@pytest.mark.parametrize("slope_hz_per_ms", mostly_nightly([0.2, 0.5, 1.0, 2.0, 4.0], 0.5, 2.0))
def test_a_rising_rate_trips_soon_after_it_crosses_the_threshold(
    pens: Pens, measure: Measure, slope_hz_per_ms: float
) -> None:
    """Single index periods see fast rises, the mean of a revolution sees slow ones: between them is the worst."""

    def run(pen: EmulatedPen, phase_us: float) -> float:
        pen.run_for(phase_us * 1e3)
        begun_ns = float(pen.now_ns)
        start_hz = 155.0

        def rising() -> Iterator[float]:
            while True:
                rise_hz = slope_hz_per_ms * (pen.now_ns - begun_ns) / MS
                now_hz = min(start_hz + rise_hz, 260.0)
                yield math.sqrt(
                    now_hz**2 + 0.5 * slope_hz_per_ms * 1e3 / PULSES
                )  # mean over the coming period

        _generate(pen, rising())
        crossed_ns = (THRESHOLD_HZ - start_hz) / slope_hz_per_ms * MS
        pen.run_for(crossed_ns + 30 * MS)
        return (observe(pen, begun_ns, ms=1)["supply_open_ns"] - crossed_ns) / MS

    def sweep(pen: EmulatedPen) -> list[float]:
        start(pen, 150)
        return each_in_fork(pen, run, phases_us)

    phases_us = [130.0 * k for k in range(12)]
    late = in_fork(sweep, pens.ready())
    measure.worst("SR-06", "trip_ms", {f"phase {p:.0f} us": v for p, v in zip(phases_us, late, strict=True)},
                  f"supply open, rate rising at {slope_hz_per_ms} Hz/ms")  # fmt: skip


def test_just_above_the_threshold_the_tick_trips_without_the_index_window(
    pens: Pens, measure: Measure
) -> None:
    """The window cuts at about the same rate and would hide a tick whose threshold is wrong."""
    blind = {"pen/drive.py": ("_WINDOW_MARGIN_PERMILLE = const(6)", "_WINDOW_MARGIN_PERMILLE = const(1500)")}
    above_hz = RESOLUTION * THRESHOLD_HZ
    seen = in_fork(_step_above, pens.ready(firmware=pens.variant("blind_window", blind)), above_hz)
    measure("SR-06", "trip_ms", seen["supply_open_ns"] / MS - 1e3 / (THRESHOLD_HZ + above_hz),
            f"supply open after one revolution at {THRESHOLD_HZ + above_hz} Hz, by the tick alone")  # fmt: skip
    assert seen["telemetry"].fault == "overspeed"


def test_a_pen_without_overspeed_limit_is_noticed(pens: Pens) -> None:
    """A test of the tests: with the threshold far away the runaway passes 200 Hz."""
    limits = "from pen.limits import SR02_TRIP_MS, SR06_THRESHOLD_HZ, SR08_BRAKE_MS\n"
    changes = {
        "pen/control.py": (
            limits,
            "from pen.limits import SR02_TRIP_MS, SR08_BRAKE_MS\nSR06_THRESHOLD_HZ = const(400)\n",
        ),
        "pen/drive.py": ("_WINDOW_MARGIN_PERMILLE = const(6)", "_WINDOW_MARGIN_PERMILLE = const(1500)"),
    }
    firmware: Path = pens.variant("no_overspeed_limit", changes)

    def run(pen: EmulatedPen) -> float:
        start(pen, 150)
        pen.electronics.short_high_side(pen.now_ns, True)
        pen.run_for(100 * MS)
        return rate(pen)

    assert in_fork(run, pens.ready(4.2, firmware=firmware)) > float(LIMIT("SR-06", "peak_hz"))
