"""What `needlepen report` takes for evidence: only what lies there as it was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from needlepen.cli.report import report
from needlepen.errors import Refused, UsageError
from needlepen.evidence_report import combine, compare, folder
from needlepen.evidence_report.ledger import Balance
from needlepen.evidence_report.model import EVIDENCE, MANIFEST, UNKNOWN_BOARD, Board, Evidence, TestResult

LEFT, RIGHT = "e660000000000001", "e660000000000002"


def _kept(place: Path, *boards: str, lost: str = "") -> Path:
    """A whole folder of a run with one test on each board; that on `lost` took its worker with it."""
    named = {board: UNKNOWN_BOARD if board == lost else board for board in boards}
    tests = [TestResult("test_one", name, "gw0", "pass") for name in named.values()]
    balance = Balance(1, 1, 1, 1, (), (), ())
    made = Evidence("Test run", "", 1.0, "pytest", 0, [*map(Board, boards)], {}, balance, tests, [])
    folder.begin(place).finish(made)
    return place


def _edited(place: Path) -> None:
    text = (place / EVIDENCE).read_text()
    (place / EVIDENCE).write_text(text.replace('"verdict": "pass"', '"verdict": "fail"'))


CHANGES: dict[str, Any] = {
    "edited": _edited,
    "cut off": lambda place: (place / EVIDENCE).write_text((place / EVIDENCE).read_text()[:300]),
    "taken out": lambda place: (place / EVIDENCE).unlink(),
    "edited, and its manifest taken out": lambda place: (_edited(place), (place / MANIFEST).unlink()),
    "a file put in": lambda place: (place / "more.txt").write_text(""),
}


@pytest.mark.parametrize("how", CHANGES)
def test_a_folder_that_was_changed_is_refused_by_whoever_reads_it(tmp_path: Path, how: str) -> None:
    place, other = _kept(tmp_path / "one", LEFT), _kept(tmp_path / "other", LEFT)
    assert compare.compare(*compare.load(place, other)).exit_code == 0
    CHANGES[how](place)
    for read in (lambda: compare.load(other, place), lambda: combine.load(place)):
        with pytest.raises(Refused, match="is no evidence any more"):
            read()


def test_a_newer_format_asks_for_a_newer_edition_and_not_for_another_run(tmp_path: Path) -> None:
    path = tmp_path / EVIDENCE
    path.write_text('{"format": 2}')
    with pytest.raises(UsageError, match="of format 2, this edition reads 1; take the edition"):
        combine.load(path)


def test_each_board_is_compared_with_itself_where_there_are_several(tmp_path: Path) -> None:
    both = _kept(tmp_path / "both", LEFT, RIGHT)
    right = _kept(tmp_path / "right", RIGHT)
    found = compare.compare(*compare.load(right, both))
    assert [(c.what, c.before) for c in found.tests] == [(f"test_one on {LEFT}", None)] and not found.lost
    left = _kept(tmp_path / "left", LEFT)
    assert compare.compare(*compare.load(left, right)).tests == [], "two targets: one with the other"


def test_a_test_that_took_its_worker_with_it_does_not_make_a_second_board(tmp_path: Path) -> None:
    crashed = _kept(tmp_path / "crashed", LEFT, lost=LEFT)
    assert compare.compare(*compare.load(_kept(tmp_path / "whole", LEFT), crashed)).tests == []


def test_requirements_with_the_same_remark_are_one_line(tmp_path: Path) -> None:
    place = _kept(tmp_path / "one", LEFT)
    done = CliRunner().invoke(report, ["combine", str(place)], standalone_mode=False, env={"COLUMNS": "80"})
    lines = [line for line in done.stdout.splitlines() if "no run has a test of it" in line]
    assert done.return_value == 1 and len(lines) == 1, done.stdout
    assert all(row.id in lines[0] for row in combine.combine([combine.load(place)]).rows)
