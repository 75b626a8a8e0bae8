"""What a calibration consists of, as data: journal, database, certificate and web page all keep and show these.

Lengths are um (or mm where the name says so) of needle protrusion; `travel_um` is the way of the axis from home, in
full steps of the stepper. Times are UTC. All of it goes to JSON and back without a loss.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


def now() -> datetime:
    """The present time, UTC, to the millisecond."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


# ---------------------------------------------------------------------- gauge
class GaugeIdentity(_Data):
    """Which gauge, and what its own calibration says of it."""

    kind: str
    """Name of the plug-in: manual, digimatic, mitutoyo, keyboard, simulated."""
    model: str = ""
    serial: str = ""
    resolution_um: float = 1.0
    error_um: float = 3.0
    """Largest error of indication, half width."""
    repeatability_um: float = 3.0
    """Standard deviation of one reading."""
    certificate: str = ""
    due: date | None = None
    """Day on which the gauge's own calibration is due; None if it is not known."""


class Reading(_Data):
    """One reading of a gauge, as it came."""

    raw: str
    value_mm: float
    unit: Literal["mm", "inch"] = "mm"
    at: datetime = Field(default_factory=now)


# ---------------------------------------------------------------------- points
class Phase(StrEnum):
    """The phases in which readings are taken, in their order."""

    ZERO = "zero"
    AS_FOUND = "as_found"
    CALIBRATION = "calibration"
    VERIFICATION = "verification"
    DRIFT = "drift"


class Point(_Data):
    """A place of the procedure at which a reading is taken. `run` counts from 1 within the phase."""

    phase: Phase
    number: int
    """Of all points of the procedure, from 0."""
    set_um: int
    run: int = 1
    direction: Literal["up", "down"] = "up"
    """Whether the depths of this run rise or fall; the pen itself ends every move outward."""


class Taken(_Data):
    """A reading at a point, with what the pen said then. A repeated reading replaces the one before, which is kept."""

    point: Point
    reading: Reading
    travel_um: int
    """Of the axis, from the pen's map at that time and the steps that it made."""
    hall_um: int
    nose_c: float
    cell_v: float

    @property
    def value_um(self) -> float:
        """The protrusion that the gauge found."""
        return 1e3 * self.reading.value_mm

    @property
    def error_um(self) -> float:
        """Found less set."""
        return self.value_um - self.point.set_um


class Finding(_Data):
    """What a plausibility rule says of a reading or a run. `rule` is its name, `text` one sentence for a technician."""

    rule: str
    severity: Literal["note", "doubt", "stop"]
    """note: to know; doubt: repeat it, or keep it knowingly; stop: cannot be kept."""
    text: str
    point: int | None = None


# ---------------------------------------------------------------------- results
class FitResult(_Data):
    """The monotone, piecewise linear curve from axis travel to protrusion."""

    points_um: list[tuple[int, int]]
    """(travel, protrusion), rising: what the pen gets."""
    residual_um: float
    """Largest distance of the mean of a point that was fitted from the curve."""
    between: list[tuple[int, float]] = []
    """(travel, distance from the curve) in um of the as-found readings, which lie between those points."""
    fine_errors_um: list[tuple[int, float]] = []
    """(setting, error) as a finer curve with the wave of the screw foretells them, which rests on all readings."""
    leftover_um: float = 0.0
    """Largest distance of an as-found reading from that finer curve."""
    repeatability_um: float
    """Two standard deviations of a reading about the mean of its point and direction, pooled."""
    reversal_um: float
    """Largest difference between the means of the runs down and up."""
    hall_uv_per_mm: int

    @property
    def between_um(self) -> float:
        """Largest distance of an as-found reading from the curve."""
        return max((abs(um) for _, um in self.between), default=0.0)


class Contribution(_Data):
    """One line of an uncertainty budget; `u` is in the budget's unit after divisor and sensitivity."""

    name: str
    source: str
    """Where the value comes from."""
    value: float
    distribution: Literal["normal", "rectangular", "triangular", "u-shaped", "t"]
    divisor: float
    sensitivity: float = 1.0
    degrees_of_freedom: float | None = None
    """None: infinite."""

    @property
    def u(self) -> float:
        """Standard uncertainty that it contributes."""
        return abs(self.value / self.divisor * self.sensitivity)


class Budget(_Data):
    """An uncertainty budget (GUM): `combined` is u_c, `expanded` is U = k u_c."""

    unit: str
    contributions: list[Contribution]
    combined: float
    effective_dof: float | None
    coverage_factor: float
    expanded: float


class Check(_Data):
    """One criterion of the decision: pass if `value` keeps `limit`."""

    name: str
    requirement: str
    value: float
    limit: float
    relation: Literal["<=", ">="]
    unit: str
    passed: bool
    reason: str = ""
    """One sentence for a technician if it failed."""


class Decision(_Data):
    """Accepted only if every check passed."""

    accepted: bool
    checks: list[Check]
    rule: str
    """The decision rule in words, for the certificate."""


class Conditions(_Data):
    """In which state pen and room were."""

    room_c: float
    nose_c: float
    cell_v: float
    humidity_pct: float | None = None
    note: str = ""


class PenIdentity(_Data):
    """Who the pen is and what runs on it."""

    unique_id: str
    board: str
    version: str
    application_hash: str
    name: str = ""
    run_s: int = 0
    strokes: int = 0


class Calibration(_Data):
    """One calibration from its begin to its decision: what the database keeps and the certificate says."""

    number: str
    """Unique number of the certificate, e.g. NP-260115-7F3K2Q; up to 16 characters."""
    pen: PenIdentity
    gauge: GaugeIdentity
    operator: str
    conditions: Conditions
    begun: datetime
    ended: datetime
    day: date
    due: date
    taken: list[Taken]
    """Every reading that counts, in the order of the points."""
    replaced: list[Taken] = []
    """Readings that were repeated."""
    findings: list[Finding] = []
    """Doubts that were kept knowingly, and notes."""
    fit: FitResult
    budget: Budget
    decision: Decision
    record_hex: str
    """The signed record that was written to the pen: an accepted calibration, or the withdrawal of the old one."""
    software: str
    """Version of needlepen that did it."""


class DailyCheck(_Data):
    """The short check of a calibrated pen between two calibrations."""

    pen: PenIdentity
    gauge: GaugeIdentity
    operator: str
    conditions: Conditions
    at: datetime
    calibration: str
    """Number of the calibration that it relies on; empty if it is not known."""
    taken: list[Taken]
    findings: list[Finding] = []
    decision: Decision
    software: str

    @property
    def worst_error_um(self) -> float:
        """The error that is furthest from 0, with its sign."""
        return max((taken.error_um for taken in self.taken), key=abs, default=0.0)


class Withdrawal(_Data):
    """A calibration is not valid any more. The calibration stays as it is; this refers to it."""

    number: str
    reason: str
    operator: str
    at: datetime
    software: str
