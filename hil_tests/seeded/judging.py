"""From what the watcher saw to a verdict. Only a test that judged the product and failed has found a defect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Verdict = Literal["found", "missed", "infrastructure"]
"""found: the named test failed, and passes without the defect. missed: it passes all the same, so that it cannot find
it. infrastructure: it crashed, was skipped, did not end, or never ran: nothing is known."""

Told = Mapping[str, Any]
"""What seeded.watcher wrote."""


@dataclass(frozen=True)
class Outcome:
    """`why`: what the test said, or what stood in the way; `seconds` of wall time."""

    verdict: Verdict
    why: str
    seconds: float = 0.0


def trouble_of(told: Told, tree: Path) -> str:
    """Why a session says nothing about any of its tests; "" if it does."""
    if told["internal"]:
        return f"pytest broke: {told['internal']}"
    if told["errors"]:
        return f"cannot be collected: {told['errors'][0]}"
    package = told.get("package", "")
    if package and not Path(package).is_relative_to(tree.resolve()):
        return f"needlepen was imported from {package}, not from the copy"
    return ""


def judge(told: Told, test: str, tree: Path) -> Outcome:
    """How the named test ended in a session of its own."""
    if trouble := trouble_of(told, tree):
        return Outcome("infrastructure", trouble)
    if told["collected"] != [test]:
        return Outcome("infrastructure", f"not one test was collected, but {len(told['collected'])}")
    return judge_one(told, test)


def judge_one(told: Told, test: str) -> Outcome:
    """How one test of a session ended."""
    phases = [phase for phase in told["phases"] if phase["test"] == test]
    if not phases:
        return Outcome("infrastructure", f"there is no test {test}; one with parameters is named with them")
    bad = next((phase for phase in phases if phase["ended"] != "passed"), None)
    if bad is None:
        if [phase["when"] for phase in phases] != ["setup", "call", "teardown"]:
            return Outcome("infrastructure", "it was not run to its end")
        return Outcome("missed", "it passes")
    if bad["ended"] != "product":
        words = {"skipped": "it was skipped", "around": "trouble", "crash": "it crashed"}
        return Outcome("infrastructure", f"{words.get(bad['ended'], bad['ended'])}: {bad['said']}")
    if bad["when"] == "teardown":
        return Outcome("infrastructure", f"it passes, and its clean-up does not: {bad['said']}")
    return Outcome("found", bad["said"])
