"""SR-14: a cartridge that comes loose brakes the motor; a spike of its contact does not."""

from __future__ import annotations

from typing import Any

import pytest
from support.bench import (
    MS,
    RATES_HZ,
    Pens,
    minimum_rate_hz,
    observe,
    rate,
    start,
    stop_and_acknowledge,
    to_angle,
)
from support.forks import each_in_fork, in_fork
from support.measuring import Measure
from support.monitoring import fault, state, status
from support.nights import mostly_nightly

from needlepen.emulator.pen import EmulatedPen

ANGLES = [k / 12 for k in range(12)]
SPIKE_MS = 1.0
LOADS = [(hz, n) for hz in RATES_HZ for n in (0, 24) if hz >= minimum_rate_hz(n)]


def _lose(pen: EmulatedPen, _turn: float) -> dict[str, Any]:
    lost_ns = float(pen.now_ns)
    pen.unseat_cartridge()
    seen = observe(pen, lost_ns, 300)
    return {
        "braked_ms": seen["braked_ns"] / MS,
        "strokes": seen["strokes"],
        "fault": fault(pen),
        "state": state(pen),
    }


@pytest.mark.parametrize(("set_hz", "needles"), mostly_nightly(LOADS, (100, 24), (150, 0)))
def test_losing_it_brakes_within_10_ms_and_stands_within_4_strokes(
    pens: Pens, measure: Measure, set_hz: int, needles: int
) -> None:
    def run(pen: EmulatedPen) -> list[dict[str, Any]]:
        start(pen, set_hz, needles=needles)
        return each_in_fork(pen, _lose, ANGLES, prepare=to_angle)

    outcomes = dict(zip(ANGLES, in_fork(run, pens.ready()), strict=True))
    what = f"lost at {set_hz} Hz, {needles} needles"
    measure.worst("SR-14", "brake_ms", {turn: seen["braked_ms"] for turn, seen in outcomes.items()}, what)
    measure.worst("SR-14", "strokes", {turn: seen["strokes"] for turn, seen in outcomes.items()}, what)
    for seen in outcomes.values():
        assert (seen["state"], seen["fault"]) == ("safe", "cartridge lost"), seen


@pytest.mark.parametrize("set_hz", mostly_nightly(RATES_HZ, 150))
def test_a_spike_of_the_contact_does_not_end_a_treatment(pens: Pens, set_hz: int) -> None:
    def spike(pen: EmulatedPen, phase_ms: float) -> tuple[str, str, bool]:
        pen.run_for(phase_ms * MS)
        pen.socket.contact(False)
        pen.run_for(SPIKE_MS * MS)
        pen.socket.contact(True)
        pen.run_for(300 * MS)
        return state(pen), fault(pen), rate(pen) > 0.6 * set_hz  # within a stroke the rate ripples by 20 %

    def run(pen: EmulatedPen) -> list[tuple[str, str, bool]]:
        start(pen, set_hz)
        return each_in_fork(pen, spike, [1.7 * k for k in range(12)])

    assert set(in_fork(run, pens.ready())) == {("running", "none", True)}


def test_after_a_loss_the_same_cartridge_goes_on_when_it_is_seated_and_acknowledged(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> tuple[str | None, str | None, tuple[str, ...], bool]:
        start(pen, 100)
        cartridge = pen.unseat_cartridge()
        pen.run_for(100 * MS)
        loose = stop_and_acknowledge(pen)
        pen.seat_cartridge(cartridge)
        pen.run_for(4_000 * MS)
        seated = stop_and_acknowledge(pen)
        pen.run_for(5_000 * MS)
        blockers = status(pen).blockers
        start(pen, 100)
        return loose, seated, blockers, rate(pen) > 90

    loose, seated, blockers, runs = in_fork(run, pens.ready())
    assert loose is not None and seated is None and blockers == () and runs
