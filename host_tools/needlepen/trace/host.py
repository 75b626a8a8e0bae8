"""Where the host tools keep requirements: limits that they read, and IDs in their comments and docstrings."""

from __future__ import annotations

import ast
import re

from needlepen.requirements import Requirement, Requirements
from needlepen.trace.calls import facts
from needlepen.trace.firmware import unknown_id
from needlepen.trace.ids import is_id
from needlepen.trace.model import CodeLink, Gap, Place, Project
from needlepen.trace.source import Source, dotted

_EXAMPLES = tuple(
    f"host_tools/needlepen/{name}"
    for name in ("trace/", "cli/trace.py", "requirements.py", "build/limits_module.py")
)
"""What is about requirements names some as examples; it keeps none."""


def read(project: Project, known: Requirements) -> tuple[list[CodeLink], list[Gap]]:
    """Links and gaps of all Python files of the package."""
    links: list[CodeLink] = []
    found: list[Gap] = []
    for path in sorted((project.root / "host_tools").rglob("*.py")):
        if project.relative(path).startswith(_EXAMPLES):
            continue
        source = Source(path, project.relative(path))
        for name, limit, line in _reads(source, known):
            place = Place(source.file, line, source.symbol_at(line))
            if name not in known:
                found.append(unknown_id(name, place))
            elif not limit or limit in known[name].limits:
                links.append(CodeLink(name, limit, place, "host" if limit else "named"))
            else:
                found.append(Gap("unknown limit", f"{name}.{limit}", f"{place}: {name} has no such limit"))
        for name, line in source.named():
            place = Place(source.file, line, source.symbol_at(line))
            if name in known:
                links.append(CodeLink(name, "", place, "named"))
            else:
                found.append(unknown_id(name, place))
    return sorted(set(links)), found


def _reads(source: Source, known: Requirements) -> list[tuple[str, str, int]]:
    """(ID, limit or "", line): calls of `limit(ID, NAME)`, `[ID]` with `.limit(NAME)` after it, and IDs as data."""
    found = []
    said = facts(source.tree)
    for call in said.calls:
        if call.how == "reads" and call.requirement:
            requirement = known.get(call.requirement)
            for pattern in call.limits or said.strings:
                matching = _matching(pattern, requirement)
                found += [(call.requirement, name, call.line) for name in matching]
                if not matching and call.limits:
                    found.append((call.requirement, pattern, call.line))
    held = [known[n] for n in _subscripts(source.tree) if n in known]
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and is_id(node.value):
            if (node.value, node.lineno) not in {(name, line) for name, _, line in found}:
                found.append((node.value, "", node.lineno))
        elif isinstance(node, ast.Call) and dotted(node.func).endswith(".limit") and len(node.args) == 1:
            name = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
            found += [(r.id, name, node.lineno) for r in held if isinstance(name, str) and name in r.limits]
    return found


def _matching(pattern: str, requirement: Requirement | None) -> list[str]:
    return [name for name in requirement.limits if re.fullmatch(pattern, name)] if requirement else []


def _subscripts(tree: ast.Module) -> set[str]:
    """IDs that a file looks up: requirements.load()["SR-05"]."""
    return {
        str(node.slice.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Constant)
        and is_id(str(node.slice.value))
    }
