"""The mutation tests themselves: what they change, what counts as a kill, and a small sample of the real run."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mutation import mutants as mutants_module, report, review
from mutation.baseline import REPOSITORY
from mutation.mutants import Mutant, mutants, staged
from mutation.operators import edits
from mutation.processes import in_copy
from mutation.report import Result
from mutation.scope import LIMITS, REQUIREMENT_TESTS
from mutation.verdicts import Outcome
from support.nights import mostly_nightly

from needlepen.errors import UsageError

SNIPPET = '''"""A docstring with 1 < 2 stays as it is."""

from pen.states import ARMED, IDLE

_LIMIT = 5
_FACTOR = -0.5


class Latch:
    def take(self, value, least=1):
        if not value or value < _LIMIT and self.state == IDLE:
            self.latched = True
            return value + least
        self.note()
        for n in range(3):
            if n is None:
                break
        if max(value, 2) > 1:
            raise ValueError
        self.count += 1
        return None
'''


def _changes(text: str = SNIPPET) -> set[str]:
    return {f"{edit.operator}: {edit.says}" for edit in edits(text)}


@pytest.mark.parametrize(
    "change",
    [
        "constant: 5 -> 6",
        "constant: 5 -> 4",
        "sign: -0.5 -> 0.5",
        "boundary: < -> <=",
        "compare: < -> >=",
        "compare: == -> !=",
        "compare: is -> is not",
        "boolean: and -> or",
        "boolean: or -> and",
        "negation: not value -> value",
        "swapped: IDLE -> ARMED",
        "swapped: max -> min",
        "latch: self.latched = True -> pass",
        "latch: self.count += 1 -> pass",
        "sign: += -> -=",
        "return: return value + least -> return None",
        "return: break -> pass",
        "raise: raise ValueError -> pass",
        "call: self.note() -> pass",
        "sign: + -> -",
    ],
)
def test_each_kind_of_mistake_is_made(change: str) -> None:
    assert change in _changes()


def test_every_change_compiles_leaves_the_lines_where_they_are_and_changes_the_meaning() -> None:
    files = staged()
    for module in ("pen.supervisor", "pen.store.pair", "pen.thermal"):
        plain = files[mutants_module.file_of(module)].decode()
        before = _meaning(plain)
        for mutant in mutants(module, files):
            assert mutant.source.count("\n") == plain.count("\n"), mutant.place
            assert _meaning(mutant.source) != before, mutant.place


def _meaning(text: str) -> str:
    import ast

    return ast.dump(ast.parse(text))


def test_a_mutant_keeps_its_id_when_lines_move_and_loses_it_when_its_line_changes() -> None:
    files = staged()
    plain = files["pen/trigger.py"].decode()
    first = {m.id: m.line for m in mutants("pen.trigger", files)}
    assert len(first) == len(mutants("pen.trigger", files)), "two mutants share an ID"
    moved = mutants(
        "pen.trigger", files | {"pen/trigger.py": plain.replace("\n\n\n", "\n\n\n\n# moved\n").encode()}
    )
    assert {m.id for m in moved} == first.keys() and {m.line for m in moved} != set(first.values())
    assert plain.count("_DEBOUNCE_MS = const(15)") == 1
    other = plain.replace("_DEBOUNCE_MS = const(15)", "_DEBOUNCE_MS = const(16)").encode()
    lost = first.keys() - {m.id for m in mutants("pen.trigger", files | {"pen/trigger.py": other})}
    assert len(lost) == 2 and all(":module:" in identity for identity in lost)


def test_every_limit_that_the_firmware_uses_goes_one_step_up_and_down() -> None:
    made = mutants(LIMITS, staged())
    says = {m.id: m.says for m in made}
    assert len(says) == len(made) > 60
    assert says["pen.limits:SR11_RELEASE_MS:up"] == "200 -> 201"
    assert says["pen.limits:SR20_STOP_V:down"] == "3.2 -> 3.1"
    assert says["pen.limits:SR02_ERROR_MM:up"].startswith("0.")


def test_a_limit_that_only_tests_compare_with_has_no_mutant() -> None:
    """The comparator of SR-09 is hardware, and the peak of SR-06 is what comes of it all."""
    files = staged()
    names = {m.function for m in mutants(LIMITS, files)}
    assert not names & {"SR09_CURRENT_A", "SR06_PEAK_HZ"} and {"SR06_THRESHOLD_HZ", "SR25_LOCK_S"} <= names
    more = files | {"pen/more.py": b"from pen.limits import SR09_CURRENT_A\n"}
    assert {m.function for m in mutants(LIMITS, more)} - names == {"SR09_CURRENT_A"}


# ---------------------------------------------------------------------- what counts as a kill
WEAK = """
from needlepen.firmware_modules import firmware_module

