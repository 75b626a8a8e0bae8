"""PR-01, PR-02, PR-03, PR-04, PR-08: the rate that is set, reached, held on skin, and reported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.bench import (
    CELLS_V,
    LIMIT,
    MS,
    NEEDLES,
    RATES_HZ,
    Pens,
    minimum_rate_hz,
    press,
    start,
    to_angle,
)
from support.forks import each_in_fork, in_fork
from support.measuring import Measure
from support.nights import mostly_nightly
from support.trace import record
from support.treatment import Treatment, treat

from needlepen.emulator.pen import EmulatedPen
from needlepen.link.client import messages

LOW_HZ, HIGH_HZ, STEP_HZ, DEFAULT_HZ = (
    int(LIMIT("PR-01", name)) for name in ("rate_min_hz", "rate_max_hz", "rate_step_hz", "rate_default_hz")
)
LOOP_MS = 12
QUARTERS = (0.0, 0.25, 0.5, 0.75)
EVERY_RATE = pytest.mark.parametrize("set_hz", RATES_HZ)
EVERY_CELL = pytest.mark.parametrize("cell_v", CELLS_V)
Treated = Callable[[int, float], list[Treatment]]


@pytest.fixture(scope="module")
def treated(pens: Pens) -> Treated:
    """treated(set_hz, cell_v): a treatment with every cartridge that the rate is specified for; each made once."""
    done: dict[tuple[int, float], list[Treatment]] = {}

    def run(set_hz: int, cell_v: float) -> list[Treatment]:
        if (set_hz, cell_v) not in done:
            needles = tuple(n for n in NEEDLES if set_hz >= minimum_rate_hz(n))
            turns = QUARTERS if cell_v == 3.7 else QUARTERS[:1]
            done[set_hz, cell_v] = in_fork(treat, pens.ready(cell_v), set_hz, needles, turns)
        return done[set_hz, cell_v]

    return run


# ---------------------------------------------------------------------- PR-01
def test_every_rate_of_the_range_is_accepted_and_every_other_refused(pens: Pens) -> None:
    asked = [*range(LOW_HZ - 2 * STEP_HZ, HIGH_HZ + 2 * STEP_HZ + 1), 0, 1, 1000, 65535]

    def ask(pen: EmulatedPen) -> dict[int, tuple[bool, float]]:
        answers = {}
        for rate_hz in asked:
            accepted = pen.request(messages.SET_RATE, rate_hz).refused is None
            pen.run_for(45 * MS)  # two telemetry frames
            if accepted:  # storing the setting may take the pen some more
                pen.run_until(lambda hz=rate_hz: pen.telemetry.set_hz == hz, 400 * MS, MS)  # type: ignore[misc]
            assert pen.telemetry is not None
            answers[rate_hz] = (accepted, pen.telemetry.set_hz)
        return answers

    answers = in_fork(ask, pens.ready())
    set_hz = float(DEFAULT_HZ)
    for rate_hz, (accepted, shown_hz) in answers.items():
        allowed = LOW_HZ <= rate_hz <= HIGH_HZ and rate_hz % STEP_HZ == 0
        set_hz = float(rate_hz) if allowed else set_hz
        assert accepted == allowed, f"{rate_hz} Hz was {'accepted' if accepted else 'refused'}"
        assert shown_hz == set_hz, (
            f"after asking for {rate_hz} Hz the set rate is {shown_hz} Hz, not {set_hz} Hz"
        )


def test_the_default_rate_holds_until_another_is_set(pens: Pens, measure: Measure) -> None:
    telemetry = pens.ready().telemetry
    assert telemetry is not None
    measure("PR-01", "rate_default_hz", telemetry.set_hz, "set rate after power-on", relation="==")


def test_one_stroke_is_one_revolution(pens: Pens) -> None:
    def count(pen: EmulatedPen) -> tuple[float, int, int]:
        press(pen, DEFAULT_HZ)
        pen.run_for(300 * MS)
        since_ns = pen.now_ns
        trace = record(pen, 500)
        edges = [s for t, s, level in pen.electronics.timeline if t >= since_ns and level == 1]
        outward = int(np.sum(np.diff(np.floor(trace.strokes)) > 0))  # passages through bottom dead centre
        return float(trace.strokes[-1] - trace.strokes[0]), outward, edges.count("TDC")

    revolutions, outward, retracted = in_fork(count, pens.ready())
    assert abs(revolutions - outward) <= 1 and abs(revolutions - retracted) <= 1


@pytest.mark.parametrize("set_hz", range(LOW_HZ, HIGH_HZ + 1, 4 * STEP_HZ))
def test_rates_between_are_held_too(pens: Pens, measure: Measure, set_hz: int) -> None:
    run = in_fork(treat, pens.ready(), set_hz, (0,), (0.0,))[0]
    measure("PR-02", "free_error_pct", _worst_error_pct(run), run.name)


# ---------------------------------------------------------------------- PR-02
def _worst_error_pct(run: Treatment) -> float:
    return float(np.nanmax(np.abs(run.steady().turn_hz / run.set_hz - 1.0))) * 100.0


@EVERY_RATE
@EVERY_CELL
def test_rate_is_held_free_and_on_skin(
    treated: Treated, measure: Measure, set_hz: int, cell_v: float
) -> None:
    for run in treated(set_hz, cell_v):
        measure(
            "PR-02", "loaded_error_pct" if run.needles else "free_error_pct", _worst_error_pct(run), run.name
        )
        assert run.telemetry[-1].state == "running"


OUTSIDE = [(hz, n) for hz in RATES_HZ for n in NEEDLES if hz < minimum_rate_hz(n)]


@pytest.mark.parametrize(("set_hz", "needles"), OUTSIDE)
@EVERY_CELL
def test_below_the_minimum_rate_a_treatment_goes_on_at_its_rate_or_ends_in_the_safe_state(
    pens: Pens, set_hz: int, needles: int, cell_v: float
) -> None:
    """Outside of the specification (SR-24): no rate is promised there, but nothing in between may happen."""
    run = in_fork(treat, pens.ready(cell_v), set_hz, (needles,), (0.0,))[0]
    assert run.touched is not None and run.lifted is not None
    last = run.telemetry[-1]
    print(f"outside of PR-02: {run.name}: {last.state}, fault {last.fault}")
    if last.state == "running":
        assert _worst_error_pct(run) <= float(LIMIT("PR-02", "loaded_error_pct"))
    else:
        assert last.state == "safe" and last.fault != "none"
        assert run.lifted.rate_hz[-1] == 0.0
        assert run.whole.rate_hz.max() < float(LIMIT("SR-06", "threshold_hz"))


# ---------------------------------------------------------------------- PR-03
@pytest.mark.parametrize("set_hz", mostly_nightly([100, 125, 150], 100, 150))
@EVERY_CELL
def test_a_load_step_dips_and_overshoots_little_and_is_over_soon(
    treated: Treated, measure: Measure, set_hz: int, cell_v: float
) -> None:
    band_pct = float(LIMIT("PR-02", "loaded_error_pct"))
    for run in (r for r in treated(set_hz, cell_v) if r.needles == 24):
        assert run.touched is not None and run.lifted is not None
        whole = run.whole
        contact = (whole.t_ms >= run.touched.t_ms[0]) & (whole.t_ms < run.lifted.t_ms[0])
        lifted = whole.t_ms >= run.lifted.t_ms[0]
        measure("PR-03", "dip_pct", 100 - float(whole.turn_hz[contact].min()) / set_hz * 100, run.name)
        measure("PR-03", "overshoot_pct", float(whole.turn_hz[lifted].max()) / set_hz * 100 - 100, run.name)
        outside = contact & (np.abs(whole.turn_hz / set_hz - 1) > band_pct / 100)
        last_ms = float(whole.t_ms[outside].max()) if outside.any() else float(run.touched.t_ms[0])
        measure("PR-03", "recovery_ms", last_ms - float(run.touched.t_ms[0]), run.name)


# ---------------------------------------------------------------------- PR-04
@EVERY_RATE
@EVERY_CELL
def test_start_is_quick_without_overshoot_and_spares_the_cell(
    treated: Treated, measure: Measure, set_hz: int, cell_v: float
) -> None:
    run = treated(set_hz, cell_v)[0]
    in_band_ms = run.start.out_of_band_ms(set_hz, float(LIMIT("PR-02", "loaded_error_pct"))) - run.pressed_ms
    measure("PR-04", "start_ms", in_band_ms, run.name)
    measure("PR-04", "overshoot_pct", float(np.nanmax(run.start.turn_hz)) / set_hz * 100 - 100, run.name)
    measure("PR-04", "current_max_a", float(run.start.current_a.max()), f"{run.name}, mean over a PWM period")


def test_a_start_knows_nothing_of_the_load_of_the_run_before(pens: Pens, measure: Measure) -> None:
    """Hard skin at the highest rate, then the lowest rate in air: what the regulator had added must be forgotten."""

    def run(pen: EmulatedPen) -> tuple[float, float]:
        start(pen, HIGH_HZ, settle_ms=600, needles=36)
        pen.release()
        pen.lift()
        pen.run_for(1_500 * MS)
        pressed_ns = press(pen, LOW_HZ)
        trace = record(pen, 400)
        in_band_ms = trace.out_of_band_ms(LOW_HZ, float(LIMIT("PR-02", "loaded_error_pct"))) - pressed_ns / MS
        return in_band_ms, float(np.nanmax(trace.turn_hz)) / LOW_HZ * 100 - 100

    in_band_ms, overshoot_pct = in_fork(run, pens.ready())
    measure("PR-04", "start_ms", in_band_ms, f"{LOW_HZ} Hz after {HIGH_HZ} Hz in skin")
    measure("PR-04", "overshoot_pct", overshoot_pct, f"{LOW_HZ} Hz after {HIGH_HZ} Hz in skin")


@pytest.mark.parametrize("turn", [k / 8 for k in range(8)])
def test_start_works_from_any_cam_angle(pens: Pens, measure: Measure, turn: float) -> None:
    """A jam holds the cam at the angle until the drive takes over."""

    def begin(pen: EmulatedPen) -> tuple[float, float]:
        start(pen, DEFAULT_HZ)
        to_angle(pen, turn)
        pen.electronics.jam(pen.now_ns, True)
        pen.release()
        pen.wait_state("armed")
        pressed_ns = press(pen, DEFAULT_HZ)
        assert pen.run_until(lambda: not pen.electronics.braked, 100 * MS, 20e3)
        pen.electronics.jam(pen.now_ns, False)
        trace = record(pen, 300)
        band_pct = float(LIMIT("PR-02", "loaded_error_pct"))
        return trace.out_of_band_ms(DEFAULT_HZ, band_pct) - pressed_ns / MS, float(trace.current_a.max())

    start_ms, current_a = in_fork(begin, pens.ready())
    measure("PR-04", "start_ms", start_ms, f"{DEFAULT_HZ} Hz from {360 * turn:.0f} deg")
    measure("PR-04", "current_max_a", current_a, f"{DEFAULT_HZ} Hz from {360 * turn:.0f} deg")


# The pen notes how much of its heap is free at a press; a start takes less than 10 KB of it.
NOTE_REGISTER = 0x4005_8014
LOOK_AT_LINES = "        lines, self._lines = self._lines, quiet.lines(INPUT_MASK)\n"
NOTE_FREE = f"""\
        if not self.trigger_n() and not self.drive.awake:
            machine.mem32[{NOTE_REGISTER}] = gc.mem_free()
