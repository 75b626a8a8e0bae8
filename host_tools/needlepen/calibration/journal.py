"""The journal of a calibration: one line for each thing that happened, on the disk before anything goes on.

A line is JSON with a running number, the time, the kind of event, its data and a CRC-32 of all that. Lines are only
appended, each with fsync. A program that died while it wrote leaves a torn last line, which is left out, and cut off
before the next line is written: it was never confirmed to anybody. Damage anywhere else is refused.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import filelock

from needlepen import paths
from needlepen.calibration.model import now
from needlepen.errors import InfrastructureError, Refused

FORMAT = 1
SUFFIX = ".jsonl"


@dataclass(frozen=True)
class Line:
    """One line of a journal: `event` says what happened, `data` what it consists of."""

    number: int
    at: datetime
    event: str
    data: dict[str, Any]


def folder() -> Path:
    """Where the journals of this computer are."""
    return paths.data_dir("calibrations")


def read(path: Path) -> list[Line]:
    """All whole lines of a journal. Raises Refused if it is damaged or of another version."""
    return list(_lines(path)[0])


class Journal:
    """A journal that is open for writing, by this program alone. Close it, or use it as a context manager."""

    def __init__(self, path: Path) -> None:
        """Open or begin a journal. Raises Refused if it is damaged or another program has it."""
        self.path = path
        self._lock = filelock.FileLock(str(path.with_suffix(".lock")))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            raise Refused(
                f"{path}: another program works on this calibration; end that one, then resume"
            ) from None
        except OSError as error:
            raise _unwritable(path, error) from None
        try:
            self.lines, whole_bytes = _lines(path) if path.exists() else ([], 0)
            self._file = path.open("ab")
            self._file.truncate(whole_bytes)
            if not self.lines:
                _keep_folder(path.parent)
        except OSError as error:
            self._lock.release()
            raise _unwritable(path, error) from None
        except Refused:
            self._lock.release()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give it free for other programs."""
        self._file.close()
        self._lock.release()

    def add(self, event: str, data: Mapping[str, Any] | None = None) -> Line:
        """Append what happened; it is on the disk when this returns.

        Raises InfrastructureError if it cannot be written: then it did not happen.
        """
        line = Line(len(self.lines), now(), event, dict(data or {}))
        try:
            self._file.write(_packed(line))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _unwritable(self.path, error) from None
        self.lines.append(line)
        return line


def _packed(line: Line) -> bytes:
    body = {"number": line.number, "at": line.at.isoformat(), "event": line.event, "data": line.data}
    if line.number == 0:
        body = {"format": FORMAT, **body}
    return json.dumps({**body, "crc": _crc(body)}).encode() + b"\n"


def _crc(body: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(body).encode())


def _lines(path: Path) -> tuple[list[Line], int]:
    """(whole lines, how many bytes they take)."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InfrastructureError(
            f"{path}: the journal cannot be read ({error.strerror}); look at the disk"
        ) from None
    whole_bytes = content.rfind(b"\n") + 1
    return list(_parsed(path, content[:whole_bytes])), whole_bytes


def _parsed(path: Path, content: bytes) -> Iterator[Line]:
    for number, raw in enumerate(content.splitlines()):
        try:
            body = json.loads(raw)
            crc = body.pop("crc")
            if crc != _crc(body) or body["number"] != number:
                raise ValueError
            if number == 0 and body["format"] != FORMAT:
                raise Refused(
                    f"{path}: a journal of format {body['format']}, this program writes {FORMAT}; resume it with the "
                    "version of needlepen that began it"
                )
            yield Line(number, datetime.fromisoformat(body["at"]), body["event"], body["data"])
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Refused(
                f"{path}: line {number + 1} of the journal is damaged, so nothing in it can be trusted; "
                "abandon it and begin a new calibration"
            ) from None


def _keep_folder(path: Path) -> None:
    """The new file's name is on the disk, too."""
    if os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unwritable(path: Path, error: OSError) -> InfrastructureError:
    return InfrastructureError(
        f"{path}: the journal cannot be written ({error.strerror or error}), so no reading would be safe; "
        "make room on the disk, then resume"
    )
