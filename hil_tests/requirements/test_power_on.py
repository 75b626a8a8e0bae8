"""PR-09 and SR-11: ready soon, and no drive before anybody asked for it deliberately."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from support.bench import CELLS_V, LIMIT, MS, Pens, held_since, never_driven, press, record_pin, strokes
from support.forks import each_in_fork, in_fork
from support.measuring import Measure
from support.nights import mostly_nightly

from needlepen.emulator.pen import EmulatedPen
from needlepen.link.client import messages

QUIET_MS = float(LIMIT("SR-11", "quiet_ms"))
RELEASE_MS = float(LIMIT("SR-11", "release_ms"))
RESETS = ("power_on", "run_pin", "watchdog")


@pytest.mark.parametrize("cell_v", CELLS_V)
def test_ready_within_2500_ms_of_power_on(pens: Pens, measure: Measure, cell_v: float) -> None:
    def boot() -> tuple[float, float, int]:
        pen = pens.new(cell_v)
        lamp = record_pin(pen, "LED")
        pen.power_up()
        lit_ms = next(t for t, level in lamp if level == 1) / MS
        told_ms = pen.now_ns / MS
        return lit_ms, told_ms, pen.request(messages.GET_STATISTICS).fields["ready_ms"]

    lit_ms, told_ms, own_ms = in_fork(boot)
    measure("PR-09", "ready_ms", lit_ms, f"lamp, {cell_v} V cell")
    measure("PR-09", "ready_ms", told_ms, f"telemetry says ready, {cell_v} V cell")
    assert abs(own_ms - lit_ms) < 20


@dataclass(frozen=True)
class Quiet:
    """What the lines did after a reset, ms from the reset; infinity = not at all."""

    permitted_ms: float
    driven_ms: float


def _after_reset(pen: EmulatedPen, cause: str, trigger: str) -> Quiet:
    """Reset the pen, with the trigger as it is then or pressed a while later, and watch its lines for 2 s."""
    if trigger == "held":
        pen.press()
    resets: list[int] = []
    pen.chip.on_reset(lambda t_ns, _cause: resets.append(t_ns))
    if cause == "watchdog":
        pen.chip.spin_cpu()
        pen.run_until(lambda: bool(resets), 500 * MS)
    elif pen.now_ns > 0:
        pen.chip.reset(cause)  # type: ignore[arg-type]
    reset_ns = resets[-1] if resets else 0
    if trigger == "pressed as soon as that counts":
        pen.run_for((RELEASE_MS + 60) * MS)
        pen.press()
    pen.run_for(2_000 * MS)
    timeline = [event for event in pen.electronics.timeline if event[0] >= reset_ns]
    permitted = (t for t, signal, level in timeline if (signal, level) in (("RUN_N", 0), ("SUPPLY_EN", 1)))
    lines = {"BRAKE": 1.0, "DUTY": 0.0, "SUPPLY": 0.0}
    driven_ns = math.inf
    for t_ns, signal, level in timeline:
        lines[signal] = level
        if lines["BRAKE"] == 0 and lines["DUTY"] > 0 and lines["SUPPLY"] == 1:
            driven_ns = min(driven_ns, t_ns)
    return Quiet((next(permitted, math.inf) - reset_ns) / MS, (driven_ns - reset_ns) / MS)


@pytest.mark.parametrize("trigger", ["released", "held", "pressed as soon as that counts"])
@pytest.mark.parametrize("cause", RESETS)
def test_no_drive_in_the_first_500_ms_after_any_reset(
    pens: Pens, measure: Measure, cause: str, trigger: str
) -> None:
    pen = pens.new() if cause == "power_on" else pens.ready()
    seen = in_fork(_after_reset, pen, cause, trigger)
    what = f"after {cause}, trigger {trigger}"
    measure("SR-11", "quiet_ms", seen.permitted_ms, f"permission or supply {what}", relation=">=")
    measure("SR-11", "quiet_ms", seen.driven_ms, f"drive {what}", relation=">=")
    if trigger != "pressed as soon as that counts" or cause == "watchdog":
        assert seen.driven_ms == math.inf


def _release_for(pen: EmulatedPen, case: tuple[float, float]) -> bool:
    """Let go of a trigger that was held since boot, press it again; whether the motor was driven then."""
    pen.release()
    pen.run_for(case[1] * MS)
    pressed_ns = float(pen.now_ns)
    pen.press()
    pen.run_for(400 * MS)
    return not never_driven(pen, pressed_ns)


def _strokes_when_pressed(pen: EmulatedPen) -> bool:
    """In the middle of a proof of the trigger gate a press lets 0.34 ms of drive through: that is no stroke."""
    begun = strokes(pen)
    pen.press()
    pen.run_for(400 * MS)
    return abs(strokes(pen) - begun) >= 1


def _held_at_boot(pens: Pens, cases: list[tuple[float, float]]) -> list[bool]:
    pen = pens.new()
    pen.press()
    pen.connect()
    pen.run_for(3_000 * MS)
    assert never_driven(pen)
    begun_ns = pen.now_ns

    def wait(pen: EmulatedPen, case: tuple[float, float]) -> None:
        pen.run_for(max(0.0, begun_ns + case[0] * MS - pen.now_ns))

    return each_in_fork(pen, _release_for, cases, wait)


@pytest.mark.parametrize("phases", mostly_nightly([20, 60], 20))
def test_a_trigger_held_at_boot_counts_only_after_200_ms_of_release(pens: Pens, phases: int) -> None:
    """At many phases of the main loop and of what it does at rest within a second. A little later than 200 ms it has to
    count, or the pen looks dead.
    """
    few, some = phases // 10, phases // 3
    widths_ms = {
        1.0: few,
        RELEASE_MS / 2: few,
        RELEASE_MS - 10: few,
        RELEASE_MS - 1: phases,
        1.25 * RELEASE_MS: some,
    }
    cases = sorted((1_096.0 / count * k, width) for width, count in widths_ms.items() for k in range(count))
    for case, driven in zip(cases, in_fork(_held_at_boot, pens, cases), strict=True):
        assert driven == (case[1] >= RELEASE_MS), (
            f"released for {case[1]} ms, {case[0]} ms into the loop: {driven}"
        )


def test_a_released_trigger_counts_without_a_host_too(pens: Pens) -> None:
    """Nothing is asked of the pen and nothing else happens: it has to look again by itself."""

    def boot() -> list[bool]:
        pen = pens.new()
        pen.press()
        pen.run_for(4_000 * MS)
        widths_ms = [RELEASE_MS - 1, 1.25 * RELEASE_MS, 10 * RELEASE_MS]
        return each_in_fork(pen, _release_for, [(0.0, ms) for ms in widths_ms])

    assert in_fork(boot) == [False, True, True]


@pytest.mark.parametrize(
    ("pressed_ms", "step_ms"), mostly_nightly([(12.0, 69.0), (12.0, 23.0), (60.0, 23.0)], (12.0, 69.0))
)
def test_a_press_during_the_tests_of_the_boot_asks_for_a_new_release(
    pens: Pens, pressed_ms: float, step_ms: float
) -> None:
    """Up at power-on, pressed however shortly before the pen is ready, then up for half of the time: no start."""

    def briefly_up(pen: EmulatedPen, _up_at_ms: float) -> tuple[bool, bool]:
        pen.press()
        pen.run_for(pressed_ms * MS)
        pen.release()
        pen.run_for(25 * MS)  # until telemetry shows a state after the release
        too_early = pen.telemetry is None or pen.telemetry.state in ("boot", "self_test")
        pen.run_for((RELEASE_MS / 2 - 25) * MS)
        return too_early, _strokes_when_pressed(pen)

    def boot() -> list[tuple[bool, bool]]:
        pen = pens.new()
        pen.connect()
        return each_in_fork(pen, briefly_up, at_ms, lambda pen, ms: pen.run_for(step_ms * MS if ms else 0.0))

    at_ms = [step_ms * k for k in range(round(1_380.0 / step_ms))]
    seen = dict(zip(at_ms, in_fork(boot), strict=True))
    assert [ms for ms, (too_early, driven) in seen.items() if too_early and driven] == []
    early = sum(too_early for too_early, _ in seen.values())
    assert len(at_ms) / 3 <= early < len(at_ms), "the sweep reaches over the end of the tests"
    assert any(driven for _, driven in seen.values()), "a pen that is ready starts"


def test_a_bouncing_contact_is_no_release(pens: Pens) -> None:
    """The 200 ms start afresh with each contact."""

    def bounce(pen: EmulatedPen) -> bool:
        start_ns = float(pen.now_ns)
        for _ in range(4):
            pen.release()
            pen.run_for(150 * MS)
            pen.press()
            pen.run_for(100 * MS)
        return never_driven(pen, start_ns)

    def held() -> bool:
        pen = pens.new()
        pen.press()
        pen.connect()
        pen.run_for(3_000 * MS)
        return bounce(pen)

    assert in_fork(held)


def test_a_pen_without_quiet_time_is_noticed(pens: Pens) -> None:
    """A test of the test: firmware that permits at once is seen."""
    begin = "started_ms = time.ticks_ms()\n"
    permit = "from machine import Pin\nPin(3, Pin.OUT, value=0)\n"
    firmware = pens.variant("not_quiet", {"main.py": (begin, begin + permit)})
    assert in_fork(_after_reset, pens.new(firmware=firmware), "power_on", "released").permitted_ms < QUIET_MS


def test_reading_the_lines_sees_a_driven_motor(pens: Pens) -> None:
    """A test of the tests: `never_driven` is not always true."""

    def run(pen: EmulatedPen) -> tuple[bool, float]:
        pressed_ns = press(pen, 100)
        pen.run_for(300 * MS)
        return never_driven(pen, pressed_ns), held_since(pen, lambda lines: lines["RUN_N"] == 0, pressed_ns)

    undriven, permitted_ns = in_fork(run, pens.ready())
    assert not undriven and permitted_ns < math.inf
