"""The requirements as data: what the firmware keeps, tests measure against and reports cite."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from needlepen import paths, toml_tables
from needlepen.errors import UsageError

Limit = int | float
_ID = re.compile(r"^(PR|SR|CR)-\d{2}$")
_LIMIT_NAME = re.compile(r"^[a-z][a-z0-9_]*$")
_TEXT_KEYS = ("title", "text", "reason", "status")
_KEYS = {*_TEXT_KEYS, "hazard", "limits"}


@dataclass(frozen=True)
class Requirement:
    """One requirement. `limits` maps a name that ends in its unit to the number a test compares with.

    `hazard` is empty where the requirement covers no hazard; `status` is "implemented" (measured on the
    emulated pen) or "planned" (not claimed).
    """

    id: str
    title: str
    hazard: str
    text: str
    reason: str
    status: Literal["implemented", "planned"]
    limits: Mapping[str, Limit] = field(default_factory=dict)

    def limit(self, name: str) -> Limit:
        """The limit of this name; raises UsageError that lists the known names."""
        if name not in self.limits:
            known = ", ".join(self.limits) or "none"
            raise UsageError(f"{self.id} has no limit {name!r}; it has: {known}")
        return self.limits[name]


class Requirements(Mapping[str, Requirement]):
    """All requirements by ID, in the order of the file."""

    def __init__(self, by_id: Mapping[str, Requirement], source: str = "") -> None:
        self._by_id = dict(by_id)
        self.source = source

    def __getitem__(self, requirement_id: str) -> Requirement:
        if requirement_id not in self._by_id:
            raise UnknownRequirementError(
                f"no requirement {requirement_id!r} in {self.source}; IDs look like SR-06"
            )
        return self._by_id[requirement_id]

    def __contains__(self, requirement_id: object) -> bool:
        return requirement_id in self._by_id

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_id)

    def __len__(self) -> int:
        return len(self._by_id)

    def limit(self, requirement_id: str, name: str) -> Limit:
        """A limit, e.g. limit("SR-06", "trip_ms"); raises UsageError for unknown names."""
        return self[requirement_id].limit(name)

    def implemented(self) -> list[Requirement]:
        """The requirements that this version claims and measures."""
        return [requirement for requirement in self.values() if requirement.status == "implemented"]


class UnknownRequirementError(UsageError, KeyError):
    """An ID that the requirements file does not have."""

    def __str__(self) -> str:
        return str(self.args[0])


def default_path() -> Path:
    """The project's requirements file."""
    return paths.firmware_dir() / "requirements.toml"


def load(path: Path | None = None) -> Requirements:
    """Read the requirements. Raises UsageError, one line for each problem, if the file cannot be used."""
    return _load(path or default_path())


@cache
def _load_text(path: str, text: str) -> Requirements:
    data = toml_tables.parse(text, path)
    problems = [f"{path}: {problem}" for key, entry in data.items() for problem in _problems(key, entry)]
    if problems:
        raise UsageError("\n".join(problems))
    return Requirements({key: _requirement(key, entry) for key, entry in data.items()}, path)


def _load(path: Path) -> Requirements:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); the limits come from it") from None
    return _load_text(str(path), text)


def _requirement(key: str, entry: dict[str, Any]) -> Requirement:
    limits = MappingProxyType(dict(entry.get("limits", {})))
    return Requirement(**{"hazard": "", **entry, "id": key, "limits": limits})


def _problems(key: str, entry: Any) -> Iterator[str]:
    """What is wrong with one table of the file."""
    if not _ID.match(key):
        yield f"{key}: not a requirement ID; IDs look like PR-01, SR-06, CR-02"
    if not isinstance(entry, dict):
        yield f"{key}: has to be a table"
        return
    for name in entry.keys() - _KEYS:
        yield f"{key}.{name}: unknown key; known: {', '.join(sorted(_KEYS))}"
    for name in _TEXT_KEYS:
        if not isinstance(entry.get(name), str) or not entry[name]:
            yield f"{key}.{name}: missing text; a requirement without it cannot be judged"
    if key.startswith("SR-") and not entry.get("hazard"):
        yield f"{key}.hazard: missing; a safety requirement names the hazard it controls"
    if entry.get("status") not in ("implemented", "planned"):
        yield f"{key}.status: {entry.get('status')!r}; use 'implemented' or 'planned'"
    limits = entry.get("limits", {})
    if not isinstance(limits, dict):
        yield f"{key}.limits: has to be a table of numbers"
        return
    for name, value in limits.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not number or not _LIMIT_NAME.match(name):
            yield f"{key}.limits.{name}: {value!r}; limits are finite numbers with lower-case names"
