"""SR-09: a short is cut off in microseconds by the board's latch and by PIO, and stays so for 10 s."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from support.bench import (
    CPU_STATES,
    LIMIT,
    MS,
    RATES_HZ,
    US,
    Pens,
    hang,
    never_driven,
    record_pin,
    start,
    undriven_ns,
)
from support.forks import each_in_fork, in_fork
from support.measuring import Measure

from needlepen.emulator.pen import EmulatedPen
from needlepen.link.client import messages

LATCHED_MS = float(LIMIT("SR-09", "latched_s")) * 1e3
SEED = 9


def _short(pen: EmulatedPen, cpu: str) -> tuple[float, float, bool]:
    """Short the winding: us from the comparator's threshold, ns from TRIP_N to RUN_N, undriven ever after."""
    hang(pen, cpu)
    permission = record_pin(pen, "RUN_N")
    shorted_ns = float(pen.now_ns)
    pen.electronics.short_winding(shorted_ns, True)
    pen.run_for(150 * MS)
    over_ns = pen.electronics.first("OVERCURRENT", 1, shorted_ns)
    tripped_ns = pen.electronics.first("TRIP_N", 0, shorted_ns)
    assert over_ns is not None and tripped_ns is not None, "a shorted winding drew no overcurrent"
    withdrawn_ns = next((t for t, level in permission if level == 1), math.inf)
    removed_ns = undriven_ns(pen, over_ns)
    return removed_ns / US, withdrawn_ns - tripped_ns, never_driven(pen, over_ns + removed_ns)


@pytest.mark.parametrize("cpu", CPU_STATES)
@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_winding_short_loses_its_drive_within_50_us(
    pens: Pens, measure: Measure, rate_hz: int, cpu: str
) -> None:
    moments = random.Random(SEED)
    print(f"moments drawn with seed {SEED}")

    def sweep(pen: EmulatedPen) -> list[tuple[float, float, bool]]:
        start(pen, rate_hz)
        return each_in_fork(pen, _short, [cpu] * 8, lambda p, _: p.run_for(moments.uniform(0.5, 5) * MS))

    outcomes = in_fork(sweep, pens.ready())
    what = f"winding short at {rate_hz} Hz, CPU {cpu}"
    measure.worst("SR-09", "trip_us", {f"moment {k}": o[0] for k, o in enumerate(outcomes)}, what)
    for _, run_n_ns, _ in outcomes:
        measure.figure("SR-09", "trip_to_run_n_ns", run_n_ns, what)
    assert all(stays for _, _, stays in outcomes)


def _shorted(pen: EmulatedPen) -> float:
    """A run that a winding short has ended, trigger released, winding healed; returns the instant of the trip."""
    start(pen, 100)
    shorted_ns = float(pen.now_ns)
    pen.electronics.short_winding(shorted_ns, True)
    pen.run_for(20 * MS)
    pen.electronics.short_winding(pen.now_ns, False)
    pen.release()
    tripped_ns = pen.electronics.first("LATCH", 1, shorted_ns)
    assert tripped_ns is not None
    return tripped_ns


def test_overcurrent_stays_latched_for_10_s_whoever_acknowledges(pens: Pens, measure: Measure) -> None:
    def run(pen: EmulatedPen) -> tuple[list[str | None], str, float, bool]:
        tripped_ns = _shorted(pen)
        answers = []
        for after_ms in (1_000, LATCHED_MS / 2, LATCHED_MS - 100):
            pen.run_for(tripped_ns + after_ms * MS - pen.now_ns)
            answers.append(pen.request(messages.ACKNOWLEDGE).refused)
        fault = pen.telemetry.fault if pen.telemetry else ""
        pen.run_for(tripped_ns + (LATCHED_MS + 100) * MS - pen.now_ns)
        answers.append(pen.request(messages.ACKNOWLEDGE).refused)
        pen.wait_state("armed")
        cleared_ns = pen.electronics.first("LATCH", 0, tripped_ns)
        assert cleared_ns is not None
        return answers, fault, (cleared_ns - tripped_ns) / 1e9, never_driven(pen, tripped_ns + 1 * MS)

    answers, fault, latched_s, undriven = in_fork(run, pens.ready())
    assert fault == "overcurrent" and undriven
    assert all(answers[:3]) and answers[3] is None, f"acknowledgements were answered with {answers}"
    measure("SR-09", "latched_s", latched_s, "latch set", relation=">=")


def test_overcurrent_stays_latched_for_10_s_also_when_the_cpu_hangs_and_is_reset(
    pens: Pens, measure: Measure
) -> None:
    """The reset must not be a way round the 10 s: the board's latch is still set when the pen boots again."""

    def run(pen: EmulatedPen) -> float:
        start(pen, 100)
        shorted_ns = float(pen.now_ns)
        pen.chip.spin_cpu()
        pen.electronics.short_winding(shorted_ns, True)
        pen.run_for(20 * MS)
        pen.electronics.short_winding(pen.now_ns, False)
        pen.release()
        tripped_ns = pen.electronics.first("LATCH", 1, shorted_ns)
        assert tripped_ns is not None
        pen.run_for(300 * MS)  # the watchdog resets the chip
        pen.wait_state("safe")
        while pen.now_ns < tripped_ns + (LATCHED_MS - 100) * MS:
            pen.request(messages.ACKNOWLEDGE)
            pen.run_for(400 * MS)
        cleared_ns = pen.electronics.first("LATCH", 0, tripped_ns)
        return ((pen.now_ns if cleared_ns is None else cleared_ns) - tripped_ns) / 1e9 + (
            0.1 if cleared_ns is None else 0.0
        )

    measure(
        "SR-09", "latched_s", in_fork(run, pens.ready()), "latch set, CPU spinning then reset", relation=">="
    )


def test_a_latch_that_is_cleared_early_is_noticed(pens: Pens) -> None:
    """A test of the test: without the waiting time the acknowledgement clears the latch at once."""
    firmware = pens.variant(
        "early_clear", {"faults.toml": ('latched_s = "SR-09.latched_s"', "latched_s = 0")}
    )

    def run(pen: EmulatedPen) -> str | None:
        _shorted(pen)
        pen.run_for(1_000 * MS)
        refused: str | None = pen.request(messages.ACKNOWLEDGE).refused
        return refused

    assert in_fork(run, pens.ready(firmware=firmware)) is None


def _shorts_again(pen: EmulatedPen) -> Any:
    _shorted(pen)
    pen.electronics.short_winding(pen.now_ns, True)
    pen.run_for((LATCHED_MS + 200) * MS)
    pen.request(messages.ACKNOWLEDGE)
    pen.wait_state("armed")
    since_ns = float(pen.now_ns)
    pen.press()
    pen.run_for(300 * MS)
    over_ns = pen.electronics.first("OVERCURRENT", 1, since_ns)
    return None if over_ns is None else undriven_ns(pen, over_ns) / US


def test_a_short_that_is_still_there_is_cut_off_again(pens: Pens, measure: Measure) -> None:
    again_us = in_fork(_shorts_again, pens.ready())
    assert again_us is not None
    measure("SR-09", "trip_us", again_us, "winding still shorted at the next start")
