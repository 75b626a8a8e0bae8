"""Runs tests under coverage.py and reads off what of the safety modules was not run."""

from __future__ import annotations

import ast
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import coverage
import pytest
from mutation.baseline import REPOSITORY
from mutation.mutants import file_of
from mutation.scope import LIMITS, REQUIREMENT_TESTS

from covering import tracing
from covering.exceptions import Allowed, Gap
from needlepen.errors import InfrastructureError

FIRMWARE = tracing.FIRMWARE
MODULES = tuple(module for module in REQUIREMENT_TESTS if module != LIMITS)
"""The safety modules that CPython can run: those of the mutation tests."""


@dataclass
class Covered:
    """One module. `lines` and `branches`: how many there are; `gaps` what was not run and nobody allowed; `allowed`
    what was not run and is on the list."""

    module: str
    lines: int = 0
    branches: int = 0
    gaps: list[Gap] = field(default_factory=list)
    allowed: list[Gap] = field(default_factory=list)

    def pct(self, gaps: Sequence[Gap]) -> float:
        """Share of lines and branches that are not among these gaps, %."""
        total = self.lines + self.branches
        return 100.0 * (total - len(gaps)) / total if total else 100.0


def run_tests(files: Sequence[Path], report: Path) -> int:
    """Run pytest in this process under coverage.py, write its JSON report; returns pytest's exit code."""
    traced = tracing.tracer()
    traced.start()
    code = pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:xdist", *(str(file) for file in files)])
    traced.stop()
    try:
        tracing.write_report(traced, report)
    except coverage.exceptions.NoDataError:
        raise InfrastructureError(
            "no test ran a line of the firmware; is it imported from another folder?"
        ) from None
    return int(code)


def read(report: Path, modules: Sequence[str], allowed: Sequence[Allowed]) -> tuple[list[Covered], list[str]]:
    """The modules, and the entries of the list that allow nothing any more."""
    files = json.loads(report.read_text())["files"]
    by_path = {(REPOSITORY / name).resolve(): entry for name, entry in files.items()}
    used: set[Allowed] = set()
    covered = [_module(module, by_path.get(FIRMWARE / file_of(module)), allowed, used) for module in modules]
    stale = [
        f"{entry}: nothing is missing there any more; take it off the list"
        for entry in allowed
        if entry not in used and entry.module in modules
    ]
    return covered, stale


def _module(module: str, entry: dict | None, allowed: Sequence[Allowed], used: set[Allowed]) -> Covered:  # type: ignore[type-arg]
    text = (FIRMWARE / file_of(module)).read_text()
    lines = text.splitlines()
    functions = _functions(ast.parse(text))
    if entry is None:
        number = sum(bool(line.strip()) for line in lines)
        return Covered(module, number, 0, [Gap(module, "", 1, "the module was never imported")] * number)
    summary = entry["summary"]
    covered = Covered(module, summary["num_statements"], summary["num_branches"])
    gaps = [Gap(module, functions.get(n, ""), n, lines[n - 1].strip()) for n in entry["missing_lines"]]
    gaps += [
        Gap(module, functions.get(at, ""), at, lines[at - 1].strip(), max(to, 0))
        for at, to in entry["missing_branches"]
    ]
    for gap in sorted(gaps, key=lambda gap: (gap.number, gap.to or 0)):
        entries = [entry for entry in allowed if entry.covers(gap)]
        used.update(entries)
        (covered.allowed if entries else covered.gaps).append(gap)
    return covered


def _functions(tree: ast.Module) -> dict[int, str]:
    """The qualified name of the outermost function of each line."""
    found: dict[int, str] = {}

    def walk(body: Sequence[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                walk(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.FunctionDef):
                found.update(
                    dict.fromkeys(range(node.lineno, (node.end_lineno or 0) + 1), prefix + node.name)
                )

    walk(tree.body, "")
    return found


def in_scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder for coverage.py's report, removed at the end."""
    return tempfile.TemporaryDirectory(prefix="covering-")
