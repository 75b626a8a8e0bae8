"""What a piece of Python says about limits: calls of `limit(ID, NAME)` and of `measure(ID, NAME, ...)`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from needlepen.trace.ids import is_id
from needlepen.trace.source import dotted

How = Literal["measures", "figure", "reads"]
_MEASURES: dict[str, How] = {"measure": "measures", "measure.worst": "measures", "measure.figure": "figure"}


@dataclass(frozen=True)
class Call:
    """One call. `requirement` and each of `limits` is a pattern; None stands for a variable."""

    how: How
    requirement: str | None
    limits: tuple[str, ...] | None
    line: int


@dataclass
class Facts:
    """What a definition holds: its calls, the names that it uses, and the strings in it."""

    calls: list[Call] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    strings: set[str] = field(default_factory=set)


def facts(*nodes: ast.AST) -> Facts:
    """The facts of some nodes together. What stands inside `with pytest.raises(...)` is expected to fail: no link."""
    found = Facts()
    for node in nodes:
        for part in _walk(node):
            if isinstance(part, ast.Call) and (call := _call(part)):
                found.calls.append(call)
            elif isinstance(part, ast.Name | ast.Attribute):
                found.names.add(dotted(part))
            elif isinstance(part, ast.arg):
                found.names.add(part.arg)
            elif isinstance(part, ast.Constant) and isinstance(part.value, str):
                found.strings.add(re.escape(part.value))
            elif isinstance(part, ast.JoinedStr):
                found.strings.update(texts(part))
    return found


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    refused = isinstance(node, ast.With | ast.AsyncWith) and any(
        isinstance(item.context_expr, ast.Call) and dotted(item.context_expr.func) == "pytest.raises"
        for item in node.items
    )
    if not refused:
        for child in ast.iter_child_nodes(node):
            yield from _walk(child)


def _call(call: ast.Call) -> Call | None:
    name = dotted(call.func)
    how = _MEASURES.get(name)
    if how is None and name.rpartition(".")[2].lstrip("_").lower() == "limit":
        how = "reads"
    if how is None or len(call.args) < 2:
        return None
    first, second = call.args[:2]
    requirement = first.value if isinstance(first, ast.Constant) else None
    if how == "reads" and not (isinstance(requirement, str) and is_id(requirement)):
        return None  # another function of that name, or the function that passes on what it is given
    return Call(how, requirement if isinstance(requirement, str) else None, _choices(second), call.lineno)


def _choices(node: ast.expr) -> tuple[str, ...] | None:
    found = tuple(texts(node))
    return None if not found or ".*" in found else found


def texts(node: ast.expr) -> Iterator[str]:
    """The strings that an argument may be, as patterns; the holes of an f-string may be anything."""
    if isinstance(node, ast.JoinedStr):
        parts = (re.escape(str(v.value)) if isinstance(v, ast.Constant) else ".*" for v in node.values)
        yield "".join(parts)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield re.escape(node.value)
    elif isinstance(node, ast.IfExp):
        yield from texts(node.body)
        yield from texts(node.orelse)
