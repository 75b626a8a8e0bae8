"""Where the firmware keeps requirements: uses of the constants of pen/limits.py, and IDs in its comments."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from needlepen.build.limits_module import constant_name
from needlepen.requirements import Requirements
from needlepen.trace.model import CodeLink, Gap, Place, Project
from needlepen.trace.source import Source, dotted

_MODULE = "pen.limits"
_CONSTANT = re.compile(r"^(PR|SR|CR)\d{2}_[A-Z0-9_]+$")


def limits_by_constant(known: Requirements) -> dict[str, tuple[str, str]]:
    """(requirement, limit) by the name that the build gives the limit in the firmware."""
    return {constant_name(r.id, name): (r.id, name) for r in known.values() for name in r.limits}


def read(project: Project, known: Requirements) -> tuple[list[CodeLink], list[Gap]]:
    """Links and gaps of all Python files of the firmware."""
    links: list[CodeLink] = []
    found: list[Gap] = []
    by_constant = limits_by_constant(known)
    for path in sorted((project.root / "firmware").rglob("*.py")):
        source = Source(path, project.relative(path))
        uses = list(_uses(source))
        links += [
            CodeLink(*by_constant[name], Place(source.file, line, source.symbol_at(line)), "constant")
            for name, line in uses
            if name in by_constant
        ]
        found += _import_gaps(source, {name for name, _ in uses}, by_constant)
        for name, line in source.named():
            place = Place(source.file, line, source.symbol_at(line))
            if name in known:
                links.append(CodeLink(name, "", place, "named"))
            else:
                found.append(unknown_id(name, place))
    return links, found


def unknown_id(name: str, place: Place) -> Gap:
    """The gap of an ID that is not in the requirements."""
    return Gap(
        "unknown ID",
        name,
        f"named at {place}, but there is no such requirement; correct the ID or add the requirement",
    )


def _imports(source: Source) -> tuple[dict[str, tuple[str, int]], list[str]]:
    """Limit constants by their name in the file, each with its line; and the names of the whole module there."""
    constants: dict[str, tuple[str, int]] = {}
    modules: list[str] = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom) and node.module == _MODULE:
            constants |= {a.asname or a.name: (a.name, a.lineno) for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "pen":
            modules += [a.asname or a.name for a in node.names if a.name == "limits"]
        elif isinstance(node, ast.Import):
            modules += [a.asname or a.name for a in node.names if a.name == _MODULE]
    return constants, modules


def _uses(source: Source) -> Iterator[tuple[str, int]]:
    """(constant, line) wherever a limit is used; an import alone is no use."""
    constants, modules = _imports(source)
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Name) and node.id in constants:
            yield constants[node.id][0], node.lineno
        elif isinstance(node, ast.Attribute) and dotted(node.value) in modules:
            yield node.attr, node.lineno


def _import_gaps(source: Source, used: set[str], by_constant: dict[str, tuple[str, str]]) -> Iterator[Gap]:
    constants, _ = _imports(source)
    lines = dict(constants.values())
    for name in sorted({*lines, *used}):
        where = Place(source.file, lines.get(name, 1))
        if name not in by_constant and _CONSTANT.match(name):
            yield Gap(
                "unknown limit", name, f"{where} takes it from {_MODULE}, but no requirement has that limit"
            )
        elif name not in used:
            yield Gap(
                "unused constant", name, f"{where} imports it and never uses it; use it or drop the import"
            )
