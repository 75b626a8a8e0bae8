"""A Python file as data: its definitions, the symbol at a line, and the comments and docstrings that name IDs."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from needlepen.errors import UsageError
from needlepen.trace.ids import ID, ids

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_DOCUMENTED = (ast.Module, *DEFINITIONS)


class Source:
    """One Python file; `file` is its path in the project. Raises UsageError if it cannot be read or parsed."""

    def __init__(self, path: Path, file: str) -> None:
        self.file = file
        try:
            self.text = path.read_text(encoding="utf-8")
            self.tree = ast.parse(self.text, file)
        except (OSError, SyntaxError, ValueError) as error:
            raise UsageError(
                f"{path}: cannot be read as Python ({error}), so that its links are not known; mend the file"
            ) from None

    def symbol_at(self, line: int) -> str:
        """The innermost definition around a line; for a line between two of them the one that follows."""
        around = [scope for scope in self._scopes if scope[0] <= line <= scope[1]]
        if around:
            return max(around)[2]
        after = [scope for scope in self._scopes if scope[0] > line]
        return min(after)[2] if after and line > self._head else ""

    def line_of(self, symbol: str) -> int | None:
        """Where a definition or an assignment begins; None if there is none of that name."""
        return next((first for first, _, name in self._scopes if name == symbol), None)

    def named(self) -> Iterator[tuple[str, int]]:
        """(ID, line) of each ID in a comment or a docstring. What stands in other strings is data."""
        if ID.search(self.text):
            for number, line in enumerate(self.lines, start=1):
                for name in ids(line):
                    yield name, number

    def module_of(self, package: str) -> str:
        """The dotted name of this file below a folder: firmware/pen/axis.py is pen.axis of "firmware"."""
        return self.file.removeprefix(f"{package}/").removesuffix(".py").replace("/", ".")

    @cached_property
    def _scopes(self) -> list[tuple[int, int, str]]:
        return list(_scopes(self.tree.body, ""))

    @cached_property
    def _head(self) -> int:
        """The last line of the module's docstring, which is about all of it."""
        body = self.tree.body
        return (body[0].end_lineno or 0) if body and _document(self.tree) else 0

    @cached_property
    def lines(self) -> list[str]:
        """The lines, with every string that is no docstring blanked out."""
        lines = [bytearray(line.encode()) for line in self.text.split("\n")]  # offsets of `ast` count bytes
        nodes = list(ast.walk(self.tree))
        documents = {
            id(node.value) for node in nodes if isinstance(node, ast.Expr)
        }  # those of attributes too
        for node in nodes:
            if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in documents:
                _blank(lines, node)
        return [bytes(line).decode(errors="replace") for line in lines]


def docstring(node: ast.AST) -> str:
    """The docstring of a module, a class or a function; "" without one."""
    if not isinstance(node, _DOCUMENTED):
        return ""
    return ast.get_docstring(node) or ""


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a name or an attribute; "" for what is no such chain."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else node.attr
    return ""


def targets(statement: ast.stmt) -> list[str]:
    """The names that an assignment binds."""
    if isinstance(statement, ast.Assign):
        left: list[ast.expr] = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        left = [statement.target]
    else:
        return []
    return [n.id for target in left for n in ast.walk(target) if isinstance(n, ast.Name)]


def first_line(node: ast.AST) -> int:
    """Where a definition begins, decorators included."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min(int(n.lineno) for n in [node, *decorators])  # type: ignore[attr-defined]


def _scopes(body: Sequence[ast.stmt], within: str) -> Iterator[tuple[int, int, str]]:
    for statement in body:
        last = statement.end_lineno or statement.lineno
        if isinstance(statement, DEFINITIONS):
            name = f"{within}{statement.name}"
            yield first_line(statement), last, name
            yield from _scopes(statement.body, f"{name}.")
        elif names := targets(statement):
            if not within or within.rstrip(".").rpartition(".")[2][:1].isupper():  # of a module or a class
                yield statement.lineno, last, f"{within}{names[0]}"
        else:
            for part in ("body", "orelse", "finalbody"):
                yield from _scopes(getattr(statement, part, []), within)


def _document(node: ast.AST) -> ast.expr | None:
    """The expression that is a node's docstring."""
    first = node.body[0]  # type: ignore[attr-defined]
    is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return first.value if is_text and isinstance(first.value.value, str) else None


def _blank(lines: list[bytearray], node: ast.expr) -> None:
    """Overwrite what a node covers with spaces."""
    last = node.end_lineno or node.lineno
    for number in range(node.lineno, last + 1):
        line = lines[number - 1]
        start = node.col_offset if number == node.lineno else 0
        end = (node.end_col_offset or len(line)) if number == last else len(line)
        line[start:end] = b" " * (end - start)
