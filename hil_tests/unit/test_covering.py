"""The gate of the coverage: what was not run is found, and only what a reason stands for is let through."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from covering import exceptions, measuring
from covering.exceptions import Allowed, Gap
from mutation.baseline import HIL_TESTS, REPOSITORY

from needlepen.errors import UsageError

TRIGGER = "pen.trigger"
LINES = (REPOSITORY / "firmware" / "pen" / "trigger.py").read_text().splitlines()
AT = next(n for n, line in enumerate(LINES, 1) if line.strip() == "self._released_once = True")
REASON = "a reason that is long enough"


def _read(tmp_path: Path, allowed: list[Allowed], **missing: Any) -> tuple[measuring.Covered, list[str]]:
    entry = {
        "summary": {"num_statements": 30, "num_branches": 10},
        "missing_lines": [],
        "missing_branches": [],
    } | missing
    report = tmp_path / "coverage.json"
    report.write_text(json.dumps({"files": {"firmware/pen/trigger.py": entry}}))
    covered, stale = measuring.read(report, [TRIGGER], allowed)
    return covered[0], stale


def test_all_run_is_100_percent(tmp_path: Path) -> None:
    covered, stale = _read(tmp_path, [])
    assert covered.gaps == [] and stale == [] and covered.pct(covered.gaps) == 100.0


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ({"missing_lines": [AT]}, "line not run: self._released_once = True"),
        ({"missing_branches": [[AT, AT + 1]]}, f"never goes to line {AT + 1}"),
        ({"missing_branches": [[AT, -40]]}, "never goes out of the function"),
    ],
)
def test_a_line_or_a_branch_that_was_not_run_is_a_gap(
    missing: dict[str, Any], says: str, tmp_path: Path
) -> None:
    covered, _ = _read(tmp_path, [], **missing)
    assert len(covered.gaps) == 1 and says in str(covered.gaps[0])
    assert covered.gaps[0].function == "Trigger.update" and covered.pct(covered.gaps) == 97.5


@pytest.mark.parametrize("line", ["", "self._released_once = True"])
def test_an_exception_lets_its_function_or_its_line_through(line: str, tmp_path: Path) -> None:
    allowed = [Allowed(TRIGGER, "Trigger.update", line, REASON)]
    covered, stale = _read(tmp_path, allowed, missing_lines=[AT])
    assert covered.gaps == [] and len(covered.allowed) == 1 and stale == []


@pytest.mark.parametrize(
    ("function", "line"), [("Trigger.released", ""), ("Trigger.update", "return pressed")]
)
def test_an_exception_for_something_else_does_not_and_is_stale(
    function: str, line: str, tmp_path: Path
) -> None:
    covered, stale = _read(tmp_path, [Allowed(TRIGGER, function, line, REASON)], missing_lines=[AT])
    assert len(covered.gaps) == 1 and "take it off the list" in stale[0]


def test_a_module_that_no_test_imports_has_nothing_covered(tmp_path: Path) -> None:
    report = tmp_path / "coverage.json"
    report.write_text(json.dumps({"files": {}}))
    covered, _ = measuring.read(report, [TRIGGER], [])
    assert covered[0].pct(covered[0].gaps) == 0.0


def test_a_list_without_reasons_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.toml").write_text('[[exception]]\nmodule = "pen.x"\nfunction = "f"\nreason = "short"\n')
    with pytest.raises(UsageError, match="a reason in a sentence"):
        exceptions.load(tmp_path / "list.toml")


def test_the_list_names_functions_that_exist() -> None:
    for entry in exceptions.load():
        assert entry.module in measuring.MODULES
        text = (REPOSITORY / "firmware" / (entry.module.replace(".", "/") + ".py")).read_text()
        assert f"def {entry.function.split('.')[-1]}(" in text and entry.line in text


def test_a_gap_says_where_it_is() -> None:
    assert str(Gap("pen.x", "", 3, "a = 1")) == "pen.x:3 in the module: line not run: a = 1"


# ---------------------------------------------------------------------- in an ordinary run
_SUITE = {
    "unit/test_one.py": "def test_one():\n    assert True\n",
    "requirements/test_two.py": "def test_two():\n    assert True\n",
}


@pytest.mark.parametrize("workers", ["0", "2"])
def test_an_ordinary_run_fails_for_what_it_has_not_run(workers: str, tmp_path: Path) -> None:
    """A suite of two tests that run nothing of the firmware, with the gate, alone and with workers."""
    for name, text in _SUITE.items():
        path = tmp_path / "hil_tests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = hil_tests\n")
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["covering.plugin"]\n')
    environment = os.environ | {
        "NEEDLEPEN_COVERAGE": str(tmp_path / "found"),
        "PYTHONPATH": os.pathsep.join([str(HIL_TESTS), *sys.path]),
    }
    environment.pop("PYTEST_XDIST_WORKER", None)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", workers]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "2 passed" in done.stdout, done.stdout + done.stderr
    assert "coverage of the safety modules" in done.stdout and "the module was never imported" in done.stdout
    narrowed = subprocess.run(
        [*command, "-k", "one"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert narrowed.returncode == 0 and "coverage of" not in narrowed.stdout, narrowed.stdout
