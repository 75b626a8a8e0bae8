"""The gate of the coverage: what was not run is found, and only what a reason stands for is let through."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from covering import exceptions, measuring
from covering.exceptions import Allowed, Gap
from mutation.baseline import REPOSITORY

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
