"""`pytest hil_tests --target ...` in a process of its own, on pens in other processes: what it says and answers."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.line import Cable, Emulation
from support.nights import mostly_nightly
from support.sessions import QUICK, RUN_S, TESTS, counts, session
from support.troubles import assert_told

from needlepen.devices import locks
from needlepen.emulator.server import TcpPort

LEFT_ID, RIGHT_ID = "e660000000000001", "e660000000000002"
BEFORE_CUT_BYTES = 6_000  # the check of the bench takes half of it, the first test of telemetry the rest


# ---------------------------------------------------------------------- a board
@pytest.mark.timeout(RUN_S + 60)
def test_everything_that_a_port_can_show_runs_on_a_port(left: Emulation, tmp_path: Path) -> None:
    done = session(TESTS, "--target", f"serial:{LEFT_ID}", "--evidence", str(tmp_path / "kept"))
    assert done.returncode == 0, done.stdout + done.stderr
    found = counts(done.stdout)
    assert found["passed"] >= 60 and found["skipped"] >= 15 and "failed" not in found
    for capability in ("power", "plant", "pins", "faults", "probe"):
        assert f"serial:{LEFT_ID} has no {capability}" in done.stdout
    summary = next(line for line in done.stdout.splitlines() if line.startswith("not shown on this target"))
    assert "SR-06" in summary and not {"PR-09", "SR-01", "SR-05", "SR-25", "SR-28"} & set(
        re.findall(r"\w\w-\d\d", summary)
    )
    kept = json.loads((tmp_path / "kept" / "evidence.json").read_text())
    (board,) = kept["boards"]
    assert (board["identity"], board["runtime_version"]) == (LEFT_ID, "1.25.0") and kept["troubles"] == []
    assert kept["exit_code"] == 0 and {test["board"] for test in kept["tests"]} == {LEFT_ID}
    assert {row["firmware_build"] for row in kept["measurements"]} == {board["firmware_build"]} != {""}


@pytest.mark.nightly  # every day one that is lost is on TCP
def test_the_same_tests_run_over_tcp(left: Emulation) -> None:
    done = session(QUICK, f"{TESTS}/test_start_up.py", f"{TESTS}/test_console.py", "--target",
                   f"tcp:127.0.0.1:{left.tcp_port}")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert counts(done.stdout) == {"passed": 12}
    assert locks.holder(LEFT_ID) is None, "free for others"


def test_tests_of_emulated_pens_skip_on_a_board(left: Emulation) -> None:
    """As they are: the fixtures `pens` and `runtime` say it for all of them."""
    done = session("hil_tests/requirements/test_battery.py", "--target", f"serial:{LEFT_ID}")
    found = counts(done.stdout)
    assert done.returncode == 0 and found["skipped"] >= 5 and "passed" not in found, done.stdout
    assert "has no in_process (pens that this process emulates)" in done.stdout


@pytest.mark.nightly
@pytest.mark.timeout(RUN_S + 60)
def test_two_boards_run_side_by_side(left: Emulation, emulate: Callable[..., Emulation]) -> None:
    emulate("right", "--seed", "2")
    targets = ("--target", f"serial:{LEFT_ID}", "--target", f"serial:{RIGHT_ID}")
    done = session(QUICK, *targets, "-n", "2", "--dist", "each")
    assert done.returncode == 0 and counts(done.stdout) == {"passed": 8}, done.stdout + done.stderr


@pytest.mark.nightly
def test_a_pen_by_two_names_has_one_worker(left: Emulation) -> None:
    targets = ("--target", f"serial:{LEFT_ID}", "--target", f"tcp:127.0.0.1:{left.tcp_port}")
    done = session(QUICK, *targets, "-n", "2", "--dist", "each")
    assert done.returncode == 4 and "are the same pen: a board has one worker" in done.stdout + done.stderr
    assert locks.holder(LEFT_ID) is None


# ---------------------------------------------------------------------- no board
def test_a_pen_that_is_not_there_ends_the_session_before_any_test(place: Path) -> None:
    done = session(QUICK, "--target", "serial:e6600000000000ff")
    assert done.returncode == 2 and "is not connected; `needlepen devices`" in done.stdout + done.stderr
    assert "passed" not in done.stdout


def test_a_pen_that_somebody_uses_is_refused_with_who_and_until_when(left: Emulation) -> None:
    with locks.held(LEFT_ID, "measuring drift", 600.0):
        done = session(QUICK, "--target", f"serial:{LEFT_ID}")
    said = done.stdout + done.stderr
    assert_told("two users of a port", said, done.returncode)
    assert f"measuring drift (process {os.getpid()} of " in said and ", until 2" in said, said


@pytest.mark.nightly
def test_another_build_is_refused_with_what_to_do(emulate: Callable[..., Emulation]) -> None:
    made = emulate("produced", "--seed", str(0x21), "--kind", "production")
    done = session(QUICK, "--target", f"tcp:127.0.0.1:{made.tcp_port}")
    assert_told("wrong firmware", done.stdout + done.stderr, done.returncode)


def test_a_target_that_means_nothing_is_one_line_and_exit_4() -> None:
    done = session(QUICK, "--target", "radio:x")
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    assert done.returncode == 4 and len(said) == 1 and "--target 'radio:x'" in said[0], said


# ---------------------------------------------------------------------- lost in the middle
@pytest.fixture
def victim(place: Path, runtime: Path) -> Iterator[Emulation]:
    """A pen of its own, which a test may kill."""
    made = Emulation(place, "victim", "--seed", str(0x22))
    yield made
    made.close()


@pytest.mark.parametrize("how", mostly_nightly(["pulled", "killed"], "pulled"))
@pytest.mark.timeout(RUN_S + 60)
def test_a_board_that_is_lost_is_one_error_and_the_rest_is_skipped(victim: Emulation, how: str) -> None:
    enough = threading.Event()
    passed = 0

    def count(data: bytes) -> bytes:
        nonlocal passed
        passed += len(data)
        if passed > BEFORE_CUT_BYTES:
            enough.set()
        return data

    with Cable(victim.tcp_port, lambda: TcpPort(0)) as cable:
        cable.to_host = count

        def lose() -> None:
            enough.wait(RUN_S)
            victim.process.kill() if how == "killed" else cable.unplug()

        loser = threading.Thread(target=lose)
        loser.start()
        done = session(
            f"{TESTS}/test_telemetry.py", QUICK, "--target", f"tcp:{cable.url.removeprefix('socket://')}"
        )
        enough.set()
        loser.join()
    found = counts(done.stdout)
    assert_told({"pulled": "port pulled", "killed": "emulator killed"}[how], done.stdout, done.returncode)
    assert found["infrastructure"] == 1 and "failed" not in found, done.stdout
    assert found["skipped"] >= 4 and found.get("passed", 0) <= 3, done.stdout
    assert re.search(r"Lost: Pen e660000000000022 at tcp:[\d.:]+ was lost: ", done.stdout), done.stdout
    told = re.findall(r"SKIPPED \[(\d+)\] .*board e660000000000022 was lost: ", done.stdout)
    assert sum(map(int, told)) == found["skipped"], "each says why"
    assert locks.holder("e660000000000022") is None, "nothing is left held"


# ---------------------------------------------------------------------- plan
def test_a_plan_needs_no_board_and_runs_nothing(place: Path) -> None:
    done = session(TESTS, "--plan", "--target", "serial:e6600000000000ff")
    assert done.returncode == 0 and "Nothing was run." in done.stdout and "passed" not in done.stdout
    assert "skipped for want of plant" in done.stdout and "faults put in: none" in done.stdout


def test_a_plan_names_the_faults_that_would_be_put_in(place: Path) -> None:
    done = session(f"{TESTS}/test_bench.py", "--plan", "-n", "2")
    assert done.returncode == 0 and "Target emulated: 7 tests, time unknown" in done.stdout
    assert "nose_temperature:open (1 test), nose_temperature:short (1 test)" in done.stdout
