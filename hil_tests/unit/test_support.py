"""The tests' own tools: forked snapshots and the ledger of measurements. A silent tool would pass everything."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support import evidence
from support.forks import ChildFailedError, each_in_fork, in_fork
from support.measuring import Measure, worst_of_each, write
from support.trace import Trace

from needlepen.errors import InfrastructureError, NotInTime, infrastructure_behind
from needlepen.evidence_report.model import Board


# ---------------------------------------------------------------------- forks
def test_a_copy_changes_nothing_here() -> None:
    things = [1]
    assert in_fork(lambda: things.append(2) or list(things)) == [1, 2] and things == [1]


def test_results_come_back_in_order_however_long_each_takes() -> None:
    def late(_pen: object, case: int) -> int:
        time.sleep(0.05 * (case == 0))
        return case * case

    assert each_in_fork(None, late, range(6)) == [0, 1, 4, 9, 16, 25]


def test_a_failed_assertion_in_a_copy_fails_here_with_its_text() -> None:
    def wrong() -> None:
        raise AssertionError("the motor sings")

    with pytest.raises(ChildFailedError, match="the motor sings"):
        in_fork(wrong)


def test_a_copy_that_dies_or_hangs_is_a_failure() -> None:
    with pytest.raises(ChildFailedError, match="without a result"):
        in_fork(lambda: os._exit(3))
    with pytest.raises(ChildFailedError, match="no result after"):
        in_fork(lambda: time.sleep(30), timeout_s=0.2)


def test_only_a_crash_of_a_copy_is_infrastructure_trouble_and_a_silent_pen_is_not() -> None:
    def silent() -> None:
        raise NotInTime("the pen did not reach 'armed'")

    with pytest.raises(ChildFailedError) as failed:
        in_fork(silent)
    assert infrastructure_behind(failed.value) is None
    with pytest.raises(ChildFailedError) as crashed:
        in_fork(lambda: os._exit(3))
    assert isinstance(infrastructure_behind(crashed.value), InfrastructureError)


def test_a_result_that_cannot_travel_is_a_failure() -> None:
    with pytest.raises(ChildFailedError, match="pickle"):
        in_fork(lambda: lambda: None)


def test_prepare_runs_here_before_each_copy() -> None:
    pen = {"now": 0}

    def advance(pen: dict[str, int], case: int) -> None:
        pen["now"] += case

    assert each_in_fork(pen, lambda pen, _case: pen["now"], [1, 2, 3], advance) == [1, 3, 6]


# ---------------------------------------------------------------------- measurements
def test_limit_and_unit_come_from_the_requirements() -> None:
    taken: list[Any] = []
    m = Measure(taken)("SR-12", "brake_ms", 10.0, "just in time")
    assert (m.limit, m.unit, m.verdict) == (10.0, "ms", "pass") and taken == [m]


@pytest.mark.parametrize(("value", "verdict"), [(10.001, "fail"), (float("inf"), "fail"), (None, "unset")])
def test_a_missed_limit_or_value_is_no_pass(value: float | None, verdict: str) -> None:
    assert Measure([])("SR-12", "brake_ms", value, "late").verdict == verdict


def test_the_worst_of_many_cases_counts() -> None:
    m = Measure([]).worst("SR-12", "brake_ms", {"a": 1.0, "b": 12.0, "c": 3.0}, "three")
    assert m.value == 12.0 and "worst: b" in m.note and "3 cases" in m.note
    least = Measure([]).worst("SR-11", "quiet_ms", {"a": 700.0, "b": 400.0}, "two", relation=">=")
    assert least.value == 400.0 and least.verdict == "fail"
    partly = Measure([]).worst("SR-12", "brake_ms", {"a": 1.0, "b": math.nan, "c": 2.0}, "three")
    assert partly.verdict == "unset" and "worst: b; 1 not measured" in partly.note


def test_firmware_that_changes_during_the_run_is_told() -> None:
    """Small: what becomes of it in a whole run is shown every night (test_evidence_plugin.py)."""
    builds = ["one", "one", "another"]
    hook = SimpleNamespace(pytest_needlepen_board=lambda config: Board("bench-7", builds.pop(0)))
    bench = evidence._Bench(SimpleNamespace(stash=pytest.Stash(), hook=hook))  # type: ignore[arg-type]
    bench.pytest_sessionstart()
    assert bench.told()["trouble"] == ""
    assert "was changed while the tests ran" in bench.told()["trouble"]


def test_the_summary_shows_the_least_margin_of_each_limit(tmp_path: Path) -> None:
    taken: list[Any] = []
    measure = Measure(taken)
    for value in (2.0, 11.0, 3.0):
        measure("SR-12", "brake_ms", value, "release")
    measure("SR-12", "strokes", 2.0, "release")
    assert [(m.value, count) for m, count in worst_of_each(iter(taken))] == [(11.0, 3), (2.0, 1)]
    write(tmp_path / "m.json", [("a test", m) for m in taken])
    rows = json.loads((tmp_path / "m.json").read_text())["measurements"]
    assert [row["verdict"] for row in rows] == ["pass", "fail", "pass", "pass"] and rows[0][
        "test"
    ] == "a test"


INNER = """
def test_measures(measure):
    measure("SR-12", "brake_ms", {value}, "release")
"""


@pytest.mark.parametrize(("value", "outcome"), [("9.0", 0), ("11.0", 1), ("None", 1)])
def test_a_test_fails_by_its_measurements_alone(tmp_path: Path, value: str, outcome: int) -> None:
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    (tmp_path / "test_inner.py").write_text(INNER.format(value=value))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "support.measuring", "--measurements", "out.json", "-p",
         "no:cacheprovider", "test_inner.py"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == outcome, done.stdout
    assert "worst value of each limit" in done.stdout and (tmp_path / "out.json").exists()


# ---------------------------------------------------------------------- traces
def test_rates_of_whole_strokes_ignore_the_ripple_inside_them() -> None:
    t_ms = np.arange(0, 200, 0.25)
    strokes = t_ms / 10 + 0.02 * np.sin(2 * np.pi * t_ms / 10)
    trace = Trace(t_ms, strokes, t_ms * 0, t_ms * 0, t_ms * 0)
    middle = slice(100, -100)
    assert np.allclose(trace.turn_hz[middle], 100, rtol=0.01) and np.allclose(
        trace.centred_hz[middle], 100, rtol=0.01
    )
    assert np.isnan(trace.turn_hz[0]) and np.isnan(trace.centred_hz[-1])
    assert abs(trace.turn_hz_at(100.1) - 100) < 1
