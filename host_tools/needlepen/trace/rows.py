"""The trace from the requirement down: what terminal, page, JSON and CSV show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from needlepen.build.limits_module import constant_name
from needlepen.report import words
from needlepen.requirements import Requirement
from needlepen.scenario.quantities import UNITS, unit_suffix
from needlepen.trace import results
from needlepen.trace.model import SHOWING, CodeLink, Test, TestLink, Trace
from needlepen.trace.results import Verdict, Worst


@dataclass(frozen=True)
class LimitRow:
    """One limit, or a goal of the project beside them (`value` is None then)."""

    name: str
    value: float | None
    constant: str
    code: Sequence[CodeLink]
    links: Sequence[TestLink]
    worst: Worst | None

    @property
    def unit(self) -> str:
        """The unit that the name ends with, "" without one."""
        return UNITS.get(unit_suffix(self.name), "")

    @property
    def value_text(self) -> str:
        """The limit with its unit."""
        value = self.worst.taken.measurement.limit if self.value is None and self.worst else self.value
        return words.amount(value, self.unit)

    @property
    def worst_text(self) -> str:
        """The worst value with its unit, "" without one."""
        return words.value(self.worst.taken.measurement) if self.worst else ""

    @property
    def margin_text(self) -> str:
        """What the worst value leaves of the limit."""
        return words.margin(self.worst.taken.measurement) if self.worst else ""

    @property
    def verdict(self) -> str:
        """Of the worst value; "threshold" where tests go to the limit and measure nothing against it."""
        if self.worst is None:
            return (
                "not run" if any(link.how in ("measures", "figure") for link in self.links) else "threshold"
            )
        return self.worst.verdict


@dataclass(frozen=True)
class TestRow:
    """A test that has to do with a requirement, and how."""

    __test__ = False

    test: Test
    links: Sequence[TestLink]
    outcome: str

    @property
    def is_evidence(self) -> bool:
        """Whether it shows the requirement, rather than reading a limit of it."""
        return any(link.how in SHOWING for link in self.links)

    @property
    def how_text(self) -> str:
        """For example "measures trip_ms, peak_hz; reads threshold_hz"."""
        by_how: dict[str, list[str]] = {}
        for link in self.links:
            by_how.setdefault(link.how, []).append(link.limit)
        return "; ".join(f"{how} {', '.join(filter(None, limits))}".strip() for how, limits in by_how.items())


@dataclass(frozen=True)
class Row:
    """One requirement with everything below it."""

    requirement: Requirement
    code: Sequence[CodeLink]
    limits: Sequence[LimitRow]
    tests: Sequence[TestRow]
    verdict: Verdict

    @property
    def firmware(self) -> list[CodeLink]:
        """The places in the firmware and the boards."""
        return [link for link in self.code if link.is_firmware]

    @property
    def host(self) -> list[CodeLink]:
        """The places in the host tools."""
        return [link for link in self.code if not link.is_firmware]

    @property
    def evidence(self) -> list[TestRow]:
        """The tests that show it."""
        return [row for row in self.tests if row.is_evidence]


def rows(trace: Trace, only: Sequence[str] | None = None) -> list[Row]:
    """The requirements in the order of their file; `only` some IDs."""
    chosen = [r for r in trace.requirements.values() if only is None or r.id in only]
    return [
        Row(r, trace.code_of(r.id), _limits(trace, r), _tests(trace, r.id), results.verdict(trace, r.id))
        for r in chosen
    ]


def as_dict(row: Row) -> dict[str, Any]:
    """The JSON form of a requirement."""
    requirement = row.requirement
    return {
        **{name: getattr(requirement, name) for name in ("id", "title", "hazard", "text", "status")},
        "verdict": row.verdict,
        "limits": [_limit_dict(limit) for limit in row.limits],
        "code": [code_dict(link) for link in row.code],
        "tests": [
            {
                "test": t.test.id,
                "line": t.test.place.line,
                "marks": sorted(t.test.marks),
                "evidence": t.is_evidence,
                "links": [{"how": link.how, "limit": link.limit} for link in t.links],
                "outcome": t.outcome,
            }
            for t in row.tests
        ],
    }


def code_dict(link: CodeLink) -> dict[str, Any]:
    """The JSON form of a place in the code."""
    place = link.place
    return {
        "file": place.file,
        "line": place.line,
        "symbol": place.symbol,
        "how": link.how,
        "limit": link.limit,
    }


def _limit_dict(row: LimitRow) -> dict[str, Any]:
    worst = row.worst
    measured = None
    if worst is not None:
        names = ("value", "unit", "limit", "margin", "margin_fraction", "note")
        said = worst.taken.measurement.as_dict()
        measured = {**{name: said[name] for name in names}, "verdict": worst.verdict, "count": worst.count,
                    "test": worst.taken.case}  # fmt: skip
    return {
        "name": row.name,
        "value": row.value,
        "unit": row.unit,
        "constant": row.constant,
        "measured_by": sorted({link.test for link in row.links if link.how in ("measures", "figure")}),
        "read_by": sorted({link.test for link in row.links if link.how == "reads"}),
        "worst": measured,
    }


def _limits(trace: Trace, requirement: Requirement) -> list[LimitRow]:
    def worst(name: str) -> Worst | None:
        return trace.results.worst(requirement.id, name) if trace.results else None

    found = [
        LimitRow(name, value, constant_name(requirement.id, name), trace.code_of(requirement.id, name),
                 trace.links_of(requirement.id, name), worst(name))
        for name, value in requirement.limits.items()
    ]  # fmt: skip
    figures = [link for link in trace.links_of(requirement.id) if link.how == "figure"]
    for name in trace.results.figures(requirement.id, requirement.limits) if trace.results else []:
        found.append(LimitRow(name, None, "", [], figures, worst(name)))
    return found


def _tests(trace: Trace, requirement: str) -> list[TestRow]:
    by_test: dict[str, list[TestLink]] = {}
    for link in trace.links_of(requirement):
        by_test.setdefault(link.test, []).append(link)
    found = [
        TestRow(trace.tests[name], links, (trace.results and trace.results.outcome(name)) or "not run")
        for name, links in sorted(by_test.items())
    ]
    return sorted(found, key=lambda row: not row.is_evidence)
