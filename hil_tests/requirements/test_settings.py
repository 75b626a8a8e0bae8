"""SR-23 and PR-05 on the whole pen: how fast the true rate follows a new setting, how far one actuator step goes."""

from __future__ import annotations

import numpy as np
import pytest
from support.bench import MS, RATES_HZ, Pens, record_pin, start
from support.forks import in_fork
from support.measuring import Measure
from support.monitoring import state
from support.trace import record

from needlepen.emulator.pen import EmulatedPen
from needlepen.link.client import messages

LOW_HZ, _, HIGH_HZ = RATES_HZ
SETTLED_HZ = 3.0  # PR-02: where the rate may be before and after the change
COILS = ("DEPTH_A1", "DEPTH_A2", "DEPTH_B1", "DEPTH_B2")


@pytest.mark.parametrize(("from_hz", "to_hz"), [(LOW_HZ, HIGH_HZ), (HIGH_HZ, LOW_HZ)])
def test_the_true_rate_follows_a_new_setting_slowly(
    pens: Pens, measure: Measure, from_hz: int, to_hz: int
) -> None:
    """Mean slope between leaving the old rate and reaching the new one, each by more than the band of PR-02."""

    def run(pen: EmulatedPen) -> tuple[float, float, str]:
        start(pen, from_hz)
        pen.command(messages.SET_RATE, to_hz)
        trace = record(pen, 3_500, 500)
        share = (trace.centred_hz - from_hz) / (to_hz - from_hz)
        edge = SETTLED_HZ / abs(to_hz - from_hz)
        left_ms = trace.t_ms[np.nanargmax(share > edge)]
        reached_ms = trace.t_ms[np.nanargmax(share > 1 - edge)]
        slope_hz_s = (1 - 2 * edge) * abs(to_hz - from_hz) / (reached_ms - left_ms) * 1e3
        return float(slope_hz_s), float(np.nanmax(share[-1000:-200])), state(pen)

    slope_hz_s, arrived, then = in_fork(run, pens.ready())
    assert then == "running" and arrived > 0.95
    measure("SR-23", "slew_hz_s", slope_hz_s, f"true rate, set from {from_hz} to {to_hz} Hz while running")


def test_one_step_of_the_actuator_is_fine_enough(pens: Pens, measure: Measure) -> None:
    """Counted at the coils over 1 mm outward, where nothing overshoots."""

    def run(pen: EmulatedPen) -> tuple[float, int]:
        pen.command(messages.SET_DEPTH, 400)
        pen.run_for(1_000 * MS)
        begun_mm = pen.axis.protrusion_mm
        changes = [record_pin(pen, coil) for coil in COILS]
        pen.command(messages.SET_DEPTH, 1_400)
        pen.run_for(1_000 * MS)
        instants = {t_ns for pin in changes for t_ns, _ in pin}
        return pen.axis.protrusion_mm - begun_mm, len(instants)

    moved_mm, patterns = in_fork(run, pens.ready())
    assert moved_mm == pytest.approx(1.0, abs=0.1) and patterns > 30
    measure(
        "PR-05", "actuator_step_mm", moved_mm / patterns, f"{patterns} coil patterns for {moved_mm:.3f} mm"
    )
