"""Small suites that go wrong on purpose, each in a process of its own: tests of the suite's own plugins."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parents[1]
HOME = str(Path.home())  # pytester gives its suites another one: without runtime and compiled engine
BOARD = """
import pytest
from needlepen.evidence_report.model import Board

def pytest_needlepen_board(config):
    return Board("bench-7", "f" * 64, "1.25.0", "a" * 64, "none")
"""
Run = Callable[..., pytest.RunResult]


def runner(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, *plugins: str) -> Run:
    """run({name: source}, *options): a suite of these files with the suite's plugins, its evidence in `out`."""
    monkeypatch.setenv("HOME", HOME)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))
    loaded = [word for name in ("support.measuring", *plugins) for word in ("-p", name)]

    def execute(files: dict[str, str], *options: str) -> pytest.RunResult:
        pytester.makepyfile(**{"conftest": BOARD, **files})
        # hypothesis takes longer to import than most of these suites run
        common = (*loaded, "-p", "no:cacheprovider", "-p", "no:hypothesispytest", "--evidence", "out")
        return pytester.runpytest_subprocess(*common, *options, timeout=60)

    return execute


def evidence(where: Path) -> dict[str, Any]:
    """The evidence that such a suite has left; anything that is no JSON in the strict sense is an error."""

    def refuse(text: str) -> None:
        raise AssertionError(f"{text} is not JSON")

    found: dict[str, Any] = json.loads((where / "out" / "evidence.json").read_text(), parse_constant=refuse)
    return found
