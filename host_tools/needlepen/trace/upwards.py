"""The trace from a place upwards: from a file, a symbol or a test to requirement and hazard."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from needlepen.errors import UsageError
from needlepen.requirements import Requirement
from needlepen.trace import results
from needlepen.trace.firmware import limits_by_constant
from needlepen.trace.ids import is_id
from needlepen.trace.model import Place, Trace


@dataclass(frozen=True)
class Step:
    """One link upwards: what a place has to do with a requirement."""

    place: Place
    how: str
    limit: str
    requirement: Requirement
    verdict: str

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        r = self.requirement
        return {
            "file": self.place.file, "line": self.place.line, "symbol": self.place.symbol, "how": self.how,
            "limit": self.limit, "requirement": r.id, "title": r.title, "hazard": r.hazard, "verdict": self.verdict,
        }  # fmt: skip


def requirements_meant(trace: Trace, text: str) -> list[str]:
    """IDs that a text means: an ID, "SR-06.trip_ms", a constant, or words of a title or a hazard. Else none."""
    head = text.partition(".")[0].upper()
    if is_id(head):
        return [trace.requirements[head].id]
    constant = limits_by_constant(trace.requirements).get(text)
    if constant:
        return [constant[0]]
    words = text.lower()
    return [
        r.id for r in trace.requirements.values() if words in r.title.lower() or words in r.hazard.lower()
    ]


def steps(trace: Trace, text: str) -> list[Step]:
    """The links of a file, a folder, `FILE::test`, or `FILE:symbol`; none if there is no such place."""
    path, _, symbol = text.replace("::", ":").partition(":")
    wanted = _relative(trace, path)
    every = all_steps(trace)
    found = [step for step in every if _is_in(step.place.file, wanted) and _is_of(step.place.symbol, symbol)]
    return sorted(found, key=lambda step: (step.place, step.requirement.id, step.limit))


def unknown(trace: Trace, text: str) -> UsageError:
    """The error for a text that means nothing here: it names what is near."""
    files = {step.place.file for step in all_steps(trace)}
    path = text.partition(":")[0]
    if (trace.project.root / path).exists() or any(f.endswith(f"/{path}") for f in files):
        return UsageError(f"{text} names no requirement and uses no limit, so nothing leads up from there")
    near = difflib.get_close_matches(text, [*trace.requirements, *files], 1, 0.5)
    hint = f"did you mean {near[0]}?" if near else "give an ID (SR-06), a file, a test, or words of a hazard"
    return UsageError(f"{text}: no requirement, file or hazard of this project; {hint}")


def all_steps(trace: Trace) -> list[Step]:
    """Every link of a project, as it leads upwards."""
    verdicts = {name: results.verdict(trace, name) for name in trace.requirements}
    found = [
        Step(
            link.place, link.how, link.limit, trace.requirements[link.requirement], verdicts[link.requirement]
        )
        for link in trace.code
    ]
    for link in trace.links:
        outcome = trace.results.outcome(link.test) if trace.results else None
        place = trace.tests[link.test].place
        requirement = trace.requirements[link.requirement]
        found.append(Step(place, link.how, link.limit, requirement, outcome or "not run"))
    return found


def _relative(trace: Trace, path: str) -> str:
    """A path as the trace writes it, if it is one inside of the project."""
    resolved = Path(path).resolve()
    inside = resolved.exists() and resolved.is_relative_to(trace.project.root)
    return trace.project.relative(resolved) if inside else PurePosixPath(path).as_posix()


def _is_in(file: str, wanted: str) -> bool:
    return file == wanted or file.startswith(f"{wanted}/") or file.endswith(f"/{wanted}")


def _is_of(symbol: str, wanted: str) -> bool:
    parts: Sequence[str] = symbol.split(".")
    return not wanted or symbol == wanted.replace(":", ".") or wanted in parts
