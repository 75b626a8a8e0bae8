"""Seeded defects: the list is sound, each is found by its test, and a test that cannot fail is told."""

from __future__ import annotations

import ast
import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result as Done
from seeded import __main__ as command, campaign, defects, judging, trees, watcher
from seeded.defects import LIST, REPOSITORY, WHERE, Defect
from support.forks import ChildFailedError
from support.nights import mostly_nightly

from needlepen import requirements
from needlepen.errors import BoardLost, InfrastructureError, NotInTime, Refused, UsageError

ALL = defects.load()
DAILY = defects.chosen(ALL, (), "daily")
MOST_DAILY = 8
LIES_IN = {
    "firmware": ("firmware/",),
    "emulator": ("host_tools/needlepen/emulator/",),
    "link": ("firmware/pen/link/", "host_tools/needlepen/link/"),
    "calibration": ("host_tools/needlepen/calibration/",),
    "harness": ("hil_tests/support/", "host_tools/needlepen/"),
}


# ---------------------------------------------------------------------- the list
def test_there_are_enough_everywhere_and_some_are_run_every_day() -> None:
    assert len(ALL) >= 30 and {defect.where for defect in DAILY} == set(WHERE)
    assert all(sum(defect.where == where for defect in ALL) >= 5 for where in WHERE)
    assert len(DAILY) <= MOST_DAILY
    assert {path.stem for path in (LIST.parent / "patches").iterdir()} == {defect.id for defect in ALL}


@pytest.mark.parametrize("defect", ALL, ids=lambda defect: defect.id)
def test_a_defect_lies_where_it_says_and_applies_to_this_tree(defect: Defect) -> None:
    known = set(requirements.load())
    assert defect.requirement in {*known, defects.EVERY_REQUIREMENT}
    assert defect.files and all(file.startswith(LIES_IN[defect.where]) for file in defect.files)
    trees.check(defect, REPOSITORY)


@pytest.mark.parametrize("defect", ALL, ids=lambda defect: defect.id)
def test_the_test_of_a_defect_exists_and_is_not_the_one_that_is_changed(defect: Defect) -> None:
    file, _, name = defect.test.partition("::")
    tree = ast.parse((REPOSITORY / file).read_text(encoding="utf-8"))
    found = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name.partition("[")[0]]
    assert len(found) == 1 and file not in defect.files
    is_one_of_many = any("parametrize" in ast.unparse(d) for d in found[0].decorator_list)
    assert "[" in name or not is_one_of_many, "a test with parameters is named with them"


ENTRY = {
    "id": "some-defect",
    "where": "firmware",
    "what": "The brake is released when it has to be held, so that needles stay out.",
    "requirement": "SR-12",
    "test": "hil_tests/unit/test_x.py::test_y[1-a b]",
    "run": "daily",
}


def _write(folder: Path, *entries: dict[str, str], patch: str = "") -> Path:
    """A list with these entries, each with the same patch."""
    (folder / "patches").mkdir(parents=True, exist_ok=True)
    text = ""
    for entry in entries:
        text += "[[defect]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in entry.items())
        if patch and "id" in entry:
            (folder / "patches" / f"{entry['id']}.patch").write_text(patch)
    path = folder / "defects.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"id": "Some Defect"}, "id: small letters"),
        ({"where": "hardware"}, "where: one of firmware, emulator, link, calibration, harness"),
        ({"what": "It is wrong."}, "what: a sentence"),
        ({"requirement": "SR-1"}, "requirement: PR-, SR- or CR-"),
        ({"test": "test_x.py::test_y"}, "test: node ID of one test, from hil_tests/ on"),
        ({"run": "weekly"}, "run: one of daily, nightly"),
        ({"engine": "fast"}, "engine: one of auto, python"),
        ({"severity": "high"}, "has 'severity'"),
        ({"test": None}, "lacks 'test'"),
        ({"id": "other"}, "there is no other.patch"),
    ],
)
def test_a_wrong_entry_is_one_line(tmp_path: Path, change: dict[str, str | None], says: str) -> None:
    _write(tmp_path, ENTRY, patch="x")
    entry = {key: value for key, value in (ENTRY | change).items() if value is not None}
    path = _write(tmp_path, entry)
    with pytest.raises(UsageError, match=says) as told:
        defects.load(path)
    assert "\n" not in str(told.value) and "entry 1" in str(told.value)


