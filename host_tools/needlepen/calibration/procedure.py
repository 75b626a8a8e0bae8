"""The engine of a depth calibration: what to do now, and what came of it. Knows no terminal and no page.

    procedure = Procedure.begin(pen, gauge, operator, conditions)
    while not procedure.is_finished:
        procedure.stage                      what to do, why, at which point
        procedure.prepare()                  the pen goes there
        procedure.take(procedure.read())     findings: keep() or repeat() what is doubtful
        procedure.next()                     at the end: decides, writes to the pen, keeps the result

Everything that happened is in the journal before it is answered. Whatever is lost meanwhile, the pen, the gauge or
this program, loses no reading: the call raises InfrastructureError and may be made again, or `resume` goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Self

from needlepen import __version__
from needlepen.calibration import (
    evaluation,
    journal,
    plan,
    preconditions,
    session as sessions,
    signing,
    stages,
)
from needlepen.calibration.gauges import Gauge
from needlepen.calibration.journal import Journal
from needlepen.calibration.model import Calibration, Conditions, Finding, Phase, Point, Reading, Taken, now
from needlepen.calibration.pen_port import PenPort, PenState, Stored
from needlepen.calibration.session import Begun, Session
from needlepen.calibration.stages import Stage
from needlepen.errors import InfrastructureError, Refused, UsageError

Store = Callable[[Calibration], object]
"""Keeps a calibration; the same one again must do no harm. `Database.add` is one."""
_STORED = b""
"""In the place of a record: the one that the pen has stored."""


class Procedure:
    """A calibration under way. Use `begin` or `resume`; close it, or use it as a context manager."""

    def __init__(
        self, book: Journal, session: Session, pen: PenPort, gauge: Gauge, store: Store | None
    ) -> None:
        self._book = book
        self._session = session
        self._pen = pen
        self._gauge = gauge
        self._store = store
        self._view = session.position
        self._prepared: int | None = None  # number of the point at which the pen stands
        self._loaded = _STORED  # the record by which the pen moves
        self._maps: dict[bytes, signing.DepthMap] = {}
        self._keys = self._read_keys()

    # ------------------------------------------------------------------ beginning
    @classmethod
    def begin(
        cls,
        pen: PenPort,
        gauge: Gauge,
        operator: str,
        conditions: Conditions,
        folder: Path | None = None,
        *,
        number: str | None = None,
        store: Store | None = None,
        today: date | None = None,
        steady_s: float = plan.NOSE_STEADY_S,
        anew: bool = False,
    ) -> Self:
        """Judge the preconditions and begin.

        Args:
            conditions: of the room; temperature of the nose and cell voltage are asked of the pen.
            folder: where the journal is kept; the user's by default.
            number: of the certificate, from the database; by default a new one.
            store: keeps the result, e.g. `Database.add`.
            steady_s: how long the nose has to be steady.
            anew: withdraw the record of the pen first, so that it moves by none. For a pen that has changed so
                much that with its record it takes deep settings for a runaway. It does not run until it is accepted.

        Raises Refused that names every condition that is not met; nothing was begun then.
        """
        day = today or now().date()
        if not operator.strip():
            raise UsageError("a calibration has an operator: say who you are")
        if pen.state().service:  # left over: what is on trial there must not pass for the pen's own record
            pen.restart()
        preconditions.require(preconditions.judge(pen, gauge.identity, day, steady_s))
        number = number or _new_number(day)
        if anew and pen.stored().in_use:
            pen.enter_service()
            pen.put_calibration(signing.straight(pen.identity, pen.signing_key(), number, day, "withdrawn"))
            pen.restart()
        stored, key, state = pen.stored(), pen.signing_key(), pen.state()
        present = signing.DepthMap(stored.record if stored.in_use else b"", key, pen.identity.unique_id)
        begun = Begun(
            number=number,
            pen=pen.identity,
            gauge=gauge.identity,
            operator=operator.strip(),
            conditions=conditions.model_copy(update={"nose_c": state.nose_c, "cell_v": state.cell_v}),
            emulated=pen.emulated,
            record_hex=stored.record.hex(),
            record_state=stored.state,
            record_in_use=stored.in_use,
            cap_um=present.cap_um,
            day=day,
            software=__version__,
        )
        path = (folder or journal.folder()) / f"{begun.number}{journal.SUFFIX}"
        book = Journal(path)
        try:
            if book.lines:
                raise Refused(f"{path}: a calibration of this number has begun already; take another number")
            book.add("begun", begun.model_dump(mode="json"))
            return cls(book, sessions.replay(path, book.lines), pen, gauge, store)
        except BaseException:
            book.close()
            raise

    @classmethod
    def resume(
        cls,
        path: Path,
        pen: PenPort,
        gauge: Gauge,
        *,
        store: Store | None = None,
        at: datetime | None = None,
    ) -> Self:
        """Go on with a session that was left, at the point where it was.

        Raises Refused, with the reason and what to do, for another pen, gauge or firmware, a session that is too old
        or over, or conditions that are not met any more. The session stays as it was.
        """
        if not path.exists():
            raise UsageError(f"{path}: there is no such session; `needlepen calibrate --list` shows them")
        book = Journal(path)
        try:
            session = sessions.replay(path, book.lines)
            moment = at or now()
            _require_same(session, pen, gauge)
            if pen.state().service:
                pen.restart()
            if session.result is None:
                _require_fresh(session, moment)
                judged = preconditions.judge(pen, gauge.identity, moment.date(), steady_s=0.0)
                preconditions.require(judged)
                _require_same_record(session, pen.stored())
            book.add("note", {"text": "resumed", "position": session.position})
            return cls(book, session, pen, gauge, store)
        except BaseException:
            book.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave it; the session stays, and `resume` goes on. The pen is not touched."""
        self._book.close()

    # ------------------------------------------------------------------ where it is
    @property
    def path(self) -> Path:
        """Its journal."""
        return self._book.path

    @property
    def session(self) -> Session:
        """All that is known so far; to be read, not to be changed."""
        return self._session

    @property
    def stage(self) -> Stage:
        """What to do now."""
        session = self._session
        total = len(session.points)
        if session.left or session.abandoned:
            accepted = session.result.decision.accepted if session.result and session.left else None
            return stages.of_end(accepted, total)
        if self._view >= total:
            return stages.of_decision(total)
        return stages.of_point(session.points[self._view], len(session.taken), total)

    @property
    def present(self) -> Taken | None:
        """The reading of this stage's point, None if there is none yet."""
        return self._session.taken.get(self._view)

    @property
    def findings(self) -> list[Finding]:
        """What the rules say of that reading."""
        return self._session.findings.get(self._view, [])

    @property
    def is_doubtful(self) -> bool:
        """Whether that reading waits for `repeat` or `keep`."""
        return self._view in self._session.doubtful

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to do."""
        return not self._session.open

    @property
    def result(self) -> Calibration | None:
        """The calibration, once it is decided."""
        return self._session.result

    def pen_state(self) -> PenState:
        """How the pen stands now, for a live display."""
        return self._pen.state()

    # ------------------------------------------------------------------ a reading
    def prepare(self) -> None:
        """Bring the pen to the present point, with the record that it moves by in this phase.

        Heals what a reset or a lost connection undid. Raises InfrastructureError if it cannot; call it again then.
        """
        point = self._point()
        self._prepared = None
        if point.phase is Phase.ZERO:
            self._gauge.place("plate")
        else:
            self._gauge.place("pen")
            record = self._record_of(point.phase)
            if self._view >= len(self._session.points):
                return  # no pen can have the curve that was just fitted: there is nothing to verify
            self._load(record)
            self._approach(point.set_um)
        self._prepared = point.number

    def read(self, timeout_s: float = 5.0) -> Reading:
        """The reading of an automatic gauge, or of a person's press on its key.

        Raises InfrastructureError if none comes, Refused for what is no reading; nothing is kept of either.
        """
        return self._gauge.read(timeout_s)

    def take(self, reading: Reading) -> list[Finding]:
        """Keep a reading at the present point, and say what the rules find about it.

        A reading that was there is replaced, and kept beside. Raises InfrastructureError, and keeps nothing, if the
        pen does not stand at the point any more: `prepare` brings it there again.
        """
        point = self._point()
        if self._prepared != point.number:
            raise UsageError("the pen is not at this point: prepare it first")
        taken = self._taken(point, reading)
        so_far = [t for t in self._session.of(*Phase) if t.point.number != point.number]
        findings = self._look_at(so_far, taken)
        if self._session.fit is not None and point.phase in sessions.FITTED_BY:
            self._add("unfitted", {})  # the curve was made with the old reading
        found = [finding.model_dump(mode="json") for finding in findings]
        self._add("taken", {"taken": taken.model_dump(mode="json"), "findings": found})
        return findings

    def keep(self) -> None:
        """Keep a doubtful reading knowingly; the certificate says so. Raises UsageError for one that cannot be kept."""
        if any(finding.severity == "stop" for finding in self.findings):
            raise UsageError("this reading cannot be kept: repeat it")
        if self.is_doubtful:
            self._add("kept", {"point": self._view})

    def repeat(self) -> None:
        """Take the reading of this point once more; the pen comes to it anew. The old one stays until then."""
        self._point()
        self._prepared = None

    def back(self) -> None:
        """Step back to the point before, to repeat it. Raises UsageError where that would make others worthless."""
        if self._session.result is not None:
            raise UsageError("it is decided: no reading can be repeated any more; begin a new calibration")
        if self._view == 0:
            raise UsageError("this is the first point")
        if self._session.points[self._view - 1].phase is Phase.ZERO and len(self._session.taken) > 1:
            raise UsageError(
                "all readings count from the gauge's zero, so it cannot be changed now; if it was wrong, abandon this "
                "calibration and begin anew"
            )
        self._view -= 1
        self._prepared = None

    def next(self) -> None:
        """Go on: to the next point without a reading that counts; after the last one the decision, then the end.

        Raises UsageError while this point's reading is missing or waits for `repeat` or `keep`.
        """
        if self.stage.name == stages.DECISION:
            self.finish()
            return
        point = self._point()
        if point.number not in self._session.taken:
            raise UsageError("there is no reading of this point yet: take it")
        if point.number in self._session.doubtful:
            raise UsageError("this reading is doubtful: repeat it, or keep it knowingly")
        self._view = self._session.position

    # ------------------------------------------------------------------ the end
    def finish(self) -> Calibration:
        """Decide, write to the pen what follows, keep the result, let the pen go. Each step is done once.

        May be called again after InfrastructureError, also by a program that resumed: it goes on where it was.
        """
        session = self._session
        if session.position < len(session.points):
            raise UsageError("readings are missing: nothing is decided without all of them")
        if session.result is None:
            if session.fit is None:
                self._fit()
            judged = evaluation.judged(session, self._keys)
            self._add("decided", {"calibration": judged.model_dump(mode="json")})
        result = session.result
        assert result is not None
        if not session.written:
            self._write(bytes.fromhex(result.record_hex))
            self._add("written", {"record": bool(result.record_hex)})
        if not session.stored:
            if self._store is not None:
                self._store(result)
            self._add("stored", {"database": self._store is not None})
        if not session.left:
            if self._pen.state().service:
                self._pen.restart()
            self._add("left", {})
        return result

    def abandon(self, reason: str = "") -> None:
        """Give it up: the pen keeps its old record, the journal its readings. Raises UsageError once decided."""
        if self._session.result is not None:
            raise UsageError("it is decided: finish it, so that pen and database agree")
        if self._pen.state().service:
            self._pen.restart()
        self._add("abandoned", {"reason": reason})

    # ------------------------------------------------------------------ inside
    def _add(self, event: str, data: dict[str, object]) -> None:
        self._session.play(self._book.add(event, data))

    def _point(self) -> Point:
        if self._session.result is not None or self._view >= len(self._session.points) or self.is_finished:
            raise UsageError("no reading is wanted any more")
        return self._session.points[self._view]

    def _read_keys(self) -> evaluation.Keys:
        begun = self._session.begun
        key = self._pen.signing_key()
        old = bytes.fromhex(begun.record_hex) if begun.record_in_use else b""
        return evaluation.Keys(key, signing.DepthMap(old, key, begun.pen.unique_id))

    def _record_of(self, phase: Phase) -> bytes:
        """The record by which the pen has to move in a phase."""
        session = self._session
        if phase in sessions.WITH_NEW_CURVE:
            if session.fit is None:
                self._fit()
            return bytes.fromhex(session.trial_hex)
        if phase is Phase.CALIBRATION and session.begun.cap_um < plan.DEPTH_MAX_UM:
            begun = session.begun
            return signing.straight(begun.pen, self._keys.technician, begun.number, begun.day)
        return _STORED

    def _fit(self) -> None:
        fit, record = evaluation.fitted(self._session, self._keys)
        self._add("fitted", {"fit": fit.model_dump(mode="json"), "record_hex": record.hex()})
        self._view = self._session.position

    def _load(self, record: bytes) -> None:
        """Have the pen in service, moving by a record. A pen found outside has started anew, with its stored one."""
        if not self._pen.state().service:
            self._loaded = _STORED
            self._pen.enter_service()
        if self._loaded == record:
            return
        if record == _STORED:
            self._pen.restart()
            self._loaded = _STORED
            self._pen.enter_service()
        else:
            self._pen.try_calibration(record)
            self._loaded = record

    def _approach(self, set_um: int) -> None:
        """To a setting, always by a move of its own: a second reading without one would repeat the first."""
        if self._pen.state().set_um == set_um:
            aside_um = set_um + plan.ASIDE_UM
            self._pen.set_depth(aside_um if aside_um <= plan.DEPTH_MAX_UM else set_um - plan.ASIDE_UM)
        self._pen.set_depth(set_um)

    def _taken(self, point: Point, reading: Reading) -> Taken:
        state = self._pen.state()
        if point.phase is not Phase.ZERO and (not state.service or state.set_um != point.set_um):
            self._prepared = None
            raise InfrastructureError(
                "the pen was reset, or its depth was changed, so the reading was not taken; go on: it is brought to "
                "the point again"
            )
        on_plate = point.phase is Phase.ZERO
        return Taken(
            point=point,
            reading=reading,
            travel_um=0 if on_plate else self._map().travel_um(point.set_um),
            hall_um=state.hall_um,
            nose_c=state.nose_c,
            cell_v=state.cell_v,
        )

    def _map(self) -> signing.DepthMap:
        """How the pen moves now."""
        if self._loaded == _STORED:
            return self._keys.present
        if self._loaded not in self._maps:
            unique_id = self._session.begun.pen.unique_id
            self._maps[self._loaded] = signing.DepthMap(self._loaded, self._keys.technician, unique_id)
        return self._maps[self._loaded]

    def _look_at(self, so_far: list[Taken], taken: Taken) -> list[Finding]:
        from needlepen.calibration import plausibility

        warmth = preconditions.during(self._session.begun.conditions.nose_c, taken)
        return [*warmth, *plausibility.look_at(so_far, taken, self._gauge.identity)]

    def _write(self, record: bytes) -> None:
        """The pen gets what was decided; one that has it already (a program died in between) is left as it is."""
        if not record or self._pen.read_calibration() == record:
            return
        if not self._pen.state().service:
            self._pen.enter_service()
        self._pen.put_calibration(record)
        if self._pen.read_calibration() != record:
            raise InfrastructureError(
                "the pen does not give back the record that was written to it, so it is not certified; go on to "
                "write it again, and if that fails, have the pen repaired"
            )


# ---------------------------------------------------------------------- resuming
def _require_same(session: Session, pen: PenPort, gauge: Gauge) -> None:
    begun = session.begun
    if not session.open:
        raise Refused(f"calibration {begun.number} is over; `needlepen calibration show` tells its result")
    if pen.identity.unique_id != begun.pen.unique_id:
        raise Refused(
            f"calibration {begun.number} is of pen {begun.pen.unique_id}, this is {pen.identity.unique_id}: its "
            "readings say nothing about this one; connect the right pen, or begin anew"
        )
    if (pen.identity.version, pen.identity.application_hash) != (
        begun.pen.version,
        begun.pen.application_hash,
    ):
        raise Refused(
            f"the pen's firmware has changed since calibration {begun.number} began ({begun.pen.version} "
            f"{begun.pen.application_hash}, now {pen.identity.version} {pen.identity.application_hash}), so earlier "
            "and later readings do not belong together; begin anew"
        )
    was, found = begun.gauge, gauge.identity
    if (was.kind, was.model, was.serial) != (found.kind, found.model, found.serial):
        raise Refused(
            f"calibration {begun.number} was begun with gauge {was.kind} {was.model} {was.serial}, this is "
            f"{found.kind} {found.model} {found.serial}, which has another zero; connect the right one, or begin anew"
        )


def _require_fresh(session: Session, moment: datetime) -> None:
    hours = (moment - session.last_at).total_seconds() / 3600
    if not 0 <= hours <= plan.RESUME_WITHIN_H:
        raise Refused(
            f"calibration {session.begun.number} was left {hours:.1f} h ago; after {plan.RESUME_WITHIN_H:.0f} h the "
            "gauge's zero and the temperatures are not those of its readings any more; abandon it, and begin anew"
        )


def _require_same_record(session: Session, stored: Stored) -> None:
    if stored.record.hex() != session.begun.record_hex or stored.in_use != session.begun.record_in_use:
        raise Refused(
            f"the pen's calibration record has changed since calibration {session.begun.number} began, so its as-found "
            "readings are of another one; abandon it, and begin anew"
        )


def _new_number(day: date) -> str:
    from needlepen.calibration.database.numbers import new_number

    return new_number(day)
