"""SR-10: a CPU that stops, or spins with interrupts off, at any moment of a run."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from support.bench import LIMIT, MS, Pens, hang, never_driven, observe, start
from support.forks import each_in_fork, in_fork
from support.measuring import Measure
from support.nights import mostly_nightly

from needlepen.emulator.pen import EmulatedPen
from needlepen.link.client import messages

SEED = 10
MOMENTS = 24
BEAT_REGISTER, BEAT_COUNTS = 0x5020_0014, 62
TICK_STANDS = 0x5030_3000, 1 << 2  # PIO1, CTRL: clear the bit of the tick machine
RUNS = [(50, 0), (100, 24), (150, 0)]
# The latest brake and the most strokes.
DAILY_RUNS = pytest.mark.parametrize(("rate_hz", "needles"), mostly_nightly(RUNS, (100, 24), (150, 0)))


def _hang(pen: EmulatedPen, cpu: str) -> dict[str, Any]:
    hang_ns = float(pen.now_ns)
    hang(pen, cpu)
    return observe(pen, hang_ns, ms=160)


def _at_random_moments(
    pen: EmulatedPen, rate_hz: int, needles: int, case: Any, cases: list[Any]
) -> list[Any]:
    moments = random.Random(SEED)
    start(pen, rate_hz, needles=needles)
    return each_in_fork(pen, case, cases, lambda p, _: p.run_for(moments.uniform(0.2, 12.0) * MS))


@pytest.mark.parametrize("cpu", ["halted", "spinning"])
@DAILY_RUNS
def test_a_hung_cpu_is_braked_by_the_pio_heartbeat(
    pens: Pens, measure: Measure, rate_hz: int, needles: int, cpu: str
) -> None:
    print(f"{MOMENTS} moments drawn with seed {SEED}")
    outcomes = in_fork(_at_random_moments, pens.ready(), rate_hz, needles, _hang, [cpu] * MOMENTS)
    what = f"{rate_hz} Hz, {needles} needles, CPU {cpu}"
    gated = {f"moment {k}": o["gated_ns"] / MS for k, o in enumerate(outcomes)}
    measure.worst("SR-10", "pio_brake_ms", gated, what)
    measure.figure("SR-10", "heartbeat_ms", max(gated.values()), what)
    measure.worst("SR-10", "strokes", {f"moment {k}": o["strokes"] for k, o in enumerate(outcomes)}, what)
    for o in outcomes:
        assert o["supply_open_ns"] < o["gated_ns"] and o["standstill_ns"] < math.inf and not o["damage"]


def _feed(pen: EmulatedPen) -> None:
    """Keep the heartbeat machine alive from outside."""
    pen.chip.mcu.write_uint32(BEAT_REGISTER, BEAT_COUNTS)
    pen.chip.call_at(pen.now_ns + 1 * MS, lambda: _feed(pen))


def _stuck_permission(pen: EmulatedPen, cpu: str) -> dict[str, Any]:
    pen.chip.pins.force(pen.board.gpio("RUN_N"), 0)
    return _hang(pen, cpu)


def _fooled_heartbeat(pen: EmulatedPen, cpu: str) -> dict[str, Any]:
    _feed(pen)
    return _hang(pen, cpu)


@pytest.mark.parametrize("pio", ["RUN_N stuck low", "heartbeat fooled"])
@pytest.mark.parametrize("cpu", ["halted", "spinning"])
@DAILY_RUNS
def test_a_hung_cpu_is_braked_by_the_external_watchdog_alone(
    pens: Pens, measure: Measure, rate_hz: int, needles: int, cpu: str, pio: str
) -> None:
    """RUN_N stuck low at the gate: PIO can still open the supply. Heartbeat fooled: PIO does nothing at all."""
    case = _stuck_permission if pio == "RUN_N stuck low" else _fooled_heartbeat
    print(f"{MOMENTS // 2} moments drawn with seed {SEED}")
    outcomes = in_fork(_at_random_moments, pens.ready(), rate_hz, needles, case, [cpu] * (MOMENTS // 2))
    what = f"{rate_hz} Hz, {needles} needles, CPU {cpu}, {pio}"
    gated = {f"moment {k}": o["gated_ns"] / MS for k, o in enumerate(outcomes)}
    measure.worst("SR-10", "external_brake_ms", gated, what)
    measure.worst("SR-10", "strokes", {f"moment {k}": o["strokes"] for k, o in enumerate(outcomes)}, what)
    assert min(gated.values()) > float(LIMIT("SR-10", "pio_brake_ms")), "something else braked first"


def _until_acknowledged(pen: EmulatedPen, held: bool) -> dict[str, Any]:
    """Spin, let the watchdog reset the chip, wait with the trigger held or released, acknowledge."""
    resets: list[tuple[int, str]] = []
    pen.chip.on_reset(lambda t_ns, cause: resets.append((t_ns, cause)))
    hang_ns = float(pen.now_ns)
    pen.chip.spin_cpu()
    if not held:
        pen.release()
    pen.run_for(300 * MS)
    assert resets, "the chip was not reset"
    first = pen.wait_state("safe")
    pen.run_for(2_000 * MS)
    later = pen.telemetry
    held_refusal = pen.request(messages.ACKNOWLEDGE).refused if held else "not tried"
    pen.release()
    pen.run_for(300 * MS)
    undriven = never_driven(pen, hang_ns + float(LIMIT("SR-10", "pio_brake_ms")) * MS)
    refused = pen.request(messages.ACKNOWLEDGE).refused
    return {
        "reset_ms": (resets[0][0] - hang_ns) / MS,
        "cause": resets[0][1],
        "faults": (first.fault, later.fault if later else "", later.state if later else ""),
        "held_refusal": held_refusal,
        "undriven": undriven,
        "refused": refused,
        "after": pen.wait_state("idle").state,
    }


@pytest.mark.parametrize(
    ("held", "moments"),
    mostly_nightly([(True, 2), (True, 6), (False, 6)], (True, 2)),
    ids=["trigger held", "trigger held often", "trigger released"],
)
def test_a_hung_cpu_is_reset_and_stays_safe_until_acknowledged(
    pens: Pens, measure: Measure, held: bool, moments: int
) -> None:
    outcomes = in_fork(_at_random_moments, pens.ready(), 150, 0, _until_acknowledged, [held] * moments)
    resets = {f"moment {k}": o["reset_ms"] for k, o in enumerate(outcomes)}
    measure.worst("SR-10", "reset_ms", resets, "CPU spinning")
    for o in outcomes:  # idle at the end: the cartridge was used before the reset
        assert o["cause"] == "watchdog" and o["faults"] == ("watchdog reset", "watchdog reset", "safe")
        assert o["undriven"] and o["held_refusal"] and o["refused"] is None and o["after"] == "idle"


def test_a_halted_cpu_is_reset_too(pens: Pens, measure: Measure) -> None:
    def run(pen: EmulatedPen) -> float:
        start(pen, 100)
        resets: list[int] = []
        pen.chip.on_reset(lambda t_ns, _cause: resets.append(t_ns))
        hang_ns = pen.now_ns
        pen.chip.halt_cpu()
        pen.run_until(lambda: bool(resets), 1_000 * MS)
        return (resets[0] - hang_ns) / MS if resets else math.inf

    measure("SR-10", "reset_ms", in_fork(run, pens.ready()), "CPU halted")


def test_a_tick_that_stands_still_alone_ends_in_a_reset(pens: Pens, measure: Measure) -> None:
    """The main loop goes on, and feeds the chip's watchdog only while the tick runs."""

    def run(pen: EmulatedPen) -> float:
        start(pen, 100)
        resets: list[int] = []
        pen.chip.on_reset(lambda t_ns, _cause: resets.append(t_ns))
        still_ns = pen.now_ns
        pen.chip.mcu.write_uint32(*TICK_STANDS)
        pen.run_until(lambda: bool(resets), 1_000 * MS)
        return (resets[0] - still_ns) / MS if resets else math.inf

    measure("SR-10", "reset_ms", in_fork(run, pens.ready()), "tick stands still, main loop goes on")


