"""Line numbers of keys in a TOML text, for error messages (tomllib gives none)."""

from __future__ import annotations

import re

_HEADER = re.compile(r"^\s*\[+\s*([^\]]+?)\s*\]+")
_KEY = re.compile(r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"))*)\s*=""")


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def key_lines(text: str) -> dict[str, int]:
    """Line number (from 1) of every table header and `key =` of a TOML text, by dotted key.

    Best effort: inside inline tables and lists that span lines only the outer key is found.
    """
    lines: dict[str, int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _parts(header[1])
            found = table
        elif key := _KEY.match(line):
            found = (*table, *_parts(key[1]))
        else:
            continue
        for depth in range(1, len(found) + 1):
            lines.setdefault(".".join(found[:depth]), number)
    return lines


def line_of(dotted: str, lines: dict[str, int]) -> int | None:
    """The line of a dotted key, or of the nearest table around it."""
    while dotted:
        if dotted in lines:
            return lines[dotted]
        dotted = dotted.rpartition(".")[0]
    return None
