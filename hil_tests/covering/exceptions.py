"""The reviewed list of lines that CPython cannot run or no fast test should, each with the reason."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from needlepen.errors import UsageError

LIST = Path(__file__).with_name("exceptions.toml")
_KEYS = {"module", "function", "line", "reason"}


@dataclass(frozen=True)
class Gap:
    """Something that no test ran: a line, or a branch from it (`to`: where it would go, 0: the end)."""

    module: str
    function: str
    number: int
    line: str
    to: int | None = None

    def __str__(self) -> str:
        where = f"{self.module}:{self.number} in {self.function or 'the module'}"
        if self.to is None:
            return f"{where}: line not run: {self.line}"
        target = f"to line {self.to}" if self.to > 0 else "out of the function"
        return f"{where}: never goes {target}: {self.line}"


@dataclass(frozen=True)
class Allowed:
    """One entry: a whole function, or one line of it by its text."""

    module: str
    function: str
    line: str
    reason: str

    def covers(self, gap: Gap) -> bool:
        """Whether the entry allows this gap."""
        return (gap.module, gap.function) == (self.module, self.function) and self.line in ("", gap.line)

    def __str__(self) -> str:
        return f"{self.module} {self.function}{': ' + self.line if self.line else ''}"


def load(path: Path = LIST) -> list[Allowed]:
    """The list. Raises UsageError for a file that cannot be used."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: {error}; without it no gap is allowed") from None
    found = []
    for number, entry in enumerate(data.get("exception", []), 1):
        if not entry.keys() <= _KEYS or not entry.get("function") or len(entry.get("reason", "")) < 20:
            raise UsageError(
                f"{path}: entry {number}: needs module, function, perhaps line, and a reason in a sentence"
            )
        found.append(Allowed(entry["module"], entry["function"], entry.get("line", ""), entry["reason"]))
    return found
