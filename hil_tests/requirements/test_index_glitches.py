"""SR-27: pulses on INDEX that are too short to be a mark of the disc neither fake nor hide rotation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.bench import LIMIT, MS, RATES_HZ, US, Pens, observe, record_pin, start, to_angle
from support.forks import each_in_fork, in_fork
from support.measuring import Measure
from support.nights import mostly_nightly
from support.trace import Trace, record

from needlepen.emulator.pen import EmulatedPen

GLITCH_US = float(LIMIT("SR-27", "glitch_us"))
PULSES = 4
SHORTEST_MARK_US = 1e6 / (2 * PULSES * float(LIMIT("SR-06", "peak_hz")))
PHASES_US = [2.0 * k for k in range(10)]  # over the sample period of the filter

FILTER_BENCH = """
import time
from pen.control import state
from pen.places import MAIN_AGE_MS
from pen.drive import Drive
drive = Drive()
drive.wake()
while True:
    state[MAIN_AGE_MS] = 0
    time.sleep_ms(5)
"""


def _filter_pen(pens: Pens) -> EmulatedPen:
    """A pen whose index supervision runs with the motor braked, so that only our pulses are on the line."""
    firmware = pens.variant("filter_bench", {})
    (firmware / "main.py").write_text(FILTER_BENCH)
    pen = pens.new(firmware=firmware)
    pen.run_for(600 * MS)
    return pen


def _pulses(pen: EmulatedPen, case: tuple[float, int]) -> list[int]:
    """One pulse of a width and polarity at each phase; how many edges INDEX_CLEAN made at each."""
    width_us, level = case
    gpio = pen.board.gpio("INDEX")
    pen.chip.drive(gpio, 1 - level)
    pen.run_for(5 * MS)
    counts = []
    clean = record_pin(pen, "INDEX_CLEAN")
    for phase_us in PHASES_US:
        before = len(clean)
        pen.run_for(phase_us * US)
        pen.chip.drive(gpio, level)
        pen.run_for(width_us * US)
        pen.chip.drive(gpio, 1 - level)
        pen.run_for(2 * MS)
        counts.append(len(clean) - before)
    return counts


@pytest.mark.parametrize("level", [1, 0], ids=["pulse up", "pulse down"])
def test_pulses_shorter_than_200_us_are_ignored_and_marks_are_counted(pens: Pens, level: int) -> None:
    short_us = [0.02, 1.0, 20.0, GLITCH_US / 2, GLITCH_US - 20, GLITCH_US - 1]
    between_us = [GLITCH_US + 10 * k for k in range(8)]
    long_us = [1.3 * GLITCH_US, SHORTEST_MARK_US / 2, SHORTEST_MARK_US]
    cases = [(width, level) for width in (*short_us, *between_us, *long_us)]

    def sweep() -> list[list[int]]:
        return each_in_fork(_filter_pen(pens), _pulses, cases)

    seen = {width: counts for (width, _), counts in zip(cases, in_fork(sweep), strict=True)}
    counted = [w for w, counts in seen.items() if all(c == 2 for c in counts)]
    ignored = [w for w, counts in seen.items() if not any(counts)]
    print(f"always ignored up to {max(ignored):g} us, always counted from {min(counted):g} us on")
    for width in short_us:
        assert not any(seen[width]), (
            f"a pulse of {width} us passed: {seen[width]} edges at phases {PHASES_US} us"
        )
    for width in long_us:
        assert set(seen[width]) == {2}, f"a pulse of {width} us: {seen[width]} edges at phases {PHASES_US} us"


def test_many_short_pulses_in_a_row_do_not_add_up(pens: Pens) -> None:
    """Two thirds of the time at the old level: the votes never reach the new one."""

    def train() -> list[tuple[int, int | None]]:
        pen = _filter_pen(pens)
        gpio = pen.board.gpio("INDEX")
        pen.chip.drive(gpio, 0)
        pen.run_for(5 * MS)
        clean = record_pin(pen, "INDEX_CLEAN")
        for _ in range(200):
            pen.chip.drive(gpio, 1)
            pen.run_for((GLITCH_US - 1) / 2 * US)
            pen.chip.drive(gpio, 0)
            pen.run_for(GLITCH_US * US)
        return clean

    assert in_fork(train) == []


# ---------------------------------------------------------------------- bursts during a run
BURST_PERIOD_US = 100.0  # 10 kHz
BURST_MS = 400.0


def _burst(pen: EmulatedPen, case: tuple[float, str]) -> tuple[Trace, str, list[float]]:
    width_us, mode = case
    heard: list[float] = []
    pen.link.on_telemetry(lambda t: heard.append(t.rate_hz))
    pen.electronics.glitch_line(pen.now_ns, "INDEX", BURST_PERIOD_US, width_us, BURST_MS, mode)
    trace = record(pen, BURST_MS + 100)
    return trace, pen.telemetry.state if pen.telemetry else "", heard


@pytest.mark.parametrize(
    ("needles", "rate_hz", "mode"),
    mostly_nightly(
        [(n, hz, mode) for n in (0, 24) for hz in RATES_HZ for mode in ("xor", "or")],
        (0, 50, "xor"),
        (0, 50, "or"),
        (24, 100, "xor"),
    ),
)
def test_a_10_khz_burst_moves_the_rate_by_at_most_5_pct(
    pens: Pens, measure: Measure, rate_hz: int, mode: str, needles: int
) -> None:
    if needles and rate_hz < RATES_HZ[1]:
        pytest.skip("outside of the specification (SR-24)")

    def sweep(pen: EmulatedPen) -> list[tuple[Trace, str, list[float]]]:
        start(pen, rate_hz, needles=needles)
        return each_in_fork(pen, _burst, [(width, mode) for width in widths_us])

    # At 150 Hz, pulses of 30 us that also blank the line shift its edges by a tenth of a stroke; in one burst of five
    # the pen takes that for an overspeed or a stall: test_a_burst_that_leaves_little_of_the_signal_ends_safely.
    widths_us = (1.0, 5.0, 20.0) if (rate_hz, mode) == (150, "xor") else (1.0, 5.0, 20.0, 30.0)
    true_pct, told_pct = {}, {}
    for width_us, (trace, state, heard) in zip(widths_us, in_fork(sweep, pens.ready()), strict=True):
        assert state == "running", f"{mode}, {width_us} us: {state}"
        true_pct[f"{width_us} us"] = float(np.nanmax(np.abs(trace.turn_hz / rate_hz - 1))) * 100
        told_pct[f"{width_us} us"] = max(abs(hz / rate_hz - 1) * 100 for hz in heard)
    what = f"10 kHz {mode} burst at {rate_hz} Hz, {needles} needles"
    measure.worst("SR-27", "rate_change_pct", true_pct, f"true rate, {what}")
    measure.worst("SR-27", "rate_change_pct", told_pct, f"reported rate, {what}")


def _jam_in_burst(pen: EmulatedPen, case: tuple[float, str, float]) -> dict[str, Any]:
    width_us, mode, _turn = case
    now_ns = float(pen.now_ns)
    marks = [t for t, signal, level in pen.electronics.timeline if (signal, level) == ("INDEX", 1)]
    pen.electronics.glitch_line(now_ns, "INDEX", BURST_PERIOD_US, width_us, 300, mode)
    pen.electronics.jam(now_ns, True)
    seen = observe(pen, now_ns, ms=200)
    seen["after_mark_ms"] = (now_ns + seen["braked_ns"] - marks[-1]) / MS
    return seen


@pytest.mark.parametrize(
    ("rate_hz", "mode"),
    mostly_nightly([(hz, mode) for hz in RATES_HZ for mode in ("xor", "or")], (100, "xor"), (150, "or")),
)
def test_a_10_khz_burst_does_not_hide_a_jam(pens: Pens, measure: Measure, rate_hz: int, mode: str) -> None:
    cases = [(width, mode, turn) for width in (5.0, 20.0, 30.0) for turn in (0.05, 0.2, 0.4, 0.6, 0.8)]

    def sweep(pen: EmulatedPen) -> list[dict[str, Any]]:
        start(pen, rate_hz)
        return each_in_fork(pen, _jam_in_burst, cases, lambda p, case: to_angle(p, case[2]))

    outcomes = in_fork(sweep, pens.ready())
    late = {
        f"{w} us at {360 * t:.0f} deg": o["after_mark_ms"]
        for (w, _, t), o in zip(cases, outcomes, strict=True)
    }
    measure.worst("SR-08", "brake_ms", late, f"jam in a 10 kHz {mode} burst at {rate_hz} Hz")
    assert all(o["telemetry"].state == "safe" for o in outcomes)


def _ends_safely(pen: EmulatedPen, case: tuple[float, str]) -> tuple[str, float, float]:
    trace, state, _ = _burst(pen, case)
    return state, float(trace.rate_hz.max()), float(trace.rate_hz[-1])


@pytest.mark.parametrize("rate_hz", mostly_nightly(RATES_HZ, 150))
def test_a_burst_that_leaves_little_of_the_signal_ends_safely(pens: Pens, rate_hz: int) -> None:
    """Inverted for a third of the time and more: going on at the rate is fine, stopping too."""

    def sweep(pen: EmulatedPen) -> list[tuple[str, float, float]]:
        start(pen, rate_hz)
        return each_in_fork(pen, _ends_safely, cases)

    cases = [(width, mode) for mode in ("xor", "or") for width in (30.0, 35.0, 40.0, 45.0, 50.0, 55.0, 90.0)]
    for case, (state, peak_hz, end_hz) in zip(cases, in_fork(sweep, pens.ready()), strict=True):
        print(f"{rate_hz} Hz, {case}: {state}, peak {peak_hz:.1f} Hz, end {end_hz:.1f} Hz")
        assert peak_hz <= float(LIMIT("SR-06", "peak_hz"))
        if state == "running":
            assert abs(end_hz / rate_hz - 1) < 0.25, f"{case}: runs at {end_hz:.1f} instead of {rate_hz} Hz"
        else:
            assert state == "safe" and end_hz == 0.0


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_dead_index_line_is_a_stall(pens: Pens, measure: Measure, rate_hz: int, level: int) -> None:
    def stuck(pen: EmulatedPen) -> tuple[float, str]:
        start(pen, rate_hz)
        now_ns = float(pen.now_ns)
        pen.electronics.stick_line(now_ns, "INDEX", level)
        # A line that rises to its stuck level makes one edge more.
        marks = [t for t, signal, value in pen.electronics.timeline if (signal, value) == ("INDEX", 1)]
        seen = observe(pen, now_ns, ms=150)
        return (now_ns + seen["braked_ns"] - marks[-1]) / MS, seen["telemetry"].fault

    after_ms, fault = in_fork(stuck, pens.ready())
    assert fault == "stall"
    measure("SR-08", "brake_ms", after_ms, f"INDEX stuck at {level} at {rate_hz} Hz, from its last edge")


def test_a_pen_without_glitch_filter_is_noticed(pens: Pens) -> None:
    """A test of the tests: a filter of two samples lets the burst through. The pen then sees too few strokes."""
    firmware = pens.variant("no_filter", {"pen/pio_programs.py": ("    set(x, 21)\n", "    set(x, 0)\n")})

    def run(pen: EmulatedPen) -> float:
        start(pen, 100)
        clean = record_pin(pen, "INDEX_CLEAN")
        _burst(pen, (5.0, "xor"))
        return len(clean) / (2 * PULSES * 100 * (BURST_MS + 100) / 1e3)

    changed: Callable[[EmulatedPen], float] = run
    ratio = in_fork(changed, pens.ready(firmware=firmware))
    assert not math.isclose(ratio, 1.0, rel_tol=0.2)
