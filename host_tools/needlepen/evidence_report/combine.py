"""Several runs judged together: each requirement on each target.

What no bench can show must not look like a pass: a requirement that was skipped on every target, or of which no run
has a test, fails the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from needlepen import requirements
from needlepen.evidence_report import matrix_table, reading, verdicts
from needlepen.evidence_report.matrix_table import MatrixTable
from needlepen.evidence_report.model import BUILD, Attachment, Board
from needlepen.evidence_report.verdicts import FAILED, Verdict


@dataclass(frozen=True)
class Told:
    """What one test, or one measurement, says of a requirement on a target. `reason`: "" for a pass."""

    requirement: str
    target: str
    verdict: Verdict
    test: str
    reason: str = ""


@dataclass(frozen=True)
class Cell:
    """One requirement on one target: how many tests say something of it. `verdict`: None where there is no test."""

    verdict: Verdict | None
    tests: int = 0
    skipped: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Row:
    """One requirement on all targets."""

    id: str
    title: str
    hazard: str
    cells: Mapping[str, Cell]

    @property
    def verdict(self) -> Verdict:
        """The worst of the targets that did not skip it; `skipped` if all did, `unset` if there is no test of it."""
        found = [cell.verdict for cell in self.cells.values() if cell.verdict is not None]
        return verdicts.worst([v for v in found if v != "skipped"] or found)

    @property
    def remark(self) -> str:
        """Why it is no pass, and what to do; "" if it is one."""
        if self.verdict == "skipped":
            why = next((cell.reason for cell in self.cells.values() if cell.reason), "")
            return f"skipped on every target ({why}); run its tests where that can be had"
        if self.verdict == "unset" and not any(cell.tests for cell in self.cells.values()):
            return "no run has a test of it; add a run of its tests"
        return next((c.reason for c in self.cells.values() if c.verdict == self.verdict and c.reason), "")


@dataclass
class Run:
    """One evidence folder. `targets`: by identity of the board."""

    source: str
    boards: list[Board]
    targets: dict[str, str]
    told: list[Told]
    troubles: list[str]
    failed: list[str]
    """Tests that failed, whether or not they name a requirement."""
    matrices: list[MatrixTable]


@dataclass
class Combination:
    """All runs together."""

    runs: list[Run]
    rows: list[Row]
    troubles: list[str] = field(default_factory=list)

    @property
    def targets(self) -> list[str]:
        """In the order of the runs."""
        return list(dict.fromkeys(name for run in self.runs for name in run.targets.values()))

    @property
    def failed(self) -> list[str]:
        """Tests that failed in any run."""
        return [test for run in self.runs for test in run.failed]

    @property
    def not_shown(self) -> list[Row]:
        """Requirements that failed, or that no target has shown."""
        return [row for row in self.rows if row.verdict in FAILED | {"skipped"}]

    @property
    def verdict(self) -> Verdict:
        """Of the whole. A requirement that was skipped on every target fails it."""
        if self.failed or self.not_shown:
            only_unset = not self.failed and {row.verdict for row in self.not_shown} == {"unset"}
            return "unset" if only_unset else "fail"
        return "infrastructure" if self.troubles else "pass"

    @property
    def exit_code(self) -> int:
        """1 if the product failed or a requirement is shown nowhere, else 2 if there was trouble, else 0."""
        return verdicts.exit_code([self.verdict])

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "targets": self.targets,
            "runs": [
                {"source": run.source, "boards": [asdict(board) for board in run.boards]} for run in self.runs
            ],
            "requirements": [
                {
                    "id": row.id,
                    "title": row.title,
                    "verdict": row.verdict,
                    "remark": row.remark,
                    "targets": {target: asdict(cell) for target, cell in row.cells.items()},
                }
                for row in self.rows
            ],
            "failed": self.failed,
            "troubles": self.troubles,
        }


def combine(runs: list[Run]) -> Combination:
    """Judge runs together."""
    found = Combination(runs, [])
    told = [each for run in runs for each in run.told]
    for entry in requirements.load().implemented():
        mine = [each for each in told if each.requirement == entry.id]
        cells = {target: _cell([t for t in mine if t.target == target]) for target in found.targets}
        found.rows.append(Row(entry.id, entry.title, entry.hazard, cells))
    found.troubles = [f"{run.source}: {trouble}" for run in runs for trouble in run.troubles]
    found.troubles += _different_builds(runs)
    return found


def _cell(told: list[Told]) -> Cell:
    ran = [each for each in told if each.verdict != "skipped"]
    if not told:
        return Cell(None)
    verdict = verdicts.worst(each.verdict for each in ran or told)
    reason = next((each.reason for each in told if each.verdict == verdict and each.reason), "")
    tests, run = {each.test for each in told}, {each.test for each in ran}
    return Cell(verdict, len(tests), len(tests - run), reason)


def _different_builds(runs: list[Run]) -> Iterator[str]:
    builds: dict[str, str] = {}
    for run in runs:
        for board in run.boards:
            if build := board.facts.get(BUILD, ""):
                builds.setdefault(build, f"{build} on {run.targets[board.identity]} ({run.source})")
    if len(builds) > 1:
        yield f"the runs are of different firmware, so that together they show nothing: {', '.join(builds.values())}"


# ---------------------------------------------------------------------- reading
def load(path: Path) -> Run:
    """The evidence in a folder, or its evidence.json.

    Raises UsageError if it is none, Refused if the folder is not as it was written.
    """
    data = reading.read(path)
    with reading.whole(path):
        return _run(str(path), data, path if path.is_dir() else path.parent)


def _run(source: str, data: dict[str, Any], place: Path) -> Run:
    boards = [Board(**board) for board in data["boards"]]
    targets = {board.identity: board.target for board in boards}
    targets |= {test["board"]: test["board"] for test in data["tests"] if test["board"] not in targets}
    attached = [Attachment(**each) for each in data["attachments"]]
    return Run(
        source=source,
        boards=boards,
        targets=targets,
        told=list(_told(data, targets)),
        troubles=list(_troubles(data)),
        failed=[test["test"] for test in data["tests"] if test["verdict"] in FAILED],
        matrices=[
            table.on(targets.get(table.target, table.target)) for table in matrix_table.of(attached, place)
        ],
    )


def _told(data: dict[str, Any], targets: Mapping[str, str]) -> Iterator[Told]:
    for test in data["tests"]:
        for name in test["requirements"]:
            yield Told(name, targets[test["board"]], test["verdict"], test["test"], test["reason"])
    for row in data["measurements"]:
        verdict = row["verdict"]
        reason = "" if verdict in verdicts.PASSED else f"{row['name']}: {row['shown']}"
        yield Told(row["requirement"], targets.get(row["board"], row["board"]), verdict, row["test"], reason)


def _troubles(data: dict[str, Any]) -> Iterator[str]:
    """What makes a run less than it was meant to be. That it ended with 1 is judged by its tests, not here."""
    yield from data["troubles"]
    for problem in data["ledger"]["problems"]:
        yield f"{problem['what']} ({_count(problem['tests'])})" if problem["tests"] else problem["what"]
    for test in data["tests"]:
        if test["verdict"] == "infrastructure":
            yield f"{test['test']}: {test['reason']}"
    if not data["tests"]:
        yield "no test was reported"


def _count(tests: Iterable[Any]) -> str:
    count = len(list(tests))
    return "1 test" if count == 1 else f"{count} tests"
