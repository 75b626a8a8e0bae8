"""The result of a run as data and as a table for people."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mutation.mutants import Mutant
from mutation.review import Review
from mutation.verdicts import KILLS, OPEN, Outcome
from needlepen.files import write_whole


@dataclass
class Result:
    """Everything of a run. `problems`: stale or needless entries of the reviewed list."""

    mutants: list[Mutant] = field(default_factory=list)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0
    sampled: bool = False


@dataclass(frozen=True)
class Score:
    """Of one module: how many mutants, and what came of them. `equivalent` ones are out of the score."""

    module: str
    made: int
    killed: int
    timeout: int
    survived: int
    not_run: int
    equivalent: int
    accepted: int
    infrastructure: int

    @property
    def judged(self) -> int:
        """Mutants that count: with a verdict, and not equivalent."""
        return self.killed + self.timeout + self.survived + self.not_run + self.accepted

    @property
    def pct(self) -> float | None:
        """Killed of those that count, %; None if none was judged."""
        return 100.0 * (self.killed + self.timeout) / self.judged if self.judged else None


def score(module: str, result: Result, reviews: Mapping[str, Review]) -> Score:
    """The numbers of one module."""
    counts: Counter[str] = Counter()
    made = 0
    for mutant in result.mutants:
        outcome = result.outcomes.get(mutant.id)
        if mutant.module != module or outcome is None:
            continue
        made += 1
        review = reviews.get(mutant.id)
        counts[review.kind if review and outcome.verdict in OPEN else outcome.verdict] += 1
    names = ("killed", "timeout", "survived", "not run", "equivalent", "accepted", "infrastructure")
    return Score(module, made, *(counts[name] for name in names))


def modules(result: Result) -> list[str]:
    """The modules of a run, in its order."""
    return list(dict.fromkeys(mutant.module for mutant in result.mutants if mutant.id in result.outcomes))


def open_mutants(result: Result, reviews: Mapping[str, Review]) -> list[Mutant]:
    """Survivors that are not on the list."""
    return [
        m
        for m in result.mutants
        if m.id in result.outcomes and result.outcomes[m.id].verdict in OPEN and m.id not in reviews
    ]


def table(result: Result, reviews: Mapping[str, Review]) -> str:
    """One line for each module."""
    names = ("mutants", "killed", "survived", "not run", "equiv.", "accepted", "infra", "score")
    head = f"{'module':28}" + "".join(f"{name:>9}" for name in names)
    lines = [head, "-" * len(head)]
    scores = [score(module, result, reviews) for module in modules(result)]
    for s in [*scores, _total(scores)]:
        pct = "-" if s.pct is None else f"{s.pct:.1f} %"
        numbers = (
            s.made,
            s.killed + s.timeout,
            s.survived,
            s.not_run,
            s.equivalent,
            s.accepted,
            s.infrastructure,
        )
        lines.append(f"{s.module:28}" + "".join(f"{number:9}" for number in numbers) + f"{pct:>9}")
    return "\n".join(lines)


def _total(scores: Sequence[Score]) -> Score:
    sums = [
        sum(getattr(s, name) for s in scores)
        for name in (
            "made",
            "killed",
            "timeout",
            "survived",
            "not_run",
            "equivalent",
            "accepted",
            "infrastructure",
        )
    ]
    return Score("all", *sums)


def as_json(result: Result, reviews: Mapping[str, Review]) -> dict[str, Any]:
    """The whole run; every mutant that was not killed is listed with its text."""
    return {
        "seconds": round(result.seconds, 1),
        "sampled": result.sampled,
        "modules": {
            s.module: {
                **{k: v for k, v in vars(s).items() if k != "module"},
                "score_pct": None if s.pct is None else round(s.pct, 2),
            }
            for s in (score(module, result, reviews) for module in modules(result))
        },
        "problems": result.problems,
        "mutants": [
            _entry(m, result.outcomes[m.id], reviews) for m in result.mutants if m.id in result.outcomes
        ],
    }


def _entry(mutant: Mutant, outcome: Outcome, reviews: Mapping[str, Review]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": mutant.id,
        "place": mutant.place,
        "verdict": outcome.verdict,
        "by": outcome.by,
        "tests": outcome.tests,
        "on": outcome.on,
    }
    if outcome.verdict not in KILLS:
        entry["text"] = mutant.text
        review = reviews.get(mutant.id)
        if review:
            entry["reviewed"] = {"kind": review.kind, "reason": review.reason}
    return entry


def write(result: Result, reviews: Mapping[str, Review], folder: Path) -> None:
    """mutation.json and mutation.txt in `folder`, each whole or not at all."""
    write_whole(folder / "mutation.json", json.dumps(as_json(result, reviews), indent=1) + "\n")
    lines = [table(result, reviews), ""]
    for mutant in open_mutants(result, reviews):
        outcome = result.outcomes[mutant.id]
        lines.append(
            f"{outcome.verdict}: {mutant.place}  {mutant.function}\n    {mutant.text}\n    {mutant.id}"
        )
    for mutant in result.mutants:
        outcome = result.outcomes.get(mutant.id)
        if outcome and outcome.verdict == "infrastructure":
            lines.append(f"infrastructure: {mutant.place}: {outcome.by}")
    write_whole(folder / "mutation.txt", "\n".join([*lines, *result.problems]) + "\n")
