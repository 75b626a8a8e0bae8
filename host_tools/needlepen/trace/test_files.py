"""The files of hil_tests: their definitions, what each of them says, and which of them a test comes by."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from needlepen.trace.calls import Facts, facts
from needlepen.trace.ids import ids, leading_ids
from needlepen.trace.model import Project
from needlepen.trace.source import DEFINITIONS, Source, docstring, first_line, targets

_SECTION = re.compile(r"^# -{5,}(.*)$")


@dataclass
class TestFile:
    """One Python file of hil_tests. `aliases`: (module, name in it) by the name in this file, for what it imports."""

    __test__ = False

    source: Source
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    aliases: dict[str, tuple[str, str]] = field(default_factory=dict)
    _facts: dict[str, Facts] = field(default_factory=dict)

    @property
    def module(self) -> str:
        """As other tests import it: "support.bench"."""
        return self.source.module_of("hil_tests")

    def facts(self, name: str) -> Facts:
        """What a definition says."""
        if name not in self._facts:
            self._facts[name] = facts(*self.definitions[name])
        return self._facts[name]

    def tests(self) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
        """(name, definition) of each test, "TestClass::test_method" for those of classes."""
        for statement in _statements(self.source.tree.body):
            if isinstance(statement, ast.ClassDef) and statement.name.startswith("Test"):
                for inner in statement.body:
                    if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) and _is_test(inner.name):
                        yield f"{statement.name}::{inner.name}", inner
            elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) and _is_test(statement.name):
                yield statement.name, statement

    def about(self) -> tuple[str, ...]:
        """The requirements in the first sentence of the file's docstring."""
        return ids(re.split(r"\.\s|\n\s*\n", docstring(self.source.tree))[0])

    def sections(self) -> dict[int, tuple[str, ...]]:
        """Requirements by the line of each comment `# ------ SR-06, SR-07: ...` that begins a section."""
        lines = enumerate(self.source.lines, start=1)
        return {number: leading_ids(found[1]) for number, line in lines if (found := _SECTION.match(line))}

    def section_at(self, line: int) -> tuple[str, ...]:
        """The requirements of the section around a line; none outside of such sections."""
        before = [names for number, names in self.sections().items() if number < line]
        return before[-1] if before else ()


def load(project: Project) -> list[TestFile]:
    """All files of hil_tests, in the order of their names."""
    found = []
    for path in sorted((project.root / "hil_tests").rglob("*.py")):
        file = TestFile(Source(path, project.relative(path)))
        for statement in _statements(file.source.tree.body):
            names = [statement.name] if isinstance(statement, DEFINITIONS) else targets(statement)
            for name in names:
                file.definitions.setdefault(name, []).append(statement)
            if isinstance(statement, ast.ImportFrom) and statement.module:
                file.aliases |= {a.asname or a.name: (statement.module, a.name) for a in statement.names}
        found.append(file)
    return found


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, those inside of `if` and `try` too."""
    for statement in body:
        if isinstance(statement, ast.If | ast.Try | ast.With | ast.For):
            yield from _statements(statement.body)
            yield from _statements(getattr(statement, "orelse", []))
        else:
            yield statement


def _is_test(name: str) -> bool:
    return name.startswith("test_")


def line_of(test: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The line at which a test begins, decorators included."""
    return first_line(test)
