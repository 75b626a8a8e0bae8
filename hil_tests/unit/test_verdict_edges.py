"""Verdicts where a test has a way out: tear-down, a skip after a missed limit, nothing measured at all."""

from __future__ import annotations

import json

import pytest
from support.small_suites import Run, evidence, runner

pytest_plugins = ["pytester"]

EDGES = """
import pytest

@pytest.fixture
def at_the_end(measure, request):
    yield
    measure("SR-12", "brake_ms", request.param, "as it is put away")

@pytest.mark.parametrize("at_the_end", [2.0, 99.0, None], indirect=True, ids=["kept", "missed", "unset"])
def test_measured_in_tear_down(at_the_end):
    pass

@pytest.mark.parametrize("value", [2.0, 99.0, None], ids=["kept", "missed", "unset"])
def test_skips_afterwards(measure, value):
    measure("SR-12", "brake_ms", value, "release")
    pytest.skip("not today")

@pytest.fixture
def at_the_start(measure):
    measure("SR-12", "brake_ms", 99.0, "as it is taken out")
    pytest.skip("not today")

def test_skips_in_set_up(at_the_start):
    pass

def test_measures_nothing(measure):
    pass

def test_says_why(measure):
    measure.nothing("this case has no limit")

def test_skips_without_measuring(measure):
    pytest.skip("not today")

def test_limit_met_exactly(measure):
    measure("SR-12", "brake_ms", 10.0, "release")

def test_fails_and_has_measured(measure):
    measure("SR-12", "brake_ms", 99.0, "release")
    assert False, "once is enough"
"""
VERDICTS = {
    "test_measured_in_tear_down[kept]": "pass",
    "test_measured_in_tear_down[missed]": "fail",
    "test_measured_in_tear_down[unset]": "unset",
    "test_skips_afterwards[kept]": "skipped",
    "test_skips_afterwards[missed]": "fail",
    "test_skips_afterwards[unset]": "unset",
    "test_skips_in_set_up": "fail",
    "test_measures_nothing": "unset",
    "test_says_why": "pass",
    "test_skips_without_measuring": "skipped",
    "test_limit_met_exactly": "marginal",
    "test_fails_and_has_measured": "fail",
}


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    return runner(pytester, monkeypatch)


def test_no_way_out_of_a_measurement_is_a_pass(run: Run, pytester: pytest.Pytester) -> None:
    done = run({"test_edges": EDGES})
    found = evidence(pytester.path)
    assert {test["test"].partition("::")[2]: test["verdict"] for test in found["tests"]} == VERDICTS
    assert done.ret == 1 and found["verdict"] == "fail" and found["ledger"]["problems"] == []
    assert "1 failed" not in done.stdout.str() and "ERROR at teardown of test_fails" not in done.stdout.str()


@pytest.mark.nightly
@pytest.mark.parametrize("which", ["tear_down and unset", "afterwards and unset", "measures_nothing"])
def test_a_value_that_is_missing_fails_the_run_by_itself(
    run: Run, pytester: pytest.Pytester, which: str
) -> None:
    assert run({"test_edges": EDGES}, "-k", which).ret == 1
    found = evidence(pytester.path)
    assert (found["verdict"], found["exit_code"]) == ("unset", 1), json.dumps(found["tests"])


# ---------------------------------------------------------------------- runs that end early
PASSES = "def test_one(): pass"


@pytest.mark.nightly
@pytest.mark.parametrize(("options", "code"), [(("-k", "nothing"), 5), (("no_such_file.py",), 4)])
def test_a_run_of_nothing_leaves_the_old_evidence(
    run: Run, pytester: pytest.Pytester, options: tuple[str, ...], code: int
) -> None:
    assert run({"test_one": PASSES}).ret == 0
    before = evidence(pytester.path)
    done = run({"test_one": PASSES}, *options)
    assert done.ret == code and "no test ran, so no evidence was written" in done.stdout.str()
    assert evidence(pytester.path) == before
    assert not [path for path in pytester.path.iterdir() if path.name.startswith(".out")]


@pytest.mark.nightly
def test_an_interrupted_run_says_so_in_its_evidence(run: Run, pytester: pytest.Pytester) -> None:
    stopped = f"{PASSES}\ndef test_stopped(): raise KeyboardInterrupt\ndef test_after(): pass"
    assert run({"test_one": stopped}).ret == 2
    found = evidence(pytester.path)
    assert found["verdict"] == "infrastructure" and "interrupted (Ctrl-C)" in found["troubles"][0]
    assert {problem["what"] for problem in found["ledger"]["problems"]} >= {"planned, but not run"}
