"""Which requirements a run has shown, and which it has only skipped."""

from __future__ import annotations

from collections.abc import Iterable
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
    """Requirements that have tests, of which every one was skipped. Of several runs: `needlepen report combine`."""
    planned: set[str] = set()
    ran: set[str] = set()
    for found in outcomes:
        planned.update(found.requirements)
        if found.outcome != "skipped":
            ran.update(found.requirements)
    return sorted(planned - ran)


def not_shown(wanted: Iterable[str], outcomes: Iterable[Outcome]) -> list[str]:
    """Of these requirements the ones that no test of the run has shown, in their order."""
    found = shown(outcomes)
    return [name for name in wanted if name not in found]
