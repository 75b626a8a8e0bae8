"""SR-26 and SR-29 on the whole pen: whatever a self-test or a proof finds, the motor does not run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from support.bench import LIMIT, MS, Pens, braked_ns, never_driven, start
from support.forks import each_in_fork, in_fork
from support.measuring import Measure
from support.nights import mostly_nightly

from needlepen.emulator.chip_faults import ChipFaults
from needlepen.emulator.pen import EmulatedPen
from needlepen.link.client import messages

DETECT_MS = float(LIMIT("SR-26", "clock_detect_ms"))
CYCLE_MS = 1e3 * float(LIMIT("SR-26", "cycle_s"))
BOOT_MS = 4_500.0
UNUSED_RAM = 0x20040C00  # the second core's stack, in scratch X; the heap ends at 0x20040000
TURN_LIMIT = 0.25  # a proof of a dead channel may turn the cam a little; it swings back


@dataclass(frozen=True)
class Broken:
    """A part that breaks, and what the pen says."""

    name: str
    fault: str
    break_it: Callable[[EmulatedPen], Any]

    def __str__(self) -> str:
        return self.name


def _pin(name: str, level: int) -> Callable[[EmulatedPen], Any]:
    return lambda pen: pen.chip.pins.force(pen.board.gpio(name), level)


def _node(name: str, level: int) -> Callable[[EmulatedPen], Any]:
    return lambda pen: pen.electronics.stick(pen.now_ns, name, level)


def _clock(which: str, value: float) -> Callable[[EmulatedPen], Any]:
    return lambda pen: setattr(pen.chip.clocks, which, value)


def _flip_last_of_runtime(pen: EmulatedPen) -> None:
    """The last bytes of the runtime are data that an ordinary run does not read."""
    content = bytes(pen.chip.mcu.flash[: pen.board.flash.filesystem_offset]).rstrip(b"\xff")
    ChipFaults(pen.chip).flip_flash_bit(0x10000000 + len(content) - 1, 6)


PARTS = (
    Broken("memory", "memory fault", lambda pen: ChipFaults(pen.chip).stick_ram_bit(UNUSED_RAM, 4, 1)),
    Broken("CPU", "processor fault", lambda pen: ChipFaults(pen.chip).break_rotation()),
    Broken("runtime", "program memory fault", _flip_last_of_runtime),
    Broken("ring oscillator", "clock fault", _clock("rosc_khz", 0.0)),
    Broken("PLL", "clock fault", _clock("pll_error", 0.03)),
    Broken("reference", "converter fault", lambda pen: ChipFaults(pen.chip).bend_reference(-0.15)),
    Broken("PWM_N low", "output read-back", _pin("PWM_N", 0)),
    Broken("WDT_KICK high", "output read-back", _pin("WDT_KICK", 1)),
    Broken("LATCH_CLR high", "output read-back", _pin("LATCH_CLR", 1)),
)
CHANNELS_BEFORE = (
    Broken("latch cannot be set", "", _node("LATCH", 0)),
    Broken("latch does not hold", "", _node("LATCH_HOLD", 0)),
    Broken("trigger does not brake", "", _node("TRIGGER_TERM", 0)),
    Broken("bridge input low", "", _node("IN2", 0)),
    Broken("permission line high", "", _pin("RUN_N", 1)),
    Broken("supply line low", "", _pin("SUPPLY_EN", 0)),
)
CHANNELS_AT_START = (
    Broken("supply switch closed", "", _node("SUPPLY", 1)),
    Broken("permission does not brake", "", _node("RUN_N_TERM", 0)),
    Broken("watchdog does not brake", "", _node("WATCHDOG_TERM", 0)),
)
WITHOUT_DRIVE = (
    Broken("supply switch open", "", _node("SUPPLY", 0)),
    Broken("trigger always brakes", "", _node("TRIGGER_TERM", 1)),
    Broken("watchdog always brakes", "", _node("WATCHDOG_TERM", 1)),
)


def _try_everything(pen: EmulatedPen) -> dict[str, Any]:
    """What an operator would try: press, press again, acknowledge, press."""
    begun = pen.physics.peek(pen.now_ns).strokes
    most = least = begun
    states: set[str] = set()
    pen.link.on_telemetry(lambda telemetry: states.add(telemetry.state))
    for act in (pen.press, pen.release, pen.press, pen.release):
        act()
        for _ in range(20):
            pen.run_for(20 * MS)
            strokes = pen.physics.peek(pen.now_ns).strokes
            most, least = max(most, strokes), min(least, strokes)
    refused = pen.request(messages.ACKNOWLEDGE).refused
    pen.press()
    pen.run_for(400 * MS)
    strokes = pen.physics.peek(pen.now_ns).strokes
    assert pen.telemetry is not None
    return {
        "turned": max(most, strokes) - min(least, strokes),
        "refused": refused,
        "states": states,
        "state": pen.telemetry.state,
        "fault": pen.telemetry.fault,
    }


@pytest.mark.parametrize("broken", PARTS, ids=str)
def test_a_part_that_is_broken_at_power_on_locks_the_pen_out(pens: Pens, broken: Broken) -> None:
    def boot() -> tuple[bool, dict[str, Any], bool]:
        pen = pens.new()
        broken.break_it(pen)
        pen.connect()
        locked = pen.run_until(
            lambda: pen.telemetry is not None and pen.telemetry.state == "locked_out", BOOT_MS * MS
        )
        from_ns = float(pen.now_ns)
        return locked, _try_everything(pen), never_driven(pen, from_ns)

    locked, tried, undriven = in_fork(boot)
    assert locked and undriven and tried["turned"] == 0.0, tried
    assert (tried["state"], tried["fault"]) == ("locked_out", broken.fault)
    assert tried["refused"], "a lockout ends with a power cycle only"


@pytest.mark.parametrize("channel", mostly_nightly(range(5), 0, 3))
def test_a_multiplexer_that_is_stuck_at_power_on_keeps_the_pen_from_running(pens: Pens, channel: int) -> None:
    """The monitor may see an input that cannot be before the self-tests do: that is a fault of its sensor then."""

    def boot() -> dict[str, Any]:
        pen = pens.new()
        ChipFaults(pen.chip).stick_multiplexer(channel)
        pen.connect()
        pen.run_until(lambda: pen.telemetry is not None and pen.telemetry.fault != "none", BOOT_MS * MS)
        return _try_everything(pen)

    tried = in_fork(boot)
    assert tried["turned"] == 0.0 and tried["states"] <= {"safe", "locked_out", "self_test"}, tried


@pytest.mark.parametrize("broken", CHANNELS_BEFORE, ids=str)
def test_a_channel_that_is_dead_at_power_on_keeps_the_pen_from_arming(pens: Pens, broken: Broken) -> None:
    def boot() -> dict[str, Any]:
        pen = pens.new()
        broken.break_it(pen)
        pen.connect()
        assert pen.run_until(
            lambda: pen.telemetry is not None and pen.telemetry.state == "safe", BOOT_MS * MS
        ), pen.telemetry
        return _try_everything(pen)

    tried = in_fork(boot)
    assert tried["turned"] <= TURN_LIMIT, tried
    assert tried["states"] <= {"safe", "self_test"}, "neither ready nor running"


@pytest.mark.parametrize("broken", CHANNELS_AT_START, ids=str)
def test_a_channel_that_has_died_since_is_found_at_the_press_and_costs_no_stroke(
    pens: Pens, broken: Broken
) -> None:
    def run(pen: EmulatedPen) -> dict[str, Any]:
        pen.run_for(300 * MS)
        broken.break_it(pen)
        begun = pen.physics.peek(pen.now_ns).strokes
        pen.press()
        pen.run_for(400 * MS)
        turned = abs(pen.physics.peek(pen.now_ns).strokes - begun)
        assert pen.telemetry is not None
        return {"turned": turned, "state": pen.telemetry.state, "fault": pen.telemetry.fault}

    seen = in_fork(run, pens.ready())
    assert seen["turned"] <= TURN_LIMIT
    assert (seen["state"], seen["fault"]) == ("safe", "cut-off proof failed")


@pytest.mark.parametrize("broken", WITHOUT_DRIVE, ids=str)
def test_a_channel_that_never_lets_go_ends_in_a_stall_without_a_stroke(pens: Pens, broken: Broken) -> None:
    """A pen that cannot drive proves every cut-off; it has to say at the first press that it does not move."""

    def run(pen: EmulatedPen) -> dict[str, Any]:
        pen.run_for(300 * MS)
        broken.break_it(pen)
        pen.press()
        pen.run_for(400 * MS)
        assert pen.telemetry is not None
        return {"state": pen.telemetry.state, "fault": pen.telemetry.fault}

    assert in_fork(run, pens.ready()) == {"state": "safe", "fault": "stall"}


@pytest.mark.parametrize("rate_hz", mostly_nightly([50, 100, 150], 150))
def test_a_wrong_clock_brakes_a_running_motor_within_100_ms(
    pens: Pens, measure: Measure, rate_hz: int
) -> None:
    def jump(pen: EmulatedPen, case: tuple[str, float]) -> tuple[float, str, str]:
        jumped_ns = float(pen.now_ns)
        setattr(pen.chip.clocks, *case)
        pen.run_for(300 * MS)
        assert pen.telemetry is not None
        return braked_ns(pen, jumped_ns) / MS, pen.telemetry.state, pen.telemetry.fault

    def sweep(pen: EmulatedPen) -> list[tuple[float, str, str]]:
        start(pen, rate_hz)
        return each_in_fork(pen, jump, cases, lambda p, _: p.run_for(7 * MS))

    cases = [
        (name, error) for name in ("crystal_error", "pll_error") for error in (0.0505, -0.0505, 0.3, -0.3)
    ] * 3
    seen = in_fork(sweep, pens.ready())
    assert {(state, fault) for _, state, fault in seen} == {("locked_out", "clock fault")}
    times = {f"{case[0]} {case[1]:+.4f}, moment {k}": seen[k][0] for k, case in enumerate(cases)}
    measure.worst("SR-26", "clock_detect_ms", times, f"clock error until the motor brakes, {rate_hz} Hz")


def test_a_wrong_clock_at_rest_locks_the_pen_out_within_100_ms(pens: Pens, measure: Measure) -> None:
    """Until the host reads it; telemetry comes every 20 ms."""

    def jump(pen: EmulatedPen, phase_ms: float) -> float:
        pen.run_for(phase_ms * MS)
        jumped_ns = pen.now_ns
        pen.chip.clocks.crystal_error = 0.0505
        assert pen.run_until(
            lambda: pen.telemetry is not None and pen.telemetry.state == "locked_out", 500 * MS, MS
        )
        return (pen.now_ns - jumped_ns) / MS

    phases_ms = [1.3 * k for k in range(16)]

    def at_rest(pen: EmulatedPen) -> list[float]:
        pen.run_for(2_000 * MS)
        return each_in_fork(pen, jump, phases_ms)

    times = dict(zip(phases_ms, in_fork(at_rest, pens.ready()), strict=True))
    measure.worst("SR-26", "clock_detect_ms", times, "clock error at rest until telemetry shows it")


@pytest.mark.nightly  # every day with the parts alone: test_self_tests.py
@pytest.mark.parametrize("broken", [b for b in PARTS if b.name in ("memory", "runtime")], ids=str)
def test_a_part_that_breaks_while_the_motor_runs_stops_it_within_60_s(
    pens: Pens, measure: Measure, broken: Broken
) -> None:
    def run(pen: EmulatedPen) -> tuple[float, str]:
        start(pen, 100, needles=12)
        broken_ns = float(pen.now_ns)
        broken.break_it(pen)
        pen.run_until(
            lambda: pen.telemetry is not None and pen.telemetry.state != "running", 1.1 * CYCLE_MS * MS, MS
        )
        pen.run_for(100 * MS)
        assert pen.telemetry is not None
        return braked_ns(pen, broken_ns) / 1e9, pen.telemetry.fault

    seen_s, fault = in_fork(run, pens.ready())
    assert fault == broken.fault
    measure("SR-26", "cycle_s", seen_s, f"{broken} broken while the motor runs, until it brakes")
