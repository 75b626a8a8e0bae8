"""What a mutant changes: one small mistake at a time, as text, so that the lines of the file stay where they are."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection
from dataclasses import dataclass

_BOUNDARY = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
_NEGATED = {
    "<": ">=",
    "<=": ">",
    ">": "<=",
    ">=": "<",
    "==": "!=",
    "!=": "==",
    "is": "is not",
    "is not": "is",
    "in": "not in",
    "not in": "in",
}
_COMPARE = re.compile(r"<=|>=|==|!=|<|>|is\s+not|not\s+in|is|in")
_ARITHMETIC = {
    "+": "-",
    "-": "+",
    "*": "//",
    "//": "*",
    "/": "*",
    "%": "*",
    "<<": ">>",
    ">>": "<<",
    "&": "|",
    "|": "&",
    "^": "&",
}
_BINARY = re.compile(r"//|<<|>>|\*\*|[-+*/%&|^]")
_FLOAT_STEP = 1.05
_SWAPPED_CALLS = {"min": "max", "max": "min"}
_STATE_MODULES = ("pen.states", "pen.faults", "pen.store.numbers", "pen.events", "pen.places")


@dataclass(frozen=True)
class Edit:
    """`start` to `end` (characters of the file) become `new`. `says` is the change in words, for people.

    `function` is the qualified name of the outermost function around it, "" at the level of a module or a class;
    `in_body` is false for what runs when the function is defined (defaults, decorators).
    """

    operator: str
    start: int
    end: int
    new: str
    says: str
    line: int
    function: str
    in_body: bool

    def applied(self, text: str) -> str:
        """The file with this change."""
        return text[: self.start] + self.new + text[self.end :]


def edits(text: str, numbers: Collection[str] | None = None) -> list[Edit]:
    """All changes of a source file, in the order of the file. `numbers`: names that are plain numbers (states, faults,
    notes, kinds); only these are taken for one another. None: all in capitals are.
    """
    found = sorted(
        _Finder(text, numbers).found, key=lambda edit: (edit.start, edit.end, edit.operator, edit.new)
    )
    return [edit for edit in found if edit.new != text[edit.start : edit.end]]


class _Finder(ast.NodeVisitor):
    def __init__(self, text: str, numbers: Collection[str] | None) -> None:
        self.text = text
        self.found: list[Edit] = []
        starts, at = [], 0
        for line in text.splitlines(keepends=True):
            starts.append((at, line))
            at += len(line)
        self._lines = starts
        self._scope: list[str] = []
        self._function = ""
        self._in_body = True
        tree = ast.parse(text)
        self._states = _state_groups(tree, numbers)
        self._ends = _last_statements(tree)
        self._body(tree.body)

    # ------------------------------------------------------------------ places
    def _offset(self, line: int, column: int) -> int:
        start, text = self._lines[line - 1]
        return start + len(text.encode()[:column].decode())

    def _span(self, node: ast.AST) -> tuple[int, int]:
        return (
            self._offset(node.lineno, node.col_offset),  # type: ignore[attr-defined]
            self._offset(node.end_lineno, node.end_col_offset),  # type: ignore[attr-defined]
        )

    def _add(self, operator: str, node: ast.AST, start: int, end: int, new: str, says: str) -> None:
        line = self.text.count("\n", 0, start) + 1
        self.found.append(Edit(operator, start, end, new, says, line, self._function, self._in_body))

    def _replace(self, operator: str, node: ast.AST, new: str, says: str = "") -> None:
        start, end = self._span(node)
        old = " ".join(self.text[start:end].split())
        self._add(operator, node, start, end, new, says or f"{old} -> {new}")

    def _wrapped(
        self, operator: str, node: ast.AST, at: int, old: str, new: str, others: tuple[int, ...] = ()
    ) -> None:
        """Replace the operator's text at `at` (and at `others`), and keep the expression one by parentheses."""
        start, end = self._span(node)
        text = self.text[start:end]
        for place in sorted((at, *others), reverse=True):
            text = text[: place - start] + new + text[place - start + len(old) :]
        if isinstance(node, ast.Compare):
            self._add(operator, node, at, at + len(old), new, f"{old} -> {new}")
        else:
            self._add(operator, node, start, end, f"({text})", f"{old} -> {new}")

    def _between(self, left: ast.AST, right: ast.AST, pattern: re.Pattern[str]) -> tuple[int, str] | None:
        """Place and text of the operator that stands between two operands."""
        begin, end = self._span(left)[1], self._span(right)[0]
        gap = re.sub(r"#[^\n]*", lambda comment: " " * len(comment.group()), self.text[begin:end])
        match = pattern.search(gap)
        return (begin + match.start(), match.group()) if match else None

    # ------------------------------------------------------------------ scopes
    def _body(self, body: list[ast.stmt]) -> None:
        for number, statement in enumerate(body):
            docstring = (
                number == 0 and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            )
            if not docstring:
                self.visit(statement)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._scope.append(node.name)
        self._body(node.body)
        self._scope.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        outer = self._function
        if not outer:
            self._function = ".".join([*self._scope, node.name])
        if not outer:
            self._in_body = False
        for default in (*node.args.defaults, *(d for d in node.args.kw_defaults if d)):
            self.visit(default)
        self._in_body = True
        self._body(node.body)
        self._function = outer

    def visit_Import(self, node: ast.Import) -> None:
        pass

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        pass

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    # ------------------------------------------------------------------ expressions
    def visit_Compare(self, node: ast.Compare) -> None:
        left: ast.expr = node.left
        for right in node.comparators:
            place = self._between(left, right, _COMPARE)
            if place:
                at, old = place
                word = " ".join(old.split())
                if word in _BOUNDARY:
                    self._wrapped("boundary", node, at, old, _BOUNDARY[word])
                if word in _NEGATED:
                    self._wrapped("compare", node, at, old, _NEGATED[word])
            left = right
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        places = [
            place
            for left, right in zip(node.values, node.values[1:], strict=False)
            if (place := self._between(left, right, re.compile(rf"\b{old}\b")))
        ]
        if places:
            self._wrapped("boolean", node, places[0][0], old, new, tuple(at for at, _ in places[1:]))
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        place = self._between(node.left, node.right, _BINARY)
        text_format = isinstance(node.left, ast.Constant) and isinstance(node.left.value, (str, bytes))
        if place and place[1] in _ARITHMETIC and not text_format:
            self._wrapped("sign" if place[1] in "+-" else "arithmetic", node, *place, _ARITHMETIC[place[1]])
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        start, end = self._span(node.operand)
        operand = self.text[start:end]
        if isinstance(node.op, ast.Not):
            self._replace("negation", node, f"bool({operand})", f"not {operand} -> {operand}")
        elif isinstance(node.op, ast.USub):
            self._replace("sign", node, f"({operand})", f"-{operand} -> {operand}")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            self._replace("constant", node, str(not value))
        elif isinstance(value, int):
            start, end = self._span(node)
            as_hex = self.text[start:end].lower().startswith("0x")
            for new in (value + 1, value - 1) if value else (1,):
                self._replace("constant", node, hex(new) if as_hex else str(new))
        elif isinstance(value, float):
            self._replace("constant", node, repr(value * _FLOAT_STEP) if value else "1.0")

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name in _SWAPPED_CALLS and len(node.args) > 1:
            self._replace("swapped", node.func, _SWAPPED_CALLS[name])
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        other = self._states.get(node.id)
        if other and isinstance(node.ctx, ast.Load):
            self._replace("swapped", node, other)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._condition(node.test)
        self.generic_visit(node)

    def _condition(self, test: ast.expr) -> None:
        """A negated condition, unless another change comes to the same."""
        simple = isinstance(test, ast.Compare) and len(test.ops) == 1
        negation = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
        if not simple and not negation and not isinstance(test, ast.Constant):
            start, end = self._span(test)
            old = " ".join(self.text[start:end].split())
            self._replace("negation", test, f"(not ({self.text[start:end]}))", f"{old} -> not ({old})")

    # ------------------------------------------------------------------ statements
    def visit_If(self, node: ast.If) -> None:
        self._condition(node.test)
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self._condition(node.test)
        self.generic_visit(node)

    def _removed(self, operator: str, node: ast.stmt, new: str = "pass") -> None:
        start, end = self._span(node)
        old = " ".join(self.text[start:end].split())
        lines = self.text[start:end].count("\n")  # those after it keep their numbers
        self._add(operator, node, start, end, new + "\n" * lines, f"{old} -> {new}")

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):
            self._removed("call", node)
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if self._function and any(not isinstance(target, ast.Name) for target in node.targets):
            self._removed("latch", node)
        self.visit(node.value)
        for target in node.targets:
            if isinstance(target, ast.Subscript):
                self.visit(target.slice)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        place = self._between(node.target, node.value, _BINARY)
        if place and place[1] in _ARITHMETIC:
            at, old = place
            self._add("sign", node, at, at + len(old), _ARITHMETIC[old], f"{old}= -> {_ARITHMETIC[old]}=")
        self._removed("latch", node)
        self.visit(node.value)

    def visit_Return(self, node: ast.Return) -> None:
        nothing = node.value is None or (
            isinstance(node.value, ast.Constant) and isinstance(node.value.value, (bool, type(None)))
        )
        none = node.value is None or (isinstance(node.value, ast.Constant) and node.value.value is None)
        if none and node in self._ends:
            return  # the function ends so without it
        if node.value is None:
            self._removed("return", node)
        elif not nothing:
            self._removed("return", node, "return None")
        else:
            self._removed("return", node)
        self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        self._removed("raise", node)
        self.generic_visit(node)

    def visit_Break(self, node: ast.Break) -> None:
        self._removed("return", node)

    def visit_Continue(self, node: ast.Continue) -> None:
        self._removed("return", node)


def _last_statements(tree: ast.Module) -> set[ast.stmt]:
    """The last statement of each function."""
    return {node.body[-1] for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def _state_groups(tree: ast.Module, numbers: Collection[str] | None) -> dict[str, str]:
    """For each imported state, fault, note, blocker or kind: another one of the same group that the file knows."""
    other: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module in _STATE_MODULES:
            groups: dict[str, list[str]] = {}
            for name in (alias.asname or alias.name for alias in node.names):
                if name.isupper() and (numbers is None or name in numbers):
                    prefix = (
                        name.split("_")[0] if name.startswith(("BLOCK_", "NOTE_", "KIND_", "STOP_")) else ""
                    )
                    groups.setdefault(prefix, []).append(name)
            for names in groups.values():
                if len(names) > 1:
                    other.update(zip(names, names[1:] + names[:1], strict=True))
    return other
