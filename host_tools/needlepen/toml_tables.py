"""The firmware's TOML tables: read, parsed and checked against a model, with one line for whatever is wrong."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from needlepen import paths
from needlepen.errors import UsageError

T = TypeVar("T")


def read(name: str, folder: Path | None, why: str) -> tuple[str, str]:
    """(text, path) of a table of a firmware folder, of the project's own where it has none.

    `why`: what cannot be done without it. Raises UsageError, one line, if it cannot be read.
    """
    path = paths.firmware_file(name, folder)
    try:
        return path.read_text(encoding="utf-8"), str(path)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); {why}") from None


def parse(text: str, where: str) -> dict[str, Any]:
    """The data of a TOML text. Raises UsageError, one line that begins with `where`."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: not valid TOML: {error}; correct the syntax there") from None


def validated(validate: Callable[[dict[str, Any]], T], data: dict[str, Any], where: str) -> T:
    """What a pydantic `validate` makes of the data. Raises UsageError for its first problem, with its place."""
    try:
        return validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        reason = str(first["ctx"]["error"]) if first["type"] == "value_error" else first["msg"]
        raise UsageError(f"{where}: {f'{place}: ' if place else ''}{reason}") from None
