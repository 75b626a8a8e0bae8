"""Scenario files made by programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def write(header: Mapping[str, Any], steps: Sequence[Mapping[str, Any]], comment: str = "") -> str:
    """The text of a scenario file: its header, its steps in order, above them a comment of some lines."""
    told = "".join(f"# {line}\n" for line in comment.splitlines())
    return "\n".join(
        [*([told] if told else []), _table(header), *(f"[[step]]\n{_table(step)}" for step in steps)]
    )


def _table(fields: Mapping[str, Any]) -> str:
    """Keys and values of a TOML table; JSON writes these scalars just as TOML does."""
    return "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in fields.items())
