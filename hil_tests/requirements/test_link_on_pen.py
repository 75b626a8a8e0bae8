"""PR-07 and the link on the emulated pen, in device time: damaged input, round trips, telemetry without loss."""

from __future__ import annotations

import random
import statistics
from dataclasses import dataclass
from typing import Any

import pytest
from support.bench import MS, Pens, start
from support.damage import frames, harmless, kinds, useless
from support.forks import in_fork
from support.measuring import Measure
from support.monitoring import state
from support.nights import mostly_nightly

from needlepen.benchmark import link as link_figures
from needlepen.emulator.pen import EmulatedPen
from needlepen.link.client import messages

SEED = 20262
INPUTS = 10_000
BATCH = 250
LONGEST = 4
LEAK_BYTES = 64  # the last request and its answer are kept, whatever their size
WORST_MS = 50.0
NEEDLES = 12  # on skin, or the run ends after 15 s
MEDIAN_RATIO = 2.0


@dataclass(frozen=True)
class Seen:
    """What must not change by itself."""

    rate_hz: float
    depth_set_mm: float
    state: str
    fault: str
    profile: int
    service: bool

    @classmethod
    def of(cls, pen: EmulatedPen) -> Seen:
        pen.run_for(600 * MS)  # a status comes at least every 500 ms
        telemetry, status = pen.telemetry, pen.link.status
        assert telemetry is not None and status is not None
        return cls(
            telemetry.set_hz,
            telemetry.depth_set_mm,
            telemetry.state,
            telemetry.fault,
            status.profile,
            status.service,
        )


def _inputs(seed: int, count: int) -> list[bytes]:
    """Input that asks for nothing: damaged requests, and some whole frames that no pen knows."""
    rng = random.Random(seed)
    found: list[bytes] = []
    for data in harmless(seed, LONGEST):
        found.append(data)
        if len(found) % 20 == 19:
            found.append(useless(rng))
        if len(found) >= count:
            return found
    raise AssertionError("there is no end of damaged input")


def _fuzz(pen: EmulatedPen, count: int) -> dict[str, Any]:
    pen.run_for(3_000 * MS)  # what is stored after a boot is stored
    writes: list[str] = []
    pen.command(messages.GET_STATISTICS)
    before, statistics_before = Seen.of(pen), pen.command(messages.GET_STATISTICS)
    events = _events(pen)
    pen.command(messages.SUBSCRIBE, 0, 0)
    pen.chip.on_flash_write(lambda _t, kind, *_: writes.append(kind))
    inputs = _inputs(SEED, count)
    console = pen.chip.console
    for first in range(0, len(inputs), BATCH):
        console.write(b"".join(inputs[first : first + BATCH]))
        taken = pen.run_until(lambda: not pen.chip.console.waiting_to_be_taken, 20e9, 1e6)
        assert taken, f"the pen takes no input any more ({pen.chip.situation})"
    pen.command(messages.SUBSCRIBE, 20, 60_000)
    after, statistics_after = Seen.of(pen), pen.command(messages.GET_STATISTICS)
    return {
        "count": len(inputs),
        "same": (before, after),
        "writes": writes,
        "refused": statistics_after["frames_dropped"] - statistics_before["frames_dropped"],
        "leak": statistics_before["heap_free_bytes"] - statistics_after["heap_free_bytes"],
        "boots": pen.command(messages.GET_COUNTERS)["boots"],
        "events": _events(pen) - events,
    }


def _events(pen: EmulatedPen) -> int:
    sequence = 0
    while True:
        fields = pen.command(messages.READ_LOG, sequence)
        if not fields["count"]:
            return sequence
        sequence = fields["next_sequence"]


@pytest.mark.parametrize("count", mostly_nightly([2_500, INPUTS], 2_500))
def test_ten_thousand_damaged_inputs_do_nothing_to_a_pen(pens: Pens, count: int) -> None:
    """Its real parser, in device time: no crash, no reset, no action, nothing written, no memory lost."""
    seen = in_fork(_fuzz, pens.ready(), count, timeout_s=280)
    print(
        f"{seen['count']} inputs (seed {SEED}): {seen['refused']} refused as damaged, heap {seen['leak']} bytes less, "
        f"limit {LEAK_BYTES} bytes, flash operations {len(seen['writes'])}, limit 0"
    )
    assert seen["count"] == count and seen["refused"] > count // 2, "a test of the test"
    before, after = seen["same"]
    assert after == before and seen["boots"] == 1 and seen["events"] == 0
    assert seen["writes"] == [] and seen["leak"] <= LEAK_BYTES


