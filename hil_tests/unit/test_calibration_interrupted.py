"""CR-01: a calibration can be left, killed, unplugged or reset at any point, and ends with the same result."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.calibrating import ROOM, BenchPen, begin, finish, gauge_of, step

from needlepen.calibration import journal
from needlepen.calibration.automatic import Doubt, take_point
from needlepen.calibration.journal import Journal, Line
from needlepen.calibration.listing import abandon, find_session, list_sessions
from needlepen.calibration.model import Calibration, Phase, Reading, now
from needlepen.calibration.plan import RESUME_WITHIN_H
from needlepen.calibration.procedure import Procedure
from needlepen.errors import InfrastructureError, Refused, UsageError

NUMBER = "NP-260115-7F3K2Q"
SEED = 6


class Killed(BaseException):
    """The program dies here; nothing of it runs any more."""


def outcome(result: Calibration) -> tuple[Any, ...]:
    """What has to be the same however often it was interrupted: all but the times."""
    readings = [(t.point, t.value_um, t.travel_um) for t in result.taken]
    return readings, result.fit, result.decision, result.record_hex, result.findings


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ...]:
    """The outcome of a calibration that nothing interrupts, with a gauge that does not scatter."""
    return outcome(finish(_begun(BenchPen(SEED), tmp_path_factory.mktemp("undisturbed"))))


def _begun(pen: BenchPen, folder: Path, **options: Any) -> Procedure:
    gauge = gauge_of(pen, repeatability_um=0.0)
    return Procedure.begin(pen, gauge, "A. Technician", ROOM, folder, number=NUMBER, **options)


def _resumed(pen: BenchPen, folder: Path, **options: Any) -> Procedure:
    path = folder / f"{NUMBER}.jsonl"
    return Procedure.resume(path, pen, gauge_of(pen, repeatability_um=0.0), **options)


class DyingJournal(Journal):
    """Each program that writes to it dies right after one event that matters; a note alone does not kill."""

    def add(self, event: str, data: Any = None) -> Line:
        line = super().add(event, data)
        if event != "note":
            raise Killed
        return line


@pytest.mark.parametrize("pen_too", ["pen stays", "pen is reset", "line is torn"])
def test_killed_after_every_line_it_ends_with_the_same_result(
    pen_too: str, undisturbed: tuple[Any, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("needlepen.calibration.procedure.Journal", DyingJournal)
    pen, lives = BenchPen(SEED), 0
    path = tmp_path / f"{NUMBER}.jsonl"
    kept: list[Calibration] = []
    while not (path.exists() and journal.read(path)[-1].event == "left"):
        lives += 1
        procedure = None
        try:
            if path.exists():
                procedure = _resumed(pen, tmp_path, store=kept.append)
            else:
                procedure = _begun(pen, tmp_path, store=kept.append)
            while True:
                step(procedure)
        except Killed:
            pass
        if procedure is not None:
            procedure.close()
        if pen_too == "pen is reset":
            pen.reset()
        if pen_too == "line is torn":
            with path.open("ab") as file:
                file.write(b'{"number": 17, "at": "2026-0')
    result = kept[-1]
    print(f"{lives} programs were killed, one after each of {len(journal.read(path))} lines")
    assert lives >= 140 and outcome(result) == undisturbed
    assert pen.record.hex() == result.record_hex and not pen.service and len(kept) == 1


@pytest.mark.parametrize("every", [3, 7, 11])
def test_a_pen_that_is_lost_again_and_again_loses_no_reading(
    every: int, undisturbed: tuple[Any, ...], tmp_path: Path
) -> None:
    """Every n-th thing that the pen is asked for finds it unplugged, and it starts anew."""
    pen = BenchPen(SEED)
    procedure = _begun(pen, tmp_path)
    calls = lost = 0

    def call(_name: str) -> None:
        nonlocal calls, lost
        calls += 1
        if calls % (every * 4) == 0:
            lost += 1
            pen.reset()
            raise InfrastructureError("the pen is gone")

    pen.on_call = call
    while not procedure.is_finished:
        try:
            step(procedure)
        except InfrastructureError:
            continue
    assert procedure.result is not None
    print(f"lost {lost} times in {calls} calls")
    assert lost > 10 and outcome(procedure.result) == undisturbed


def test_a_gauge_that_is_lost_or_talks_nonsense_loses_no_reading(
    undisturbed: tuple[Any, ...], tmp_path: Path
) -> None:
    pen = BenchPen(SEED)
    gauge = gauge_of(pen, repeatability_um=0.0)
    procedure = Procedure.begin(pen, gauge, "A. Technician", ROOM, tmp_path, number=NUMBER)
    reads = 0
    sound = gauge.read

    def read(timeout_s: float = 5.0) -> Reading:
        nonlocal reads
        reads += 1
        if reads % 3 == 1:
            raise InfrastructureError("the gauge is silent")
        if reads % 3 == 2:
            return gauge.parse("01A+00X0.123")
        return sound(timeout_s)

    gauge.read = read  # type: ignore[method-assign]
    while not procedure.is_finished:
        try:
            step(procedure)
        except (InfrastructureError, Refused):
            continue
    assert procedure.result is not None and not procedure.result.replaced
    assert outcome(procedure.result) == undisturbed


# ---------------------------------------------------------------------- between pen and database
def test_a_crash_between_pen_and_database_is_healed(undisturbed: tuple[Any, ...], tmp_path: Path) -> None:
    pen = BenchPen(SEED)
    written: list[str] = []
    pen.on_call = lambda name: written.append(name) if name == "put_calibration" else None

    def full(_calibration: Calibration) -> None:
        raise InfrastructureError("the database cannot be reached")

    procedure = _begun(pen, tmp_path, store=full)
    with pytest.raises(InfrastructureError, match="database"):
        finish(procedure)
    procedure.close()
    assert pen.record.hex() == undisturbed[3], "the pen has its record, the database not yet"
    [info] = list_sessions(tmp_path)
    with pytest.raises(UsageError, match="decided"):
        abandon(info)
    kept: list[Calibration] = []
    finish(_resumed(pen, tmp_path, store=kept.append))
    assert outcome(kept[0]) == undisturbed and written == ["put_calibration"]
    assert not list_sessions(tmp_path)


@pytest.mark.parametrize("after", [False, True], ids=["before it was written", "after it was written"])
def test_a_pen_that_is_lost_while_its_record_is_written_is_written_once(
    after: bool, undisturbed: tuple[Any, ...], tmp_path: Path
) -> None:
    pen = BenchPen(SEED)
    put, puts = pen.put_calibration, 0

    def torn(record: bytes) -> None:
        nonlocal puts
        puts += 1
        if after:
            put(record)
        if puts == 1:
            pen.reset()
            raise InfrastructureError("the pen is gone")
        put(record)

    pen.put_calibration = torn  # type: ignore[method-assign]
    procedure = _begun(pen, tmp_path)
    with pytest.raises(InfrastructureError):
        finish(procedure)
    procedure.close()
    result = finish(_resumed(pen, tmp_path))
    assert outcome(result) == undisturbed and puts == (1 if after else 2)


def test_a_record_that_does_not_come_back_as_written_certifies_nothing(tmp_path: Path) -> None:
    pen = BenchPen(SEED)
    pen.read_calibration = lambda: b"something else"  # type: ignore[method-assign]
    kept: list[Calibration] = []
    procedure = _begun(pen, tmp_path, store=kept.append)
    with pytest.raises(InfrastructureError, match="does not give back"):
        finish(procedure)
    assert not kept and not procedure.is_finished


# ---------------------------------------------------------------------- who may go on
def _left(pen: BenchPen, folder: Path, readings: int = 20) -> None:
    with _begun(pen, folder) as procedure:
        for _ in range(readings):
            step(procedure)


def test_another_pen_gauge_or_firmware_may_not_go_on(tmp_path: Path) -> None:
    pen = BenchPen(SEED)
    _left(pen, tmp_path)
    path = tmp_path / f"{NUMBER}.jsonl"
    other_gauge = gauge_of(pen)
    other_gauge.identity = other_gauge.identity.model_copy(update={"serial": "SIM-99"})
    other_firmware = BenchPen(SEED)
    other_firmware.identity = pen.identity.model_copy(update={"application_hash": "f" * 12})
    other_record = BenchPen(SEED, calibrated=False)
    for found, gauge, said in (
        (BenchPen(SEED + 1), gauge_of(pen), "connect the right pen"),
        (pen, other_gauge, "SIM-99, which has another zero"),
        (other_firmware, gauge_of(pen), "firmware has changed"),
        (other_record, gauge_of(pen), "record has changed"),
    ):
        with pytest.raises(Refused, match=said):
            Procedure.resume(path, found, gauge)
    with Procedure.resume(path, pen, gauge_of(pen)) as procedure:
        assert len(procedure.session.taken) == 20


def test_a_session_that_is_too_old_or_has_other_conditions_may_not_go_on(tmp_path: Path) -> None:
    pen = BenchPen(SEED)
    _left(pen, tmp_path)
    with pytest.raises(Refused, match=r"left 4\.5 h ago"):
        _resumed(pen, tmp_path, at=now() + timedelta(hours=RESUME_WITHIN_H + 0.5))
    [info] = list_sessions(tmp_path)
    assert not info.problem and (info.done, info.total) == (20, 137)
    pen.nose_c = 29.0
    with pytest.raises(Refused, match=r"nose is at 29\.0 C"):
        _resumed(pen, tmp_path)
    pen.nose_c = 23.0
    finish(_resumed(pen, tmp_path, at=now() + timedelta(hours=RESUME_WITHIN_H - 0.5)))
    with pytest.raises(Refused, match="is over"):
        _resumed(pen, tmp_path)


def test_a_session_is_found_by_its_number_listed_and_given_up(tmp_path: Path) -> None:
    pen = BenchPen(SEED)
    _left(pen, tmp_path, 30)
    (tmp_path / "NP-damaged.jsonl").write_text("no journal\n")
    found = {info.number: info for info in list_sessions(tmp_path)}
    assert set(found) == {NUMBER, "NP-damaged"} and "damaged" in found["NP-damaged"].problem
    assert find_session("np-2601", tmp_path).number == NUMBER
    assert find_session("", tmp_path, pen=pen.identity.unique_id).number == NUMBER
    for text in ("NP-99", "NP-"):
        with pytest.raises(UsageError, match=r"no unfinished|fits several"):
            find_session(text, tmp_path)
    before = pen.record
    for info in found.values():
        abandon(info)
    assert not list_sessions(tmp_path) and pen.record == before
    with pytest.raises(Refused, match="is over"):
        _resumed(pen, tmp_path)
    assert any(line.event == "abandoned" for line in journal.read(tmp_path / f"{NUMBER}.jsonl"))


# ---------------------------------------------------------------------- without a person
def test_a_doubt_is_repeated_twice_and_then_stops_an_unattended_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pen = BenchPen(SEED)
    with begin(pen, tmp_path) as procedure:
        while procedure.stage.point is None or procedure.stage.point.run < 7:
            take_point(procedure)
        off_mm = [0.05, 0.0]
        sound = procedure.read

        def read(timeout_s: float = 5.0) -> Reading:
            reading = sound(timeout_s)
            off = off_mm.pop(0) if off_mm else 0.05
            return reading.model_copy(update={"value_mm": round(reading.value_mm + off, 3)})

        monkeypatch.setattr(procedure, "read", read)
        before = procedure.stage.point.number
        take_point(procedure)
        assert procedure.stage.point.number == before + 1 and len(procedure.session.replaced) == 1
        with pytest.raises(Doubt, match="stays doubtful"):
            take_point(procedure)
        assert procedure.is_doubtful and len(procedure.session.replaced) == 3
    monkeypatch.undo()
    with Procedure.resume(procedure.path, pen, gauge_of(pen)) as again:
        assert again.stage.point is not None and again.stage.point.number == before + 1 and again.is_doubtful
        take_point(again)
        assert not [t for t in again.session.of(Phase.CALIBRATION) if abs(t.error_um) > 150]
