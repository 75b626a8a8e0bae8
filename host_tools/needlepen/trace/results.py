"""The last run: measurements and outcomes of tests, from the JSON of `--measurements` and from JUnit XML."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from needlepen.errors import UsageError
from needlepen.evidence import Measurement
from needlepen.trace.model import Gap, Trace

Outcome = Literal["failed", "error", "passed", "xfail", "skipped"]
OUTCOMES: tuple[Outcome, ...] = ("failed", "error", "passed", "xfail", "skipped")
"""The worst first; what a function with many cases did is the first of them that happened."""
Verdict = Literal["pass", "fail", "error", "known failure", "not run"]


@dataclass(frozen=True)
class File:
    """Where results came from. `when`: the start of the run where the file says it, else the file's own time."""

    path: str
    kind: str
    when: str
    sha256: str


@dataclass(frozen=True)
class Taken:
    """A measurement with the test case that took it."""

    case: str
    measurement: Measurement

    @property
    def test(self) -> str:
        """The test without its parameters, as the trace names it."""
        return self.case.partition("[")[0]

    @property
    def limit(self) -> str:
        """What was measured: the limit's name stands before the colon."""
        return self.measurement.name.partition(":")[0]


@dataclass(frozen=True)
class Worst:
    """The measurement with the least margin of many."""

    taken: Taken
    count: int
    verdict: str
    """pass, marginal, fail, unset or known failure"""


@dataclass
class Results:
    """All that the given files say."""

    files: list[File] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    """By test case."""

    def outcome(self, test: str) -> Outcome | None:
        """What became of a test: the worst of its cases; None if it did not run."""
        return self._by_test.get(test)

    @cached_property
    def _by_test(self) -> dict[str, Outcome]:
        found: dict[str, Outcome] = {}
        for case, outcome in self.outcomes.items():
            name = case.partition("[")[0]
            found[name] = min(found.get(name, outcome), outcome, key=OUTCOMES.index)
        return found

    def of(self, requirement: str, limit: str | None = None) -> list[Taken]:
        """The measurements of a requirement, or of one of its limits."""
        return [
            t for t in self.taken if t.measurement.requirement == requirement and limit in (None, t.limit)
        ]

    def worst(self, requirement: str, limit: str) -> Worst | None:
        """The worst measurement of a limit; a failure that is not known goes before a known one."""
        found = self.of(requirement, limit)
        if not found:
            return None
        unexpected = [t for t in found if t.measurement.verdict != "pass" and not self.is_known(t)]
        taken = min(unexpected or found, key=_margin)
        m = taken.measurement
        verdict = "marginal" if m.marginal else m.verdict
        return Worst(
            taken, len(found), "known failure" if verdict == "fail" and self.is_known(taken) else verdict
        )

    def figures(self, requirement: str, limits: Iterable[str]) -> list[str]:
        """What was measured for a requirement beside its limits: goals of the project."""
        return sorted({t.limit for t in self.of(requirement)} - {*limits})

    def is_known(self, taken: Taken) -> bool:
        """Whether the case that took it was expected to fail, as JUnit XML tells."""
        return self.outcomes.get(taken.case) == "xfail"


def verdict(trace: Trace, requirement: str) -> Verdict:
    """What the last run says of a requirement: of its measurements, and of the tests that are evidence for it."""
    if trace.results is None:
        return "not run"
    results = trace.results
    taken = results.of(requirement)
    outcomes = [results.outcome(test.id) for test in trace.tests_of(requirement)]
    if "failed" in outcomes or any(
        t.measurement.verdict != "pass" and not results.is_known(t) for t in taken
    ):
        return "fail"
    if "error" in outcomes:
        return "error"
    if any(results.is_known(t) for t in taken) or "xfail" in outcomes:
        return "known failure"
    return "pass" if taken or "passed" in outcomes else "not run"


def gaps(trace: Trace) -> list[Gap]:
    """What the results lack, and what in them belongs to no requirement or test of this project."""
    results = trace.results
    if results is None:
        return []
    found = []
    for requirement in trace.requirements.implemented():
        passed = any(results.outcome(test.id) == "passed" for test in trace.tests_of(requirement.id))
        if not results.of(requirement.id) and not passed:
            names = ", ".join(sorted({t.place.file for t in trace.tests_of(requirement.id)})) or "none"
            text = f"no measurement and no passed test in the results; run its tests: {names}"
            found.append(Gap("no result", requirement.id, text))
    ran = {case.partition("[")[0] for case in [*results.outcomes, *(t.case for t in results.taken)]}
    for name in sorted(ran - trace.tests.keys()):
        text = "the results have it, the project has not: they are of another version; run the tests again"
        found.append(Gap("result of no test", name, text))
    found += sorted({gap for taken in results.taken if (gap := _outdated(trace, taken))})
    return found


def _outdated(trace: Trace, taken: Taken) -> Gap | None:
    m = taken.measurement
    if m.requirement not in trace.requirements:
        text = f"{taken.test} measured it, but there is no such requirement; run the tests again"
        return Gap("unknown ID", m.requirement, text)
    limit = trace.requirements[m.requirement].limits.get(taken.limit)
    if limit is None or math.isclose(m.limit, limit):
        return None
    text = f"{taken.test} compared with {m.limit:g}, the limit is {limit:g} now; run the tests again"
    return Gap("other limit", f"{m.requirement}.{taken.limit}", text)


def read(paths: Sequence[Path], trace: Trace) -> Results:
    """Read files of either kind; what is in two of them counts once. Raises UsageError for anything else."""
    from needlepen.trace import result_files

    results = Results()
    seen: dict[Taken, None] = {}
    for path in paths:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UsageError(f"{path}: cannot be read ({error.strerror}); give a file of results") from None
        is_xml = content.lstrip()[:1] == b"<"
        parse = result_files.junit if is_xml else result_files.measurements
        when, taken, outcomes = parse(path, content, trace)
        digest = hashlib.sha256(content).hexdigest()
        results.files.append(File(str(path), "JUnit XML" if is_xml else "measurements", when, digest))
        seen |= dict.fromkeys(taken)
        for case, outcome in outcomes:
            before = results.outcomes.get(case, outcome)
            results.outcomes[case] = min(before, outcome, key=OUTCOMES.index)
    results.taken = list(seen)
    return results


def _margin(taken: Taken) -> float:
    margin = taken.measurement.margin
    return -math.inf if margin is None else margin
