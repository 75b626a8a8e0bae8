"""What a calibration needs of a pen, and the pens that have it: on a port, and emulated in the same process.

A pen in service cannot start its motor. It leaves service only by starting anew, so that a pen that is found outside
has been reset since: then the record that was on trial is gone, and whatever was set has to be set again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

from needlepen import supervision
from needlepen.calibration.model import PenIdentity
from needlepen.errors import InfrastructureError, Refused
from needlepen.link.values import About, Identity, Status, Telemetry, starting_up

MOVE_S = 8.0  # a full-range move takes 0.4 s (PR-05), finding home anew some seconds
BOOT_S = 15.0
FRESH_S = 3.0
TELEMETRY_MS = 50
_SLICE_S = 0.02


@dataclass(frozen=True)
class PenState:
    """How the pen stands now. Depths in um of protrusion: `set_um` as set, `hall_um` as its own sensor says."""

    set_um: int
    hall_um: int
    nose_c: float
    cell_v: float
    service: bool
    fault: str
    blockers: tuple[str, ...]
    cap_um: int = 2500
    """The deepest setting that pen, profile, cartridge and calibration allow now."""


@dataclass(frozen=True)
class Stored:
    """The pen's present record. `in_use`: its map is what the pen moves by; else travel is protrusion.

    `record`: the envelope as it was put, b"" for none; `state`: as the pen says, e.g. valid, due, expired, refused.
    """

    record: bytes
    state: str
    in_use: bool


class PenPort(Protocol):
    """A pen that can be calibrated. Lost meanwhile: InfrastructureError, and the same call may be made again."""

    @property
    def identity(self) -> PenIdentity: ...
    @property
    def emulated(self) -> bool:
        """Only an emulated pen may be measured with a simulated gauge, and only with one."""
        ...

    def state(self) -> PenState:
        """As it is at this moment, not as it was last said."""
        ...

    def watch_nose(self, duration_s: float) -> list[float]:
        """Temperatures of the nose in C over a while."""
        ...

    def enter_service(self) -> None: ...
    def restart(self) -> None:
        """Start anew: out of service, with the stored record. Returns when the pen is at rest again."""
        ...

    def set_depth(self, depth_um: int) -> None:
        """Go to a setting in um; returns when the axis is at rest there."""
        ...

    def stored(self) -> Stored: ...
    def read_calibration(self) -> bytes | None: ...
    def try_calibration(self, record: bytes) -> None:
        """Use a signed record until the pen restarts; returns when home is found again."""
        ...

    def put_calibration(self, record: bytes) -> None:
        """Store a signed record for good; returns when home is found again."""
        ...

    def note_check(self, day: date, worst_error_um: int, passed: bool) -> None:
        """Have the pen keep the result of a daily check, and give it the date."""
        ...

    def signing_key(self) -> bytes:
        """The technician's key of this pen, which signs its records. Raises Refused if this computer has none."""
        ...


class Link(Protocol):
    """What `LinkPen` uses of a connection: `needlepen.Pen` has it."""

    identity: Identity
    reconnections: int

    @property
    def status(self) -> Status | None: ...
    @property
    def latest(self) -> Telemetry | None: ...
    def attend(self, timeout_s: float) -> None: ...
    def subscribe(self, period_ms: int = ...) -> None: ...
    def reconnect(self, timeout_s: float = ..., boots: int | None = ...) -> None: ...
    def about(self) -> About: ...
    def counters(self) -> dict[str, int]: ...
    def set_depth(self, depth_mm: float) -> None: ...
    def set_time(self, when: datetime | None = ...) -> None: ...
    def open_service(self) -> None: ...
    def close_service(self) -> None: ...
    def read_calibration(self) -> bytes | None: ...
    def try_calibration(self, record: bytes) -> None: ...
    def put_calibration(self, record: bytes) -> None: ...
    def note_check(self, day: date, worst_error_um: int, passed: bool) -> None: ...
    def request(self, kind: int, *values: Any) -> Any: ...


