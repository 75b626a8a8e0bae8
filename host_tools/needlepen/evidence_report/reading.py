"""Reads evidence that a run has left: the folder, its evidence.json, or a file of `pytest --measurements`.

A folder is only read as it was written: its manifest says so. A file alone cannot be checked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from needlepen.errors import Refused, UsageError
from needlepen.evidence_report import folder as folders
from needlepen.evidence_report.model import EVIDENCE, FORMAT, MANIFEST

_AGAIN = "make it again with `pytest --evidence`"


def read(path: Path) -> dict[str, Any]:
    """What the evidence says.

    Raises UsageError if it is none, or of another format; Refused if its folder is not as it was written.
    """
    file = path / EVIDENCE if path.is_dir() else path
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        if (path / MANIFEST).is_file():
            check(path)  # what is missing or was cut off is first of all a changed folder
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"{file}: cannot be read ({reason}); give a folder of `pytest --evidence`, or its {EVIDENCE}"
        ) from None
    found = data.get("format") if isinstance(data, dict) else None
    if isinstance(found, int) and found > FORMAT:
        raise UsageError(
            f"{file}: is evidence of format {found}, this edition reads {FORMAT}; take the edition that wrote it with "
            "`pytest --evidence`"
        )
    if found != FORMAT:
        raise UsageError(f"{file}: is no evidence of format {FORMAT}; {_AGAIN}")
    check(path)
    return dict(data)


def check(path: Path) -> None:
    """Raises Refused if a folder, or the one in which a file lies, is not as its manifest says it was written."""
    place = path if path.is_dir() else path.parent
    if (place / MANIFEST).is_file():
        changed = folders.differences(place)
    else:
        changed = [f"{MANIFEST}: is missing"] if path.is_dir() and (path / EVIDENCE).is_file() else []
    if changed:
        raise Refused(
            f"{place}: {changed[0]}, so it is no evidence any more; `needlepen report verify` says it all"
        )


@contextmanager
def whole(path: Path) -> Iterator[None]:
    """Around what looks for its parts: UsageError if one of them is not there, or is something else."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"{path}: is no whole evidence ({type(error).__name__}: {error}); {_AGAIN}"
        ) from None