trigger = firmware_module("pen.trigger")


def elapsed(later_ms, earlier_ms):
    return later_ms - earlier_ms


def test_something_happens():
    t = trigger.Trigger(0)
    t.update(0, True, elapsed)
    t.update(300, False, elapsed)
    {ending}
"""
STRONG = "assert t.released is False and t.waiting"
DIES = "import os\n    os._exit(3) if t._since_ms != 300 or t.released else None"
FULL_DISK = "import errno\n    if t._since_ms != 300:\n        raise OSError(errno.ENOSPC, 'no space')"
HANGS = "while t._since_ms != 300:\n        pass"


def _run(*arguments: str, out: Path) -> tuple[int, dict[str, Any], str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY / "hil_tests"), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-m", "mutation", "run", *arguments, "--json", "--out", str(out)],
        env=environment,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.stdout.startswith("{"), done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


def _verdicts(ending: str, tmp_path: Path) -> dict[str, str]:
    """Verdict by change, of the statement `self._since_ms = now_ms` in Trigger.update and its neighbours."""
    test = tmp_path / "test_seeded.py"
    test.write_text(WEAK.format(ending=ending))
    _, result, _ = _run(
        "pen.trigger", "--function", "Trigger.update", "--tests", str(test), out=tmp_path / "out"
    )
    mutants_of_it = {m.id: m for m in mutants("pen.trigger", staged())}
    return {mutants_of_it[entry["id"]].says: entry["verdict"] for entry in result["mutants"]}


LATCH = "self._since_ms = now_ms -> pass"


def test_a_weak_test_leaves_survivors_and_a_strong_one_kills_them(tmp_path: Path) -> None:
    weak = _verdicts("assert t is not None", tmp_path)
    assert set(weak.values()) == {"survived", "not run"} and weak[LATCH] == "survived"
    strong = _verdicts(STRONG, tmp_path)
    assert strong[LATCH] == "killed" and weak.keys() == strong.keys()


@pytest.mark.parametrize(
    ("ending", "verdict"),
    mostly_nightly(
        [(DIES, "infrastructure"), (FULL_DISK, "infrastructure"), (HANGS, "timeout")],
        (DIES, "infrastructure"),
    ),
)
def test_a_harness_that_breaks_is_no_kill_and_a_mutant_that_hangs_is_one(
    ending: str, verdict: str, tmp_path: Path
) -> None:
    assert _verdicts(ending, tmp_path)[LATCH] == verdict


def test_a_copy_of_a_copy_makes_do_with_the_cpu_time_that_is_left() -> None:
    """So a run inside of a run: while the tests of this file are recorded."""

    def inner(tell: Any) -> int:
        return int(in_copy(lambda tell: 5, 36_000, print))

    assert in_copy(inner, 100, print) == 5


# ---------------------------------------------------------------------- the reviewed list
MUTANT = Mutant("pen.x:f:00000000", "pen.x", "pen/x.py", "f", 3, "a < b", "boundary", "< -> <=", "", True)
REVIEW = review.Review(MUTANT.id, MUTANT.text, "equivalent", "a and b are never equal here")


def test_a_review_holds_for_the_text_that_was_read() -> None:
    listed = {MUTANT.id: REVIEW}
    assert review.stale(listed, [MUTANT], ["pen.x"]) == []
    assert (
        "has changed" in review.stale(listed, [dataclasses.replace(MUTANT, line_text="a < c")], ["pen.x"])[0]
    )
    assert "no such mutant" in review.stale(listed, [], ["pen.x"])[0]
    assert review.stale(listed, [], ["pen.y"]) == []
    assert review.killed_after_all(listed, {MUTANT.id: Outcome("killed", "test_x")})
    assert not review.killed_after_all(listed, {MUTANT.id: Outcome("survived")})


@pytest.mark.parametrize(
    ("outcome", "reviews", "pct", "open_count"),
    [
        (Outcome("killed"), {}, 100.0, 0),
        (Outcome("timeout"), {}, 100.0, 0),
        (Outcome("survived"), {}, 0.0, 1),
        (Outcome("not run"), {}, 0.0, 1),
        (Outcome("survived"), {MUTANT.id: REVIEW}, None, 0),
        (Outcome("survived"), {MUTANT.id: dataclasses.replace(REVIEW, kind="accepted")}, 0.0, 0),
        (Outcome("infrastructure"), {}, None, 0),
    ],
)
def test_the_score_counts_kills_among_what_could_be_killed(
    outcome: Outcome, reviews: dict[str, review.Review], pct: float | None, open_count: int
) -> None:
    result = Result([MUTANT], {MUTANT.id: outcome})
    assert report.score("pen.x", result, reviews).pct == pct
    assert len(report.open_mutants(result, reviews)) == open_count


@pytest.mark.parametrize(
    "text",
    [
        '[[reviewed]]\nkind = "equivalent"\nreason = "short"\n[reviewed.mutants]\n"a" = "b"\n',
        '[[reviewed]]\nkind = "fine"\nreason = "a reason that is long enough"\n[reviewed.mutants]\n"a" = "b"\n',
        '[[reviewed]]\nkind = "accepted"\nreason = "a reason that is long enough"\n',
        "no toml",
    ],
)
def test_a_list_without_reasons_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "list.toml").write_text(text)
    with pytest.raises(UsageError, match=r"list\.toml"):
        review.load(tmp_path / "list.toml")


def test_the_reviewed_list_names_mutants_that_exist() -> None:
    files = staged()
    reviews = review.load()
    modules = {identity.split(":")[0] for identity in reviews}
    assert modules <= REQUIREMENT_TESTS.keys()
    made = [mutant for module in modules for mutant in mutants(module, files)]
    assert review.stale(reviews, made, modules) == []


def test_requirement_tests_of_each_module_exist() -> None:
    folder = REPOSITORY / "hil_tests" / "requirements"
    assert all((folder / name).is_file() for names in REQUIREMENT_TESTS.values() for name in names)


# ---------------------------------------------------------------------- a sample of the real run
SAMPLE = ("pen.trigger", "pen.supervisor", "pen.speed", "pen.store.pair")
SAMPLE_SIZE = 6  # mutants of each module
SAMPLE_TESTS = (
    "test_pair_faults.py",
    "test_speed_limits.py",
    "test_supervisor.py",
    "test_supervisor_causes.py",
    "test_trigger.py",
    "test_trigger_times.py",
)


def test_a_sample_of_the_safety_code_has_no_survivor_that_nobody_justified(tmp_path: Path) -> None:
    files = [word for name in SAMPLE_TESTS for word in ("--tests", name)]
    code, result, said = _run(*SAMPLE, *files, "--sample", str(SAMPLE_SIZE), out=tmp_path)
    open_ones = [
        f"{m['place']}: {m['text']}"
        for m in result["mutants"]
        if m["verdict"] not in ("killed", "timeout") and "reviewed" not in m
    ]
    assert code == 0, "\n".join([*open_ones, *result["problems"], said])
    assert len(result["mutants"]) == SAMPLE_SIZE * len(SAMPLE)
