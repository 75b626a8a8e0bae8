"""PR-06, CR-01 and CR-02 on whole pens: the shipped firmware is calibrated by the procedure, then measured.

The gauge reads the true needle protrusion with errors of its own; what is measured afterwards is the truth itself, at
each of the 51 settings. Pens that cannot keep the tolerance are refused, and then do not run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.bench import Pens, press
from support.calibrating import ROOM, gauge_on, port, step
from support.forks import each_in_fork
from support.measuring import Measure

from needlepen.calibration.automatic import LOST_TRIES
from needlepen.calibration.model import Calibration, Phase
from needlepen.calibration.plan import DEPTH_MAX_UM, DEPTH_STEP_UM
from needlepen.calibration.procedure import Procedure
from needlepen.emulator.pen import EmulatedPen
from needlepen.errors import InfrastructureError

S = 1e9

GOOD: dict[str, tuple[int, Mapping[str, float]]] = {
    "moved needles": (11, {"tip_offset_um": 60.0, "tip_offset_um_spread": 0.0, "tip_gain": -0.04}),
    "long screw and play": (12, {"screw_gain": 0.006, "screw_gain_spread": 0.0, "backlash_um": 60.0}),
    "bowed axis": (13, {"tip_bow_um": -35.0, "tip_bow_um_spread": 0.0, "tip_gain": -0.03}),
    "uneven screw": (14, {"screw_periodic_um": 20.0}),
    "noisy home and sensor": (15, {"home_scatter_um": 3.0, "hall_noise_v": 3e-3}),
}
"""Mechanics by name: seed, and what of it has changed since the factory calibrated the pen."""
BAD: dict[str, tuple[int, Mapping[str, float]]] = {
    "needles too far out": (21, {"tip_offset_um": 150.0, "tip_offset_um_spread": 0.0}),
    "needles too far in": (22, {"tip_offset_um": -170.0, "tip_offset_um_spread": 0.0}),
}
DAILY = ("moved needles",)


def _cases(pens: Mapping[str, Any]) -> list[Any]:
    """One good pen each day, all at night: a whole calibration takes half a minute."""
    return [name if name in DAILY else pytest.param(name, marks=pytest.mark.nightly) for name in pens]


def _worn(pens: Pens, seed: int, worn: Mapping[str, float]) -> EmulatedPen:
    """A pen as it left the factory, whose axis has changed since."""
    pen = pens.new(seed=seed, worn=worn)
    pen.power_up()
    return pen


def _calibrated(pen: EmulatedPen, seed: int, folder: Path, anew: bool = False) -> Any:
    """(result of the whole procedure, seconds of device time that it took)."""
    link = port(pen)
    begun_ns = pen.now_ns
    procedure = Procedure.begin(link, gauge_on(pen, seed), "A. Technician", ROOM, folder, anew=anew)
    lost = 0
    while not procedure.is_finished:
        try:
            step(procedure)
        except InfrastructureError as error:  # as the command does: the same step again, nothing is lost
            lost += 1
            print(f"at {pen.now_ns / S:.1f} s: {error}")
            if lost > LOST_TRIES:
                raise
    return procedure.result, (pen.now_ns - begun_ns) / S


def _errors_um(pen: EmulatedPen) -> dict[int, float]:
    """True protrusion less setting, at every setting, by a pen in service that goes by its stored record."""
    link = port(pen)
    link.enter_service()
    found = {}
    for set_um in (*range(DEPTH_STEP_UM, DEPTH_MAX_UM + 1, DEPTH_STEP_UM), 0):
        link.set_depth(set_um)
        found[set_um] = 1e3 * float(pen.axis.protrusion_mm) - set_um
    return found


@pytest.mark.parametrize("name", _cases(GOOD))
def test_a_calibrated_pen_keeps_its_protrusion_at_every_setting(
    name: str, pens: Pens, tmp_path: Path, measure: Measure
) -> None:
    seed, worn = GOOD[name]

    def run(pen: EmulatedPen, _case: None) -> tuple[Any, float, dict[int, float], str]:
        result, took_s = _calibrated(pen, seed, tmp_path)
        return result, took_s, _errors_um(pen), port(pen).stored().state

    [(result, took_s, errors_um, state)] = each_in_fork(_worn(pens, seed, worn), run, [None], timeout_s=280)
    as_found = max(abs(t.error_um) for t in result.taken if t.point.phase.value == "as_found")
    what = f"pen of seed {seed}, {name}; as found {as_found:.0f} um"
    print(f"{what}; {took_s:.0f} s of device time, {len(result.replaced)} readings repeated")
    assert result.decision.accepted, [c for c in result.decision.checks if not c.passed]
    assert state == "valid" and len(errors_um) == DEPTH_MAX_UM // DEPTH_STEP_UM + 1
    measure.worst(
        "PR-06", "error_mm", {um: abs(e) / 1e3 for um, e in errors_um.items()}, f"error of the {what}"
    )
    measure("PR-06", "repeatability_mm", result.fit.repeatability_um / 1e3, f"2 s of the {what}")
    measure("PR-06", "reversal_mm", result.fit.reversal_um / 1e3, f"up against down of the {what}")
    _as_prescribed(result, measure)


def _as_prescribed(result: Calibration, measure: Measure) -> None:
    """CR-01 by the readings that were taken, not by the plan."""
    phases = [taken.point.phase for taken in result.taken]
    first_left = phases.index(Phase.CALIBRATION)
    assert Phase.AS_FOUND in phases[:first_left] and Phase.AS_FOUND not in phases[first_left:]
    calibrated = [t.point for t in result.taken if t.point.phase is Phase.CALIBRATION]
    runs = Counter((point.set_um, point.direction) for point in calibrated)
    depths = sorted({point.set_um for point in calibrated})
    assert depths[0] == 0 and depths[-1] == DEPTH_MAX_UM
    measure("CR-01", "points", len(depths), "depths of the calibration", relation="==")
    for direction in ("up", "down"):
        fewest = min(runs[um, direction] for um in depths)
        measure("CR-01", f"runs_{direction}", fewest, f"runs {direction} at each depth", relation=">=")
    verified = Counter(t.point.set_um for t in result.taken if t.point.phase is Phase.VERIFICATION)
    assert sorted(verified) == [300, 800, 1300, 1800, 2300]
    measure("CR-01", "verify_repeats", min(verified.values()), "times each depth is verified", relation=">=")


@pytest.mark.parametrize("name", _cases(BAD))
def test_a_pen_that_cannot_keep_it_is_refused_and_does_not_run(name: str, pens: Pens, tmp_path: Path) -> None:
    seed, worn = BAD[name]

    def run(pen: EmulatedPen, _case: None) -> tuple[Any, Any, str, tuple[str, ...]]:
        result, _ = _calibrated(pen, seed, tmp_path)
        about = port(pen)._link.about()
        pen.unseat_cartridge()
        pen.run_for(0.5 * S)
        pen.seat_cartridge()
        pen.wait_state("idle")
        pen.run_for(2 * S)
        press(pen, 100)
        pen.run_for(0.5 * S)
        assert pen.telemetry is not None
        return result, about, pen.telemetry.state, port(pen).state().blockers

    [(result, about, state, blockers)] = each_in_fork(_worn(pens, seed, worn), run, [None], timeout_s=280)
    failed = {check.name: round(check.value) for check in result.decision.checks if not check.passed}
    print(f"pen of seed {seed}, {name}: refused for {failed}")
    assert failed and not result.decision.accepted and result.record_hex
    assert about.calibration == "refused" and "withdrawn" in about.calibration_reason
    assert state == "idle" and "calibration_refused" in blockers


@pytest.mark.nightly
def test_a_pen_that_has_changed_too_much_for_its_record_is_calibrated_anew(
    pens: Pens, tmp_path: Path, measure: Measure
) -> None:
    """Its hall sensor is another one: with the old record it takes deep settings for a runaway."""
    seed, worn = 11, {"hall_gain": 0.095, "hall_gain_spread": 0.0}  # with 0.08 the old record would still do

    def run(pen: EmulatedPen, anew: bool) -> Any:
        try:
            result, _ = _calibrated(pen, seed, tmp_path / str(anew), anew=anew)
        except InfrastructureError as error:
            return str(error)
        return result.decision.accepted, _errors_um(pen)

    as_it_is, anew = each_in_fork(_worn(pens, seed, worn), run, [False, True], timeout_s=280)
    assert "depth runaway" in as_it_is and "--anew" in as_it_is
    accepted, errors_um = anew
    assert accepted
    errors_mm = {um: abs(e) / 1e3 for um, e in errors_um.items()}
    measure.worst("PR-06", "error_mm", errors_mm, f"pen of seed {seed}, another sensor, calibrated anew")
