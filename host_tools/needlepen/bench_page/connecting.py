"""What the page uses of gauges, pens, procedure, database and certificates: one place where they meet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from needlepen import paths
from needlepen.bench_page import charts
from needlepen.bench_page.calibrating import Calibrating
from needlepen.bench_page.workbench import Choice, Workbench
from needlepen.calibration import journal, plan, preconditions, session as sessions, uncertainty
from needlepen.calibration.database import open_database
from needlepen.calibration.gauges import Gauge, kinds
from needlepen.calibration.model import Calibration, Conditions, DailyCheck, GaugeIdentity, now
from needlepen.calibration.pen_port import LinkPen, PenPort
from needlepen.calibration.preconditions import Precondition
from needlepen.calibration.procedure import Procedure
from needlepen.devices import open_pen
from needlepen.devices.model import PEN, Device
from needlepen.errors import NeedlepenError, UsageError


SIMULATED = "simulated"
_PURPOSE = "bench, calibration"


# ---------------------------------------------------------------------- gauges
def identities() -> dict[str, GaugeIdentity]:
    """The user's own gauges, by name."""
    return {}


def gauges() -> dict[str, str]:
    """Gauges to choose from, name -> how it is shown: those of the user's gauges.toml first, then the kinds."""
    own = {name: f"{name} ({_described(identity)})" for name, identity in identities().items()}
    return own | {kind: f"{kind}: {text}" for kind, text in kinds.KINDS.items() if kind not in own}


def _described(identity: GaugeIdentity) -> str:
    due = f", due {identity.due:%Y-%m-%d}" if identity.due else ""
    return f"{identity.model or identity.kind} {identity.serial}".strip() + due


def _kind(gauge: str) -> str:
    """Of a gauge by its name in gauges.toml, or of a kind itself."""
    identity = identities().get(gauge)
    return identity.kind if identity else gauge


def fitting(device: Device | None, gauge: str) -> str:
    """The gauge for a pen: an emulated one is measured by the simulated gauge, and only by that."""
    if device is None:
        return gauge
    others = [name for name in gauges() if name != SIMULATED]
    return SIMULATED if device.emulated else (gauge if gauge != SIMULATED else next(iter(others)))


def asks_for_port(gauge: str) -> bool:
    """Whether the technician has to say where the gauge is connected."""
    return kinds.plugin(_kind(gauge)).needs_port


def open_gauge(choice: Choice, device: Device) -> Gauge:
    """The chosen gauge; that of an emulated pen is found by its pen. Raises what `gauges.open_gauge` raises."""
    identity = identities().get(choice.gauge)
    port = device.unique_id if choice.gauge == SIMULATED else choice.gauge_port or None
    return kinds.open_gauge(_kind(choice.gauge), port, identity)


# ---------------------------------------------------------------------- the engine
class PageEngine:
    """A calibration of one pen with one gauge, for `Calibrating`. Raises UsageError if something was not filled in."""

    def __init__(self, device: Device, choice: Choice) -> None:
        if choice.room_c is None or not choice.operator:
            raise UsageError("a calibration has an operator and a room temperature: fill them in")
        self._device = device
        self._choice = replace(choice)
        self._room = Conditions(room_c=choice.room_c, nose_c=0.0, cell_v=0.0)  # the pen is asked for its part

    @contextmanager
    def connect(self) -> Iterator[tuple[PenPort, Gauge]]:
        """Pen and gauge, open inside the block. Raises InfrastructureError if one of them is not there."""
        with open_pen(self._device.unique_id, purpose=_PURPOSE) as pen:
            gauge = open_gauge(self._choice, self._device)
            try:
                yield LinkPen(pen, self._device.name or "", self._device.emulated), gauge
            finally:
                gauge.close()

    def conditions(self, pen: PenPort, gauge: Gauge) -> list[Precondition]:
        """As they are now; whether the nose is steady takes longer and is judged at the begin."""
        return preconditions.judge(pen, gauge.identity, date.today(), steady_s=0.0)

    def begin(self, pen: PenPort, gauge: Gauge) -> Procedure:
        """A new one, with a number of the database."""
        with open_database() as database:
            number = database.next_number(who=self._choice.operator)
        return Procedure.begin(pen, gauge, self._choice.operator, self._room, number=number, store=_keep)

    def resume(self, path: Path, pen: PenPort, gauge: Gauge) -> Procedure:
        """The one of a journal."""
        return Procedure.resume(path, pen, gauge, store=_keep)


