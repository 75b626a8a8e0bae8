"""The state of a calibration, as its journal tells it: replaying the lines gives what the program knew.

begun       who, with what, under which conditions        conditions  judged again, when it was resumed
taken       a reading at a point, with its findings       kept        its doubts were accepted knowingly
fitted      curve and the signed record to try            unfitted    a reading before it was repeated
decided     verdict and what is to be written to the pen  written     the pen has it (or nothing was to be written)
stored      the database has it                           left        the pen is out of service; the end
abandoned   given up by a person                          note        something that is good to know later
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from needlepen.calibration import plan
from needlepen.calibration.journal import Line
from needlepen.calibration.model import (
    Calibration,
    Conditions,
    Finding,
    FitResult,
    GaugeIdentity,
    PenIdentity,
    Phase,
    Point,
    Taken,
)
from needlepen.errors import Refused

FITTED_BY = (Phase.AS_FOUND, Phase.CALIBRATION)
"""Phases whose readings the curve is made of, or judged by."""
WITH_NEW_CURVE = (Phase.VERIFICATION, Phase.DRIFT)


class Begun(BaseModel):
    """What is fixed when a calibration begins. `record_hex`: the pen's own record then, "" for none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: str
    pen: PenIdentity
    gauge: GaugeIdentity
    operator: str
    conditions: Conditions
    emulated: bool
    record_hex: str
    record_state: str
    record_in_use: bool
    cap_um: int
    day: date
    software: str


@dataclass
class Session:
    """Everything that the journal says. `taken`: the reading that counts at each point, by the point's number."""

    begun: Begun
    begun_at: datetime
    last_at: datetime
    points: tuple[Point, ...]
    taken: dict[int, Taken] = field(default_factory=dict)
    replaced: list[Taken] = field(default_factory=list)
    findings: dict[int, list[Finding]] = field(default_factory=dict)
    doubtful: set[int] = field(default_factory=set)
    """Points whose reading waits for a decision: repeat, or keep knowingly."""
    fit: FitResult | None = None
    trial_hex: str = ""
    result: Calibration | None = None
    written: bool = False
    stored: bool = False
    left: bool = False
    abandoned: bool = False

    @property
    def open(self) -> bool:
        """Whether there is anything left to do."""
        return not (self.left or self.abandoned)

    @property
    def position(self) -> int:
        """Number of the first point that has no reading that counts; the number of points when all have."""
        if (
            self.fit is not None and not self.trial_hex
        ):  # no pen can have that curve: there is nothing to verify
            return len(self.points)
        missing = (p.number for p in self.points if p.number not in self.taken or p.number in self.doubtful)
        return next(missing, len(self.points))

    def of(self, *phases: Phase) -> list[Taken]:
        """The readings that count of some phases, in the order of the points."""
        return [self.taken[p.number] for p in self.points if p.phase in phases and p.number in self.taken]

    def kept_findings(self) -> list[Finding]:
        """What the certificate has to say: doubts that were kept, and notes."""
        return [finding for number in sorted(self.findings) for finding in self.findings[number]]

    # ------------------------------------------------------------------ replay
    def play(self, line: Line) -> None:
        """Take one more line of the journal."""
        self.last_at = line.at
        handler = getattr(self, f"_{line.event}", None)
        if handler is None:
            raise Refused(
                f"the journal tells of {line.event!r}, which this version does not know; resume it with a newer one"
            )
        handler(line.data)

    def _taken(self, data: dict[str, Any]) -> None:
        taken = Taken.model_validate(data["taken"])
        number = taken.point.number
        if number in self.taken:
            self.replaced.append(self.taken[number])
        self.taken[number] = taken
        self.findings[number] = [Finding.model_validate(finding) for finding in data["findings"]]
        waits = any(finding.severity != "note" for finding in self.findings[number])
        (self.doubtful.add if waits else self.doubtful.discard)(number)

    def _kept(self, data: dict[str, Any]) -> None:
        self.doubtful.discard(data["point"])

    def _fitted(self, data: dict[str, Any]) -> None:
        self.fit = FitResult.model_validate(data["fit"])
        self.trial_hex = data["record_hex"]

    def _unfitted(self, _: dict[str, Any]) -> None:
        self.fit, self.trial_hex = None, ""
        for point in self.points:
            if point.phase in WITH_NEW_CURVE and point.number in self.taken:
                self.replaced.append(self.taken.pop(point.number))
                self.findings.pop(point.number, None)
                self.doubtful.discard(point.number)

    def _decided(self, data: dict[str, Any]) -> None:
        self.result = Calibration.model_validate(data["calibration"])

    def _written(self, _: dict[str, Any]) -> None:
        self.written = True

    def _stored(self, _: dict[str, Any]) -> None:
        self.stored = True

    def _left(self, _: dict[str, Any]) -> None:
        self.left = True

    def _abandoned(self, _: dict[str, Any]) -> None:
        self.abandoned = True

    def _note(self, _: dict[str, Any]) -> None:
        pass

    def _conditions(self, _: dict[str, Any]) -> None:
        pass


def replay(path: Path, lines: Iterable[Line]) -> Session:
    """The session of a journal. Raises Refused if it does not tell of one."""
    following = iter(lines)
    first = next(following, None)
    if first is None or first.event != "begun":
        raise Refused(
            f"{path}: the journal does not tell of a calibration's begin; abandon it and begin anew"
        )
    begun = Begun.model_validate(first.data)
    session = Session(begun, first.at, first.at, plan.points(begun.cap_um))
    for line in following:
        session.play(line)
    return session
