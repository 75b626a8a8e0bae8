"""Where the TOML tables of firmware and boards name a requirement: faults, blockers, warnings, notes, and comments."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from needlepen import toml_tables
from needlepen.errors import UsageError
from needlepen.requirements import Requirements
from needlepen.trace.firmware import unknown_id
from needlepen.trace.ids import ids
from needlepen.trace.model import CodeLink, Gap, Place, Project

_LIMIT = re.compile(r"^((?:PR|SR|CR)-\d{2})\.([a-z][a-z0-9_]*)$")
_HEADER = re.compile(r"^\s*\[+\s*([^\]]+?)\s*\]+")


def read(project: Project, known: Requirements) -> tuple[list[CodeLink], list[Gap]]:
    """Links and gaps of all tables but the requirements themselves."""
    links: list[CodeLink] = []
    found: list[Gap] = []
    for folder in ("firmware", "boards"):
        for path in sorted((project.root / folder).glob("*.toml")):
            if path.name == "requirements.toml":
                continue
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise UsageError(
                    f"{path}: cannot be read ({error}), so that its links are not known"
                ) from None
            file = project.relative(path)
            for name, limit, place, is_entry in _named(text, file):
                if name not in known:
                    found.append(unknown_id(name, place))
                elif limit and limit not in known[name].limits:
                    found.append(
                        Gap("unknown limit", f"{name}.{limit}", f"{place}: {name} has no such limit")
                    )
                else:
                    links.append(CodeLink(name, limit, place, "table" if is_entry else "named"))
    return links, found


def _named(text: str, file: str) -> Iterator[tuple[str, str, Place, bool]]:
    """(ID, limit or "", place, whether an entry is meant) of everything in one table that names a requirement."""
    lines = _lines_of_headers(text)
    for entry, name, limit in _entries(toml_tables.parse(text, file), ""):
        yield name, limit, Place(file, _line(lines, entry), entry), True
    for number, line in enumerate(text.splitlines(), start=1):
        for name in ids(line.partition("#")[2]):
            entry = next((e for e, n in reversed(lines.items()) if n <= number), "")
            yield name, "", Place(file, number, entry), False


def _entries(value: Any, path: str) -> Iterator[tuple[str, str, str]]:
    """(path of the entry, ID, limit or "") of each key `requirement`, and of each value like "SR-09.latched_s"."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key == "requirement" and isinstance(inner, str):
                yield path, inner, ""
            elif isinstance(inner, str) and (found := _LIMIT.match(inner)):
                yield path, found[1], found[2]
            else:
                yield from _entries(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for inner in value:
            yield from _entries(inner, path)


def _lines_of_headers(text: str) -> dict[str, int]:
    numbered = enumerate(text.splitlines(), start=1)
    return {found[1]: number for number, line in numbered if (found := _HEADER.match(line))}


def _line(lines: Mapping[str, int], entry: str) -> int:
    """The line of an entry's header, or of the nearest table around it."""
    while entry and entry not in lines:
        entry = entry.rpartition(".")[0]
    return lines.get(entry, 1)
