"""What the page uses of gauges, pens, procedure, database and certificates: one place where they meet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from needlepen import paths
from needlepen.bench_page.calibrating import Calibrating
from needlepen.bench_page.workbench import Choice, Workbench
from needlepen.calibration import gauges as gauge_kinds, journal, plan, preconditions, session as sessions
from needlepen.calibration.gauges import Gauge
from needlepen.calibration.model import Calibration, Conditions
from needlepen.calibration.pen_port import LinkPen, PenPort
from needlepen.calibration.preconditions import Precondition
from needlepen.calibration.procedure import Procedure
from needlepen.devices import open_pen, registry
from needlepen.devices.model import Device
from needlepen.errors import NeedlepenError, UsageError

SIMULATED = "simulated"
_PURPOSE = "bench, calibration"


# ---------------------------------------------------------------------- gauges
def gauges() -> dict[str, str]:
    """Gauges to choose from: the user's own first, then each kind that needs no papers; name -> how it is shown."""
    own = {name: f"{name}: {_described(name)}" for name in gauge_kinds.names()}
    return own | {kind: f"{kind}: {text}" for kind, text in gauge_kinds.KINDS.items()}


def asks_for_port(gauge: str, pen: Device | None) -> bool:
    """Whether the technician has to say where the gauge is connected."""
    return False


# ---------------------------------------------------------------------- the engine
class PageEngine:
    """A calibration of one pen with one gauge, for `Calibrating`."""

    def __init__(self, device: Device, choice: Choice) -> None:
        if choice.room_c is None or not choice.operator:
            raise UsageError("a calibration has an operator and a room temperature: fill them in")
        self._device = device
        self._choice = choice
        self._room = Conditions(room_c=choice.room_c, nose_c=0.0, cell_v=0.0)  # the pen's part is asked of the pen

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
        from needlepen.calibration.database import open_database

        with open_database() as database:
            number = database.next_number(who=self._choice.operator)
        return Procedure.begin(pen, gauge, self._choice.operator, self._room, number=number, store=_keep)

    def resume(self, path: Path, pen: PenPort, gauge: Gauge) -> Procedure:
        """The one of a journal."""
        return Procedure.resume(path, pen, gauge, store=_keep)


def _keep(calibration: Calibration) -> None:
    from needlepen.calibration.database import open_database

    with open_database() as database:
        database.add(calibration)


# ---------------------------------------------------------------------- sessions
@dataclass(frozen=True)
class Unfinished:
    """A calibration that was left. `why_not` says why it cannot be gone on with now."""

    path: Path
    pen: str
    unique_id: str
    about: str
    can_go_on: bool
    why_not: str = ""


def unfinished(workbench: Workbench) -> list[Unfinished]:
    """Calibrations of this computer that were left, the newest first."""
    found = []
    for path in sorted(journal.folder().glob(f"*{journal.SUFFIX}"), reverse=True):
        try:
            session = sessions.replay(path, journal.read(path))
        except NeedlepenError:
            continue
        if session.open:
            found.append(_unfinished(path, session, workbench))
    return found
