"""What the page uses of gauges, pens, procedure, database and certificates: one place where they meet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from needlepen import paths
from needlepen.bench_page import charts
from needlepen.bench_page.measuring import Measurement
from needlepen.bench_page.steps import CalibrationSteps, CheckSteps, Steps
from needlepen.bench_page.workbench import CALIBRATION, CHECK, Choice, Workbench
from needlepen.calibration import (
    bench,
    journal,
    listing,
    preconditions,
    session as sessions,
    trend,
    uncertainty,
)
from needlepen.calibration.checking import Checking
from needlepen.calibration.database import open_database
from needlepen.calibration.gauges import Gauge, kinds, load_gauges
from needlepen.calibration.gauges.kinds import plugin
from needlepen.calibration.listing import SessionInfo
from needlepen.calibration.model import Calibration, Conditions, DailyCheck, GaugeIdentity, now
from needlepen.calibration.pen_port import PenPort
from needlepen.calibration.preconditions import SIMULATED, Precondition
from needlepen.calibration.procedure import Procedure
from needlepen.devices.model import PEN, Device
from needlepen.errors import UsageError


# ---------------------------------------------------------------------- gauges
def gauges() -> dict[str, str]:
    """Gauges to choose from, name -> how it is shown: those of the user's gauges.toml first, then the kinds."""
    own = {name: f"{name}: {_described(gauge.identity)}" for name, gauge in load_gauges().items()}
    return own | {kind: f"{kind}: {text}" for kind, text in kinds().items()}


def _described(identity: GaugeIdentity) -> str:
    due = f", due {identity.due:%Y-%m-%d}" if identity.due else ""
    return f"{identity.model or identity.kind} {identity.serial}".strip() + due


def fitting(device: Device | None, gauge: str) -> str:
    """The gauge for a pen: an emulated one is measured by the simulated gauge, and only by that."""
    if device is None:
        return gauge
    if device.emulated:
        return SIMULATED
    return gauge if gauge and gauge != SIMULATED else next((name for name in load_gauges()), "manual")


def asks_for_port(gauge: str) -> bool:
    """Whether the technician has to say where the gauge is connected."""
    return bool(gauge) and gauge not in load_gauges() and plugin(gauge).needs_port


# ---------------------------------------------------------------------- measurements
def measurement(kind: str, device: Device, choice: Choice) -> Measurement:
    """What the page measures. Raises UsageError if something was not filled in."""
    return {CALIBRATION: CalibrationOf, CHECK: CheckOf}[kind](device, choice)


class CalibrationOf:
    """A calibration of one pen with one gauge. Raises UsageError if something was not filled in."""

    role = "technician"
    purpose = "bench, calibration"

    def __init__(self, device: Device, choice: Choice) -> None:
        if choice.room_c is None or not choice.operator:
            raise UsageError("the record names an operator and a room temperature: fill them in")
        self._device = device
        self._choice = replace(choice)
        self._room = Conditions(room_c=choice.room_c, nose_c=0.0, cell_v=0.0)  # the pen is asked for its part

    @contextmanager
    def connect(self) -> Iterator[tuple[PenPort, Gauge]]:
        """Pen and gauge, open inside the block. Raises what opening them raises."""
        gauge, port = self._choice.gauge, self._choice.gauge_port or None
        with bench.open_bench(self._device.unique_id, gauge, port, self.purpose, self.role) as found:
            yield found.pen, found.gauge

    def conditions(self, pen: PenPort, gauge: Gauge) -> list[Precondition]:
        """As they are now; whether the nose is steady takes longer and is judged at the begin."""
        return preconditions.judge(pen, gauge.identity, now().date(), steady_s=0.0)

    def begin(self, pen: PenPort, gauge: Gauge) -> Steps:
        """A new one, with a number of the database."""
        who = self._choice.operator
        number = bench.new_number(who)
        return CalibrationSteps(
            Procedure.begin(pen, gauge, who, self._room, number=number, store=bench.store())
        )

    def resume(self, path: Path, pen: PenPort, gauge: Gauge) -> Steps:
        """The one of a journal."""
        return CalibrationSteps(Procedure.resume(path, pen, gauge, store=bench.store()))


class CheckOf(CalibrationOf):
    """A daily check of one pen with one gauge."""

    role = "operator"
    purpose = "bench, daily check"

    def begin(self, pen: PenPort, gauge: Gauge) -> Steps:
        """A new one, of the newest accepted calibration."""
        with open_database() as database:
            known = [c for c in database.history(pen.identity.unique_id) if c.decision.accepted]
        number = known[-1].number if known else ""
        return CheckSteps(Checking.begin(pen, gauge, self._choice.operator, self._room, number), _keep_check)


