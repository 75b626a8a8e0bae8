"""What the link to the emulated pen achieves, in device time."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from needlepen.emulator.pen import TELEMETRY_LEASE_MS, EmulatedPen
from needlepen.errors import ProductFailure
from needlepen.link import Telemetry
from needlepen.link.client import messages

PERIOD_MS = 10
_SLICE_NS = 50_000
_PATIENCE_NS = 1e9
_RENEW_S = 20.0
_SETTLE_NS = 300e6


@dataclass(frozen=True)
class Stream:
    """Telemetry over a time. `lost`: frames sent that did not arrive; `longest_gap_ms`: between two samples."""

    frames: int
    expected: int
    lost: int
    longest_gap_ms: int


def round_trips_ms(pen: EmulatedPen, count: int) -> list[float]:
    """Device time from sending a request to having its answer, ms, at `count` phases of the main loop."""
    times = []
    for number in range(count):
        pen.run_for((7.3 + 3.1 * (number % 11) + 0.37 * (number % 7)) * 1e6)
        begun_ns = pen.now_ns
        sequence = pen.link.request(messages.SET_RATE, 100)
        pen.run_until(lambda: pen.link.reply(sequence) is not None, _PATIENCE_NS, _SLICE_NS)  # noqa: B023
        times.append((pen.now_ns - begun_ns) / 1e6)
    return times


def round_trips_stroking_ms(pen: EmulatedPen, count: int) -> list[float]:
    """The same after a start. Raises ProductFailure if the run ends meanwhile."""
    pen.press()
    pen.wait_state("running")
    pen.run_for(_SETTLE_NS)
    times = round_trips_ms(pen, count)
    if pen.telemetry is None or pen.telemetry.state != "running":
        raise ProductFailure(f"the run ended while its round trips were measured: {pen.telemetry}")
    return times


def telemetry(pen: EmulatedPen, seconds: float, step: Callable[[float], None] | None = None) -> Stream:
    """Telemetry at 100 Hz for some device time; `step` is told the seconds that have passed."""
    found: list[Telemetry] = []
    pen.command(messages.SUBSCRIBE, PERIOD_MS, TELEMETRY_LEASE_MS)
    pen.link.on_telemetry(found.append)
    pen.run_for(200e6)
    found.clear()
    lost, begun_ns = pen.link.lost_frames, pen.now_ns
    while (left_ns := seconds * 1e9 - (pen.now_ns - begun_ns)) > 0:
        pen.run_for(min(left_ns, _RENEW_S * 1e9))
        pen.link.request(messages.SUBSCRIBE, PERIOD_MS, TELEMETRY_LEASE_MS)
        if step is not None:
            step((pen.now_ns - begun_ns) / 1e9)
    gaps = [second.time_ms - first.time_ms for first, second in itertools.pairwise(found)]
    return Stream(len(found), round(1000 * seconds / PERIOD_MS), pen.link.lost_frames - lost, max(gaps))
