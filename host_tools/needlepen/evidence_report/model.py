"""What a run of the suite leaves, as plain data."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from needlepen.evidence import Measurement
from needlepen.evidence_report import verdicts
from needlepen.evidence_report.ledger import Balance
from needlepen.evidence_report.verdicts import Verdict
from needlepen.report import words

FORMAT = 1
EVIDENCE, JUNIT, PAGE, MANIFEST, ATTACHMENTS = (
    *("evidence.json", "junit.xml", "index.html", "manifest.json"),
    "attachments",
)
"""What lies in an evidence folder."""

UNKNOWN_BOARD = "unknown"
"""Identity of the board of a test that took its worker with it."""

BUILD, BUILD_DIGITS = "application hash", 12
"""The fact of a board by which builds of emulated and of real pens compare: as a pen says it, in so many digits."""


@dataclass(frozen=True)
class Board:
    """What was tested, and on what. "" is not known; `identity` is the unique ID of a real board."""

    identity: str
    firmware_build: str = ""
    """SHA-256 of the application's content."""
    runtime_version: str = ""
    runtime_sha256: str = ""
    emulator_version: str = ""
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """Where it is, as `--target` names it, with its identity where that is another."""
        found = self.facts.get("target", self.identity)
        return found if found == self.identity or self.identity in found else f"{found} ({self.identity})"


@dataclass(frozen=True)
class Taken:
    """A measurement with where it comes from. `seeds`: of the emulated pens that the test had asked for until then;
    `taken_at`: wall time, ISO 8601; `known`: by a test whose failure is a known one."""

    measurement: Measurement
    test: str
    board: str
    seeds: tuple[int, ...] = ()
    taken_at: str = ""
    known: bool = False

    @property
    def verdict(self) -> Verdict:
        return verdicts.of_measurement(self.measurement, self.known)

    @property
    def limit_name(self) -> str:
        """The name of the limit, for example brake_ms."""
        return self.measurement.name.partition(":")[0]


@dataclass(frozen=True)
class TestResult:
    """One test on one board. `reason`: why it was skipped or failed, one line; "" for a pass. `requirements`: IDs that
    it names or is about; a test that was skipped has not measured anything, but has them."""

    test: str
    board: str
    worker: str
    verdict: Verdict
    reason: str = ""
    started: str = ""
    duration_s: float = 0.0
    requirements: tuple[str, ...] = ()

    __test__ = False  # pytest: not a test


@dataclass(frozen=True)
class Attachment:
    """A file in the evidence folder. `board`: the identity of the one that it is about."""

    name: str
    file: str
    test: str
    sha256: str
    bytes: int
    board: str = ""


@dataclass(frozen=True)
class Harness:
    """What the suite's own machinery took of a run: `spent_s` of the `run_s` of all processes that ran tests."""

    spent_s: float
    run_s: float

    LIMIT_PCT: ClassVar[float] = 5.0

    @property
    def share_pct(self) -> float:
        """Of the run, in percent. A run of a few quick tests is mostly start and end: there it says nothing."""
        return 100 * self.spent_s / self.run_s if self.run_s else 0.0

    def __str__(self) -> str:
        took = f"{self.spent_s:.1f} of {self.run_s:.1f} s"
        return f"{self.share_pct:.2f} % of the run ({took}), limit {self.LIMIT_PCT:g} %"

    def as_dict(self) -> dict[str, float]:
        """The JSON form."""
        return {
            "harness_share_pct": round(self.share_pct, 4),
            "limit_pct": self.LIMIT_PCT,
            "spent_s": round(self.spent_s, 4),
            "run_s": round(self.run_s, 4),
        }


@dataclass
class Evidence:
    """All of a run."""

    title: str
    started: str
    duration_s: float
    command: str
    exit_code: int
    boards: list[Board]
    environment: dict[str, str]
    balance: Balance
    tests: list[TestResult]
    taken: list[Taken]
    troubles: list[str] = field(default_factory=list)
    """Infrastructure trouble that belongs to no test."""
    attachments: list[Attachment] = field(default_factory=list)
    harness: Harness | None = None
    """Until this was written."""

    @property
    def counts(self) -> Counter[str]:
        """How many tests have each verdict."""
        return Counter(test.verdict for test in self.tests)

    @property
    def verdict(self) -> Verdict:
        """Of the whole run. Skipped tests and known failures are told, and do not spoil a pass.

        A value that was not measured is told by its test, and explained where that was in trouble; a limit that was
        missed counts whatever became of its test.
        """
        found = [test.verdict for test in self.tests]
        found += [taken.verdict for taken in self.taken if taken.verdict != "unset"]
        if self.balance.problems or self.troubles:
            found.append("infrastructure")
        verdict = verdicts.worst(v for v in found if v not in ("known failure", "skipped"))
        return "infrastructure" if verdict in verdicts.PASSED and self.exit_code else verdict

    def as_dict(self) -> dict[str, Any]:
        """The JSON form; no NaN and no infinity in it."""
        boards = {board.identity: board for board in self.boards}
        return {
            "format": FORMAT,
            "title": self.title,
            "started": self.started,
            "duration_s": round(self.duration_s, 3),
            "command": self.command,
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "counts": dict(self.counts),
            "ledger": self.balance.as_dict(),
            "troubles": self.troubles,
            "boards": [asdict(board) for board in self.boards],
            "environment": self.environment,
            "harness": self.harness.as_dict() if self.harness else None,
            "tests": [asdict(test) for test in self.tests],
            "measurements": [_row(taken, boards.get(taken.board)) for taken in self.taken],
            "attachments": [asdict(attachment) for attachment in self.attachments],
        }


def _row(taken: Taken, board: Board | None) -> dict[str, Any]:
    """A measurement that can be read without the rest of the file."""
    found = board or Board(taken.board)
    return {
        "test": taken.test,
        **taken.measurement.as_dict(),
        "verdict": taken.verdict,
        "shown": words.value(taken.measurement),
        "board": found.identity,
        "firmware_build": found.firmware_build,
        "runtime_version": found.runtime_version,
        "runtime_sha256": found.runtime_sha256,
        "emulator_version": found.emulator_version,
        "seeds": list(taken.seeds),
        "taken_at": taken.taken_at,
    }
