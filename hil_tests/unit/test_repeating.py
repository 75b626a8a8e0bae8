"""`--repeat-infrastructure`: what is tried again, what is not, and that both tries are told."""

from __future__ import annotations

import pytest
from support.small_suites import Run, evidence, runner

pytest_plugins = ["pytester"]

TWICE = """
import time
import pytest
from needlepen.errors import BoardLost, InfrastructureError

TRIES = []

def first(what):
    TRIES.append(what)
    return TRIES.count(what) == 1

@pytest.fixture(scope="session")
def rig():
    if first("rig"):
        raise InfrastructureError("no rig")
    return len(TRIES)

def test_with_a_rig_that_comes_late(rig):
    assert rig == 2

def test_with_the_same_rig(rig):
    assert rig == 2

def test_cut_off_once(measure):
    measure("SR-12", "brake_ms", 2.0, "release")
    if first("cut off"):
        raise ConnectionResetError("reset by peer")

def test_in_trouble_twice():
    raise InfrastructureError(f"trouble {2 - first('twice')}")

@pytest.mark.timeout(0.3)
def test_hangs_twice():
    first("hangs")
    time.sleep(20)

def test_fails_at_the_second_try():
    if first("then fails"):
        raise InfrastructureError("port gone")
    assert False, "sums are off"

def test_is_wrong():
    assert first("is wrong"), "told twice"
    assert False, "sums are off"

def test_misses_a_limit_and_loses_its_port(measure):
    measure("SR-12", "brake_ms", 11.0, "release")
    assert first("misses"), "told twice"
    raise InfrastructureError("port gone")

def test_the_board_goes():
    raise BoardLost(f"USB was pulled {TRIES.append('lost') or TRIES.count('lost')} times")
"""
SECOND = "the second try; the first ended in infrastructure trouble: "


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    return runner(pytester, monkeypatch)


@pytest.mark.parametrize("options", [pytest.param((), id="alone"), pytest.param(("-n", "1"), id="xdist")])
def test_only_what_ended_in_trouble_is_tried_again_and_both_are_told(
    run: Run, pytester: pytest.Pytester, options: tuple[str, ...]
) -> None:
    done = run({"test_twice": TWICE}, "--repeat-infrastructure", *options)
    found = evidence(pytester.path)
    told = {test["test"].partition("::")[2]: (test["verdict"], test["reason"]) for test in found["tests"]}
    out_of_time = "the host ran out of time: Timeout (>0.3s) from pytest-timeout."
    assert told == {
        "test_with_a_rig_that_comes_late": ("pass", f"{SECOND}InfrastructureError: no rig"),
        "test_with_the_same_rig": ("pass", ""),
        "test_cut_off_once": ("pass", f"{SECOND}ConnectionResetError: reset by peer"),
        "test_in_trouble_twice": (
            "infrastructure",
            f"InfrastructureError: trouble 2; {SECOND}InfrastructureError: trouble 1",
        ),
        "test_hangs_twice": ("infrastructure", f"{out_of_time}; {SECOND}{out_of_time}"),
        "test_fails_at_the_second_try": (
            "fail",
            f"AssertionError: sums are off; {SECOND}InfrastructureError: port gone",
        ),
        "test_is_wrong": ("fail", "AssertionError: sums are off"),
        "test_misses_a_limit_and_loses_its_port": ("infrastructure", "InfrastructureError: port gone"),
        "test_the_board_goes": (
            "infrastructure",
            "board bench-7 was lost: BoardLost: USB was pulled 1 times",
        ),
    }
    once = [row["test"] for row in found["measurements"]]
    assert sorted(once) == [
        "test_twice.py::test_cut_off_once",
        "test_twice.py::test_misses_a_limit_and_loses_its_port",
    ]
    assert found["ledger"]["problems"] == [] and done.ret == 1
    last = [line for line in done.stdout.lines if line.startswith(("REPEATED", "INFRASTRUCTURE"))]
    assert [line.partition(" - ")[0].rpartition("::")[2] for line in last] == [
        "test_with_a_rig_that_comes_late",
        "test_cut_off_once",
        "test_in_trouble_twice",
        "test_hangs_twice",
        "test_fails_at_the_second_try",
        "test_in_trouble_twice",
        "test_hangs_twice",
        "test_misses_a_limit_and_loses_its_port",
        "test_the_board_goes",
    ]
    assert "2 failed, 3 passed, 4 infrastructure" in done.stdout.lines[-1], "the names stand right above it"
    assert done.stdout.lines[-2] == last[-1]


def test_a_run_in_which_all_went_well_at_the_second_try_passes_and_says_so(
    run: Run, pytester: pytest.Pytester
) -> None:
    done = run({"test_twice": TWICE}, "--repeat-infrastructure", "-k", "cut_off or rig")
    assert done.ret == 0 and "3 passed" in done.stdout.lines[-1]
    assert "REPEATED test_twice.py::test_cut_off_once" in done.stdout.str()


def test_without_the_option_nothing_is_tried_again(run: Run, pytester: pytest.Pytester) -> None:
    done = run({"test_twice": TWICE}, "-k", "cut_off")
    assert done.ret == 2 and "REPEATED" not in done.stdout.str()
    assert (
        "INFRASTRUCTURE test_twice.py::test_cut_off_once - ConnectionResetError: reset by peer"
        in (done.stdout.lines[-2])
    )


def test_what_a_fixture_of_all_tests_finds_at_its_end_is_not_lost(
    run: Run, pytester: pytest.Pytester
) -> None:
    pen = """
import pytest
from needlepen.errors import InfrastructureError

@pytest.fixture(scope="session")
def pen():
    yield
    assert False, "the motor still turns"

def test_loses_its_port(pen):
    raise InfrastructureError("port gone")

def test_after():
    pass
"""
    done = run({"test_pen": pen}, "--repeat-infrastructure")
    (first, after) = evidence(pytester.path)["tests"]
    assert done.ret == 2 and "REPEATED" not in done.stdout.str()
    assert (first["verdict"], after["verdict"]) == ("infrastructure", "pass")
    assert first["reason"] == (
        "InfrastructureError: port gone; not tried again, since the tear-down failed: "
        "AssertionError: the motor still turns"
    )


def test_a_test_is_no_cost_of_the_suite(run: Run, pytester: pytest.Pytester) -> None:
    sleeps = "import time\ndef test_sleeps():\n    time.sleep(3)\n"
    run({"test_sleeps": sleeps}, "--repeat-infrastructure")
    assert evidence(pytester.path)["harness"]["spent_s"] < 2.5
