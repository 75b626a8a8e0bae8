"""PR-07 and a long day: counters of time that run full change nothing, neither in a run nor for the next start."""

from __future__ import annotations

from typing import Any

import pytest
from support.bench import MS, Pens, press, rate
from support.forks import in_fork
from support.measuring import Measure
from support.monitoring import fault, state
from support.nights import mostly_nightly

from needlepen.emulator.pen import EmulatedPen
from needlepen.link.client import messages

S = 1e9
US = 1_000
# Where a count of us or ms stops fitting: MicroPython's small integers and ticks_us, signed words, words, ticks_ms.
FULL_US = {
    "18 min, 2^30 us": 1 << 30,
    "36 min, 2^31 us": 1 << 31,
    "54 min, 3 x 2^30 us": 3 << 30,
    "72 min, 2^32 us": 1 << 32,
    "12 days, 2^30 ms": (1 << 30) * 1_000,
}
BEFORE_S = 4.0  # the pen has booted by then


def _switched_on_before(pen: EmulatedPen, full_us: int) -> None:
    """The pen's microsecond timer had begun that long ago: set before the firmware has read it for anything."""
    timer: Any = pen.chip.mcu.timer
    pen.run_for(1 * MS)
    assert not any(alarm.is_scheduled for alarm in timer.alarms), "too late: the firmware waits already"
    timer.epoch_ns -= full_us * US - BEFORE_S * S


def _run(pen: EmulatedPen, s: float) -> tuple[str, str, bool]:
    press(pen, 100)
    pen.wait_state("running")
    pen.run_for(s * S)
    seen = state(pen), fault(pen), abs(rate(pen) - 100) < 20
    pen.release()
    pen.run_for(500 * MS)
    return seen


def _day(pens: Pens, full_us: int) -> dict[str, Any]:
    pen = pens.new()
    resets: list[int] = []
    _switched_on_before(pen, full_us)
    pen.chip.on_reset(lambda t_ns, _cause: resets.append(t_ns))
    pen.power_up()
    pen.command(messages.CLEAR_STATISTICS)
    across = _run(pen, BEFORE_S + 0.5 - pen.now_ns / S)
    assert pen.now_ns > BEFORE_S * S
    pen.run_for(1 * S)
    return {
        "across": across,
        "after": _run(pen, 1.0),
        "again": _run(pen, 1.0),
        "statistics": pen.command(messages.GET_STATISTICS),
        "malformed": pen.panel.pixel.malformed,
        "resets": resets,
    }


@pytest.mark.parametrize("full", mostly_nightly(FULL_US, "18 min, 2^30 us", "72 min, 2^32 us"))
def test_a_run_across_a_full_counter_and_the_runs_after_it_are_like_any_other(
    pens: Pens, measure: Measure, full: str
) -> None:
    seen = in_fork(_day, pens, FULL_US[full])
    assert not seen["resets"] and seen["malformed"] == 0
    for which in ("across", "after", "again"):
        assert seen[which] == ("running", "none", True), which
    measure("PR-07", "cost_us", seen["statistics"]["tick_cost_us"], full)
    measure("PR-07", "jitter_us", seen["statistics"]["tick_jitter_us"], full)


def test_a_tick_that_passes_times_on_is_noticed(pens: Pens) -> None:
    """A test of the test: an argument of more than 30 bits is allocated, and the interrupt dies of it."""
    firmware = pens.variant(
        "times_passed_on", {"pen/control.py": ("(at_us - s[EDGE_US]) & _SPAN,", "at_us,")}
    )

    def run() -> tuple[bool, list[int]]:
        pen = pens.new(firmware=firmware)
        _switched_on_before(pen, FULL_US["18 min, 2^30 us"])
        resets: list[int] = []
        pen.chip.on_reset(lambda t_ns, _cause: resets.append(t_ns))
        pen.power_up()
        pen.run_for(BEFORE_S * S - pen.now_ns)
        pen.press()
        pen.run_for(1 * S)
        return rate(pen) > 50, resets

    runs, resets = in_fork(run)
    assert not runs and resets