def test_a_list_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    assert defects.load(_write(tmp_path, ENTRY, patch="x"))[0].id == "some-defect"
    with pytest.raises(UsageError, match="some-defect is there twice"):
        defects.load(_write(tmp_path, ENTRY, ENTRY, patch="x"))
    with pytest.raises(UsageError, match=r"holds no \[\[defect\]\]"):
        defects.load(_write(tmp_path))
    with pytest.raises(UsageError, match="without the list"):
        defects.load(tmp_path / "missing.toml")


# ---------------------------------------------------------------------- who judges
TEST = "hil_tests/test_x.py::test_y"


def _told(*ended: str, **more: Any) -> dict[str, Any]:
    phases = [
        {"test": TEST, "when": when, "seconds": 0.1, "ended": each, "said": "it said so"}
        for when, each in zip(("setup", "call", "teardown"), ended, strict=False)
    ]
    return {"collected": [TEST], "errors": [], "internal": "", "package": "", "phases": phases} | more


@pytest.mark.parametrize(
    ("told", "verdict", "says"),
    [
        (_told("passed", "product", "passed"), "found", "it said so"),
        (_told("product", "passed"), "found", "it said so"),
        (_told("passed", "passed", "passed"), "missed", "it passes"),
        (_told("passed", "passed"), "infrastructure", "not run to its end"),
        (_told("passed", "passed", "product"), "infrastructure", "its clean-up does not"),
        (_told("passed", "crash", "passed"), "infrastructure", "it crashed: it said so"),
        (_told("passed", "around", "passed"), "infrastructure", "trouble: it said so"),
        (_told("skipped", "passed"), "infrastructure", "it was skipped"),
        (_told("passed", "known failure", "passed"), "infrastructure", "known failure"),
        (_told(collected=[]), "infrastructure", "not one test was collected, but 0"),
        (_told("passed", "product", "passed", collected=[TEST, "b"]), "infrastructure", "but 2"),
        (_told("passed", "product", "passed", errors=["test_x.py: E"]), "infrastructure", "cannot be collected"),
        (_told("passed", "product", "passed", internal="oh"), "infrastructure", "pytest broke: oh"),
        (_told("passed", "product", "passed", package="/usr/x.py"), "infrastructure", "not from the copy"),
    ],
)  # fmt: skip
def test_only_a_judgement_of_the_named_test_finds_a_defect(
    tmp_path: Path, told: dict[str, Any], verdict: str, says: str
) -> None:
    outcome = judging.judge(told, TEST, tmp_path)
    assert outcome.verdict == verdict and says in outcome.why


def _from(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (AssertionError("1 == 2"), "product"),
        (pytest.fail.Exception("DID NOT RAISE"), "product"),
        (NotInTime("not armed"), "product"),
        (_from(NotInTime("not armed"), InfrastructureError("no port")), "product"),
        (Refused("the pen refused"), "product"),
        (ChildFailedError("case 0: Traceback:\n  x\nneedlepen.errors.NotInTime: not armed\n"), "product"),
        (ExceptionGroup("two", [AssertionError(), AssertionError()]), "product"),
        (InfrastructureError("no runtime"), "around"),
        (BoardLost("gone"), "around"),
        (ConnectionResetError(), "around"),
        (_from(AssertionError("no answer"), InfrastructureError("no port")), "around"),
        (pytest.fail.Exception("Timeout (>1.0s) from pytest-timeout."), "around"),
        (NameError("x"), "crash"),
        (ValueError("x"), "crash"),
        (ChildFailedError("case 0: Traceback:\n  x\nAttributeError: x\n"), "crash"),
        (ExceptionGroup("two", [AssertionError(), ValueError()]), "crash"),
    ],
)  # fmt: skip
def test_a_failure_is_told_from_a_crash(error: BaseException, kind: str) -> None:
    assert watcher.kind_of(error) == kind


