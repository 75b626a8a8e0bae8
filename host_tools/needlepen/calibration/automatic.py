"""Readings without a person: with a gauge that can be asked, the runs go by themselves and stop for doubts only."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from needlepen.calibration.gauges import GaugeError
from needlepen.calibration.model import Finding, Phase, Reading, Taken
from needlepen.calibration.stages import Stage
from needlepen.errors import InfrastructureError

_T = TypeVar("_T")
DOUBT_REPEATS = 2
"""A doubtful reading is repeated so often before a person has to decide."""
LOST_TRIES = 3
"""So often a point is tried when pen or gauge is lost at it, or the gauge sends nonsense."""
LOST_PAUSE_S = 1.0


class Measured(Protocol):
    """What leads from reading to reading: a Procedure, or a Checking."""

    @property
    def stage(self) -> Stage: ...
    @property
    def present(self) -> Taken | None: ...
    @property
    def findings(self) -> list[Finding]: ...
    @property
    def is_doubtful(self) -> bool: ...
    def prepare(self) -> None: ...
    def read(self, timeout_s: float = ...) -> Reading: ...
    def take(self, reading: Reading) -> list[Finding]: ...
    def keep(self) -> None: ...
    def repeat(self) -> None: ...
    def next(self) -> None: ...


class Doubt(InfrastructureError):
    """A reading stays doubtful after all repeats. A calibration waits then, and can be resumed."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings
        super().__init__(
            "the reading stays doubtful: "
            + " ".join(finding.text for finding in findings if finding.severity != "note")
            + " Look at pen and gauge, then go on"
        )


def take_point(
    procedure: Measured,
    on_taken: Callable[[Taken, list[Finding]], None] = lambda taken, findings: None,
    doubt_repeats: int = DOUBT_REPEATS,
) -> None:
    """Take the reading of the present point and go to the next one.

    Raises Doubt if it stays doubtful, InfrastructureError if pen or gauge is lost and does not come back, GaugeError if
    the gauge sends nonsense again and again: it may be called again.
    """
    for attempt in range(1 + doubt_repeats):
        if attempt:
            procedure.repeat()
        if not patiently(lambda: _reading(procedure)):
            return
        assert procedure.present is not None
        on_taken(procedure.present, procedure.findings)
        if not procedure.is_doubtful:
            procedure.next()
            return
    raise Doubt(procedure.findings)


def needs_a_person(procedure: Measured, simulated: bool) -> str | None:
    """What a person has to set up before this point's reading, or None. A simulated gauge places itself."""
    point = procedure.stage.point
    if point is None or simulated:
        return None
    if point.phase is Phase.ZERO:
        return "Put the gauge on the flat plate and set it to zero"
    return "Put the pen's nose on the gauge" if procedure.stage.done <= 1 else None


def _reading(procedure: Measured) -> bool:
    """One reading at the present point; False if none is wanted after all."""
    procedure.prepare()
    if procedure.stage.point is None:
        return False
    procedure.take(procedure.read())
    return True


def patiently(action: Callable[[], _T]) -> _T:
    """Again after a lost pen or gauge, or what the gauge sent and is no reading: nothing was kept then."""
    for _ in range(LOST_TRIES - 1):
        try:
            return action()
        except (InfrastructureError, GaugeError):
            time.sleep(LOST_PAUSE_S)
    return action()
