"""CR-01: the procedure's engine on pens without a chip: order of the points, doubts, steps back, the decision."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.calibrating import ROOM, BenchPen, begin, finish, gauge_of, step, take

from needlepen.calibration import plan
from needlepen.calibration.model import Calibration, Phase, Reading
from needlepen.calibration.procedure import Procedure
from needlepen.calibration.uncertainty import PEN_SCATTER
from needlepen.emulator.factory import FACTORY_DAY as ROOM_DAY
from needlepen.errors import Refused, UsageError
from needlepen.records import making
from needlepen.records.calibration import WITHDRAWN

UNEVEN = {"screw_periodic_um": 100.0}
"""A screw that no curve through 11 points can follow."""


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
    result = finish(begin(pen, tmp_path, store=kept.append))
    print(f"seed {seed}: residual {result.fit.residual_um:.1f} um, U {result.budget.expanded:.1f} um")
    assert result.decision.accepted, [c for c in result.decision.checks if not c.passed]
    assert kept == [result] and [t.point for t in result.taken] == list(plan.points())
    assert pen.record.hex() == result.record_hex and not pen.service
    stored = making.read_calibration(pen.record, pen.signing_key(), bytes.fromhex(pen.identity.unique_id))
    assert stored.certificate == result.number and stored.operator == "A. Technician"
    assert [s for s, _ in stored.as_found] == list(plan.AS_FOUND_UM)


def test_the_scatter_of_a_pen_has_as_many_degrees_of_freedom_as_readings_less_means(tmp_path: Path) -> None:
    """JCGM 100:2008, 4.2: each of the 22 means, of a point and a direction, takes one of the 110 readings."""
    pen = BenchPen(1)
    procedure = begin(pen, tmp_path)
    while procedure.stage.point is not None:
        point = procedure.stage.point
        pen.loose_um = 8.0 if point.phase is Phase.CALIBRATION and point.run in (3, 4, 9) else 0.0
        step(procedure)
    budget = finish(procedure).budget
    [scatter] = [part for part in budget.contributions if part.name == PEN_SCATTER]
    assert scatter.degrees_of_freedom == 110 - 22 and scatter.u > 2.0


def test_every_reading_is_reached_by_a_move_of_its_own(tmp_path: Path) -> None:
    """Up ends at 2.50 mm where down begins: without a move the second reading would be the first one again."""
    pen = BenchPen(1)
    moves: list[int] = []
    with begin(pen, tmp_path) as procedure:
        while procedure.stage.point is None or procedure.stage.point.phase is not Phase.VERIFICATION:
            before = pen.moves
            step(procedure)
            moves.append(pen.moves - before)
    assert min(moves[1:]) >= 1


# ---------------------------------------------------------------------- pens with other records
def test_a_pen_without_a_record_is_calibrated(tmp_path: Path) -> None:
    pen = BenchPen(3, calibrated=False)
    result = finish(begin(pen, tmp_path))
    assert result.decision.accepted and pen.record.hex() == result.record_hex


def test_a_pen_whose_record_ends_early_is_calibrated_over_the_whole_range(tmp_path: Path) -> None:
    pen = BenchPen(3)
    short = making.calibration([(0, 5), (1000, 1010), (1750, 1755)], day=ROOM_DAY)
    pen.record = making.calibration_record(short, pen.signing_key(), bytes.fromhex(pen.identity.unique_id))
    result = finish(begin(pen, tmp_path))
    as_found = [t.point.set_um for t in result.taken if t.point.phase is Phase.AS_FOUND]
    assert as_found == [um for um in plan.AS_FOUND_UM if um <= 1750]
    assert result.decision.accepted and result.fit.points_um[-1][0] == 2500


# ---------------------------------------------------------------------- refused
def test_a_bad_pen_is_refused_and_its_record_withdrawn(tmp_path: Path) -> None:
    pen = BenchPen(4, worn={**UNEVEN, "tip_offset_um": 150.0, "tip_offset_um_spread": 0.0})
    before = pen.record
    result = finish(begin(pen, tmp_path))
    failed = [c.name for c in result.decision.checks if not c.passed]
    assert (
        not result.decision.accepted
        and failed
        and all(c.reason for c in result.decision.checks if not c.passed)
    )
    assert pen.record not in (before, b"") and pen.record.hex() == result.record_hex
    unique_id = bytes.fromhex(pen.identity.unique_id)
    assert making.read_calibration(pen.record, pen.signing_key(), unique_id).status == WITHDRAWN


def test_a_refused_pen_that_was_right_as_found_keeps_its_record(tmp_path: Path) -> None:
    """Something gives way at the end: that fails the drift, but says nothing against the record that it came with."""
    pen = BenchPen(4)
    before = pen.record
    procedure = begin(pen, tmp_path)
    while procedure.stage.name != "drift":
        step(procedure)
    pen.loose_um = -60.0  # inward, so that home, which lies too far out, comes nearer to where it should be
    result = finish(procedure)
    assert [c.name for c in result.decision.checks if not c.passed] == ["drift"]
    assert result.record_hex == "" and pen.record == before and pen.trial is None


def test_a_refused_pen_without_a_record_stays_without(tmp_path: Path) -> None:
    pen = BenchPen(4, calibrated=False, **UNEVEN)
    result = finish(begin(pen, tmp_path))
    assert not result.decision.accepted and pen.record == b"" and result.record_hex == ""


def test_a_hall_sensor_that_no_pen_can_have_is_refused_without_a_trial(tmp_path: Path) -> None:
    """The pen would not take such a record, so there is nothing to verify; the old one was right and stays."""
    pen = BenchPen(4)
    pen.hall_gain = 0.3
    before, called = pen.record, []
    pen.on_call = called.append
    result = finish(begin(pen, tmp_path))
    assert not result.decision.accepted and "try_calibration" not in called and pen.record == before
    assert not [t for t in result.taken if t.point.phase is Phase.VERIFICATION]
    failed = {check.name for check in result.decision.checks if not check.passed}
    assert {"record refused by the pen", "verification readings"} <= failed


# ---------------------------------------------------------------------- doubts, repeats, steps back
def read_as(procedure: Procedure, value_mm: float) -> list[str]:
    procedure.prepare()
    found = procedure.take(Reading(raw=str(value_mm), value_mm=value_mm))
    return [finding.severity for finding in found]


def test_a_bad_zero_is_stopped_and_repeated(tmp_path: Path) -> None:
    with begin(BenchPen(1), tmp_path) as procedure:
        assert read_as(procedure, 0.006) == ["stop"]
        with pytest.raises(UsageError, match="cannot be kept"):
            procedure.keep()
        with pytest.raises(UsageError, match="repeat it, or keep"):
            procedure.next()
        procedure.repeat()
        assert read_as(procedure, 0.004) == []
        procedure.next()
        assert [t.value_um for t in procedure.session.replaced] == [6.0]


@pytest.mark.parametrize("wrong", [0.0059, -0.15, 9.99], ids=["inches", "sign", "range"])
def test_a_reading_that_cannot_be_is_stopped(wrong: float, tmp_path: Path) -> None:
    with begin(BenchPen(1), tmp_path) as procedure:
        step(procedure)
        step(procedure)
        assert procedure.stage.point is not None and procedure.stage.point.set_um == 150
        far = wrong if wrong != 0.0059 else None
        if far is None:  # 0.15 mm in inches is near 0; farther out it shows
            while procedure.stage.point.set_um < 750:
                step(procedure)
            far = round(procedure.stage.point.set_um / 25_400, 5)
        elif wrong == -0.15:
            while procedure.stage.point.set_um < 750:
                step(procedure)
            far = -procedure.stage.point.set_um / 1e3
        assert "stop" in read_as(procedure, far)
        procedure.repeat()
        take(procedure)
        assert not procedure.is_doubtful


def test_an_outlier_is_doubted_kept_knowingly_or_repeated(tmp_path: Path) -> None:
    pen = BenchPen(1)
    with begin(pen, tmp_path) as procedure:
        while procedure.stage.point is None or procedure.stage.point.run < 6:
            step(procedure)
        procedure.prepare()
        off = Reading(raw="off", value_mm=round(pen.protrusion_mm + 0.04, 3))
        assert "doubt" in [f.severity for f in procedure.take(off)] and procedure.is_doubtful
        with pytest.raises(UsageError):
            procedure.next()
        procedure.repeat()
        take(procedure)
        assert not procedure.is_doubtful and procedure.session.replaced[-1].reading == off
        procedure.next()
        procedure.prepare()
        procedure.take(Reading(raw="off again", value_mm=round(pen.protrusion_mm + 0.04, 3)))
        procedure.keep()
        procedure.next()
        result = finish(procedure)
    assert [t.reading.raw for t in result.replaced] == ["off"]
    assert any(finding.severity == "doubt" for finding in result.findings), "the certificate has to say it"


def test_a_reading_without_a_move_is_no_reading(tmp_path: Path) -> None:
    with begin(BenchPen(1), tmp_path) as procedure:
        with pytest.raises(UsageError, match="prepare it first"):
            procedure.take(Reading(raw="0", value_mm=0.0))
        with pytest.raises(UsageError, match="no reading"):
            procedure.next()


def test_stepping_back_repeats_an_earlier_reading_and_then_goes_on(tmp_path: Path) -> None:
    with begin(BenchPen(1), tmp_path) as procedure:
        for _ in range(8):
            step(procedure)
        for _ in range(3):
            procedure.back()
        assert procedure.stage.point is not None and procedure.stage.point.number == 5
        first = procedure.present
        take(procedure)
        assert procedure.session.replaced == [first]
        procedure.next()
        assert procedure.stage.point.number == 8
        for _ in range(7):
            procedure.back()
        with pytest.raises(UsageError, match="zero"):
            procedure.back()


def test_repeating_a_reading_of_the_curve_makes_it_anew_and_verifies_it_anew(tmp_path: Path) -> None:
    pen = BenchPen(1)
    with begin(pen, tmp_path) as procedure:
        while procedure.stage.point is None or procedure.stage.point.number < 125:
            step(procedure)
        first = procedure.session.trial_hex
        for _ in range(5):
            procedure.back()
        assert procedure.stage.point.phase is Phase.CALIBRATION
        procedure.prepare()
        assert pen.trial is None, "as-found and calibration readings go by the stored record"
        procedure.take(Reading(raw="other", value_mm=round(pen.protrusion_mm + 0.02, 3)))
        procedure.keep()
        procedure.next()
        assert procedure.stage.point.number == 121 and procedure.session.fit is None
        result = finish(procedure)
    assert result.decision.accepted and result.record_hex not in ("", first)
    verified = [t for t in result.taken if t.point.phase is Phase.VERIFICATION]
    assert len(verified) == 15 and len(result.replaced) == 5


def test_a_depth_that_somebody_changed_at_the_pen_is_no_reading(tmp_path: Path) -> None:
    pen = BenchPen(1)
    with begin(pen, tmp_path) as procedure:
        step(procedure)
        step(procedure)
        procedure.prepare()
        reading = procedure.read()
        pen.set_um += 50
        with pytest.raises(Exception, match="was not taken"):
            procedure.take(reading)
        assert procedure.present is None
        step(procedure)


def test_heat_and_an_empty_battery_stop_a_reading(tmp_path: Path) -> None:
    pen = BenchPen(1)
    with begin(pen, tmp_path) as procedure:
        step(procedure)
        for nose_c, cell_v in ((25.5, 3.9), (17.5, 3.9), (23.0, 3.4)):
            pen.nose_c, pen.cell_v = nose_c, cell_v
            assert take(procedure)[0].severity == "stop", (nose_c, cell_v)
        pen.nose_c, pen.cell_v = 24.5, 3.6
        assert not take(procedure)


# ---------------------------------------------------------------------- preconditions
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"nose_c": 17.9}, "nose is at 17.9 C"), ({"nose_c": 28.1}, "nose is at 28.1 C"),
        ({"cell_v": 3.45}, "battery is at 3.45 V"), ({"fault": "stall"}, "fault is stall"),
        ({"blockers": ("cartridge_unreadable", "external_power")}, "external power is connected"),
        ({"blockers": ("cartridge_absent",)}, "cartridge is missing"), ({"blockers": ()}, "one for treatment"),
        ({"blockers": ("cartridge_unreadable", "depth_sensor")}, "depth sensor"),
        ({"emulated": False}, "simulated for a pen that is real"),
    ],
)  # fmt: skip
def test_each_precondition_is_judged_with_value_and_remedy(change: dict, said: str, tmp_path: Path) -> None:
    pen = BenchPen(1)
    for name, value in change.items():
        setattr(pen, name, value)
    with pytest.raises(Refused, match=said):
        begin(pen, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_nose_that_is_not_steady_and_a_gauge_that_is_overdue_are_refused(tmp_path: Path) -> None:
    pen = BenchPen(1)
    pen.watch_nose = lambda duration_s: [23.0, 23.2, 23.5]  # type: ignore[method-assign]
    with pytest.raises(Refused, match=r"nose's change is 0\.5 K"):
        begin(pen, tmp_path)
    pen = BenchPen(1)
    gauge = gauge_of(pen)
    gauge.identity = gauge.identity.model_copy(update={"due": ROOM_DAY})
    with pytest.raises(Refused, match="gauge's own calibration is due 2026-01-15"):
        Procedure.begin(pen, gauge, "A. Technician", ROOM, tmp_path)
    with pytest.raises(UsageError, match="operator"):
        Procedure.begin(pen, gauge, " ", ROOM, tmp_path)