def _keep(calibration: Calibration) -> None:
    with open_database() as database:
        database.add(calibration)


def guarded_mm(gauge: GaugeIdentity | None) -> float | None:
    """The guard band as far as it is known before the end: the tolerance less the gauge's own uncertainty."""
    if gauge is None:
        return None
    return charts.tolerance_mm() - uncertainty.depth_budget(gauge).expanded / 1e3


# ---------------------------------------------------------------------- calibrations that were left
@dataclass(frozen=True)
class Unfinished:
    """A calibration that was left. `why_not` says why it cannot be gone on with now, "" if it can."""

    path: Path
    pen: str
    unique_id: str
    about: str
    why_not: str


def unfinished(pens: Sequence[Device]) -> list[Unfinished]:
    """Calibrations of this computer that were left, the newest first. `pens` are those that are connected."""
    found = []
    for path in sorted(journal.folder().glob(f"*{journal.SUFFIX}"), reverse=True):
        with suppress(NeedlepenError):  # a damaged one is the business of `needlepen calibrate`
            session = sessions.replay(path, journal.read(path))
            if session.open:
                found.append(_unfinished(path, session, pens))
    return found


def _unfinished(path: Path, session: sessions.Session, pens: Sequence[Device]) -> Unfinished:
    begun, hours = session.begun, (now() - session.last_at).total_seconds() / 3600
    connected = any(d.unique_id == begun.pen.unique_id and d.kind == PEN for d in pens)
    why_not = "" if connected else "its pen is not connected"
    if session.result is None and hours > plan.RESUME_WITHIN_H:
        why_not = f"left {hours:.0f} h ago: too old"
    last = session.last_at.astimezone()
    about = (
        f"{len(session.taken)} of {len(session.points)} readings by {begun.operator}, "
        f"last on {last:%Y-%m-%d} at {last:%H:%M}, number {begun.number}"
    )
    return Unfinished(path, f"{begun.pen.name or 'pen'} {begun.pen.unique_id}", begun.pen.unique_id, about, why_not)


def new_calibration(workbench: Workbench) -> Calibrating:
    """Of the chosen pen. Raises UsageError if something is missing."""
    if workbench.pen is None:
        raise UsageError("no pen is chosen")
    return Calibrating(workbench.engine(workbench.pen, workbench.choice))


def resumed(workbench: Workbench, one: Unfinished) -> Calibrating:
    """Go on with one that was left, by the person and with the gauge that began it."""
    begun = sessions.replay(one.path, journal.read(one.path)).begun
    device = next((d for d in workbench.pens if d.unique_id == one.unique_id), None)
    if device is None:
        raise UsageError(f"{one.pen} is not connected: plug it in, switch it on, and look again")
    workbench.choose(device)
    choice = workbench.choice
    choice.operator, choice.room_c = begun.operator, begun.conditions.room_c
    choice.gauge = _same_gauge(begun.gauge, choice.gauge)
    return Calibrating(workbench.engine(device, choice), one.path)


def _same_gauge(wanted: GaugeIdentity, chosen: str) -> str:
    """The name under which the gauge of a session is known here; the chosen one if it is not."""
    own = identities()
    same = [name for name, i in own.items() if (i.kind, i.model, i.serial) == (wanted.kind, wanted.model, wanted.serial)]
    return same[0] if same else wanted.kind if wanted.kind in kinds.KINDS else chosen


def abandon(one: Unfinished) -> None:
    """Give it up; its readings stay in its file."""
    with journal.Journal(one.path) as book:
        book.add("abandoned", {"reason": "given up on the page"})


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
    path = paths.data_dir() / "certificates"
    path.mkdir(parents=True, exist_ok=True)
    return path


def certificate_links(calibration: Calibration) -> dict[str, str]:
    """The documents of a calibration, made if they are not there yet: what is shown -> address below the page's own."""
    from needlepen.calibration import certificate

    folder = certificate_folder()
    made = [folder / f"{calibration.number}{suffix}" for suffix in (".pdf", ".html")]
    if not all(path.exists() for path in made):
        with open_database() as database:
            history = [c for c in database.history(calibration.pen.unique_id) if c.number != calibration.number]
        certificate.make(calibration, folder, history)
    return {path.suffix.removeprefix(".").upper(): f"certificates/{path.name}" for path in made if path.exists()}
