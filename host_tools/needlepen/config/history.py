"""The former settings of each pen, kept on this computer, so that a change can be undone.

One JSON file for each pen in the user's data folder. An entry is written before the pen is asked for anything: if the
program or the link dies in between, `undo` still knows what was there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from needlepen import paths
from needlepen.config.model import NAMES, Settings
from needlepen.errors import UsageError
from needlepen.files import write_whole

MOST_KEPT = 50


@dataclass(frozen=True)
class Entry:
    """A change: when (ISO 8601), by which command, and the former values of what it may have touched."""

    changed: str
    command: str
    former: Settings


class History:
    """The changes of one pen, the newest last. Raises UsageError if its file cannot be read."""

    def __init__(self, unique_id: str, folder: Path | None = None) -> None:
        self.path = (folder or paths.data_dir() / "settings") / f"{unique_id}.json"
        self._entries = self._load()

    @property
    def last(self) -> Entry | None:
        """The newest change that is not undone."""
        return self._entries[-1] if self._entries else None

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, command: str, former: Mapping[str, int]) -> None:
        """Remember the values before a change."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._store([*self._entries, Entry(now, command, dict(former))])

    def shrink_last(self, former: Mapping[str, int]) -> None:
        """The newest change touched only these, or nothing at all: then it is no change."""
        last = self._entries[-1]
        kept = [Entry(last.changed, last.command, dict(former))] if former else []
        self._store([*self._entries[:-1], *kept])

    def drop_last(self) -> None:
        """The newest change is undone."""
        self._store(self._entries[:-1])

    def _store(self, entries: list[Entry]) -> None:
        entries = entries[-MOST_KEPT:]
        content = {"format": 1, "changes": [asdict(entry) for entry in entries]}
        write_whole(self.path, json.dumps(content, indent=2) + "\n")
        self._entries = entries

    def _load(self) -> list[Entry]:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            entries = [
                Entry(
                    str(e["changed"]),
                    str(e["command"]),
                    {n: int(e["former"][n]) for n in NAMES if n in e["former"]},
                )
                for e in content["changes"]
            ]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{self.path}: the history of settings cannot be read ({type(error).__name__}), so nothing is "
                "changed that could not be undone; mend or remove the file"
            ) from None
        return entries
