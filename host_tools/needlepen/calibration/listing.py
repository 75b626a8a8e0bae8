"""The sessions of this computer: which are unfinished, and which of them can go on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from needlepen.calibration import journal, session as sessions
from needlepen.calibration.model import now
from needlepen.calibration.plan import RESUME_WITHIN_H
from needlepen.calibration.session import Session
from needlepen.errors import NeedlepenError, UsageError


@dataclass(frozen=True)
class SessionInfo:
    """An unfinished session. `problem`: why it cannot go on, "" if it can."""

    path: Path
    number: str
    pen: str
    operator: str
    gauge: str
    begun: datetime | None
    left: datetime | None
    done: int
    total: int
    problem: str = ""


def list_sessions(folder: Path | None = None) -> list[SessionInfo]:
    """The unfinished sessions of a folder, the newest last; damaged ones too, with what is wrong."""
    found = []
    for path in sorted((folder or journal.folder()).glob(f"*{journal.SUFFIX}")):
        try:
            session = sessions.replay(path, journal.read(path))
        except NeedlepenError as error:
            found.append(SessionInfo(path, path.stem, "", "", "", None, None, 0, 0, str(error)))
            continue
        if session.open:
            found.append(_described(path, session))
    return sorted(found, key=lambda info: info.left.timestamp() if info.left else 0.0)


def find_session(text: str, folder: Path | None = None, pen: str | None = None) -> SessionInfo:
    """The unfinished session of a number (or its beginning), or with "" the newest one, of `pen` if that is given.

    Raises UsageError if there is none, or several fit.
    """
    there = [info for info in list_sessions(folder) if pen is None or info.pen in ("", pen)]
    fitting = [info for info in there if info.number.startswith(text.upper())] if text else there[-1:]
    if len(fitting) == 1:
        return fitting[0]
    whose = f" of pen {pen}" if pen else ""
    if not fitting:
        raise UsageError(
            f"there is no unfinished calibration{f' {text}' if text else ''}{whose}; `needlepen calibrate --list` "
            "shows what there is"
        )
    raise UsageError(
        f"{text!r} fits several calibrations: {', '.join(info.number for info in fitting)}; give more of it"
    )


def _described(path: Path, session: Session) -> SessionInfo:
    begun = session.begun
    hours = (now() - session.last_at).total_seconds() / 3600
    old = session.result is None and hours > RESUME_WITHIN_H
    return SessionInfo(
        path,
        begun.number,
        begun.pen.unique_id,
        begun.operator,
        f"{begun.gauge.kind} {begun.gauge.model} {begun.gauge.serial}".strip(),
        session.begun_at,
        session.last_at,
        len(session.taken),
        len(session.points),
        f"left {hours:.1f} h ago, more than {RESUME_WITHIN_H:.0f} h: abandon it" if old else "",
    )


def abandon(info: SessionInfo, reason: str = "") -> None:
    """Give a session up without its pen, which keeps its record: it forgets a trial when it is switched off.

    A damaged journal is put aside under another name. Raises UsageError for a session that is decided already.
    """
    if not info.pen:  # damaged
        info.path.rename(info.path.with_suffix(".damaged"))
        return
    with journal.Journal(info.path) as book:
        if sessions.replay(info.path, book.lines).result is not None:
            raise UsageError(
                f"{info.number} is decided: finish it with `needlepen calibrate --resume {info.number}`, so that pen "
                "and database agree"
            )
        book.add("abandoned", {"reason": reason})
