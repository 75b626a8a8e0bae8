"""CR-01: the procedure's engine on pens without a chip: order of the points, doubts, steps back, interruptions."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.calibrating import ROOM, BenchPen

from needlepen.calibration import plan
from needlepen.calibration.gauges import SimulatedGauge
from needlepen.calibration.model import Calibration, Phase
from needlepen.calibration.procedure import Procedure

GAUGE_SEED = 5


def gauge_of(pen: BenchPen) -> SimulatedGauge:
    return SimulatedGauge(lambda: pen.protrusion_mm, seed=GAUGE_SEED)


def begin(pen: BenchPen, folder: Path) -> Procedure:
    return Procedure.begin(pen, gauge_of(pen), "A. Technician", ROOM, folder)


def step(procedure: Procedure) -> None:
    """One point, or the decision."""
    if procedure.stage.point is not None:
        procedure.prepare()
        if procedure.stage.point is not None:
            procedure.take(procedure.read())
            if procedure.is_doubtful:
                procedure.keep()
    procedure.next()


def finish(procedure: Procedure) -> Calibration:
    while not procedure.is_finished:
        step(procedure)
    assert procedure.result is not None
    return procedure.result


def test_the_points_are_those_of_cr_01_in_their_order() -> None:
    points = plan.points()
    assert [p.number for p in points] == list(range(len(points)))
    by_phase = {phase: [p for p in points if p.phase is phase] for phase in Phase}
    assert [len(by_phase[phase]) for phase in Phase] == [1, 10, 110, 15, 1]
    assert [p.set_um for p in by_phase[Phase.CALIBRATION]][:11] == list(range(0, 2501, 250))
    assert {p.direction for p in by_phase[Phase.CALIBRATION] if p.run % 2} == {"up"}
    assert {p.direction for p in by_phase[Phase.CALIBRATION] if p.run % 2 == 0} == {"down"}
    assert [p.set_um for p in by_phase[Phase.VERIFICATION]][:5] == [300, 800, 1300, 1800, 2300]
    assert not set(plan.VERIFICATION_UM) & {*plan.calibration_um(), *plan.AS_FOUND_UM}
    assert by_phase[Phase.DRIFT][0].set_um == 1250


@pytest.mark.parametrize("seed", [1, 2])
def test_a_whole_calibration(seed: int, tmp_path: Path) -> None:
    pen = BenchPen(seed)
    kept: list[Calibration] = []
    procedure = Procedure.begin(pen, gauge_of(pen), "A. Technician", ROOM, tmp_path, store=kept.append)
    result = finish(procedure)
    print(f"seed {seed}: residual {result.fit.residual_um:.1f} um, U {result.budget.expanded:.1f} um")
    assert result.decision.accepted, [c for c in result.decision.checks if not c.passed]
    assert kept == [result] and len(result.taken) == len(plan.points())
    assert pen.record.hex() == result.record_hex and not pen.service
