"""`needlepen report combine`: runs on several targets judged together, from evidence that is made here."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support import small_suites
from support.boards import EMULATED

from needlepen import requirements
from needlepen.cli.report import report
from needlepen.errors import Refused, UsageError
from needlepen.evidence import Measurement
from needlepen.evidence_report import combine, folder, matrix_table
from needlepen.evidence_report.ledger import Balance, Problem
from needlepen.evidence_report.model import BUILD, EVIDENCE, Board, Evidence, Taken, TestResult
from needlepen.safety import matrix, matrix_output
from needlepen.safety.outcome import Outcome

pytest_plugins = ["pytester"]
CLAIMED = [entry.id for entry in requirements.load().implemented()]
PEN = "e660000000000007"


def board(identity: str, build: str = "0123456789ab") -> Board:
    target = {} if identity == EMULATED else {"target": "serial:left"}
    return Board(identity, facts={BUILD: build, **target})


def evidence(on: Board, verdicts: dict[str, str], troubles: tuple[str, ...] = (), **more: Any) -> Evidence:
    """Of a run with one test for each requirement, which ended so."""
    tests = [
        TestResult(f"test_{name}", on.identity, "main", verdict, "" if verdict == "pass" else "why", "", 0.1, (name,))
        for name, verdict in verdicts.items()
    ]  # fmt: skip
    count = len(tests)
    balance = Balance(count, count, count, count, (), (), more.pop("problems", ()))
    return Evidence(
        "Test run", "", 1.0, "pytest", 0, [on], {}, balance, tests, more.pop("taken", []), [*troubles]
    )


def kept(place: Path, made: Evidence) -> Path:
    place.mkdir(parents=True)
    (place / EVIDENCE).write_text(json.dumps(made.as_dict()))
    folder.Staging(place, place).write_manifest()
    return place


def all_but(verdict: str, *names: str, rest: str = "pass") -> dict[str, str]:
    return {name: verdict if name in names else rest for name in CLAIMED}


def judged(*runs: Path) -> combine.Combination:
    return combine.combine([combine.load(run) for run in runs])


def row(found: combine.Combination, name: str) -> combine.Row:
    return next(row for row in found.rows if row.id == name)


# ---------------------------------------------------------------------- the judgement
def test_what_one_target_skips_another_may_show(tmp_path: Path) -> None:
    here = kept(tmp_path / "a", evidence(board(EMULATED), all_but("skipped", "SR-01")))
    there = kept(tmp_path / "b", evidence(board(PEN), all_but("pass", "SR-01", rest="skipped")))
    found = judged(here, there)
    assert (found.verdict, found.exit_code, found.troubles) == ("pass", 0, [])
    assert found.targets == [EMULATED, f"serial:left ({PEN})"]
    first = row(found, "SR-01")
    assert [cell.verdict for cell in first.cells.values()] == ["skipped", "pass"] and first.verdict == "pass"


def test_what_is_skipped_on_every_target_fails_the_whole(tmp_path: Path) -> None:
    here = kept(tmp_path / "a", evidence(board(EMULATED), all_but("skipped", "SR-06")))
    there = kept(tmp_path / "b", evidence(board(PEN), all_but("skipped", "SR-06", "SR-07")))
    found = judged(here, there)
    assert (found.verdict, found.exit_code) == ("fail", 1) and [r.id for r in found.not_shown] == ["SR-06"]
    assert row(found, "SR-06").remark == "skipped on every target (why); run its tests where that can be had"
    assert judged(here).exit_code == 1, "one run is judged no other way"


def test_what_no_run_has_a_test_of_fails_the_whole(tmp_path: Path) -> None:
    made = {name: "pass" for name in CLAIMED if name != "SR-06"}
    found = judged(kept(tmp_path / "a", evidence(board(EMULATED), made)))
    assert (found.verdict, found.exit_code) == ("unset", 1)
    assert row(found, "SR-06").remark == "no run has a test of it; add a run of its tests"


@pytest.mark.parametrize("verdict", ["fail", "unset"])
def test_a_failure_on_one_target_is_not_made_good_by_another(tmp_path: Path, verdict: str) -> None:
    here = kept(tmp_path / "a", evidence(board(EMULATED), all_but("pass")))
    there = kept(tmp_path / "b", evidence(board(PEN), all_but(verdict, "SR-06", rest="skipped")))
    found = judged(here, there)
    assert (found.verdict, found.exit_code) == ("fail", 1) and found.failed == ["test_SR-06"]
    assert row(found, "SR-06").verdict == verdict


def test_a_limit_that_was_missed_fails_its_requirement_whatever_became_of_the_test(tmp_path: Path) -> None:
    missed = Measurement("brake_ms: release", 11.0, "ms", 10.0, "<=", "SR-12")
    made = evidence(
        board(EMULATED), all_but("infrastructure", "SR-12"), taken=[Taken(missed, "test_SR-12", EMULATED)]
    )
    found = judged(kept(tmp_path / "a", made))
    assert found.exit_code == 1 and row(found, "SR-12").remark == "brake_ms: release: 11 ms"


def test_a_measurement_alone_shows_a_requirement(tmp_path: Path) -> None:
    """Tests that need no target name none; what they measure counts."""
    good = Measurement("brake_ms: release", 9.5, "ms", 10.0, "<=", "SR-12")
    verdicts = {name: "pass" for name in CLAIMED if name != "SR-12"}
    made = evidence(board(EMULATED), verdicts, taken=[Taken(good, "test_free", EMULATED)])
    found = judged(kept(tmp_path / "a", made))
    assert found.exit_code == 0 and row(found, "SR-12").verdict == "marginal"


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ({"troubles": ("the port has gone",)}, "the port has gone"),
        ({"problems": (Problem("planned, but not run", ("a", "b")),)}, "planned, but not run (2 tests)"),
    ],
)
def test_infrastructure_trouble_of_one_run_is_that_of_the_whole(
    tmp_path: Path, how: dict[str, Any], text: str
) -> None:
    found = judged(
        kept(tmp_path / "a", evidence(board(EMULATED), all_but("pass"))),
        kept(tmp_path / "b", evidence(board(PEN), all_but("pass"), **how)),
    )
    assert (found.verdict, found.exit_code) == ("infrastructure", 2)
    assert found.troubles == [f"{tmp_path / 'b'}: {text}"]


def test_a_test_in_trouble_is_trouble_even_if_another_target_shows_its_requirement(tmp_path: Path) -> None:
    found = judged(
        kept(tmp_path / "a", evidence(board(EMULATED), all_but("pass"))),
        kept(tmp_path / "b", evidence(board(PEN), all_but("infrastructure", "SR-06"))),
    )
    assert found.exit_code == 2 and found.troubles == [f"{tmp_path / 'b'}: test_SR-06: why"]


def test_runs_of_different_firmware_show_nothing_together(tmp_path: Path) -> None:
    here = kept(tmp_path / "a", evidence(board(EMULATED), all_but("pass")))
    there = kept(tmp_path / "b", evidence(board(PEN, "ba9876543210"), all_but("pass")))
    found = judged(here, there)
    assert found.exit_code == 2 and "0123456789ab on emulated" in found.troubles[0]
    assert f"ba9876543210 on serial:left ({PEN})" in found.troubles[0]


def test_two_runs_on_one_target_are_one_column(tmp_path: Path) -> None:
    half = len(CLAIMED) // 2
    parts = [dict.fromkeys(part, "pass") for part in (CLAIMED[:half], CLAIMED[half:])]
    found = judged(*(kept(tmp_path / str(k), evidence(board(EMULATED), p)) for k, p in enumerate(parts)))
    assert found.exit_code == 0 and found.targets == [EMULATED]


# ---------------------------------------------------------------------- files
def _with_matrix(place: Path, on: Board, outcome: Outcome | None, state: str = "running") -> Path:
    """A whole folder, as a run leaves it, with a matrix attached."""
    staging = folder.begin(place)
    table = place.parent / f"{place.name}.csv"
    made = matrix.Matrix({("motor", "stuck", state): outcome, ("motor", "stuck", "armed"): None})
    matrix_output.write(made, table)
    staging.attach(table, "matrix.csv", "", on.identity)
    staging.finish(evidence(on, all_but("pass")))
    return place


def test_the_page_has_a_column_a_target(tmp_path: Path) -> None:
    here = _with_matrix(tmp_path / "a", board(EMULATED), Outcome("safe_state", "stall"))
    there = _with_matrix(tmp_path / "b", board(PEN), Outcome("stopped", "<b>"), "safe")
    single = (here / "index.html").read_text()
    assert "<th>target</th>" in single and "<td>emulated</td>" in single

    page = tmp_path / "all.html"
    done = CliRunner().invoke(
        report, ["combine", str(here), str(there), "--html", str(page)], standalone_mode=False
    )
    assert done.return_value == 0 and "PASS" in done.output, done.output
    text = page.read_text()
    table = text[text.index('id="matrix"') :]
    cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", table[: table.index("</table>")])
    assert cells[3:5] == ["emulated", f"serial:left ({PEN})"]
    assert cells[5:] == [
        *("motor: stuck", "SR-08", "running", "safe_state<small>stall</small>", "untested"),
        *("motor: stuck", "SR-08", "safe", "untested", "stopped<small>&lt;b&gt;</small>"),
    ]
    assert not re.search(r"""<(?:link|img|script)[^>]*(?:src|href)=["'](?!data:)""", text)

    done = CliRunner().invoke(report, ["combine", str(here), str(there), "--json"], standalone_mode=False)
    said = json.loads(done.stdout)
    assert said["targets"] == [EMULATED, f"serial:left ({PEN})"] and said["exit_code"] == 0
    assert said["requirements"][0]["targets"][EMULATED] == {
        "verdict": "pass",
        "tests": 1,
        "skipped": 0,
        "reason": "",
    }

    (here / "index.html").write_text("edited")
    with pytest.raises(Refused, match=r"index\.html: was changed"):
        combine.load(here)


