"""What each test has to do with which requirement: what it measures, what it claims, which limits it reads.

A test comes by definitions of its own file, of `support` and of fixtures: what these measure, it measures.
A variable in place of a limit stands for every limit of that requirement which the definitions name.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from needlepen.requirements import Requirement, Requirements
from needlepen.trace.calls import Call, Facts, facts
from needlepen.trace.firmware import unknown_id
from needlepen.trace.ids import is_id, leading_ids
from needlepen.trace.model import Gap, Place, Project, Test, TestHow, TestLink
from needlepen.trace.source import docstring, dotted
from needlepen.trace.test_files import TestFile, line_of, load

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Tests:
    """All tests, their links, and the gaps that showed on the way."""

    __test__ = False

    tests: dict[str, Test] = field(default_factory=dict)
    links: set[TestLink] = field(default_factory=set)
    found: set[Gap] = field(default_factory=set)


def read(project: Project, known: Requirements) -> Tests:
    """Read every test of a project."""
    files = {file.module: file for file in load(project)}
    result = Tests()
    for file in files.values():
        result.found.update(_unknown_ids(file, known))
        if file.module.rpartition(".")[2].startswith("test_"):
            for name, function in file.tests():
                _Reader(files, file, known, result).read(name, function)
    return result


def _unknown_ids(file: TestFile, known: Requirements) -> Iterator[Gap]:
    for name, line in file.source.named():
        if name not in known:
            yield unknown_id(name, Place(file.source.file, line, file.source.symbol_at(line)))


class _Reader:
    """Reads one test."""

    def __init__(
        self, files: dict[str, TestFile], file: TestFile, known: Requirements, result: Tests
    ) -> None:
        self._files, self._file, self._known, self._result = files, file, known, result

    def read(self, name: str, function: Function) -> None:
        place = Place(self._file.source.file, line_of(function), name.replace("::", "."))
        test = Test(f"{place.file}::{name}", place, frozenset(self._marks(function)))
        self._result.tests[test.id] = test
        measured = self._link_calls(test, function)
        for claimed in self._claims(function, measured):
            self._link(test, claimed, "", "claims")

    def _link(self, test: Test, requirement: str, limit: str, how: TestHow) -> None:
        if requirement in self._known:
            self._result.links.add(TestLink(requirement, limit, test.id, how))
        else:
            self._result.found.add(unknown_id(requirement, test.place))

    # ------------------------------------------------------------ calls
    def _link_calls(self, test: Test, function: Function) -> set[str]:
        """Link what the test measures and reads; the requirements that it measures."""
        own, shared = self._reached(function)
        strings = own.strings | shared.strings
        calls = own.calls + [call for call in shared.calls if call.how != "reads"]
        measured = set()
        for call in calls:
            for requirement in (
                [call.requirement] if call.requirement else sorted(filter(is_id, map(_plain, strings)))
            ):
                if call.how != "reads":
                    measured.add(requirement)
                for limit in self._limits(test, call, requirement, strings):
                    self._link(test, requirement, limit, call.how)
        return measured

    def _limits(self, test: Test, call: Call, requirement: str, strings: set[str]) -> list[str]:
        """The limits that a call is about; [""] for the requirement as a whole."""
        entry = self._known.get(requirement)
        if entry is None or call.how == "figure":
            return [""]
        found = _matching(call.limits or _written(strings), entry)
        if not found and call.limits and call.requirement:
            name = f"{requirement}.{_plain(call.limits[0])}"
            has = ", ".join(entry.limits) or "none"
            text = f"{test.id} names it, but {requirement} has no such limit; it has: {has}"
            self._result.found.add(Gap("unknown limit", name, text))
        if found or call.how == "reads":
            return found
        return [""]

    def _reached(self, function: Function) -> tuple[Facts, Facts]:
        """The facts of a test with what it comes by in its own file, and of what it comes by elsewhere."""
        own, shared = facts(function), Facts()
        seen = {(self._file.module, function.name)}
        waiting = [(self._file, name) for name in own.names | {"pytestmark"}]
        while waiting:
            file, name = waiting.pop()
            for where, definition in self._definitions(file, name):
                if (where.module, definition) not in seen:
                    seen.add((where.module, definition))
                    said = where.facts(definition)
                    into = own if where is self._file else shared
                    into.calls += said.calls
                    into.strings |= said.strings
                    waiting += [(where, inner) for inner in said.names]
        return own, shared

    def _definitions(self, file: TestFile, name: str) -> Iterator[tuple[TestFile, str]]:
        """Where a name that is used in a file is defined: there, where it was imported from, or in a conftest."""
        head, _, rest = name.partition(".")
        if head in file.definitions:
            if not head.startswith("test_"):
                yield file, head
            return
        module, inner = file.aliases.get(head, ("", ""))
        for candidate, definition in ((module, inner), (f"{module}.{inner}", rest.partition(".")[0])):
            for other in self._modules(file, candidate):
                if definition in other.definitions:
                    yield other, definition
        if not module:
            folder = file.module.rpartition(".")[0]
            for conftest in (f"{folder}.conftest", "conftest"):
                if conftest in self._files and head in self._files[conftest].definitions:
                    yield self._files[conftest], head

    def _modules(self, file: TestFile, module: str) -> Iterator[TestFile]:
        beside = f"{file.module.rpartition('.')[0]}.{module}"
        for name in (module, beside):
            if name in self._files and name != "support.measuring":
                yield self._files[name]

    # ------------------------------------------------------------ claims
    def _claims(self, function: Function, measured: set[str]) -> set[str]:
        """What a test is about: the IDs that its docstring begins with and those of its marks; else its section's,
        else its file's. A test that measures one of these says by that what it is about."""
        own = {*leading_ids(docstring(function)), *_marked(function)}
        if own:
            return own
        section, about = set(self._file.section_at(line_of(function))), set(self._file.about())
        if measured & (section | about):
            return set()
        return section or about - set().union(*self._file.sections().values()) or about

    def _marks(self, function: Function) -> Iterator[str]:
        """Names of the marks of a test; those that `support.known` keeps are marks of a failure that is known."""
        for decorator in [*function.decorator_list, *self._module_marks()]:
            name = dotted(decorator.func if isinstance(decorator, ast.Call) else decorator)
            if name.startswith("pytest.mark."):
                yield name.removeprefix("pytest.mark.")
            elif self._file.aliases.get(name, ("",))[0] == "support.known":
                yield "xfail"

    def _module_marks(self) -> Iterator[ast.expr]:
        for statement in self._file.definitions.get("pytestmark", []):
            value = getattr(statement, "value", None)
            if isinstance(value, ast.List | ast.Tuple):
                yield from value.elts
            elif value is not None:
                yield value


def _marked(function: Function) -> Iterator[str]:
    """IDs that are arguments of a mark: `@pytest.mark.requirement("SR-06")`. Parameters are data."""
    for decorator in function.decorator_list:
        name = dotted(decorator.func) if isinstance(decorator, ast.Call) else ""
        if (
            isinstance(decorator, ast.Call)
            and name.startswith("pytest.mark.")
            and not name.endswith("parametrize")
        ):
            values = [a.value for a in decorator.args if isinstance(a, ast.Constant)]
            yield from (v for v in values if isinstance(v, str) and is_id(v))


def _matching(patterns: Iterable[str], entry: Requirement) -> list[str]:
    """The limits of a requirement that one of the patterns fits."""
    return [name for name in entry.limits if any(re.fullmatch(p, name) for p in patterns)]


def _written(strings: set[str]) -> set[str]:
    """What a variable may stand for: strings, and f-strings that are more than a hole."""
    return strings - {".*"}


def _plain(pattern: str) -> str:
    """A pattern as it was written."""
    return re.sub(r"\\(.)", r"\1", pattern)