def _keep_check(check: DailyCheck) -> None:
    with open_database() as database:
        database.add_check(check)


def check_warnings(check: DailyCheck) -> list[str]:
    """What to know although a check passed: near the limit, or on the way there."""
    with open_database() as database:
        checks = trend.of_calibration(database.checks(check.pen.unique_id), check.calibration)
    return trend.warnings(check, checks, uncertainty.depth_budget(check.gauge).expanded)


def guarded_mm(gauge: GaugeIdentity | None) -> float | None:
    """The guard band as far as it is known before the end: the tolerance less the gauge's own uncertainty."""
    if gauge is None:
        return None
    return charts.tolerance_mm() - uncertainty.depth_budget(gauge).expanded / 1e3


# ---------------------------------------------------------------------- calibrations that were left
@dataclass(frozen=True)
class Unfinished:
    """A calibration that was left, as it is shown. `why_not`: why it cannot be gone on with now, "" if it can."""

    info: SessionInfo
    title: str
    about: str
    why_not: str


def unfinished(pens: Sequence[Device]) -> list[Unfinished]:
    """Calibrations of this computer that were left, the newest first. `pens` are those that are connected."""
    return [_unfinished(info, pens) for info in reversed(listing.list_sessions())]


def _unfinished(info: SessionInfo, pens: Sequence[Device]) -> Unfinished:
    device = _device_of(info, pens)
    why_not = info.problem or ("" if device is not None else "its pen is not connected")
    left = f", last on {info.left.astimezone():%Y-%m-%d at %H:%M}" if info.left else ""
    about = f"{info.done} of {info.total} readings by {info.operator}{left}, number {info.number}"
    name = (device.name if device else None) or "Pen"
    return Unfinished(info, f"{name} {info.pen}" if info.pen else info.number, about, why_not)


def _device_of(info: SessionInfo, pens: Sequence[Device]) -> Device | None:
    return next((d for d in pens if d.unique_id == info.pen and d.kind == PEN), None)


def go_on(workbench: Workbench, info: SessionInfo) -> None:
    """Go on with one that was left, by the person and with the gauge that began it.

    Raises UsageError if its pen is not connected.
    """
    device = _device_of(info, workbench.pens)
    if device is None:
        raise UsageError(f"pen {info.pen} is not connected: plug it in, switch it on, and look again")
    begun = sessions.replay(info.path, journal.read(info.path)).begun
    workbench.choose(device)
    choice = workbench.choice
    choice.operator, choice.room_c = begun.operator, begun.conditions.room_c
    choice.gauge = _same_gauge(begun.gauge, choice.gauge)
    workbench.begin(CALIBRATION, info.path)


def _same_gauge(wanted: GaugeIdentity, chosen: str) -> str:
    """The name under which the gauge of a session is known here; without papers its kind, or else the chosen one."""
    own = {name: gauge.identity for name, gauge in load_gauges().items()}
    same = (
        name
        for name, i in own.items()
        if (i.kind, i.model, i.serial) == (wanted.kind, wanted.model, wanted.serial)
    )
    return next(same, wanted.kind if wanted.kind in kinds() else chosen)


# ---------------------------------------------------------------------- what the database knows
def known_pens() -> dict[str, str]:
    """Pens in the database: unique ID -> how it is shown."""
    with open_database() as database:
        found = {one.pen: f"{one.pen_name or 'pen'} {one.pen}" for one in database.list()}
        for check in database.checks():
            found.setdefault(check.pen.unique_id, f"{check.pen.name or 'pen'} {check.pen.unique_id}")
    return found


def past(unique_id: str) -> tuple[list[Calibration], list[DailyCheck]]:
    """Calibrations and daily checks of a pen, oldest first."""
    with open_database() as database:
        return database.history(unique_id), database.checks(unique_id)


def certificate_folder() -> Path:
    """Where the certificates that this page makes are."""
    return paths.data_dir("certificates")


def certificate_file(number: str, kind: str) -> Path:
    """Certificate or refusal report of a calibration as "pdf" or "html", made if it is not there yet.

    Raises UsageError if there is no such calibration, and what making it raises.
    """
    from needlepen.calibration import certificate

    with open_database() as database:
        made = database.get(number)
        history = [c for c in database.history(made.pen.unique_id) if c.number != made.number]
    paths_made = certificate.make(made, certificate_folder(), history)
    return paths_made.pdf if kind == "pdf" else paths_made.html
