"""Readings without a person: with a gauge that can be asked, the runs go by themselves and stop for doubts only."""

from __future__ import annotations

import time
from collections.abc import Callable

from needlepen.calibration.model import Finding, Phase, Taken
from needlepen.calibration.procedure import Procedure
from needlepen.errors import InfrastructureError

DOUBT_REPEATS = 2
"""A doubtful reading is repeated so often before a person has to decide."""
LOST_TRIES = 3
"""So often a point is tried when pen or gauge is lost at it."""
LOST_PAUSE_S = 1.0


class Doubt(InfrastructureError):
    """A reading stays doubtful after all repeats. The session waits: `needlepen calibrate --resume` goes on."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings
        super().__init__(
            "the reading stays doubtful: "
            + " ".join(finding.text for finding in findings if finding.severity != "note")
            + " Look at pen and gauge, then resume"
        )


def take_point(
    procedure: Procedure,
    on_taken: Callable[[Taken, list[Finding]], None] = lambda taken, findings: None,
    doubt_repeats: int = DOUBT_REPEATS,
) -> None:
    """Take the reading of the present point and go to the next one.

    Raises Doubt if it stays doubtful, InfrastructureError if pen or gauge is lost and does not come back: it may be
    called again.
    """
    for attempt in range(1 + doubt_repeats):
        if attempt:
            procedure.repeat()
        if not _with_patience(lambda: _reading(procedure)):
            return
        assert procedure.present is not None
        on_taken(procedure.present, procedure.findings)
        if not procedure.is_doubtful:
            procedure.next()
            return
    raise Doubt(procedure.findings)


def needs_a_person(procedure: Procedure, simulated: bool) -> str | None:
    """What a person has to set up before this point's reading, or None. A simulated gauge places itself."""
    point = procedure.stage.point
    if point is None or simulated:
        return None
    if point.phase is Phase.ZERO:
        return "Put the gauge on the flat plate and set it to zero"
    placed = any(t.point.phase is not Phase.ZERO for t in procedure.session.taken.values())
    return None if placed else "Put the pen's nose on the gauge"


def _reading(procedure: Procedure) -> bool:
    """One reading at the present point; False if none is wanted after all."""
    procedure.prepare()
    if procedure.stage.point is None:
        return False
    procedure.take(procedure.read())
    return True


def _with_patience(action: Callable[[], bool]) -> bool:
    """Again after a lost pen or gauge: nothing was kept then."""
    for _ in range(LOST_TRIES - 1):
        try:
            return action()
        except InfrastructureError:
            time.sleep(LOST_PAUSE_S)
    return action()
