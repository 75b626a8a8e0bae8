"""What a test says of itself in its source: which requirements it names, which faults it puts into a pen.

Read without running it, so that a plan can be made and a test that was skipped still counts as one of its
requirements. The test function counts, with the functions of its module that it uses.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from needlepen.emulator.injection import catalogue

_REQUIREMENT = re.compile(r"\b(?:PR|SR|CR)-\d\d\b")
_PAIR = re.compile(r"([a-z_]+):([a-z]+)")
_FAULT = "Fault"
_Function = ast.FunctionDef | ast.AsyncFunctionDef


class Source:
    """One module of tests."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = text.splitlines()
        tree = ast.parse(text)
        self._about = ast.get_docstring(tree) or ""
        self._functions = {node.name: node for node in ast.walk(tree) if isinstance(node, _Function)}
        self._top = {node.name for node in tree.body if isinstance(node, _Function)}

    def requirements(self, function: str) -> list[str]:
        """IDs that a test names; if none, those of the module's first text."""
        found = {name for node in self._reach(function) for name in _REQUIREMENT.findall(self._of(node))}
        return sorted(found or set(_REQUIREMENT.findall(self._about)))

    def faults(self, function: str, parameters: Mapping[str, Any]) -> list[str]:
        """Faults that a test puts in, as TARGET:KIND; "?" for what it decides while it runs."""
        found = {text for node in self._reach(function) for text in _faults_in(node, parameters)}
        return sorted(found)

    def _reach(self, function: str) -> list[_Function]:
        reached: dict[str, _Function] = {}
        todo = [function]
        while todo:
            name = todo.pop()
            if name in reached or name not in self._functions:
                continue
            reached[name] = self._functions[name]
            todo += [n.id for n in ast.walk(reached[name]) if isinstance(n, ast.Name) and n.id in self._top]
        return list(reached.values())

    def _of(self, node: _Function) -> str:
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        return "\n".join(self._lines[first - 1 : node.end_lineno])


@cache
def of(path: Path) -> Source:
    """The source of a module of tests."""
    return Source(path.read_text(encoding="utf-8"))


def _faults_in(node: ast.AST, parameters: Mapping[str, Any]) -> Iterator[str]:
    for part in ast.walk(node):
        if (
            isinstance(part, ast.Call)
            and isinstance(part.func, ast.Name)
            and part.func.id == _FAULT
            and part.args
        ):
            yield ":".join(
                _word(argument, parameters) for argument in (part.args + [ast.Constant("?")] * 2)[:2]
            )
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            for target, kind in _PAIR.findall(part.value):
                if (target, kind) in catalogue.ENTRIES:
                    yield f"{target}:{kind}"


def _word(argument: ast.expr, parameters: Mapping[str, Any]) -> str:
    if isinstance(argument, ast.Constant):
        return str(argument.value)
    if isinstance(argument, ast.Name) and isinstance(parameters.get(argument.id), str):
        return str(parameters[argument.id])
    return "?"
