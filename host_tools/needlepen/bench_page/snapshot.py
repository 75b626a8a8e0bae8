"""What a measurement shows of itself, moment by moment."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from needlepen.calibration.model import Finding, GaugeIdentity, Reading, Taken

if TYPE_CHECKING:
    from needlepen.bench_page.steps import Result
    from needlepen.calibration.preconditions import Precondition
    from needlepen.calibration.stages import Stage


class Activity(StrEnum):
    """What it does now."""

    CONNECTING = "connecting"
    PREPARING = "preparing"  # a person sets up; the conditions are shown
    MOVING = "moving"
    CHECKING = "checking"  # the conditions, for good
    READY = "ready"  # for a reading
    READING = "reading"
    DOUBT = "doubt"  # keep or repeat
    STOP = "stop"  # repeat only
    LOST = "lost"
    WORKING = "working"  # fit, decision, record
    FINISHED = "finished"
    LEFT = "left"
    REFUSED = "refused"  # cannot go on; says why


WAITING = (Activity.READY, Activity.DOUBT, Activity.STOP)
ENDED = (Activity.FINISHED, Activity.LEFT, Activity.REFUSED)


@dataclass(frozen=True)
class Snapshot:
    """What the page shows. `number` grows with each change."""

    number: int = 0
    activity: Activity = Activity.CONNECTING
    stage: Stage | None = None
    conditions: tuple[Precondition, ...] = ()
    live: Reading | None = None
    hall_um: int | None = None
    nose_c: float | None = None
    cell_v: float | None = None
    taken: tuple[Taken, ...] = ()
    newest: Taken | None = None
    findings: tuple[Finding, ...] = ()
    message: str = ""
    typed_wrong: str = ""
    auto: bool = False
    is_automatic: bool = False
    gauge: GaugeIdentity | None = None
    path: Path | None = None
    result: Result | None = None
