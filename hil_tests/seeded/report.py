"""The result of a run as a table for people and as data."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from needlepen.files import write_whole
from seeded.campaign import Result, line
from seeded.defects import Defect


def listing(defects: Sequence[Defect]) -> str:
    """The list itself, one line a defect."""
    rows = [f"{'defect':34}{'where':13}{'req.':7}{'run':9}test"]
    rows += [f"{d.id:34}{d.where:13}{d.requirement:7}{d.run:9}{_short(d.test)}" for d in defects]
    return "\n".join(rows)


def table(result: Result) -> str:
    """One line a defect, then what was not found, then the sum."""
    head = f"{'defect':34}{'where':13}{'req.':7}{'verdict':16}{'s':>6}  test"
    rows = [head, "-" * len(head)]
    judged = [d for d in result.defects if d.id in result.outcomes]
    for defect in judged:
        outcome = result.outcomes[defect.id]
        judged_as = f"{outcome.verdict:16}{outcome.seconds:6.1f}"
        rows.append(
            f"{defect.id:34}{defect.where:13}{defect.requirement:7}{judged_as}  {_short(defect.test)}"
        )
    rows += [line(d, result.outcomes[d.id]) for d in judged if result.outcomes[d.id].verdict != "found"]
    counts = Counter(outcome.verdict for outcome in result.outcomes.values())
    found = f"{counts['found']} of {len(result.defects)} defects found"
    return "\n".join(
        [*rows, f"{found}, {counts['missed']} missed, {counts['infrastructure']} infrastructure"]
    )


def _short(test: str) -> str:
    return test.removeprefix("hil_tests/")


def entry(defect: Defect) -> dict[str, Any]:
    """A defect as data."""
    return {
        **{
            name: getattr(defect, name)
            for name in ("id", "where", "what", "requirement", "test", "run", "engine")
        },
        "changes": defect.files,
    }


def as_json(result: Result) -> dict[str, Any]:
    """The whole run."""
    return {
        "format": 1,
        "seconds": round(result.seconds, 1),
        "exit_code": result.exit_code,
        "defects": [
            {
                **entry(defect),
                "verdict": outcome.verdict,
                "why": outcome.why,
                "seconds": round(outcome.seconds, 1),
            }
            for defect in result.defects
            if (outcome := result.outcomes.get(defect.id))
        ],
    }


def write(result: Result, folder: Path) -> None:
    """seeded.json and seeded.txt in `folder`, each whole or not at all. Raises InfrastructureError."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "seeded.json", json.dumps(as_json(result), indent=1) + "\n")
    write_whole(folder / "seeded.txt", table(result) + "\n")
