"""The suite's own verdicts, ledger and evidence, shown by small suites that go wrong in every way there is."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.nights import mostly_nightly
from support.small_suites import BOARD, Run, evidence, runner

from needlepen.cli.report import report as report_command
from needlepen.evidence_report.ledger import Ledger
from needlepen.evidence_report.model import MANIFEST

pytest_plugins = ["pytester"]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """run({name: source}, *options): a suite of these files in a process of its own, with the suite's plugins."""
    return runner(pytester, monkeypatch)


def verdicts(where: Path) -> dict[str, str]:
    return {test["test"].partition("::")[2]: test["verdict"] for test in evidence(where)["tests"]}


# ---------------------------------------------------------------------- verdicts
EACH = """
import pytest

def test_passes(measure):
    measure("SR-12", "brake_ms", 2.0, "release")

def test_is_marginal(measure):
    measure("SR-12", "brake_ms", 9.5, "release")

def test_misses_a_limit(measure):
    measure("SR-12", "brake_ms", 11.0, "release")

def test_never_measures(measure):
    measure("SR-12", "brake_ms", None, "release")

def test_is_wrong():
    assert 1 + 1 == 3, "sums are off"

def test_is_skipped():
    pytest.skip("no probe here")

@pytest.mark.xfail(True, reason="the spring is too weak (by 2999-01-01)")
def test_fails_as_known(measure):
    measure("SR-12", "brake_ms", 12.0, "release")

@pytest.mark.xfail(True, reason="nobody has decided")
def test_fails_without_a_day():
    assert False

@pytest.mark.xfail(False, reason="the spring was too weak (by 2020-01-01)")
def test_fails_although_expired():
    assert False

@pytest.mark.xfail(True, reason="the spring was too weak (by 2020-01-01)")
def test_fails_with_a_condition_that_holds_on():
    assert False

@pytest.mark.xfail(True, reason="the spring is too weak (by 2999-01-01)")
def test_passes_although_known():
    pass

@pytest.mark.parametrize("what", ["cleanly", "not"])
def test_tear_down(what, request):
    def end():
        assert what == "cleanly"
    request.addfinalizer(end)
"""
VERDICTS = {
    "test_passes": "pass",
    "test_is_marginal": "marginal",
    "test_misses_a_limit": "fail",
    "test_never_measures": "unset",
    "test_is_wrong": "fail",
    "test_is_skipped": "skipped",
    "test_fails_as_known": "known failure",
    "test_fails_without_a_day": "fail",
    "test_fails_although_expired": "fail",
    "test_fails_with_a_condition_that_holds_on": "fail",
    "test_passes_although_known": "pass",
    "test_tear_down[cleanly]": "pass",
    "test_tear_down[not]": "fail",
}


