"""The technician's dialogue in the terminal: keys, typed readings, doubts, leaving and going on."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from support.calibrating import ROOM, BenchPen, gauge_of

from needlepen.calibration import automatic
from needlepen.calibration.bench import Bench
from needlepen.calibration.dialogue import Dialogue, Left, tell_result
from needlepen.calibration.gauges import GaugeError, open_gauge
from needlepen.calibration.gauges.simulated import simulated_identity
from needlepen.calibration.model import GaugeIdentity, Reading
from needlepen.calibration.procedure import Procedure
from needlepen.errors import InfrastructureError, UsageError


class Desk(Console):
    """A terminal whose technician answers by a function of the prompt."""

    def __init__(self, answer: Callable[[str], str]) -> None:
        self.out = io.StringIO()
        super().__init__(file=self.out, width=200)
        self.prompts: list[str] = []
        self._answer = answer

    def input(self, prompt: object = "", **_: object) -> str:  # type: ignore[override]
        self.prompts.append(str(prompt))
        return self._answer(str(prompt))

    @property
    def said(self) -> str:
        return self.out.getvalue()


def typed(folder: Path) -> tuple[BenchPen, Bench, Procedure]:
    """A real pen with a gauge whose readings a person types."""
    pen = BenchPen(7)
    pen.emulated = False
    gauge = open_gauge("manual", identity=GaugeIdentity(kind="manual", model="dial", serial="1"))
    bench = Bench(pen, gauge, "left")
    return pen, bench, Procedure.begin(pen, gauge, "A. Technician", ROOM, folder)


def shown(pen: BenchPen, prompt: str) -> str:
    """What the gauge shows now, read by a person."""
    return "0.001" if "reading 1 >" in prompt else f"{pen.protrusion_mm:.3f}"


def test_a_whole_calibration_by_typed_readings(tmp_path: Path) -> None:
    pen, bench, procedure = typed(tmp_path)
    desk = Desk(lambda prompt: shown(pen, prompt))
    result = Dialogue(desk, bench, unattended=False).calibrate(procedure)
    tell_result(desk, result)
    assert result.decision.accepted and len(desk.prompts) == 137
    for text in (
        "Zero the gauge",
        "As found",
        "Calibration, run 10 down",
        "Verification, run 3",
        "PASS",
        "why" * 0,
    ):
        assert text in desk.said
    assert "This is how the pen has been treating until today" in desk.said and result.number in desk.said


def test_every_key_does_what_it_says(tmp_path: Path) -> None:
    pen, bench, procedure = typed(tmp_path)
    script = iter(
        ["nonsense", "", "0.100", "k", "r", "0.002",  # zero: no number, nothing typed, stopped, not kept, repeated
         "b", "", "SHOWN", "SHOWN", "b", "SHOWN", "q"]
    )  # fmt: skip

    def answer(prompt: str) -> str:
        word = next(script)
        return f"{pen.protrusion_mm:.3f}" if word == "SHOWN" else word

    desk = Desk(answer)
    with pytest.raises(Left, match="nothing is lost"):
        Dialogue(desk, bench, unattended=False).calibrate(procedure)
    for text in ("no reading", "Type what the gauge shows", "stop: ", "cannot be kept"):
        assert text in desk.said, desk.said
    session = procedure.session
    assert [t.value_um for t in session.replaced][:1] == [100.0] and session.taken[0].value_um == 2.0
    assert len(session.taken) >= 3


def test_leaving_by_the_end_of_the_input_loses_nothing(tmp_path: Path) -> None:
    pen, bench, procedure = typed(tmp_path)
    left = 12

    def answer(prompt: str) -> str:
        nonlocal left
        left -= 1
        if left < 0:
            raise EOFError
        return shown(pen, prompt)

    with pytest.raises(Left, match="left at 12 of 137"):
        Dialogue(Desk(answer), bench, unattended=False).calibrate(procedure)
    procedure.close()
    again = Procedure.resume(procedure.path, pen, bench.gauge)
    desk = Desk(lambda prompt: shown(pen, prompt))
    assert Dialogue(desk, bench, unattended=False).calibrate(again).decision.accepted
    assert len(desk.prompts) == 137 - 12


def test_nobody_can_type_into_an_unattended_run(tmp_path: Path) -> None:
    _, bench, procedure = typed(tmp_path)
    with pytest.raises(UsageError, match="--yes needs a gauge that can be asked"):
        Dialogue(Desk(lambda prompt: ""), bench, unattended=True).calibrate(procedure)


def test_an_automatic_gauge_asks_for_a_person_only_to_set_up_and_in_doubt(tmp_path: Path) -> None:
    pen = BenchPen(7)
    pen.emulated = False
    gauge = gauge_of(pen)
    gauge.identity = simulated_identity().model_copy(update={"kind": "digimatic"})
    sound, reads = gauge.read, 0

    def read(timeout_s: float = 5.0):  # type: ignore[no-untyped-def]
        nonlocal reads
        reads += 1
        reading = sound(timeout_s)
        return reading.model_copy(update={"value_mm": reading.value_mm + 0.05}) if reads == 80 else reading

    gauge.read = read  # type: ignore[method-assign]
    procedure = Procedure.begin(pen, gauge, "A. Technician", ROOM, tmp_path)
    desk = Desk(lambda prompt: "r" if "repeats" in prompt else "")
    result = Dialogue(desk, Bench(pen, gauge, "left"), unattended=False).calibrate(procedure)
    assert [("plate" in p, "nose" in p, "repeats" in p) for p in desk.prompts] == [
        (True, False, False), (False, True, False), (False, False, True)
    ]  # fmt: skip
    assert result.decision.accepted and len(result.replaced) == 1 and "doubt: " in desk.said


@pytest.mark.parametrize("unattended", [False, True])
def test_a_gauge_that_sends_nonsense_is_read_again_and_at_last_a_person_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unattended: bool
) -> None:
    """One bad frame among 137 ends no run. Where it stays so, a person is told why and tries again; nobody loses it."""
    monkeypatch.setattr(automatic, "LOST_PAUSE_S", 0.0)
    pen = BenchPen(7)
    gauge = gauge_of(pen)
    sound, reads = gauge.read, 0
    bad = {20, 50, 51, 52}  # once, and as often as a point is tried

    def read(timeout_s: float = 5.0) -> Reading:
        nonlocal reads
        reads += 1
        return gauge.parse("911") if reads in bad else sound(timeout_s)

    gauge.read = read  # type: ignore[method-assign]
    procedure = Procedure.begin(pen, gauge, "A. Technician", ROOM, tmp_path)
    desk = Desk(lambda prompt: "")
    dialogue = Dialogue(desk, Bench(pen, gauge, "left"), unattended=unattended)
    if unattended:
        with pytest.raises(GaugeError, match="error 911"):
            dialogue.calibrate(procedure)
        assert procedure.stage.done == 48
    result = dialogue.calibrate(procedure)
    assert result.decision.accepted and not result.replaced and reads == 137 + len(bad)
    assert [prompt for prompt in desk.prompts if "tries again" in prompt] == (
        [] if unattended else ["Enter tries again, q leaves > "]
    )
    assert ("reports error 911" in desk.said) != unattended


@pytest.mark.parametrize("call", ["put_calibration", "read_calibration", "restart"])
def test_a_pen_that_is_silent_for_a_moment_at_the_end_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """All readings are there: the record is written once, and nobody has to resume for that."""
    monkeypatch.setattr(automatic, "LOST_PAUSE_S", 0.0)
    pen = BenchPen(7)
    gauge = gauge_of(pen)
    calls: list[str] = []

    def on_call(name: str) -> None:
        calls.append(name)
        if procedure.stage.point is None and calls.count(call) == 1 and name == call:
            raise InfrastructureError("the pen did not answer")

    procedure = Procedure.begin(pen, gauge, "A. Technician", ROOM, tmp_path)
    pen.on_call = on_call
    result = Dialogue(Desk(lambda prompt: ""), Bench(pen, gauge, "left"), unattended=True).calibrate(
        procedure
    )
    assert result.decision.accepted and procedure.is_finished and pen.record.hex() == result.record_hex
    assert calls.count(call) >= 2
