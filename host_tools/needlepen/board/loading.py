"""Read a board file and say, in one line for each problem, where it is wrong and what to do."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from needlepen import paths
from needlepen.board import checks
from needlepen.board.lines import key_lines, line_of
from needlepen.board.model import Board, LinearConverter, NtcConverter
from needlepen.errors import UsageError

_TAGS: dict[str, type[BaseModel]] = {"linear": LinearConverter, "ntc": NtcConverter}


class BoardError(UsageError):
    """A board file cannot be used; `problems` has one line for each reason."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def available() -> list[str]:
    """Names of the boards that come with the project."""
    return sorted(path.stem for path in paths.boards_dir().glob("*.toml"))


def board_path(path_or_name: str | Path) -> Path:
    """The file of a board given by path or by name; raises BoardError if there is none."""
    given = Path(path_or_name)
    path = given if given.suffix == ".toml" or len(given.parts) > 1 else paths.boards_dir() / f"{given}.toml"
    if path.is_file():
        return path
    known = ", ".join(available())
    raise BoardError([f"{path_or_name}: no such board file; use {known} or the path of a .toml file"])


def load(path_or_name: str | Path = "pico_pen") -> Board:
    """Read and check a board. Raises BoardError (exit code 4) with every problem found, one line each."""
    path = board_path(path_or_name)
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise BoardError([f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8"]) from None
    except OSError as error:
        raise BoardError([f"{path}: cannot be read ({error.strerror}); check its permissions"]) from None
    except tomllib.TOMLDecodeError as error:
        raise BoardError([f"{path}: not valid TOML: {error}; correct the syntax there"]) from None
    return parse(data, str(path), key_lines(text))


def parse(data: Mapping[str, Any], where: str, lines: dict[str, int] | None = None) -> Board:
    """Check board data; `where` and `lines` locate problems. Raises BoardError with every problem found."""

    def located(key: str, reason: str) -> str:
        number = line_of(key, lines or {})
        return f"{where}{f':{number}' if number else ''}: {key}: {reason}"

    try:
        board = Board.model_validate(dict(data))
    except ValidationError as error:
        raise BoardError([located(*_explain(item)) for item in error.errors()]) from None
    problems = checks.problems(board)
    if problems:
        raise BoardError([located(key, reason) for key, reason in problems])
    return board


def _explain(item: ErrorDetails) -> tuple[str, str]:
    """(dotted key, reason with remedy) of one of pydantic's errors."""
    location = [str(part) for part in item["loc"] if part not in _TAGS and part != "[key]"]
    key = ".".join(location) or "(file)"
    kind, context, given = item["type"], item.get("ctx", {}), item["input"]
    if kind == "missing":
        return key, "missing; add it (boards/README.md explains every key)"
    if kind == "extra_forbidden":
        known = _known_keys(item["loc"])
        close = difflib.get_close_matches(location[-1], known, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"known here: {', '.join(known)}"
        return key, f"unknown key; {hint}"
    if kind == "literal_error":
        return key, f"{given!r} is not possible; use {context['expected']}"
    if kind == "string_pattern_mismatch":
        return key, f"{given!r} does not fit; write it like {context['pattern']}"
    if kind == "value_error":
        return key, f"{context['error']}; correct or remove it"
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        return f"{key}.kind", "missing or unknown; use 'linear' or 'ntc'"
    message = item["msg"].replace("Input should be", "has to be").replace("valid dictionary", "table")
    return key, f"{message}, not {given!r}; correct the value"


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    """The keys that the table around an unknown key may have."""
    model: type[BaseModel] = Board
    for part in map(str, location[:-1]):
        if part in _TAGS:
            model = _TAGS[part]
        elif part in model.model_fields:
            annotation: Any = model.model_fields[part].annotation
            tables = [a for a in (annotation, *get_args(annotation)) if isinstance(a, type)]
            model = next((table for table in tables if issubclass(table, BaseModel)), model)
    return list(model.model_fields)