# ---------------------------------------------------------------------- a small project
PROJECT = {
    # Of no use there, and slow to import.
    "pytest.ini": "[pytest]\naddopts = -p no:hypothesispytest -p no:xdist -p no:anyio\nmarkers = nightly\n",
    "firmware/brake.py": "HELD = 1\nLIMIT = 10\n",
    "hil_tests/judge.py": "def expect(holds):\n    if not holds:\n        raise AssertionError('the brake is off')\n",
    "hil_tests/test_brake.py": """
import sys
import pytest
sys.path[:0] = ["firmware", "hil_tests"]
import brake, judge

def test_held(): judge.expect(brake.HELD == 1)
def test_limit(): assert brake.LIMIT == 10
def test_fails_anyway(): assert False
def test_crashes(): assert brake.HELD + 0 == 1
def test_skips():
    if brake.LIMIT != 10: pytest.skip("no bench")
""",
}
BRAKE = "hil_tests/test_brake.py"
OFF = ("firmware/brake.py", "HELD = 1", "HELD = 0")
CASES = {  # edit, test, verdict, words
    "brake-off": (OFF, "test_held", "found", "the brake is off"),
    "too-far": (("firmware/brake.py", "LIMIT = 10", "LIMIT = 11"), "test_held", "missed", "cannot find it"),
    "no-number": (("firmware/brake.py", "HELD = 1", "HELD = None"), "test_crashes", "infrastructure", "TypeError"),
    "no-python": (("firmware/brake.py", "HELD = 1", "HELD ="), "test_held", "infrastructure", "cannot be coll"),
    "no-bench": (("firmware/brake.py", "LIMIT = 10", "LIMIT = 9"), "test_skips", "infrastructure", "no bench"),
    "bad-before": (OFF, "test_fails_anyway", "infrastructure", "without the defect: AssertionError: assert False"),
    "no-test": (OFF, "test_gone", "infrastructure", "there is no test"),
    "moved-on": (("firmware/brake.py", "HELD = 7", "HELD = 8"), "test_limit", "infrastructure", "any more"),
}  # fmt: skip


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout that the command takes for the project."""
    tree = tmp_path / "project"
    for name, text in PROJECT.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    _git(tree, "init", "-q")
    _git(tree, "add", ".")
    (tree / "firmware" / "untracked.py").write_text("left lying about")
    monkeypatch.setattr(defects, "REPOSITORY", tree)
    return tree


def _seed(tree: Path, *ids: str) -> Path:
    folder = tree.parent / "list"
    for name in ids:
        file, old, new = CASES[name][0]
        patch = f"--- a/{file}\n+++ b/{file}\n@@ -1,2 +1,2 @@\n"
        for line in PROJECT[file].splitlines():
            key = old.split(" = ")[0]
            patch += f"-{old}\n+{new}\n" if line.startswith(key) else f" {line}\n"
        (folder / "patches").mkdir(parents=True, exist_ok=True)
        (folder / "patches" / f"{name}.patch").write_text(patch)
    return _write(folder, *(ENTRY | {"id": n, "test": f"{BRAKE}::{CASES[n][1]}"} for n in ids))


def _run(tree: Path, *ids: str) -> Done:
    options = ["--list", str(_seed(tree, *ids)), "--out", str(tree.parent / "out")]
    return CliRunner().invoke(command.main, ["run", *options])


def _content(tree: Path) -> dict[str, str]:
    files = (path for path in tree.rglob("*") if path.is_file() and ".git" not in path.parts)
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.timeout(600)
def test_each_verdict_in_a_run_that_leaves_the_tree_alone(small: Path) -> None:
    before = _content(small)
    names = [name for name in CASES if name != "no-test"]
    done = _run(small, *names)
    assert done.exit_code == 1, done.output
    found = json.loads((small.parent / "out" / "seeded.json").read_text())
    verdicts = {entry["id"]: (entry["verdict"], entry["why"]) for entry in found["defects"]}
    for name in names:
        _, _, verdict, says = CASES[name]
        assert verdicts[name][0] == verdict, (name, verdicts[name])
        assert says in verdicts[name][1] or verdict == "missed"
    assert f"missed: too-far: {BRAKE}::test_held passes with the defect: it cannot find it" in done.output
    text = (small.parent / "out" / "seeded.txt").read_text()
    assert "1 of 7 defects found, 1 missed, 5 infrastructure" in text
    assert _content(small) == before


@pytest.mark.timeout(600)
def test_a_test_that_cannot_fail_is_found(small: Path) -> None:
    """The same defect and the same test; what has changed is a harness that loses the failure."""
    assert _run(small, "brake-off").exit_code == 0
    blind = PROJECT["hil_tests/judge.py"].replace("raise AssertionError", "print")
    (small / "hil_tests" / "judge.py").write_text(blind)
    done = _run(small, "brake-off")
    assert done.exit_code == 1 and f"brake-off: {BRAKE}::test_held passes with" in done.output


@pytest.mark.parametrize("ids", mostly_nightly(["no-test", "brake-off no-test"], "no-test"))
@pytest.mark.timeout(600)
def test_infrastructure_alone_exits_with_2(small: Path, ids: str) -> None:
    """A test that is gone does not take the others with it."""
    done = _run(small, *ids.split())
    assert done.exit_code == 2 and ("found: brake-off" in done.output) == ("brake-off" in ids)
    assert "no-test: without the defect: there is no test" in done.output


def test_a_test_that_does_not_end_is_infrastructure(small: Path) -> None:
    (small / "hil_tests" / "test_brake.py").write_text("import time\ndef test_held(): time.sleep(600)\n")
    (defect,) = defects.load(_seed(small, "brake-off"))
    result = campaign.run([defect], repository=small, limit_s=1.0)
    assert result.exit_code == 2 and "did not end in 1 s" in result.outcomes["brake-off"].why


def test_what_is_no_checkout_is_told(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="run this in a checkout"):
        campaign.run(DAILY, repository=tmp_path)


def test_a_defect_that_does_not_exist_is_named() -> None:
    with pytest.raises(UsageError, match="no-such: no such defect"):
        defects.chosen(ALL, ["no-such"])


def test_the_command_lists_and_shows() -> None:
    listed = CliRunner().invoke(command.main, ["list", "--only", "daily", "--json"])
    assert [entry["id"] for entry in json.loads(listed.output)] == [defect.id for defect in DAILY]
    shown = CliRunner().invoke(command.main, ["show", DAILY[0].id]).output
    assert DAILY[0].what in shown and f"+++ b/{DAILY[0].files[0]}" in shown


# ---------------------------------------------------------------------- for real
needs_checkout = pytest.mark.skipif(
    not (REPOSITORY / ".git").exists(),
    reason="defects are seeded in what git tracks; this tree is no checkout",
)


def _found(chosen: list[Defect]) -> None:
    changed = {REPOSITORY / name for defect in chosen for name in defect.files}
    before = {path: path.read_bytes() for path in changed}
    result = campaign.run(chosen, print)
    assert {path: path.read_bytes() for path in changed} == before
    lines = [campaign.line(defect, result.outcomes[defect.id]) for defect in chosen]
    assert all(outcome.verdict == "found" for outcome in result.outcomes.values()), "\n".join(lines)


@needs_checkout
@pytest.mark.timeout(1800)
def test_the_defects_of_every_day_are_found() -> None:
    _found(DAILY)


@needs_checkout
@pytest.mark.nightly
@pytest.mark.timeout(7200)
def test_every_defect_is_found() -> None:
    _found(ALL)


@needs_checkout
@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_a_real_test_that_was_made_blind_is_found(tmp_path: Path) -> None:
    """The first of every day, in a tree whose test has lost its assertions."""
    tree = trees.copy(REPOSITORY, tmp_path / "tree")
    defect = next(each for each in DAILY if each.where == "firmware")
    file = tree / defect.test.partition("::")[0]
    file.write_text(file.read_text().replace("    assert ", "    _ = "))
    _git(tree, "init", "-q")
    _git(tree, "add", ".")
    result = campaign.run([defect], repository=tree)
    assert result.exit_code == 1 and "it cannot find it" in campaign.line(defect, result.outcomes[defect.id])