@pytest.mark.parametrize(
    "options",
    [
        pytest.param((), id="alone", marks=pytest.mark.nightly),
        pytest.param(("-n", "2", "--dist", "loadfile"), id="xdist"),
    ],
)
def test_each_verdict(run: Run, pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    done = run({"test_each": EACH}, *options)
    assert done.ret == 1
    assert verdicts(pytester.path) == VERDICTS
    found = evidence(pytester.path)
    reasons = {test["test"].partition("::")[2]: test["reason"] for test in found["tests"]}
    assert reasons["test_is_skipped"] == "no probe here" and "sums are off" in reasons["test_is_wrong"]
    assert "expired on 2020-01-01" in reasons["test_fails_although_expired"]
    assert "expired on 2020-01-01" in reasons["test_fails_with_a_condition_that_holds_on"]
    assert "needs a day" in reasons["test_fails_without_a_day"]
    assert "brake_ms: release: 11 ms" in reasons["test_misses_a_limit"]
    by_test = {row["test"].partition("::")[2]: row["verdict"] for row in found["measurements"]}
    assert by_test == {name: VERDICTS[name] for name in by_test} and len(by_test) == 5
    row = found["measurements"][0]
    assert (row["board"], row["firmware_build"], row["runtime_sha256"]) == ("bench-7", "f" * 64, "a" * 64)
    assert (row["value"], row["unit"], row["limit"], row["margin"]) == (2.0, "ms", 10.0, 8.0)
    assert found["ledger"]["problems"] == [] and found["ledger"]["planned"] == len(VERDICTS)
    assert (found["verdict"], found["exit_code"]) == ("fail", 1)


TROUBLES = """
import os, subprocess, time
import pytest
from needlepen.emulator.forks import in_fork
from needlepen.errors import InfrastructureError, ProductFailure

def test_by_type():
    raise InfrastructureError("the emulator stopped")

def test_by_cause():
    try:
        raise InfrastructureError("port gone")
    except InfrastructureError as error:
        raise AssertionError("no answer") from error

@pytest.mark.xfail(True, reason="known (by 2999-01-01)")
def test_behind_a_known_failure():
    raise InfrastructureError("port gone")

def test_of_a_port():
    import serial
    raise serial.SerialException("device reports readiness to read but returned no data")

def test_of_a_socket():
    raise ConnectionResetError("reset by peer")

@pytest.mark.timeout(0.2)
def test_of_time():
    time.sleep(20)

def test_of_a_process():
    subprocess.run(["sleep", "20"], timeout=0.1)

def test_in_a_copy():
    def fn():
        raise InfrastructureError("no runtime")
    in_fork(fn)

def test_of_a_copy():
    in_fork(os._exit, 7)

@pytest.fixture
def rig():
    raise InfrastructureError("no rig")

def test_in_set_up(rig):
    pass

def test_passes():
    pass
"""


def test_infrastructure_trouble_is_neither_pass_nor_failure(run: Run, pytester: pytest.Pytester) -> None:
    done = run({"test_troubles": TROUBLES})
    assert done.ret == 2
    found = verdicts(pytester.path)
    assert found.pop("test_passes") == "pass"
    assert len(found) == 10 and set(found.values()) == {"infrastructure"}, found
    text = done.stdout.str()
    assert "10 infrastructure" in text and "failed" not in text.splitlines()[-1]
    assert "test_by_cause: InfrastructureError: port gone" in text
    suite = ET.parse(pytester.path / "out" / "junit.xml").getroot().find("testsuite")
    assert suite is not None and (suite.get("failures"), suite.get("errors")) == ("0", "10")
    assert not suite.findall("testcase/failure")


def test_a_product_failure_beside_infrastructure_trouble_exits_with_1(
    run: Run, pytester: pytest.Pytester
) -> None:
    more = """
import pytest
from needlepen.errors import InfrastructureError, NotInTime, ProductFailure

def test_pen_that_never_gets_ready():
    raise NotInTime("the pen did not reach 'armed'")

def test_judged():
    try:
        raise InfrastructureError("no answer within 1 s")
    except InfrastructureError as error:
        raise ProductFailure("the pen does not answer") from error

def test_misses_before_the_port_goes(measure):
    measure("SR-12", "brake_ms", 11.0, "release")
    raise InfrastructureError("port gone")
"""
    assert run({"test_more": more}).ret == 1
    assert verdicts(pytester.path) == {
        "test_pen_that_never_gets_ready": "fail",
        "test_judged": "fail",
        "test_misses_before_the_port_goes": "infrastructure",
    }
    assert run({"test_more": more}, "-k", "before_the_port").ret == 1, "a limit that was missed stays missed"


# ---------------------------------------------------------------------- a lost board
LOST = """
import pytest
from support.boards import lose_board
from needlepen.errors import BoardLost

@pytest.fixture(scope="module")
def port():
    yield
    raise OSError(5, "Input/output error")

def test_before(port):
    pass

def test_when_it_goes(port, pytestconfig):
    {lose}

def test_after(port):
    raise AssertionError("never reached")

def test_last():
    raise AssertionError("never reached")
"""


@pytest.mark.parametrize(
    "lose",
    [
        pytest.param('raise BoardLost("USB was pulled")', id="raised", marks=pytest.mark.nightly),
        pytest.param('lose_board(pytestconfig, "USB was pulled")', id="noticed", marks=pytest.mark.nightly),
        pytest.param(
            'lose_board(pytestconfig, "USB was pulled"); assert False, "no answer"', id="noticed in a failure"
        ),
    ],
)
def test_a_lost_board_is_one_trouble_and_skips(run: Run, pytester: pytest.Pytester, lose: str) -> None:
    done = run({"test_lost": LOST.format(lose=lose)})
    assert done.ret == 2
    expected = ["pass", "infrastructure", "skipped", "skipped"]
    assert list(verdicts(pytester.path).values()) == expected, done.stdout.str()
    reasons = [test["reason"] for test in evidence(pytester.path)["tests"]]
    assert (
        all("USB was pulled" in reason for reason in reasons[1:]) and "1 infrastructure" in done.stdout.str()
    )


@pytest.mark.nightly
def test_a_board_that_is_lost_after_the_last_test_is_told(run: Run, pytester: pytest.Pytester) -> None:
    conftest = (
        BOARD
        + """
from support.boards import lose_board
def pytest_runtest_logfinish(nodeid):
    lose_board(CONFIG[0], "USB was pulled")
CONFIG = []
def pytest_configure(config):
    CONFIG.append(config)
"""
    )
    for options in ((), ("-n", "1")):
        done = run({"conftest": conftest, "test_one": "def test_one(): pass"}, *options)
        assert done.ret == 2 and "USB was pulled" in done.stdout.str()


# ---------------------------------------------------------------------- the ledger
def test_a_worker_that_crashes_is_named_and_nothing_else_is_lost(run: Run, pytester: pytest.Pytester) -> None:
    crash = "import os\ndef test_before(): pass\ndef test_crash(): os._exit(9)\ndef test_after(): pass"
    done = run({"test_crash": crash, "test_other": "def test_other(): pass"}, "-n", "2", "--dist", "loadfile")
    assert done.ret == 2, done.stdout.str()
    assert verdicts(pytester.path) == {
        "test_before": "pass",
        "test_crash": "infrastructure",
        "test_after": "pass",
        "test_other": "pass",
    }
    ledger = evidence(pytester.path)["ledger"]
    assert [ledger[name] for name in ("planned", "collected", "run", "reported")] == [4, 4, 4, 4]
    assert "died" in ledger["problems"][0]["what"] and "test_crash" in done.stdout.str()


SIX = "\n".join(f"def test_{k}(): pass" for k in range(6))
SILENT = {
    "left out": (
        "def pytest_collection_modifyitems(items):\n    del items[3]\n",
        "found, but left out without being deselected",
    ),
    "not run": (
        "def pytest_runtest_protocol(item):\n    return True if item.name == 'test_3' else None\n",
        "planned, but not run",
    ),
    "not reported": (
        "def pytest_runtest_protocol(item):\n    if item.name == 'test_3':\n"
        "        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)\n"
        "        return True\n",
        "begun, but never reported",
    ),
}


@pytest.mark.parametrize(
    "options",
    [
        pytest.param((), id="alone"),
        pytest.param(("-n", "2", "--dist", "loadfile"), id="xdist", marks=pytest.mark.nightly),
    ],
)
@pytest.mark.parametrize("how", SILENT)
def test_nothing_goes_missing_silently(
    run: Run, pytester: pytest.Pytester, how: str, options: tuple[str, ...]
) -> None:
    hook, what = SILENT[how]
    done = run({"conftest": BOARD + hook, "test_six": SIX}, *options)
    assert done.ret == 2, done.stdout.str()
    problems = {p["what"]: p["tests"] for p in evidence(pytester.path)["ledger"]["problems"]}
    assert problems[what] == ["test_six.py::test_3"] and what in done.stdout.str()
    assert evidence(pytester.path)["verdict"] == "infrastructure"


@pytest.mark.nightly
def test_what_is_deselected_on_purpose_is_listed_and_no_trouble(run: Run, pytester: pytest.Pytester) -> None:
    for options in ((), ("-n", "2")):
        assert run({"test_six": SIX}, "-k", "not test_3 and not test_5", *options).ret == 0
        ledger = evidence(pytester.path)["ledger"]
        assert ledger["deselected"] == ["test_six.py::test_3", "test_six.py::test_5"]
        assert (ledger["planned"], ledger["reported"], ledger["problems"]) == (4, 4, [])


@pytest.mark.parametrize(
    "options",
    [
        pytest.param((), id="alone", marks=pytest.mark.nightly),
        pytest.param(("-n", "2"), id="xdist", marks=pytest.mark.nightly),
        pytest.param(("--continue-on-collection-errors",), id="going on"),
    ],
)
def test_a_file_that_cannot_be_collected_is_trouble(run: Run, options: tuple[str, ...]) -> None:
    done = run({"test_good": SIX, "test_bad": "import no_such_module"}, *options)
    assert done.ret == 2 and "test_bad.py" in done.stdout.str()


@pytest.mark.nightly
def test_each_board_runs_all_tests_where_that_was_asked_for(run: Run, pytester: pytest.Pytester) -> None:
    assert run({"test_six": SIX}, "-n", "2", "--dist", "each").ret == 0
    ledger = evidence(pytester.path)["ledger"]
    assert (ledger["planned"], ledger["reported"], ledger["problems"]) == (12, 12, [])
    assert [(b["worker"], b["run"], b["reported"]) for b in ledger["boards"]] == [
        ("gw0", 6, 6),
        ("gw1", 6, 6),
    ]


def test_the_ledger_finds_each_difference() -> None:
    def problems(change: Callable[[Ledger], None]) -> list[str]:
        ledger = Ledger()
        ledger.found("main", ["a", "b"], [])
        ledger.collected("main", ["a", "b"])
        for test in ("a", "b"):
            ledger.started(test)
            ledger.reported("main", "pen", test)
        ledger.ran("main", "pen", 2)
        change(ledger)
        return [str(problem) for problem in ledger.balance().problems]

    assert problems(lambda ledger: None) == []
    assert "begun, but never reported: a" in problems(lambda ledger: ledger.started("a"))
    assert "run more often than planned: a" in problems(lambda ledger: ledger.started("a"))
    assert "run, but not planned: c" in problems(lambda ledger: ledger.started("c"))
    assert "reported, but never begun: c" in problems(lambda ledger: ledger.reported("main", "pen", "c"))
    assert "main says that it ran 3 tests, 2 were reported" in problems(
        lambda ledger: ledger.ran("main", "pen", 3)
    )
    assert "planned, but not run: c" in problems(lambda ledger: ledger.collected("main", ["a", "b", "c"]))
    assert "gw1 collected other tests than the rest: b" in problems(
        lambda ledger: ledger.collected("gw1", ["a"])
    )


# ---------------------------------------------------------------------- evidence
VALUES = """
import math
import numpy as np

def test_values(measure):
    measure("SR-12", "brake_ms", math.nan, "no number")
    measure("SR-12", "brake_ms", math.inf, "never")
    measure("SR-12", "brake_ms", np.float64(3.0), "of numpy")
    measure.worst("SR-12", "brake_ms", {k: 1.0 + k / 100 for k in range(200)}, "swept")
    measure.worst("SR-12", "brake_ms", {"a": 1.0, "b": math.nan, "c": 2.0}, "with a hole")
    measure.worst("SR-11", "quiet_ms", {"a": 900.0, "b": -math.inf}, "at least", relation=">=")
"""


@pytest.mark.parametrize(
    "options",
    [pytest.param((), id="alone"), pytest.param(("-n", "1"), id="xdist", marks=pytest.mark.nightly)],
)
def test_values_that_are_no_numbers_are_judged_and_written(
    run: Run, pytester: pytest.Pytester, options: tuple[str, ...]
) -> None:
    assert run({"test_values": VALUES}, "--measurements", "m.json", *options).ret == 1
    rows = evidence(pytester.path)["measurements"]
    assert [row["verdict"] for row in rows] == ["unset", "fail", "pass", "pass", "unset", "fail"]
    assert [row["shown"] for row in rows[:3]] == ["not measured", "never", "3 ms"]
    assert len(rows[3]["cases"]) == 200 and rows[3]["cases"][-1] == ["199", 2.99]
    assert rows[4]["cases"] == [["a", 1.0], ["b", None], ["c", 2.0]] and "1 not measured" in rows[4]["note"]
    assert len(json.loads((pytester.path / "m.json").read_text())["measurements"]) == 6
    page = (pytester.path / "out" / "index.html").read_text()
    times = page[page.index('id="times"') :]
    cells = re.findall(r"<td[^>]*>(.*?)</td>", times[: times.index("</table>")])
    start = next(k for k, cell in enumerate(cells) if "brake_ms" in cell)
    # nan is no value; inf, 3.0, 200 swept ones, and two beside the hole are.
    assert cells[start + 1 : start + 8] == ["204", "1 ms", "2 ms", "2.99 ms", "never", "≤ 10 ms", "1"]


KEPT = """
from pathlib import Path

def test_keeps(measure, attach, tmp_path):
    measure("SR-12", "brake_ms", 2.0, "release <b>")
    (tmp_path / "trace.vcd").write_text("$end")
    attach(tmp_path / "trace.vcd")
    (tmp_path / "trace.vcd").write_text("changed afterwards")

def test_leaves_the_matrix():
    from needlepen.safety import matrix, matrix_output
    from needlepen.safety.outcome import Outcome
    made = matrix.Matrix({("motor", "stuck", "running"): Outcome("safe_state", "stall"),
                          ("motor", "stuck", "armed"): None})
    matrix_output.write(made, Path("reports/matrix/daily.csv"))
"""


def test_the_folder_is_whole_self_contained_and_its_checksums_hold(
    run: Run, pytester: pytest.Pytester
) -> None:
    old = pytester.mkdir("reports") / "matrix"
    old.mkdir()
    (old / "of_yesterday.csv").write_text("target,kind,requirement\n")
    os.utime(old / "of_yesterday.csv", (0, 0))
    done = run({"test_kept": KEPT}, "-n", "1")
    assert done.ret == 0, done.stdout.str()
    folder = pytester.path / "out"
    attached = {a["name"]: folder / a["file"] for a in evidence(pytester.path)["attachments"]}
    assert set(attached) == {"trace.vcd", "matrix-daily.csv"} and attached["trace.vcd"].read_text() == "$end"
    page = (folder / "index.html").read_text()
    assert "safe_state" in page and "untested" in page and "<small>stall</small>" in page
    assert "release &lt;b&gt;" in page and "release <b>" not in page
    assert not re.search(r"""<(?:link|img|script)[^>]*(?:src|href)=["'](?!data:)""", page)
    assert "Content-Security-Policy" in page and "The motor does not stop on release" in page
    properties = ET.parse(folder / "junit.xml").getroot().iter("property")
    named = {p.get("name"): p.get("value") for p in properties}
    assert named["SR-12.brake_ms"] == "pass: 2 ms, limit ≤ 10 ms; release <b>" and named["board"] == "bench-7"

    told = json.loads((folder / MANIFEST).read_text())["files"]
    assert {name: entry["sha256"] for name, entry in told.items()} == {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in told
    }
    check = CliRunner().invoke(report_command, ["verify", str(folder)], standalone_mode=False)
    assert check.return_value == 0, check.output
    attached["trace.vcd"].write_text("$edited")
    (folder / "extra.txt").write_text("")
    check = CliRunner().invoke(report_command, ["verify", str(folder), "--json"], standalone_mode=False)
    assert check.return_value == 1
    assert {text.rpartition(": ")[2] for text in json.loads(check.stdout)["differences"]} == {
        "was changed",
        "is not in the manifest",
    }
    assert not [path for path in pytester.path.iterdir() if path.name.startswith(".out")]


def test_the_shipped_identity_is_that_of_the_emulated_pen(run: Run, pytester: pytest.Pytester) -> None:
    assert run({"conftest": "", "test_one": "def test_one(): pass"}).ret == 0
    (board,) = evidence(pytester.path)["boards"]
    assert board["identity"] == "emulated" and board["runtime_version"] == "1.25.0"
    assert all(re.fullmatch("[0-9a-f]{64}", board[name]) for name in ("firmware_build", "runtime_sha256"))
    assert "rp2040py" in board["emulator_version"]


@pytest.mark.nightly
def test_a_bench_that_is_not_known_or_changes_is_trouble(run: Run, pytester: pytest.Pytester) -> None:
    unknown = """
from needlepen.errors import InfrastructureError
def pytest_needlepen_board(config):
    raise InfrastructureError("no runtime can be had")
"""
    done = run({"conftest": unknown, "test_one": "def test_one(): pass"})
    assert done.ret == 2 and "what was tested is not known: no runtime can be had" in done.stdout.str()
    changing = """
from needlepen.evidence_report.model import Board
BUILDS = ["one", "another"]
def pytest_needlepen_board(config):
    return Board("bench-7", BUILDS.pop(0))
"""
    done = run({"conftest": changing, "test_one": "def test_one(): pass"})
    assert done.ret == 2 and "was changed while the tests ran" in done.stdout.str()
    assert evidence(pytester.path)["verdict"] == "infrastructure"


# ---------------------------------------------------------------------- where it cannot be written
def _one_line(text: str, about: str) -> None:
    assert "Traceback" not in text and "INTERNALERROR" not in text, text
    assert len([line for line in text.splitlines() if about in line]) == 1, text


PLACES = [
    ("file/out", 2, "cannot be written"),
    ("/proc/out", 2, "cannot be written"),
    ("file", 4, "is a file"),
    (".", 4, "which is no evidence"),
]


@pytest.mark.parametrize(("place", "code", "about"), mostly_nightly(PLACES, PLACES[1], PLACES[3]))
def test_an_unwritable_folder_is_one_line_before_anything_runs(
    run: Run, pytester: pytest.Pytester, place: str, code: int, about: str
) -> None:
    pytester.path.joinpath("file").write_text("")
    done = run({"test_one": "def test_one(): pass"}, "--evidence", place)
    _one_line(done.stdout.str() + done.stderr.str(), about)
    assert done.ret == code and "passed" not in done.stdout.str()


FULL = """
import resource
@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish():
    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))

@pytest.hookimpl(trylast=True)  # what the terminal shows goes to a file too
def pytest_needlepen_summed_up():
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""


@pytest.mark.parametrize(
    ("limit", "about"),
    mostly_nightly(
        [(100, "junit.xml cannot be"), (8_000, "evidence cannot be")], (8_000, "evidence cannot be")
    ),
)
def test_a_full_disk_is_one_line_and_leaves_the_old_evidence(
    run: Run, pytester: pytest.Pytester, limit: int, about: str
) -> None:
    """The disk is full when junit.xml is written, or only at the page."""
    assert run({"test_one": "def test_one(): pass"}).ret == 0
    before = (pytester.path / "out" / "evidence.json").read_text()
    done = run({"conftest": BOARD + FULL.format(limit=limit)})
    assert done.ret == 2
    _one_line(done.stdout.str() + done.stderr.str(), about)
    assert "1 passed" in done.stdout.str()
    assert (pytester.path / "out" / "evidence.json").read_text() == before
    assert not [path for path in pytester.path.iterdir() if path.name.startswith(".out")]


def test_a_measurements_file_that_cannot_be_written_is_one_line(run: Run, pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("file").write_text("")
    done = run({"test_one": "def test_one(): pass"}, "--measurements", "file/m.json")
    _one_line(done.stdout.str() + done.stderr.str(), "file/m.json: cannot be written")
    assert done.ret == 2


# ---------------------------------------------------------------------- what moved
PAIR = """
import pytest

def test_moves(measure):
    measure("SR-12", "brake_ms", {value}, "release")

def test_stays(measure):
    measure("SR-12", "brake_ms", 3.0, "release")

def test_{name}():
    {body}
"""


def _compare(*arguments: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(report_command, ["compare", *map(str, arguments)], standalone_mode=False)
    assert done.exception is None, done.output
    return done.return_value, done.stdout


def test_compare_tells_what_moved(run: Run, pytester: pytest.Pytester) -> None:
    places = []
    for k, (value, name, body) in enumerate(
        [(2.0, "third", "pass"), (2.7, "third", "pass"), (11.0, "third", "pytest.skip('not today')"),
         (2.0, "fourth", "pass")]
    ):  # fmt: skip
        run({"test_pair": PAIR.format(value=value, name=name, body=body)}, "--evidence", f"run{k}",
            "--measurements", f"run{k}.json")  # fmt: skip
        places.append(pytester.path / f"run{k}")
    assert _compare(places[0], places[0], "--json")[0] == 0

    code, text = _compare(places[0], places[1], "--json")
    found = json.loads(text)
    assert code == 0 and [move["share_pct"] for move in found["moved"]] == [7.0] and found["tests"] == []
    assert json.loads(_compare(places[0], places[1], "--json", "--moved", "8")[1])["moved"] == []

    code, text = _compare(places[0], places[2])
    assert code == 1 and "WORSE" in text and "11 ms" in text
    lost = {
        c["what"].partition("::")[2]: c["after"]
        for c in json.loads(_compare(places[0], places[2], "--json")[1])["tests"]
    }
    assert lost == {"test_moves": "fail", "test_third": "skipped"}
    assert _compare(places[2], places[0])[0] == 0, "better is not worse"

    code, text = _compare(places[0], places[3], "--json")
    pairs = {(c["before"], c["after"]) for c in json.loads(text)["tests"]}
    assert code == 1 and pairs == {("pass", None), (None, "pass")}
    assert _compare(places[0].with_suffix(".json"), places[2].with_suffix(".json"))[0] == 1
    assert _compare(places[0] / "evidence.json", places[1])[0] == 0


@pytest.mark.parametrize("content", [None, "{", "[]", '{"format": 7}', '{"format": 1, "measurements": [{}]}'])
def test_compare_of_something_else_is_one_line(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "evidence.json"
    if content is not None:
        path.write_text(content)
    done = subprocess.run(
        [sys.executable, "-m", "needlepen", "report", "compare", str(path), str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 4 and len(done.stderr.splitlines()) == 1 and "--evidence" in done.stderr


# ---------------------------------------------------------------------- cost
MANY = "import pytest\n@pytest.mark.parametrize('k', range(1000))\ndef test_trivial(k): pass"
SECONDS_PER_TEST = 0.4
"""Of one core, in a real run: 6,800 tests in 24.5 min on two cores are 0.43 s each."""


@pytest.mark.nightly
def test_the_harness_costs_less_than_five_percent_of_a_real_run(pytester: pytest.Pytester, run: Run) -> None:
    """A thousand trivial tests, with the plugin and without; the least of two runs each, start and report included."""
    pytester.makepyfile(test_many=MANY, conftest=BOARD)

    def took_s(*options: str) -> float:
        begun_s = time.perf_counter()
        done = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider", *options, timeout=60)
        assert done.ret == 0, done.stdout.str()
        return time.perf_counter() - begun_s

    bare_s = min(took_s("--noconftest") for _ in range(2))
    full_s = min(took_s("-p", "support.measuring", "--evidence", "out") for _ in range(2))
    share = (full_s - bare_s) / (1000 * SECONDS_PER_TEST)
    print(
        f"1000 trivial tests: {bare_s:.2f} s without the plugin, {full_s:.2f} s with it and its evidence: "
        f"{(full_s - bare_s):.2f} ms a test, {100 * share:.2f} % of a real run; goal < 5 %"
    )
    assert share < 0.05
