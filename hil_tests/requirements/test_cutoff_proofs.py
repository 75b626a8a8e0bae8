"""SR-29: each cut-off channel is proven before the pen drives; a dead one is found and costs no stroke."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.bench import CELLS_V, RATES_HZ
from support.forks import each_in_fork, in_fork
from support.measuring import Measure
from support.parts_pen import MS, PartsPen, parts_firmware

from needlepen.firmware_modules import firmware_module

PROOF_FAILED = firmware_module("pen.faults").PROOF_FAILED
PULSE_MS = 2.0
"""The longest that a motor whose channel is dead may be driven by a proof."""
START_PROOFS_MS = 4.0
"""What the proofs at a start may take of the time from trigger to strokes (PR-04)."""
STROKE_LIMIT = 0.25
"""And how far the cam may turn then, in strokes: it swings back without one."""
AT_REST_CODES = firmware_module("pen.monitor")._CURRENT_AT_REST
LATE_MS = [0, 10, 20, 30, 40, 60, 80]
"""How late the main loop may look at a start; at 100 ms the tick stops the motor."""


@dataclass(frozen=True)
class Dead:
    """A dead channel: how it is broken, and what the proof has to say."""

    name: str
    said: str
    node: str = ""
    pin: str = ""
    level: int = 0

    def break_it(self, pen: PartsPen) -> None:
        if self.node:
            pen.electronics.stick(pen.now_ns, self.node, self.level)
        else:
            pen.chip.pins.force(pen.board.gpio(self.pin), self.level)

    def mend(self, pen: PartsPen) -> None:
        if self.node:
            pen.electronics.stick(pen.now_ns, self.node, None)
        else:
            pen.chip.pins.repair(pen.board.gpio(self.pin))


BEFORE_ARMING = (
    Dead("latch cannot be set", "overcurrent latch did not hold", node="LATCH", level=0),
    Dead("latch is set for good", "overcurrent latch is set", node="LATCH", level=1),
    Dead("latch does not hold", "overcurrent latch did not hold", node="LATCH_HOLD", level=0),
    Dead("latch is not cleared", "overcurrent latch did not clear", pin="LATCH_CLR", level=0),
    Dead("trip line high", "overcurrent cut did not come", pin="TRIP_N", level=1),
    Dead("trigger does not brake", "trigger gate does not brake", node="TRIGGER_TERM", level=0),
    Dead("bridge input low", "", node="IN2", level=0),
    Dead("permission line low", "permission line stuck", pin="RUN_N", level=0),
    Dead("permission line high", "permission line did not follow", pin="RUN_N", level=1),
    Dead("supply line high", "supply line stuck", pin="SUPPLY_EN", level=1),
    Dead("supply line low", "supply line did not follow", pin="SUPPLY_EN", level=0),
)
AT_START = (
    Dead("supply switch closed", "supply switch does not open", node="SUPPLY", level=1),
    Dead("permission does not brake", "withdrawn permission does not brake", node="RUN_N_TERM", level=0),
    Dead("watchdog does not brake", "external watchdog does not brake", node="WATCHDOG_TERM", level=0),
    Dead("bridge input low", "", node="IN2", level=0),
)


@pytest.fixture(scope="module", params=CELLS_V)
def pen(request: pytest.FixtureRequest, runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> PartsPen:
    """A pen that has been on for a while, everything sound. Fork it."""
    made = PartsPen(runtime, parts_firmware(tmp_path_factory.mktemp("proofs")), cell_v=request.param)
    assert made.ask("prove()")[0] is None
    made.run_for(100 * MS)
    return made


class Motion:
    """What the motor did from now on: strokes either way, highest current in A, time with current in ms."""

    STEP_NS = 10e3

    def __init__(self, pen: PartsPen) -> None:
        self._pen = pen
        self._from = self._least = self._most = pen.physics.peek(pen.now_ns).strokes
        self.current_a = self.driven_ms = 0.0
        self._alarm = pen.chip.create_alarm(self._look)
        self._alarm.schedule(self.STEP_NS)

    def _look(self) -> None:
        state = self._pen.physics.peek(self._pen.now_ns)
        self._least, self._most = min(self._least, state.strokes), max(self._most, state.strokes)
        self.current_a = max(self.current_a, state.current_a)
        self.driven_ms += self.STEP_NS / MS if state.current_a > 0.1 else 0.0
        self._alarm.schedule(self.STEP_NS)

    @property
    def strokes(self) -> float:
        return max(self._most - self._from, self._from - self._least)

    def facts(self) -> dict[str, float]:
        return {"strokes": self.strokes, "current_a": self.current_a, "driven_ms": self.driven_ms}


def _prove(pen: PartsPen, dead: Dead | None) -> dict[str, Any]:
    if dead:
        dead.break_it(pen)
    motion = Motion(pen)
    refused, took_us = pen.ask("prove()")
    pen.run_for(100 * MS)
    return {"refused": refused, "took_ms": took_us / 1e3, **motion.facts()}


def _start(pen: PartsPen, dead: Dead | None) -> dict[str, Any]:
    if dead:
        dead.break_it(pen)
    motion = Motion(pen)
    pen.press()
    woken_us = pen.ask("wake()")
    begun_ns = pen.now_ns
    refused, fault, took_us = pen.ask("start()")
    cleared_ns = [t for t, signal, level in pen.electronics.timeline if (signal, level) == ("LATCH_CLR", 0)]
    permitted_ns = pen.electronics.first("RUN_N", 0, begun_ns)
    until_start = motion.facts()
    running = pen.ask("run(60)")[0]
    return {
        "refused": refused,
        "fault": fault,
        "took_ms": took_us / 1e3,
        "woken_ms": woken_us / 1e3,
        "proofs_ms": (cleared_ns[-1] - permitted_ns) / MS if permitted_ns else None,
        "running": running,
        **(until_start if refused is None else motion.facts()),
    }


def test_all_proofs_together_take_less_than_1500_ms_and_move_nothing(pen: PartsPen, measure: Measure) -> None:
    before, started = in_fork(_prove, pen, None), in_fork(_start, pen, None)
    assert before["refused"] is None and started["refused"] is None and started["running"]
    total_ms = before["took_ms"] + started["woken_ms"] + started["took_ms"]
    what = f"before arming, at the press and at the start, {pen.parameters.cell_ocv_v} V"
    measure("SR-29", "proof_ms", total_ms, what)
    assert before["strokes"] == 0.0 and before["current_a"] == 0.0
    print(f"of the time from trigger to strokes: {started['proofs_ms']:.2f} ms")
    assert started["proofs_ms"] <= START_PROOFS_MS


@pytest.mark.parametrize("dead", BEFORE_ARMING, ids=lambda dead: dead.name.replace(" ", "_"))
def test_a_channel_that_is_dead_is_found_before_arming(pen: PartsPen, dead: Dead) -> None:
    seen = in_fork(_prove, pen, dead)
    assert seen["refused"] is not None and dead.said in seen["refused"], seen
    _judge_motion(seen)


@pytest.mark.parametrize("dead", AT_START, ids=lambda dead: dead.name.replace(" ", "_"))
def test_a_channel_that_is_dead_is_found_at_the_press(pen: PartsPen, dead: Dead) -> None:
    seen = in_fork(_start, pen, dead)
    assert seen["refused"] is not None and dead.said in seen["refused"], seen
    assert not seen["running"]
    _judge_motion(seen)


def _judge_motion(seen: dict[str, Any]) -> None:
    print(
        f"driven for {seen['driven_ms']:.2f} ms, {seen['current_a']:.2f} A, cam turned {seen['strokes']:.3f} strokes"
    )
    assert seen["driven_ms"] <= PULSE_MS
    assert seen["strokes"] <= STROKE_LIMIT


def test_both_ways_of_the_latch_dead_is_found_at_the_press_one_alone_still_cuts(pen: PartsPen) -> None:
    """The latch opens the supply and brakes. The proof sees whether current flows, so it takes one of the two."""
    seen = in_fork(_start, pen, Dead("latch does not brake", "", node="LATCH_TERM", level=0))
    assert seen["refused"] is None and seen["running"]


def _mended(pen: PartsPen, dead: Dead) -> tuple[Any, Any]:
    dead.break_it(pen)
    failed = pen.ask("prove()")[0]
    dead.mend(pen)
    pen.exec("drive.clear_latch()")
    pen.run_for(50 * MS)
    return failed, pen.ask("prove()")[0]


def test_a_failed_proof_leaves_everything_safe_and_a_mended_channel_passes_the_next_one(
    pen: PartsPen,
) -> None:
    for dead, (failed, passed) in zip(BEFORE_ARMING, each_in_fork(pen, _mended, BEFORE_ARMING), strict=True):
        assert failed is not None and passed is None, dead.name


def _lines_after(pen: PartsPen, dead: Dead) -> dict[str, Any]:
    dead.break_it(pen)
    pen.ask("prove()")
    return {"run_n": pen.ask("drive.cutoff.permitted()"), "supply": pen.ask("drive.cutoff.supply_enabled()")}


def test_no_failed_proof_leaves_permission_or_supply(pen: PartsPen) -> None:
    channels = [dead for dead in BEFORE_ARMING if dead.pin not in ("RUN_N", "SUPPLY_EN")]
    for dead, lines in zip(channels, each_in_fork(pen, _lines_after, channels), strict=True):
        assert lines == {"run_n": False, "supply": False}, dead.name


def _pressed(pen: PartsPen, at_us: float) -> tuple[Any, float]:
    """Press the trigger some time after the proof has begun."""
    motion = Motion(pen)
    begun: list[float] = []

    def permission(t_ns: int, level: int | None) -> None:
        if level == 0 and not begun:
            begun.append(float(t_ns))
            pen.chip.call_at(t_ns + at_us * 1e3, pen.press)

    pen.chip.on_output(pen.board.gpio("RUN_N"), permission)
    refused = pen.ask("prove()")[0]
    pen.run_for(50 * MS)
    return refused, motion.strokes


def test_a_trigger_pressed_during_the_proof_proves_nothing_and_starts_nothing(pen: PartsPen) -> None:
    moments_us = [0.0, 500.0, 2_000.0, 5_000.0, 10_000.0, 16_000.0, 18_000.0]
    for at_us, (refused, strokes) in zip(moments_us, each_in_fork(pen, _pressed, moments_us), strict=True):
        assert refused in (None, "to be proven with the trigger up"), at_us
        assert strokes <= STROKE_LIMIT, at_us


def test_a_start_soon_after_the_last_one_does_not_blame_the_watchdog(pen: PartsPen) -> None:
    """It has not expired yet, so it cannot be proven."""

    def again(pen: PartsPen, rest_ms: float) -> Any:
        pen.press()
        pen.ask("wake()")
        assert pen.ask("start()")[0] is None
        pen.ask("run(200)")
        pen.release()
        pen.ask("run(150)")
        pen.exec("drive.rest()")
        pen.run_for(rest_ms * MS)
        pen.press()
        pen.ask("wake()")
        return pen.ask("start()")[0]

    assert each_in_fork(pen, again, [0.0, 5.0, 15.0, 29.0, 34.0, 40.0, 200.0]) == [None] * 7


def test_a_current_sensor_that_shows_nothing_ends_the_first_stroke(pen: PartsPen) -> None:
    """The proofs look for current: they are worth nothing with a sensor that never shows any.

    Nothing is also the most that it may show at rest without being noticed there.
    """

    def run(pen: PartsPen, case: tuple[int, int]) -> tuple[Any, ...]:
        code, late_ms = case
        pen.chip.set_adc_source(0, lambda _t: code)
        pen.press()
        pen.ask("wake()")
        pen.exec(f"refused, _, _ = start()\ntime.sleep_ms({late_ms})")
        return pen.ask("refused"), *pen.ask("run(200)")

    cases = [(code, late_ms) for code in (0, AT_REST_CODES) for late_ms in (0, LATE_MS[-1])]
    for case, (refused, running, _, fault) in zip(cases, each_in_fork(pen, run, cases), strict=True):
        assert refused is None and not running, case
        assert fault == firmware_module("pen.faults").CURRENT_SENSOR, case


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_sound_current_sensor_is_never_blamed_for_a_main_loop_that_looks_late(
    pen: PartsPen, rate_hz: int
) -> None:
    """A start at a low rate is over in 20 ms, and a collection of garbage alone takes 24: nobody need have looked."""

    def run(pen: PartsPen, late_ms: int) -> tuple[Any, ...]:
        pen.ask(f"drive.set_rate_hz({rate_hz})")
        pen.press()
        pen.ask("wake()")
        pen.exec(f"refused, _, _ = start()\ntime.sleep_ms({late_ms})")
        return pen.ask("refused"), *pen.ask("run(60)")

    for late_ms, seen in zip(LATE_MS, each_in_fork(pen, run, LATE_MS), strict=True):
        refused, running, _, fault = seen
        assert refused is None and running and fault == firmware_module("pen.faults").NONE, (late_ms, seen)
