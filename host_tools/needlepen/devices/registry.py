"""Emulated pens on this machine: each running `needlepen emulate` keeps one entry, a JSON file.

The file is replaced in one step and removed at the end; an entry whose process died is removed by the next reader.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from needlepen import paths
from needlepen.errors import UsageError

RUNNING, BOOTSEL, STARTING = "running", "bootsel", "starting"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")


@dataclass(frozen=True)
class Entry:
    """One emulated pen. `link`: path of its serial port; `state`: RUNNING, BOOTSEL, or STARTING (neither port nor
    volume); `volume`: folder of its UF2 volume while it is in BOOTSEL; `gauge`: path of the port of its depth gauge.
    """

    name: str
    link: str
    pid: int
    unique_id: str
    tcp_port: int | None = None
    state: str = RUNNING
    volume: str | None = None
    gauge: str | None = None

    @property
    def is_alive(self) -> bool:
        """Whether its process runs."""
        if (
            os.name != "posix"
        ):  # pseudo-terminals exist there alone, and so do emulated pens for other programs
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


def folder() -> Path:
    """Where the entries are."""
    return paths.state_dir("ports")


def default_link(name: str) -> Path:
    """Where the serial port of an emulated pen appears if nothing else was asked for."""
    return folder() / name


def check_name(name: str) -> str:
    """The name, if it can be one of an emulated pen. Raises UsageError."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for a pen: use 1 to 32 letters, digits, - and _.")
    return name


def write(entry: Entry) -> None:
    """Add or replace an entry. Raises UsageError if a living pen of another process has the name."""
    path = _path(entry.name)
    other = _read(path)
    if other is not None and other.pid != entry.pid and other.is_alive:
        raise UsageError(
            f"An emulated pen called {entry.name!r} runs already (process {other.pid}); give another --name."
        )
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(asdict(entry)), encoding="utf-8")
    temporary.replace(path)


def remove(name: str) -> None:
    """Remove this process's entry."""
    entry = _read(_path(name))
    if entry is not None and entry.pid == os.getpid():
        _path(name).unlink(missing_ok=True)


def entries() -> list[Entry]:
    """The emulated pens that run, by name."""
    found = []
    for path in sorted(folder().glob("*.json")):
        entry = _read(path)
        if entry is None:
            continue
        if entry.is_alive:
            found.append(entry)
        else:
            with contextlib.suppress(OSError):
                path.unlink()
    return found


def _path(name: str) -> Path:
    return folder() / f"{name}.json"


def _read(path: Path) -> Entry | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Entry(**values)
    except (OSError, ValueError, TypeError):
        return None
