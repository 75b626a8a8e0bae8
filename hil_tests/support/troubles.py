"""The table of troubles in hil_tests/README.md: what a session says of each, and its exit code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"
_BEGIN, _END = "<!-- troubles -->", "<!-- /troubles -->"


@dataclass(frozen=True)
class Trouble:
    """One row. In `text`, three dots stand for what differs from case to case."""

    verdict: str
    text: str
    exit_code: int

    @property
    def pattern(self) -> str:
        """The text as a regular expression, inside of one line."""
        return ".+?".join(map(re.escape, self.text.split("...")))


@cache
def table() -> dict[str, Trouble]:
    """The troubles by their names."""
    text = README.read_text(encoding="utf-8")
    lines = text[text.index(_BEGIN) : text.index(_END)].splitlines()
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")
    ]
    return {name: Trouble(verdict, text.strip("` "), int(code)) for name, verdict, text, code in rows[1:]}


def assert_told(name: str, said: str, exit_code: int | None) -> None:
    """Somewhere in what was said is the text of the table, in one line; `exit_code` as there, None: not asked."""
    trouble = table()[name]
    assert re.search(trouble.pattern, said), f"{name}: {trouble.text!r} is not in\n{said}"
    assert exit_code in (None, trouble.exit_code), (
        f"{name}: exit code {exit_code}, the table says {trouble.exit_code}"
    )