def test_of_two_matrices_of_a_target_the_worse_outcome_counts(tmp_path: Path) -> None:
    def table(kind: str, detail: str) -> matrix_table.MatrixTable:
        cells = [matrix_table.Cell(kind, detail)]
        return matrix_table.MatrixTable(
            "m", EMULATED, ["running"], [("a: b", "SR-01", cells)], matrix_output.COLOURS
        )

    for tables in (
        [table("unsafe", "x"), table("stopped", "y")],
        [table("stopped", "y"), table("unsafe", "x")],
    ):
        found = matrix_table.by_target(tables, [EMULATED])
        assert found is not None and found.rows[0][3][0].kind == "unsafe"
    assert matrix_table.by_target([table("untested", "")], [EMULATED]) is None


@pytest.mark.parametrize(
    "content", [None, "{", '{"format": 7}', '{"format": 1}', '{"format": 1, "boards": [{}]}']
)
def test_combining_something_else_is_one_line(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / EVIDENCE
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match="--evidence") as error:
        combine.load(path)
    assert "\n" not in str(error.value)


# ---------------------------------------------------------------------- what a run keeps for it
SKIPPING = '''"""CR-01, SR-09: what a test is about that needs no target. SR-10 is not."""
import pytest

@pytest.fixture
def plant():
    pytest.skip("nobody presses the trigger")

def test_at_the_shaft(plant):
    """SR-12, at the shaft."""

def test_pure():
    pass

def test_of_its_own():
    """SR-08: of its own."""
'''


def test_a_test_that_was_skipped_keeps_the_requirements_that_it_names(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_suites.runner(pytester, monkeypatch, "support.targets.plugin")({"test_skipping": SKIPPING})
    tests = small_suites.evidence(pytester.path)["tests"]
    assert [(test["verdict"], test["requirements"]) for test in tests] == [
        ("skipped", ["SR-12"]),
        ("pass", ["CR-01", "SR-09"]),
        ("pass", ["SR-08"]),
    ]
    found = judged(pytester.path / "out")
    assert found.exit_code == 1 and row(found, "SR-12").verdict == "skipped"
    assert row(found, "CR-01").verdict == "pass"