class LinkPen:
    """A pen over its link, as PenPort. Does nothing to the pen until it is asked for something.

    Args:
        link: an open, identified pen.
        name: what the user calls it.
        emulated: whether it is an emulated one, as the search for devices says.
        now_s: the clock by which it is waited for.
        role: the access that is unlocked on a production pen, technician, or operator for a daily check.
    """

    def __init__(
        self,
        link: Link,
        name: str = "",
        emulated: bool = False,
        now_s: Callable[[], float] = time.monotonic,
        role: str = "technician",
    ) -> None:
        self._link = link
        self._name = name
        self._now_s = now_s
        self._role = role
        self._known: PenIdentity | None = None
        self._unlocked_at: int | None = None  # so many reconnections ago the role was unlocked
        self._listening = False
        self.emulated = emulated

    # ------------------------------------------------------------------ who and how
    @property
    def identity(self) -> PenIdentity:
        """Who it is, and what it had done when this was first asked."""
        if self._known is None:
            found, counters = self._link.identity, self._link.counters()
            self._known = PenIdentity(
                unique_id=found.unique_id,
                board=found.board,
                version=found.version,
                application_hash=found.application_hash,
                name=self._name,
                run_s=counters["run_s"],
                strokes=counters["strokes"],
            )
        return self._known

    def state(self) -> PenState:
        status, latest = self._fresh()
        return PenState(
            set_um=round(1e3 * latest.depth_set_mm),
            hall_um=round(1e3 * latest.depth_mm),
            nose_c=status.nose_c,
            cell_v=latest.cell_v,
            service=status.service,
            fault=latest.fault,
            blockers=status.blockers,
            cap_um=round(1e3 * status.depth_cap_mm),
        )

    def watch_nose(self, duration_s: float) -> list[float]:
        found: list[float] = []
        end_s = self._now_s() + duration_s
        while self._now_s() < end_s:
            found.append(self._fresh()[0].nose_c)
            self._link.attend(_SLICE_S)
        return found

    # ------------------------------------------------------------------ service
    def enter_service(self) -> None:
        if self.state().service:
            return
        self._unlock()
        self._settle()
        self._link.open_service()
        self._wait(lambda status, _: status.service, FRESH_S, "did not open its service access")

    def restart(self) -> None:
        self._unlock()
        if not self.state().service:
            self.enter_service()  # the only restart that a technician may ask for is the end of a service
        boots = self._link.counters()["boots"]
        self._link.close_service()
        self._link.reconnect(BOOT_S, boots)
        self._settle()

    # ------------------------------------------------------------------ depth
    def set_depth(self, depth_um: int) -> None:
        self._unlock()
        try:
            self._link.set_depth(depth_um / 1e3)
        except Refused:
            fault = self.state().fault
            if fault == "none":
                raise
            raise InfrastructureError(_fault_text(fault)) from None
        self._at_rest(lambda latest: round(1e3 * latest.depth_set_mm) == depth_um)

    # ------------------------------------------------------------------ records
    def stored(self) -> Stored:
        about = self._link.about()
        return Stored(
            self.read_calibration() or b"",
            about.calibration,
            about.calibration in ("valid", "due", "expired"),
        )

    def read_calibration(self) -> bytes | None:
        return self._link.read_calibration()

    def try_calibration(self, record: bytes) -> None:
        self._link.try_calibration(record)
        self._at_rest(lambda _: True)

    def put_calibration(self, record: bytes) -> None:
        self._link.put_calibration(record)
        self._at_rest(lambda _: True)

    def note_check(self, day: date, worst_error_um: int, passed: bool) -> None:
        self._unlock()
        self._link.set_time()
        self._link.note_check(day, worst_error_um, passed)

    def signing_key(self) -> bytes:
        from needlepen.calibration.signing import signing_key

        return signing_key(self._link.identity)

    # ------------------------------------------------------------------ waiting
    def _unlock(self) -> None:
        """Get the role, again after each reset; a development build asks for none."""
        if self._unlocked_at == self._link.reconnections:
            return
        from needlepen.access.unlocking import unlock

        unlock(self._link, self._role)
        self._unlocked_at = self._link.reconnections

    def _listen(self) -> None:
        """Have telemetry sent to this program: what comes already may be for one before it, and end soon."""
        if not self._listening:
            self._link.subscribe(TELEMETRY_MS)
            self._listening = True

    def _fresh(self) -> tuple[Status, Telemetry]:
        """Status and telemetry that the pen has sent after this was asked for."""
        self._listen()
        before = self._link.latest
        end_s = self._now_s() + FRESH_S
        while self._now_s() < end_s:
            self._link.attend(_SLICE_S)
            status, latest = self._link.status, self._link.latest
            # A status comes when something changes: the last one holds while telemetry goes on without a new one.
            if status is not None and latest is not None and latest is not before:
                return status, latest
        raise InfrastructureError(
            "the pen says nothing any more; look at its cable and its battery, then go on"
        )

    def _settle(self) -> None:
        """Until nothing of the start-up goes on any more."""
        self._wait(
            lambda status, latest: not starting_up(latest, status),
            BOOT_S,
            "did not come to rest",
        )

    def _at_rest(self, there: Callable[[Telemetry], bool]) -> None:
        """Until the axis is at rest. What the pen says after its answer to the move is of after the move's begin."""
        said = self._link.status
        self._wait(
            lambda status, latest: (
                status is not said
                and not {"depth_moving", "depth_not_homed"} & set(status.blockers)
                and latest.time_ms >= status.time_ms
                and there(latest)
            ),
            MOVE_S,
            "did not come to rest",
        )

    def _wait(self, condition: Callable[[Status, Telemetry], bool], timeout_s: float, failed: str) -> None:
        reconnections = self._link.reconnections
        self._listen()
        end_s = self._now_s() + timeout_s
        while self._now_s() < end_s:
            self._link.attend(_SLICE_S)
            status, latest = self._link.status, self._link.latest
            if self._link.reconnections != reconnections:
                raise InfrastructureError("the pen was reset or unplugged meanwhile; it is back: go on")
            if status is None or latest is None:
                continue
            if latest.fault != "none":
                raise InfrastructureError(_fault_text(latest.fault))
            if condition(status, latest):
                return
        raise InfrastructureError(
            f"the pen {failed} within {timeout_s:.0f} s; look at it, switch it off and on, then go on"
        )


_CHANGED = ("depth runaway",)
"""Faults with which a pen answers to an axis that is no longer that of its record."""


def _fault_text(name: str) -> str:
    fault = next((f for f in supervision.load().faults.values() if f.name == name), None)
    remedy = f": {fault.text} {fault.remedy}" if fault else "."
    changed = (
        " If it comes back at deep settings, the pen has changed too much: begin with --anew."
        if name in _CHANGED
        else ""
    )
    return f"the pen reports the fault '{name}', so nothing that it shows now counts{remedy} Then go on.{changed}"
