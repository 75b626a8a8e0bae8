"""PR-06: how far the depth of a calibrated pen drifts in 30 min at 150 Hz, by heat and by the play of its screw.

Measured where a gauge would be used, with the motor at rest. In the daily suite the 30 min are made of a short run on
the emulated pen, whose current and strokes heat and shake the same models for the time that is left.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from support.bench import LIMIT, MS, Pens, start
from support.forks import in_fork
from support.measuring import Measure
from support.monitoring import fault, state, status
from support.nights import mostly_nightly

from needlepen.emulator.pen import EmulatedPen
from needlepen.link.client import messages

S = 1e9
RATE_HZ = int(LIMIT("PR-01", "rate_max_hz"))
MINUTES = 30
SET_UM = 1_250
INWARD, OUTWARD, MOST_PLAY = 4, 0, 15
"""Seeds of pens whose carriage walks inward, outward, and outward with 59 um of play, of which 60 are allowed."""
LONGEST_RUN_S = 7.5 * 60
SHORT_RUN_S = 3.0


@dataclass(frozen=True)
class Drift:
    """Protrusion in um: before, at the end of the last run, and after it; `nose_c` at the end; what the pen said."""

    before_um: float
    running_um: float
    after_um: float
    nose_c: float
    told: tuple[str, str, tuple[str, ...]]


def _um(pen: EmulatedPen) -> float:
    return 1e3 * float(pen.axis.protrusion_mm)


def _listen(pen: EmulatedPen, s: float) -> None:
    """Device time with a host that listens a little."""
    while s > 0:
        pen.command(messages.SUBSCRIBE, 100, 60_000)
        part_s = min(s, 50.0)
        pen.run_for(part_s * S)
        s -= part_s


def _run(pen: EmulatedPen, s: float) -> None:
    """On skin, since the pen ends a run without it (SR-13)."""
    start(pen, RATE_HZ)
    pen.touch_skin(needles=24)
    _listen(pen, s)
    assert (state(pen), fault(pen)) == ("running", "none"), (pen.telemetry, status(pen))


def _end(pen: EmulatedPen) -> None:
    pen.lift()
    pen.run_for(200 * MS)
    pen.release()
    pen.run_for(400 * MS)
    assert pen.run_until(lambda: state(pen) == "armed" and not pen.axis.moving, 5 * S, 1 * MS)
    pen.run_for(300 * MS)


def _ready(pen: EmulatedPen) -> float:
    pen.command(messages.SET_DEPTH, SET_UM)
    pen.run_for(300 * MS)
    assert pen.run_until(lambda: state(pen) == "armed" and not pen.axis.moving, 5 * S, 1 * MS)
    pen.run_for(300 * MS)
    return _um(pen)


def _drift(pen: EmulatedPen, runs_s: tuple[float, ...], modelled_s: float) -> Drift:
    before_um = _ready(pen)
    for number, s in enumerate(runs_s):
        if number:
            _end(pen)
            _listen(pen, 1.0)
        _run(pen, s)
    if modelled_s:
        _age(pen, modelled_s)
    running_um, nose_c = _um(pen), pen.plant.thermal.nose_c
    _end(pen)
    return Drift(before_um, running_um, _um(pen), nose_c, (state(pen), fault(pen), status(pen).warnings))


def _age(pen: EmulatedPen, s: float) -> None:
    """More of the same run for heat and screw: with the current and the strokes that the emulated pen has just had."""
    begun = pen.physics.peek(pen.now_ns)
    pen.run_for(1 * S)
    ended = pen.physics.peek(pen.now_ns)
    strokes = (ended.strokes - begun.strokes) * s
    pen.plant.thermal.advance(s, (ended.heat_a2s - begun.heat_a2s) * s, strokes)
    pen.axis.set_nose_c(pen.plant.thermal.nose_c)
    pen.axis.vibrate(pen.now_ns, strokes)
    pen.run_for(1 * S)


def _judge(seen: Drift, seed: int, measure: Measure, how: str) -> None:
    what = f"{SET_UM / 1e3:.2f} mm, {MINUTES} min at {RATE_HZ} Hz ({how}), nose at {seen.nose_c:.1f} C, seed {seed}"
    print(f"{what}: before {seen.before_um:.1f}, running {seen.running_um:.1f}, after {seen.after_um:.1f} um")
    assert seen.told[:2] == ("armed", "none") and "depth_drift" not in seen.told[2]
    measure("PR-06", "drift_mm", abs(seen.after_um - seen.before_um) / 1e3, f"drift of {what}")
    measure("PR-06", "error_mm", abs(seen.running_um - SET_UM) / 1e3, f"still running, {what}")


@pytest.mark.parametrize("seed", mostly_nightly([INWARD, OUTWARD, MOST_PLAY], MOST_PLAY))
def test_a_depth_drifts_no_further_in_30_min(pens: Pens, measure: Measure, seed: int) -> None:
    modelled_s = 60 * MINUTES - SHORT_RUN_S
    seen = in_fork(_drift, pens.ready(seed=seed), (SHORT_RUN_S,), modelled_s)
    _judge(seen, seed, measure, f"{SHORT_RUN_S:g} s emulated, then heat and vibration alone")


@pytest.mark.nightly
def test_a_pen_that_does_not_come_to_its_depth_anew_drifts_too_far(pens: Pens) -> None:
    """A test of the test."""
    firmware = pens.variant("no_new_depth", {"pen/sequence.py": ("self._app.axis.set_anew()", "pass")})
    pen = pens.ready(seed=MOST_PLAY, firmware=firmware)
    seen = in_fork(_drift, pen, (SHORT_RUN_S,), 60.0 * MINUTES)
    assert seen.after_um - seen.before_um > 1e3 * float(LIMIT("PR-06", "drift_mm"))


@pytest.mark.nightly
@pytest.mark.timeout(9000)
@pytest.mark.parametrize("seed", [MOST_PLAY])
def test_a_depth_drifts_no_further_in_30_min_of_running(pens: Pens, measure: Measure, seed: int) -> None:
    """In runs that stay below the longest that is allowed (SR-13)."""
    runs_s = (LONGEST_RUN_S,) * 4
    assert sum(runs_s) >= 60 * MINUTES and 60 * float(LIMIT("SR-13", "run_min")) > LONGEST_RUN_S
    seen = in_fork(_drift, pens.ready(cell_v=3.9, seed=seed), runs_s, 0.0, timeout_s=8800)
    _judge(seen, seed, measure, "all of it emulated")