"""
START_TAKES_BYTES = 10_000


@pytest.mark.parametrize(
    ("telemetry_ms", "apart_ms"), mostly_nightly([(20, 61), (100, 251), (0, 907)], (20, 61))
)
def test_no_start_has_to_collect_garbage(pens: Pens, telemetry_ms: int, apart_ms: int) -> None:
    """It would take the start 25 ms. At moments that cover what fills the heap at rest, right after the boot too."""
    firmware = pens.variant("notes_free_heap", {"pen/app.py": (LOOK_AT_LINES, NOTE_FREE + LOOK_AT_LINES)})

    def press_now(pen: EmulatedPen, _: int) -> int:
        pen.chip.mcu.write_uint32(NOTE_REGISTER, 0)
        pen.press()
        pen.run_for(60 * MS)
        return int(pen.chip.mcu.read_uint32(NOTE_REGISTER))

    def sweep(pen: EmulatedPen) -> list[int]:
        pen.command(messages.SUBSCRIBE, telemetry_ms, 60_000)
        return each_in_fork(pen, press_now, list(range(48)), lambda p, _: p.run_for(apart_ms * MS))

    free = in_fork(sweep, pens.ready(firmware=firmware))
    seen = [n for n in free if n]  # a press may be seen in the pass that wakes the drive
    print(f"telemetry every {telemetry_ms} ms: {min(seen)} to {max(seen)} bytes free in {len(seen)} presses")
    assert len(seen) > 40 and min(seen) >= START_TAKES_BYTES


def _start_ms(pen: EmulatedPen, _: int) -> float:
    """From a press now until the highest rate holds; the first with its cartridge, which is marked then."""
    pressed_ns = pen.now_ns
    pen.press()
    trace = record(pen, 220, 500)
    return trace.out_of_band_ms(HIGH_HZ, float(LIMIT("PR-02", "loaded_error_pct"))) - pressed_ns / MS


@pytest.mark.parametrize("armed", ["for seconds", "just now"])
def test_a_start_is_quick_at_any_moment(pens: Pens, measure: Measure, armed: str) -> None:
    """Also while garbage is collected at rest, and when the log has something to write."""
    count, apart_ms = (16, 143.0) if armed == "for seconds" else (16, 4.0)

    def sweep(pen: EmulatedPen) -> list[float]:
        pen.command(messages.SET_RATE, HIGH_HZ)
        if armed == "just now":
            pen.unseat_cartridge()
            pen.run_for(300 * MS)
            pen.seat_cartridge()
            pen.wait_state("armed")
        else:
            pen.run_for(3_000 * MS)
        return each_in_fork(pen, _start_ms, list(range(count)), lambda p, _: p.run_for(apart_ms * MS))

    starts = {f"press {k}": ms for k, ms in enumerate(in_fork(sweep, pens.ready()))}
    measure.worst("PR-04", "start_ms", starts, f"{HIGH_HZ} Hz, armed {armed}, cartridge marked")


# ---------------------------------------------------------------------- PR-08
@EVERY_RATE
@EVERY_CELL
def test_the_reported_rate_is_the_true_rate(
    treated: Treated, measure: Measure, set_hz: int, cell_v: float
) -> None:
    for run in treated(set_hz, cell_v):
        part = run.touched if run.touched is not None else run.start
        end_ms = part.t_ms[-1]  # a frame bears the time at which its pass began
        errors = {
            f"at {t.time_ms} ms": abs(t.rate_hz / _reported_turn_hz(run, t.time_ms) - 1.0) * 100.0
            for t in run.telemetry
            if end_ms - 160 < t.time_ms < end_ms - LOOP_MS
        }
        measure.worst("PR-08", "error_pct", errors, run.name)


def _reported_turn_hz(run: Treatment, time_ms: float) -> float:
    """True mean rate of the revolution that had ended with an index edge when a report was made: on average an
    eighth of a turn earlier."""
    return run.whole.turn_hz_at(time_ms - 125.0 / run.set_hz)


def test_a_tick_that_counts_wrongly_is_noticed(pens: Pens) -> None:
    """A test of the tests: with five index periods taken for a revolution, report and rate are wrong."""
    changes = {
        "pen/control.py": (
            "(at_us - times[(at - 4) & 15])",
            "(at_us - times[(at - 5) & 15])",
        )
    }
    firmware: Path = pens.variant("five_quarters", changes)
    run = in_fork(treat, pens.ready(firmware=firmware), 100, (0,), (0.0,))[0]
    t = run.telemetry[-1]
    assert abs(t.rate_hz / _reported_turn_hz(run, t.time_ms) - 1.0) > 0.1
