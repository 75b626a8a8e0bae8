"""The fast cut: TRIP_N low withdraws RUN_N in nanoseconds, at any phase and whatever the CPU is doing (SR-09)."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest
from support.bench import MS, Pens, record_pin, start
from support.forks import each_in_fork, in_fork
from support.measuring import Measure

from needlepen.emulator.pen import EmulatedPen
from needlepen.link.client import frames, messages

LOADS = ("running", "halted", "spinning", "collecting garbage", "USB flooded")
PHASES = 16
SEED = 5


def lamp_while_collecting(pens: Pens) -> Path:
    """Firmware that collects garbage in every pass and shows it with its lamp, so that a test can meet it."""
    served = "        self.host.serve(now_ms)\n"
    shown = "        self.led(1)\n        gc.collect()\n        self.led(0)\n"
    return pens.variant("lamp", {"pen/app.py": (served, served + shown)})


def _trip(pen: EmulatedPen, phase_ns: float) -> tuple[float, float]:
    """Pull TRIP_N low at a phase of the clock; ns until RUN_N is withdrawn and until SUPPLY_EN is."""
    lines = {name: record_pin(pen, name) for name in ("RUN_N", "SUPPLY_EN")}
    cause_ns = pen.now_ns // 8 * 8 + 4_000 + phase_ns
    pen.chip.call_at(cause_ns, lambda: pen.chip.drive(pen.board.gpio("TRIP_N"), 0))
    pen.run_for(50_000)
    first = {name: next((t for t, _ in changes), math.inf) - cause_ns for name, changes in lines.items()}
    return first["RUN_N"], first["SUPPLY_EN"]


@pytest.mark.parametrize("load", LOADS)
def test_trip_withdraws_permission_within_100_ns(pens: Pens, measure: Measure, load: str) -> None:
    moments = random.Random(SEED)
    print(f"moments drawn with seed {SEED}")

    def prepare(pen: EmulatedPen, _phase_ns: float) -> None:
        pen.run_for(moments.uniform(0.3, 3.0) * MS)
        if load == "collecting garbage":
            lamp = pen.board.gpio("LED")
            assert pen.run_until(lambda: pen.chip.output(lamp) == 0, 40 * MS, 20e3)
            assert pen.run_until(lambda: pen.chip.output(lamp) == 1, 40 * MS, 20e3)
            pen.run_for(moments.uniform(0.0, 2.0) * MS)
            assert pen.chip.output(lamp) == 1

    def sweep(pen: EmulatedPen) -> list[tuple[float, float]]:
        start(pen, 150)
        if load == "USB flooded":
            body = messages.pack(messages.GET_STATISTICS)
            pen.chip.console.flood(200_000, frames.encode(messages.GET_STATISTICS, 0, body))
        if load == "halted":
            pen.chip.halt_cpu()
        if load == "spinning":
            pen.chip.spin_cpu()
        return each_in_fork(pen, _trip, phases_ns, None if load in ("halted", "spinning") else prepare)

    phases_ns = [8.0 * k / PHASES for k in range(PHASES)]
    firmware = lamp_while_collecting(pens) if load == "collecting garbage" else None
    for phase_ns, (run_n_ns, supply_ns) in zip(
        phases_ns, in_fork(sweep, pens.ready(firmware=firmware)), strict=True
    ):
        what = f"TRIP_N to RUN_N, CPU {load}, phase {phase_ns} ns"
        measure.figure("SR-09", "trip_to_run_n_ns", run_n_ns, what)
        assert supply_ns == run_n_ns, "supply and permission leave in one instruction"
