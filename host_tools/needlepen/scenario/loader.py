"""Reads scenario files and says in one line what is wrong with one: place, reason and what is possible."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from needlepen.errors import UsageError
from needlepen.scenario import actions, quantities
from needlepen.scenario.base import ActionBase
from needlepen.scenario.model import Header, Scenario, Step, StepError, Timing, check_order

_LIBRARY = Path(__file__).resolve().parent / "library"
_ACTION: TypeAdapter[actions.Action] = TypeAdapter(actions.Action)
_LARGEST_FILE_BYTES = 1_000_000

ACTIONS: Mapping[str, type[ActionBase]] = {
    get_args(kind.model_fields["do"].annotation)[0]: kind for kind in get_args(get_args(actions.Action)[0])
}
"""Every action by the name that `do` takes."""


def names() -> list[str]:
    """The scenarios that come with needlepen."""
    return sorted(path.stem for path in _LIBRARY.glob("*.toml"))


def load(path_or_name: str | Path) -> Scenario:
    """A scenario file, or a shipped scenario by its name. Raises UsageError with the place and the remedy."""
    path = _find(path_or_name)
    return parse(_read(path), path.stem, path, str(path_or_name))


def parse(text: str, name: str, path: Path = Path(), shown: str = "") -> Scenario:
    """A scenario from its text. `shown` is how errors name its file. Raises UsageError as `load`."""
    source = _Source(shown or name, text)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{source.file}: not readable as TOML: {error}") from None
    raw_steps = document.pop("step", [])
    header = _header(source, document)
    if (
        not isinstance(raw_steps, list)
        or not raw_steps
        or not all(isinstance(step, dict) for step in raw_steps)
    ):
        raise UsageError(f"{source.file}: no steps, so there is nothing to run; write at least one [[step]]")
    steps = tuple(_step(source, number, raw) for number, raw in enumerate(raw_steps, start=1))
    try:
        check_order(header, steps)
    except StepError as error:
        raise source.error(error.number, error.key, str(error), raw_steps[error.number - 1]) from None
    return Scenario(name=name, path=path, text=text, header=header, steps=steps)


def _find(path_or_name: str | Path) -> Path:
    path = Path(path_or_name)
    if path.is_file():
        return path
    if str(path_or_name) in names():
        return _LIBRARY / f"{path_or_name}.toml"
    reason = "is a folder" if path.is_dir() else "is neither a file nor a shipped scenario"
    raise UsageError(f"{path_or_name}: {reason}; give a .toml file or one of {', '.join(names())}")


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST_FILE_BYTES:
            raise UsageError(
                f"{path}: larger than 1 MB, so this is no scenario; give a scenario's .toml file"
            )
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError(
            f"{path}: not UTF-8 text, so this is no scenario; give a scenario's .toml file"
        ) from None
    except OSError as error:
        raise UsageError(f"{path}: can not be read ({error.strerror}); check its permissions") from None


class _Source:
    """The file's text, to find the line of a step or a key: TOML libraries do not tell it."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self._lines = _without_long_strings(text).splitlines()
        self._starts = [i for i, line in enumerate(self._lines) if re.match(r"\s*\[\[\s*step\s*\]\]", line)]

    def line(self, number: int, key: str = "") -> int:
        """The line of a key in a step, else of the step; number 0 is the header. 0: not found."""
        if number > len(self._starts):
            return 0
        start = self._starts[number - 1] if number else 0
        later = [i for i, line in enumerate(self._lines) if i > start and re.match(r"\s*\[", line)]
        end = min(later, default=len(self._lines))
        for i in range(start, end):
            if key and re.match(rf"\s*\"?{re.escape(key)}\"?\s*=", self._lines[i]):
                return i + 1
        return start + 1 if number else 0

    def error(self, number: int, key: str, reason: str, raw: Mapping[str, Any]) -> UsageError:
        line = self.line(number, key)
        place = f"{self.file}, line {line}" if line else self.file
        if number:
            place += (
                f", step {number} ({raw['do']})" if isinstance(raw.get("do"), str) else f", step {number}"
            )
        return UsageError(f"{place}: {reason}")


def _without_long_strings(text: str) -> str:
    """Blank out multi-line strings, whose text could look like a step, and keep the line numbers."""
    return re.sub(r'"""[\s\S]*?"""|\'\'\'[\s\S]*?\'\'\'', lambda m: "\n" * m.group().count("\n"), text)


def _header(source: _Source, raw: Mapping[str, Any]) -> Header:
    try:
        return Header.model_validate(raw)
    except ValidationError as error:
        key, reason = _explain(error, Header, raw)
        raise source.error(0, key, f"header: {reason}", {}) from None


