"""From the phases of a test (set-up, call, tear-down) to its one verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from needlepen.evidence import Measurement
from needlepen.evidence_report.model import Taken, TestResult
from needlepen.evidence_report.verdicts import Verdict

Ending = Literal["passed", "failed", "skipped", "missed", "infrastructure", "known failure"]


@dataclass(frozen=True)
class Phase:
    """How one phase of a test ended, and what was measured in it.

    `ending`: `missed` is a test that failed by its measurements alone. `reason`: one line, "" for a pass.
    """

    ending: Ending
    reason: str = ""
    duration_s: float = 0.0
    taken: tuple[Taken, ...] = ()


@dataclass
class Results:
    """The tests whose end has been reported, with all that was measured."""

    tests: list[TestResult] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    _open: dict[tuple[str, str], list[Phase]] = field(default_factory=dict)

    def add(self, worker: str, test: str, phase: Phase) -> None:
        """A phase of a test that is not at its end yet."""
        self._open.setdefault((worker, test), []).append(phase)
        self.taken += phase.taken

    def end(
        self, worker: str, board: str, test: str, started: str = "", requirements: Iterable[str] = ()
    ) -> TestResult:
        """The test is at its end. `requirements`: IDs that it names."""
        phases = self._open.pop((worker, test), [])
        verdict, reason = verdict_of(phases)
        duration_s = round(sum(phase.duration_s for phase in phases), 6)
        result = TestResult(test, board, worker, verdict, reason, started, duration_s, tuple(requirements))
        self.tests.append(result)
        if verdict == "known failure":
            self.taken = [_known(t) if (t.test, t.board) == (test, board) else t for t in self.taken]
        return result

    def verdicts(self) -> Iterable[Verdict]:
        """Of all tests, and of measurements that failed: they count, whatever became of their test afterwards."""
        yield from (test.verdict for test in self.tests)
        yield from (taken.verdict for taken in self.taken if taken.verdict == "fail")


def verdict_of(phases: Sequence[Phase]) -> tuple[Verdict, str]:
    """The verdict of a test and its reason. Infrastructure trouble in any phase leaves nothing known."""
    endings = {phase.ending: phase for phase in reversed(phases)}
    measured = [taken.verdict for phase in phases for taken in phase.taken]
    verdict: Verdict
    if not phases:
        return "infrastructure", "nothing was reported of it"
    if "infrastructure" in endings:
        return "infrastructure", endings["infrastructure"].reason
    if "failed" in endings:
        return "fail", endings["failed"].reason
    if "missed" in endings:
        verdict = "fail" if "fail" in measured else "unset"
        return verdict, endings["missed"].reason
    if "known failure" in endings:
        return "known failure", endings["known failure"].reason
    if "skipped" in endings:
        return "skipped", endings["skipped"].reason
    return ("marginal" if "marginal" in measured else "pass"), next(
        (p.reason for p in phases if p.reason), ""
    )


def _known(taken: Taken) -> Taken:
    return Taken(taken.measurement, taken.test, taken.board, taken.seeds, taken.taken_at, known=True)


def as_facts(taken: Taken) -> dict[str, Any]:
    """Plain types, to travel from a worker process."""
    fields = {name: getattr(taken.measurement, name) for name in Measurement.__dataclass_fields__}
    return {"measurement": fields, "seeds": list(taken.seeds), "taken_at": taken.taken_at}


def from_facts(facts: dict[str, Any], test: str, board: str) -> Taken:
    """Back from `as_facts`."""
    fields = facts["measurement"]
    cases = tuple((name, value) for name, value in fields["cases"])
    m = Measurement(**{**fields, "cases": cases})
    return Taken(m, test, board, tuple(facts["seeds"]), facts["taken_at"])
