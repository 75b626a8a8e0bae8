"""IDs of requirements in text."""

from __future__ import annotations

import re
from collections.abc import Iterator

ID = re.compile(r"\b(?:PR|SR|CR)-\d{2}\b")
_ONE_OR_RANGE = re.compile(r"\b(PR|SR|CR)-(\d{2})\b(?:\s+to\s+\1-(\d{2})\b)?")
_LEADING = re.compile(r"[\s#:-]*((?:(?:PR|SR|CR)-\d{2}\b(?:,\s*|\s+and\s+|\s+to\s+)?)+)")


def ids(text: str) -> tuple[str, ...]:
    """The IDs in a text, each once; "SR-02 to SR-04" is three."""
    return tuple(dict.fromkeys(_all(text)))


def leading_ids(text: str) -> tuple[str, ...]:
    """The IDs that a text begins with: what it is about, and not what it mentions later."""
    found = _LEADING.match(text)
    return ids(found[1]) if found else ()


def is_id(text: str) -> bool:
    """Whether a text is one ID and nothing else."""
    return ID.fullmatch(text) is not None


def _all(text: str) -> Iterator[str]:
    for family, first, last in _ONE_OR_RANGE.findall(text):
        for number in range(int(first), int(last or first) + 1):
            yield f"{family}-{number:02d}"