def _step(source: _Source, number: int, raw: Mapping[str, Any]) -> Step:
    timing, timeout_requirement = _timing(source, number, raw)
    fields = {key: value for key, value in raw.items() if key not in Timing.model_fields}
    name = fields.get("do")
    if not isinstance(name, str):
        reason = f"no action; add do = and one of {', '.join(ACTIONS)}"
        raise source.error(number, "do", reason, raw)
    if name not in ACTIONS:
        raise source.error(number, "do", _unknown_action(name), {})
    try:
        action = _ACTION.validate_python(fields)
    except ValidationError as error:
        key, reason = _explain(error, ACTIONS[name], fields)
        raise source.error(number, key, reason, raw) from None
    line = source.line(number)
    return Step(
        number=number, line=line, timing=timing, timeout_requirement=timeout_requirement, action=action
    )


def _timing(source: _Source, number: int, raw: Mapping[str, Any]) -> tuple[Timing, str]:
    """The timing, and the requirement that its time-out names."""
    fields = {key: raw[key] for key in Timing.model_fields if key in raw}
    due = [key for key in ("at_s", "after_s", "when") if key in fields]
    if len(due) > 1:
        reason = f"{' and '.join(due)} together; a step is due at a time, after a time, or on a condition"
        raise source.error(number, due[1], reason, raw)
    if not due:
        fields["after_s"] = 0.0
    if ("when" in fields) != ("timeout_s" in fields):
        reason = "when and timeout_s belong together: a wait needs an end"
        raise source.error(number, "when" if "when" in fields else "timeout_s", reason, raw)
    requirement = (
        str(raw.get("timeout_s", "")).partition(".")[0] if isinstance(raw.get("timeout_s"), str) else ""
    )
    key = ""
    try:
        for key in [name for name in ("after_s", "timeout_s") if isinstance(fields.get(name), str)]:
            fields[key] = quantities.limit(fields[key], "s")
        if isinstance(fields.get("when"), str):
            key = "when"
            quantities.known(fields[key], quantities.CONDITIONS, "condition")
        return Timing.model_validate(fields), requirement
    except ValidationError as error:
        key, reason = _explain(error, Timing, fields)
        raise source.error(number, key, reason, raw) from None
    except ValueError as error:
        raise source.error(number, key, f"{key}: {error}", raw) from None


def _unknown_action(name: str) -> str:
    for word, reason in actions.NOT_MODELLED.items():
        if word in name.lower():
            return f"{name!r} is not possible: {reason}; possible: {', '.join(ACTIONS)}"
    try:
        return quantities.known(name, ACTIONS, "action")
    except ValueError as error:
        return str(error)


def _explain(error: ValidationError, model: type[BaseModel], raw: Mapping[str, Any]) -> tuple[str, str]:
    """The key and one line for the first thing that pydantic found."""
    found = error.errors()
    # A key with a wrong name is also a missing one; the wrong name tells more.
    first = next((each for each in found if each["type"] == "extra_forbidden"), found[0])
    key = next((str(part) for part in first["loc"] if part in model.model_fields or part in raw), "")
    field = model.model_fields.get(key)
    if first["type"] == "missing" and field is not None:
        return "do", f"{key} is missing ({_described(key, field)})"
    if first["type"] == "extra_forbidden":
        return key, _unknown_key(key, model)
    reason = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if not key:
        return "do", reason
    value = raw.get(key)
    written = str(value).lower() if isinstance(value, bool) else repr(value)
    described = f" ({_described(key, field)})" if field is not None else ""
    return key, f"{key} = {written}: {reason}{described}"


def _unknown_key(key: str, model: type[BaseModel]) -> str:
    fields = {name: field for name, field in model.model_fields.items() if name != "do"}
    for name, field in fields.items():
        stem = name.removesuffix(f"_{quantities.unit_suffix(name)}")
        if stem != name and stem in (key, key.rpartition("_")[0]):
            return f"{key} is not a key here: write {name}, {_described(name, field)}"
    if model is not Header:
        fields |= Timing.model_fields
    near = difflib.get_close_matches(key, fields, n=1)
    possible = f"did you mean {near[0]}?" if near else f"possible: {', '.join(fields) or 'none'}"
    return f"{key} is not a key here; {possible}"


def _described(name: str, field: FieldInfo) -> str:
    unit = quantities.UNITS.get(quantities.unit_suffix(name), "")
    return (field.description or name) + (f", in {unit}" if unit else "")