def test_a_repeated_request_is_carried_out_once(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> tuple[int, int]:
        pen.run_for(1_000 * MS)
        before = _events(pen)
        pen.command(messages.SET_RATE, 120)
        for _ in range(3):
            pen.link.repeat()
            pen.run_for(100 * MS)
        repeated = _events(pen) - before
        pen.command(messages.SET_RATE, 100)
        return repeated, _events(pen) - before

    assert in_fork(run, pens.ready()) == (1, 2), "each change of the rate is one event"


def test_telemetry_ends_with_its_lease(pens: Pens) -> None:
    """A program that has died renews it no more, and the pen is left in peace."""

    def run(pen: EmulatedPen) -> list[int]:
        heard: list[object] = []
        pen.link.on_telemetry(heard.append)
        pen.command(messages.SUBSCRIBE, 20, 600)
        counts = []
        for ms in (500, 200, 500):
            heard.clear()
            pen.run_for(ms * MS)
            counts.append(len(heard))
        return counts

    within, _, after = in_fork(run, pens.ready())
    assert within >= 20 and after == 0


def test_hosts_that_say_hello_and_do_not_read_do_not_hold_up_the_main_loop(pens: Pens) -> None:
    """A write into a full USB buffer blocks for 500 ms, and the watchdog bites after 200 ms."""

    def run(pen: EmulatedPen) -> int:
        resets: list[int] = []
        pen.chip.on_reset(lambda t_ns, _cause: resets.append(t_ns))
        pen.run_for(1_000 * MS)
        pen.chip.console.pause_reading()
        for number in range(12):
            hello = messages.pack(messages.HELLO, kinds.PROTOCOL_VERSION)
            pen.chip.console.write(frames.encode(messages.HELLO, number, hello))
            pen.run_for(50 * MS)
        pen.chip.console.resume_reading()
        pen.run_for(500 * MS)
        pen.command(messages.HELLO, kinds.PROTOCOL_VERSION)
        return len(resets)

    assert in_fork(run, pens.ready()) == 0, "resets"


# ---------------------------------------------------------------------- figures
def _round_trips(pen: EmulatedPen, running: bool) -> list[float]:
    pen.run_for(3_000 * MS)
    if running:
        start(pen, 100, needles=NEEDLES)
    times = link_figures.round_trips_ms(pen, 150)
    assert state(pen) == ("running" if running else "armed")
    return times


def test_a_command_is_answered_while_stroking_as_at_rest(pens: Pens) -> None:
    idle, running = (in_fork(_round_trips, pens.ready(), state) for state in (False, True))
    ratio = statistics.median(running) / statistics.median(idle)
    print(f"round trip, idle: median {statistics.median(idle):.1f} ms, worst {max(idle):.1f} ms")
    print(f"round trip, stroking: median {statistics.median(running):.1f} ms, worst {max(running):.1f} ms")
    print(
        f"ratio of the medians: {ratio:.2f}, limit {MEDIAN_RATIO}; worst while stroking, limit {WORST_MS} ms"
    )
    assert ratio <= MEDIAN_RATIO and max(running) < WORST_MS


def _telemetry(pen: EmulatedPen, running: bool, seconds: float) -> tuple[link_figures.Stream, dict[str, int]]:
    if running:
        start(pen, 100, needles=NEEDLES)
    pen.command(messages.CLEAR_STATISTICS)
    stream = link_figures.telemetry(pen, seconds)
    assert state(pen) == ("running" if running else "armed")
    return stream, pen.command(messages.GET_STATISTICS)


@pytest.mark.parametrize(
    ("running", "seconds"),
    [
        (False, 10.0),
        (True, 6.0),
        pytest.param(False, 600.0, marks=[pytest.mark.nightly, pytest.mark.timeout(3600)]),
        pytest.param(True, 60.0, marks=[pytest.mark.nightly, pytest.mark.timeout(3600)]),
    ],
)
def test_telemetry_at_100_hz_is_whole(pens: Pens, measure: Measure, running: bool, seconds: float) -> None:
    """A frame for each period, none of them lost on the way; the control tick does not notice."""
    stream, cost = in_fork(_telemetry, pens.ready(), running, seconds, timeout_s=3600)
    print(f"{stream}, limit: {stream.expected} frames, 0 lost, no gap over 100 ms")
    assert abs(stream.frames - stream.expected) <= 5 and stream.lost == 0 and stream.longest_gap_ms <= 100
    if running:
        measure("PR-07", "cost_us", cost["tick_cost_us"], "telemetry at 100 Hz")
        measure("PR-07", "jitter_us", cost["tick_jitter_us"], "telemetry at 100 Hz")
    else:
        measure.nothing("the tick is judged while the motor runs")
