"""Reads evidence that a run has left: the folder, its evidence.json, or a file of `pytest --measurements`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from needlepen.errors import UsageError
from needlepen.evidence_report.model import EVIDENCE, FORMAT

_AGAIN = "make it again with `pytest --evidence`"


def read(path: Path) -> dict[str, Any]:
    """What the evidence says. Raises UsageError if it is none, or of another format."""
    file = path / EVIDENCE if path.is_dir() else path
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"{file}: cannot be read ({reason}); give a folder of `pytest --evidence`, or its {EVIDENCE}"
        ) from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise UsageError(f"{file}: is no evidence of format {FORMAT}; {_AGAIN}")
    return data


@contextmanager
def whole(path: Path) -> Iterator[None]:
    """Around what looks for its parts: UsageError if one of them is not there, or is something else."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"{path}: is no whole evidence ({type(error).__name__}: {error}); {_AGAIN}"
        ) from None