def test_a_main_loop_that_hangs_alone_ends_the_run_too(pens: Pens, measure: Measure) -> None:
    """Interrupts still work, so the tick goes on: it must not keep the motor running for ever."""
    served = "        self.host.serve(now_ms)\n"
    stuck = served + "        while now_ms > 8_000:\n            pass\n"
    firmware = pens.variant("stuck_loop", {"pen/app.py": (served, stuck)})

    def run(pen: EmulatedPen) -> tuple[dict[str, Any], float, float]:
        resets: list[int] = []
        pen.chip.on_reset(lambda t_ns, _cause: resets.append(t_ns))
        start(pen, 150)
        pen.run_for(8_050 * MS - pen.now_ns)
        hang_ns = 8_000 * MS
        seen = observe(pen, hang_ns, ms=300)
        expired_ns = pen.electronics.first("WDT_EXPIRED", 1, hang_ns)
        reset_ns = resets[0] if resets else math.inf
        return seen, (reset_ns - hang_ns) / MS, reset_ns - (expired_ns or math.inf)

    seen, reset_ms, expired_before_reset_ns = in_fork(run, pens.ready(firmware=firmware))
    assert seen["gated_ns"] < math.inf and seen["standstill_ns"] < math.inf
    measure("SR-10", "reset_ms", reset_ms, "main loop hangs alone")
    assert expired_before_reset_ns > 0, "the tick alone kept the external watchdog quiet"


def test_a_pen_without_heartbeat_limit_is_noticed(pens: Pens) -> None:
    """A test of the test: a long time to live brakes too late."""
    firmware = pens.variant(
        "long_life", {"pen/control.py": ("_BEAT_COUNTS = const(62)", "_BEAT_COUNTS = const(400)")}
    )
    outcomes = in_fork(_at_random_moments, pens.ready(firmware=firmware), 150, 0, _hang, ["halted"])
    assert outcomes[0]["gated_ns"] / MS > float(LIMIT("SR-10", "pio_brake_ms"))
