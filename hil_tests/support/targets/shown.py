"""Which requirements a run has shown, and which it has only skipped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Ended = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class Outcome:
    """How one test of a target ended. `requirements`: IDs that it names."""

    test: str
    requirements: tuple[str, ...]
    outcome: Ended


def shown(outcomes: Iterable[Outcome]) -> set[str]:
    """Requirements of which a test ran to its end and passed."""
    return {name for found in outcomes if found.outcome == "passed" for name in found.requirements}


def skipped(outcomes: Iterable[Outcome]) -> list[str]:
    """Requirements that have tests, of which every one was skipped."""
    planned: set[str] = set()
    ran: set[str] = set()
    for found in outcomes:
        planned.update(found.requirements)
        if found.outcome != "skipped":
            ran.update(found.requirements)
    return sorted(planned - ran)


def skipped_everywhere(runs: Mapping[str, Iterable[Outcome]]) -> list[str]:
    """Requirements that have tests and were skipped on every target; `runs`: the outcomes by target.

    Such a requirement fails the run: a capability that no bench has must not look like a pass.
    """
    return skipped(found for outcomes in runs.values() for found in outcomes)


def not_shown(wanted: Iterable[str], outcomes: Iterable[Outcome]) -> list[str]:
    """Of these requirements the ones that no test of the run has shown, in their order."""
    found = shown(outcomes)
    return [name for name in wanted if name not in found]
