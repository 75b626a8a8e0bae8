"""Which tests can notice a mutant: those that run the changed line, or, for a constant, the functions that use it."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mutation.baseline import Recording
from mutation.mutants import Mutant, file_of

Lines = dict[str, set[int]]


@dataclass(frozen=True)
class Choice:
    """`tests` in the order in which they run; `fresh`: the firmware has to be imported again with the change;
    `left_out`: tests that reach it too, and did not fit into the time."""

    tests: tuple[str, ...]
    fresh: bool
    left_out: int = 0


class Chooser:
    """Knows the recordings, and who uses which constant."""

    def __init__(self, recordings: Sequence[Recording], files: Mapping[str, bytes], most_s: float) -> None:
        self.times_s = {test: time for r in recordings for test, time in r.times_s.items()}
        self.places = {test: Path(r.file) for r in recordings for test in r.times_s}
        self._most_s = most_s
        self._by_line: dict[str, dict[int, set[str]]] = {}
        self._importing: Lines = {}
        self._texts = {r.file: Path(r.file).read_text() for r in recordings}
        self._tests_of = {r.file: tuple(r.times_s) for r in recordings}
        for recording in recordings:
            for name, lines in recording.importing.items():
                self._importing.setdefault(name, set()).update(lines)
            for name, tests in recording.lines.items():
                by_line = self._by_line.setdefault(name, {})
                for test, numbers in tests.items():
                    for number in numbers:
                        by_line.setdefault(number, set()).add(test)
        self._trees = {name: ast.parse(data) for name, data in files.items() if name.endswith(".py")}
        self._killers: dict[str, dict[str, int]] = {}

    def choose(self, mutant: Mutant) -> Choice:
        """The tests for a mutant: the ones that killed its neighbours first, then the quick ones."""
        span = _statement(self._trees[mutant.file], mutant.line)
        importing = self._importing.get(mutant.file, set())
        in_function = bool(mutant.function) and mutant.in_body and mutant.operator != "limit"
        if in_function:
            tests = self._running(mutant.file, span)
            fresh = bool(importing & span)
        else:
            tests = self._using(mutant, span)
            fresh = True
        killers = self._killers.get(mutant.module, {})
        order = sorted(tests, key=lambda test: (-killers.get(test, 0), self.times_s.get(test, 0.0), test))
        chosen, total_s = [], 0.0
        for test in order:
            total_s += self.times_s.get(test, 0.0)
            if total_s > self._most_s and chosen:
                break
            chosen.append(test)
        return Choice(tuple(chosen), fresh, len(order) - len(chosen))

    def killed(self, mutant: Mutant, test: str) -> None:
        """What noticed one mutant of a module is asked first about the next."""
        count = self._killers.setdefault(mutant.module, {})
        count[test] = count.get(test, 0) + 1

    def _running(self, file: str, lines: set[int]) -> set[str]:
        by_line = self._by_line.get(file, {})
        return {test for line in lines for test in by_line.get(line, ())}

    def _using(self, mutant: Mutant, span: set[int]) -> set[str]:
        """Tests that run a function that uses the names which the changed statement defines, or that name them."""
        if mutant.function and mutant.operator != "limit":  # a default value: who calls it
            return self._running(mutant.file, _body_lines(self._trees[mutant.file], mutant.line))
        names = {mutant.function} if mutant.operator == "limit" else _defined(self._trees[mutant.file], span)
        users, made = _users(self._trees, mutant.file, names)
        tests = {test for file, lines in users.items() for test in self._running(file, lines)}
        if mutant.operator != "limit":  # a test that names a limit takes the real one
            tests |= self._naming(names)
        if not tests:  # no function here uses it: what is made of it, by its name
            tests = self._naming({f".{name}" for name in made - names})
        return tests or (set() if mutant.operator == "limit" else self._any(mutant.file))

    def _naming(self, names: set[str]) -> set[str]:
        """The tests of files whose text holds one of these."""
        files = [file for file, text in self._texts.items() if any(name in text for name in names)]
        return {test for file in files for test in self._tests_of[file]}

    def _any(self, file: str) -> set[str]:
        return {test for tests in self._by_line.get(file, {}).values() for test in tests}


def _statement(tree: ast.Module, line: int) -> set[int]:
    """The lines of the innermost statement at a line; of one that holds others only its head."""
    best: ast.stmt | None = None
    for node in ast.walk(tree):
        around = isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno)
        if around and (best is None or node.lineno >= best.lineno):
            best = node
    if best is None:
        return {line}
    body = getattr(best, "body", None)
    last = body[0].lineno - 1 if body else best.end_lineno or best.lineno
    return set(range(best.lineno, max(last, best.lineno) + 1))


def _body_lines(tree: ast.Module, line: int) -> set[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.lineno <= line < node.body[0].lineno:
            return set(range(node.body[0].lineno, (node.end_lineno or line) + 1))
    return set()


def _defined(tree: ast.Module, span: set[int]) -> set[str]:
    """Names that the statements on these lines give a value, at the level of the module or of a class."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)) and node.lineno in span:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)}
    return names


def _users(trees: Mapping[str, ast.Module], file: str, names: set[str]) -> tuple[Lines, set[str]]:
    """Lines of the functions that use these names, also through constants made of them; and all of those names."""
    found: Lines = {}
    open_names = [(file, name) for name in names]
    seen = set(open_names)
    while open_names:
        owner, name = open_names.pop()
        for other, tree in trees.items():
            if other != owner and not _imports(tree, owner, name):
                continue
            for node in tree.body:
                for further in _uses(node, name, found.setdefault(other, set())):
                    if (other, further) not in seen:
                        seen.add((other, further))
                        open_names.append((other, further))
    return found, {name for _, name in seen}


def _imports(tree: ast.Module, owner: str, name: str) -> bool:
    for node in ast.walk(tree):
        from_owner = isinstance(node, ast.ImportFrom) and node.module and file_of(node.module) == owner
        if from_owner and any(alias.name == name for alias in node.names):
            return True
        if isinstance(node, ast.Attribute) and node.attr == name:
            return True
    return False


def _uses(node: ast.stmt, name: str, lines: set[int]) -> set[str]:
    """Adds the lines of functions in `node` that use the name; returns the module's names that are made of it."""
    if isinstance(node, ast.ClassDef):
        made = set()
        for statement in node.body:
            made |= _uses(statement, name, lines)
        if made:  # an attribute of the class
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        return set()
    if not any(_names(inner, name) for inner in ast.walk(node)):
        return set()
    if isinstance(node, ast.FunctionDef):
        lines.update(range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1))
        return set()
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        return _defined(ast.Module([node], []), set(range(node.lineno, node.lineno + 1)))
    return set()


def _names(node: ast.AST, name: str) -> bool:
    return (isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)) or (
        isinstance(node, ast.Attribute) and node.attr == name
    )
