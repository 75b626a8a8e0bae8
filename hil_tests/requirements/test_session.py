"""PR-07: a treatment session as a whole: memory lasts, the tick keeps its budget, counters and log tell the truth."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from support.bench import LIMIT, MS, Pens, press, strokes
from support.flash import pen_log
from support.forks import in_fork
from support.measuring import Measure
from support.monitoring import fault, state, status

from needlepen.emulator.factory_image import unique_id
from needlepen.emulator.pen import EmulatedPen
from needlepen.link.client import messages
from needlepen.records.log import LoggedEvent, decode, gaps

S = 1e9
LEASE_MS = 60_000
WATCHING_MS, PAUSING_MS = 20, 1_000  # telemetry in a run and in a pause
STEP_UM = round(1e3 * float(LIMIT("PR-05", "depth_step_mm")))
RATE_HZ = 100
FIRST_UM = 20 * STEP_UM  # deep enough that skin is noticed in a run that begins on it (SR-13)
SETTLE_S = 3.0  # after a change of settings, until nothing waits for the flash: what waits is in the heap
WARM_RUNS = 2  # what a session allocates once is there after them
# Steps of the depth by the buttons before each run but the first: deeper and shallower.
STEPS = (3, -2, 4, -5, 1)


@dataclass(frozen=True)
class Plan:
    """Run times in s and the pauses between them."""

    runs_s: tuple[float, ...]
    pause_s: float

    @property
    def total_min(self) -> float:
        return (sum(self.runs_s) + self.pause_s * (len(self.runs_s) - 1)) / 60


@dataclass(frozen=True)
class Seen:
    """What a session left behind; heaps in bytes after a collection, one for each run."""

    free: list[int]
    used: list[int]
    statistics: dict[str, Any]
    run_s: list[float]
    strokes: list[float]
    counters: dict[str, int]
    told: list[LoggedEvent]
    stored: list[LoggedEvent]
    minutes: float


def _pass_time(pen: EmulatedPen, s: float, period_ms: int) -> None:
    """Device time, with a host that listens all the time."""
    while s > 0:
        pen.command(messages.SUBSCRIBE, period_ms, LEASE_MS)
        part_s = min(s, 0.9 * LEASE_MS / 1e3)
        pen.run_for(part_s * S)
        s -= part_s


def _step(pen: EmulatedPen, steps: int) -> None:
    """Short presses, as an operator makes them."""
    button = "DEPTH_UP_N" if steps > 0 else "DEPTH_DOWN_N"
    for _ in range(abs(steps)):
        pen.press_button(button, bounce_ms=3)
        pen.run_for(90 * MS)
        pen.release_button(button, bounce_ms=3)
        pen.run_for(250 * MS)
    _pass_time(pen, SETTLE_S, PAUSING_MS)


def _run(pen: EmulatedPen, s: float, seen: dict[str, list[Any]]) -> None:
    """One run on skin; the heap is asked for in its middle."""
    begun = strokes(pen)
    pressed_ns = press(pen, RATE_HZ)
    pen.wait_state("running")
    pen.touch_skin()
    _pass_time(pen, s / 2, WATCHING_MS)
    heap = pen.command(messages.GET_STATISTICS)
    seen["free"].append(heap["heap_free_bytes"])
    seen["used"].append(heap["heap_used_bytes"])
    _pass_time(pen, s / 2, WATCHING_MS)
    assert (state(pen), fault(pen)) == ("running", "none"), (pen.telemetry, status(pen))
    pen.lift()
    pen.run_for(300 * MS)
    pen.release()
    seen["run_s"].append((pen.now_ns - pressed_ns) / S)
    pen.run_for(500 * MS)
    seen["strokes"].append(strokes(pen) - begun)


def _log_over_the_link(pen: EmulatedPen, first: int) -> list[LoggedEvent]:
    told: list[LoggedEvent] = []
    while True:
        answer = pen.command(messages.READ_LOG, first)
        if not answer["count"]:
            return told
        raw = answer["events"]
        told += decode([raw[32 * k : 32 * k + 32] for k in range(answer["count"])], unique_id(pen.seed))
        first = answer["next_sequence"]


def _session(pen: EmulatedPen, plan: Plan) -> Seen:
    begun_ns, before = pen.now_ns, pen.command(messages.GET_COUNTERS)
    last = pen_log(pen)[-1].sequence
    pen.command(messages.SET_DEPTH, FIRST_UM)
    _pass_time(pen, SETTLE_S, PAUSING_MS)
    pen.command(messages.CLEAR_STATISTICS)
    seen: dict[str, list[Any]] = {"free": [], "used": [], "run_s": [], "strokes": []}
    for number, run_s in enumerate(plan.runs_s):
        if number:
            _pass_time(pen, plan.pause_s, PAUSING_MS)
            _step(pen, STEPS[(number - 1) % len(STEPS)])
        _run(pen, run_s, seen)
    statistics = pen.command(messages.GET_STATISTICS)
    _pass_time(pen, 3, PAUSING_MS)
    after = pen.command(messages.GET_COUNTERS)
    return Seen(
        **seen,
        statistics=statistics,
        counters={name: after[name] - before[name] for name in after},
        told=_log_over_the_link(pen, last + 1),
        stored=[event for event in pen_log(pen) if event.sequence > last],
        minutes=(pen.now_ns - begun_ns) / S / 60,
    )


def _changes(plan: Plan) -> list[int]:
    """The depth after each step."""
    presses = [1 if steps > 0 else -1 for _, steps in zip(plan.runs_s[1:], itertools.cycle(STEPS))
               for _ in range(abs(steps))]  # fmt: skip
    return list(itertools.accumulate((STEP_UM * way for way in presses), initial=FIRST_UM))


def _judge(seen: Seen, plan: Plan, measure: Measure) -> None:
    runs = len(plan.runs_s)
    what = f"{seen.minutes:.1f} min, {runs} runs, {sum(plan.runs_s):.0f} s on skin"
    measure.figure("PR-07", "heap_free_bytes", min(seen.free), f"least while running, {what}", relation=">=")
    growth = max(seen.used[WARM_RUNS:]) - seen.used[WARM_RUNS - 1]
    print("used heap in each run:", seen.used)
    measure.figure("PR-07", "heap_growth_bytes", growth, f"most since run {WARM_RUNS}, {what}")
    measure("PR-07", "cost_us", seen.statistics["tick_cost_us"], f"the pen's own measure, {what}")
    measure("PR-07", "jitter_us", seen.statistics["tick_jitter_us"], f"the pen's own measure, {what}")
    assert seen.statistics["frames_dropped"] == 0

    counted = seen.counters
    assert counted["sessions"] == 1 and counted["boots"] == 0
    assert counted["strokes"] == pytest.approx(sum(seen.strokes), abs=4 * runs), "the cam turned"
    assert counted["run_s"] == pytest.approx(sum(seen.run_s), abs=0.3 * runs + 1), "the motor ran"
    assert counted["calibration_run_s"] == pytest.approx(counted["run_s"], abs=1)
    _judge_log(seen.told, plan)
    assert seen.told == seen.stored, "what the pen tells is what is in its flash"


def _judge_log(events: Sequence[LoggedEvent], plan: Plan) -> None:
    assert not gaps(events)
    names = [event.name for event in events]
    assert names.count("RUN_ENDED") == len(plan.runs_s) and "FAULT" not in names
    depths = [event.values[0] for event in events if event.name == "DEPTH_SET"]
    assert depths == _changes(plan)
    times_ms = [event.uptime_ms for event in events]
    assert times_ms == sorted(times_ms)


def _check(pens: Pens, measure: Measure, plan: Plan, timeout_s: float) -> None:
    _judge(in_fork(_session, pens.ready(cell_v=3.9), plan, timeout_s=timeout_s), plan, measure)


def test_a_short_session_with_pauses(pens: Pens, measure: Measure) -> None:
    _check(pens, measure, Plan((3.0,) * 4, 10.0), 250)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_a_session_of_30_min_with_pauses(pens: Pens, measure: Measure) -> None:
    plan = Plan((8.0,) * 6, 352.0)
    assert plan.total_min >= 30
    _check(pens, measure, plan, 1700)


@pytest.mark.nightly
@pytest.mark.timeout(7200)
def test_30_min_of_running(pens: Pens, measure: Measure) -> None:
    """In runs that stay below the longest that is allowed (SR-13)."""
    plan = Plan((7.5 * 60,) * 4, 5.0)
    assert sum(plan.runs_s) >= 30 * 60 and max(plan.runs_s) < 60 * float(LIMIT("SR-13", "run_min"))
    _check(pens, measure, plan, 7000)


@pytest.mark.nightly
def test_a_firmware_that_keeps_memory_is_noticed(pens: Pens) -> None:
    """A test of the test: 2 KiB kept in each run, far less than there is room for."""
    old = "    def _ended(self, now_ms):\n"
    keeping = "    kept = None\n\n" + old + "        self.kept = (self.kept, bytearray(2048))\n"
    firmware = pens.variant("keeping", {"pen/sequence.py": (old, keeping)})
    plan = Plan((3.0,) * 4, 3.0)
    seen = in_fork(_session, pens.ready(cell_v=3.9, firmware=firmware), plan)
    assert seen.used[-1] - seen.used[WARM_RUNS - 1] > 1536
