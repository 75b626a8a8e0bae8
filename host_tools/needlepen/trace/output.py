"""The trace as JSON, CSV and one HTML page."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from needlepen import __version__
from needlepen.trace import upwards
from needlepen.trace.gaps import KINDS
from needlepen.trace.model import Gap, Trace
from needlepen.trace.rows import LimitRow, Row, as_dict
from needlepen.trace.upwards import Step

COLUMNS = (
    *(
        "hazard",
        "requirement",
        "title",
        "status",
        "requirement_verdict",
        "limit",
        "value",
        "unit",
        "constant",
    ),
    *("worst", "margin", "measurements", "limit_verdict", "link", "file", "line", "symbol", "how", "outcome"),
)


def data(trace: Trace, rows: Sequence[Row], gaps: Sequence[Gap]) -> dict[str, Any]:
    """The JSON form of a trace."""
    return {
        "format": 1,
        "version": __version__,
        "results": [vars(file) for file in trace.results.files] if trace.results else [],
        "hazards": {hazard: [r.id for r in controls] for hazard, controls in trace.hazards().items()},
        "requirements": [as_dict(row) for row in rows],
        "gaps": [vars(gap) for gap in gaps],
        "reviewed": trace.reviewed.model_dump() if trace.reviewed else {},
    }


def table(rows: Sequence[Row]) -> str:
    """CSV with a line for each link: requirement and limit, what came of it, and one place in code or tests.

    A requirement or limit without any link has a line too, with empty cells.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        r = row.requirement
        head = {"hazard": r.hazard, "requirement": r.id, "title": r.title, "status": r.status,
                "requirement_verdict": row.verdict}  # fmt: skip
        for limit in row.limits:
            cells = head | _limit_cells(limit)
            writer.writerows(cells | link for link in list(_links(row, limit.name)) or [{}])
        whole = list(_links(row, ""))
        writer.writerows(head | link for link in whole or ([] if row.limits else [{}]))
    return text.getvalue()


def _limit_cells(row: LimitRow) -> dict[str, Any]:
    cells = {"limit": row.name, "value": row.value, "unit": row.unit, "constant": row.constant,
             "limit_verdict": row.verdict}  # fmt: skip
    if row.worst:
        m = row.worst.taken.measurement
        cells |= {"worst": m.value, "margin": m.margin, "measurements": row.worst.count}
    return cells


def _links(row: Row, limit: str) -> Iterator[dict[str, Any]]:
    """The cells of each link of a requirement to this limit, or to no limit at all."""
    for link in row.code:
        if link.limit == limit:
            yield {"link": "code", "how": link.how, **vars(link.place)}
    for test in row.tests:
        for known in test.links:
            if known.limit == limit:
                yield {"link": "test", "how": known.how, "outcome": test.outcome, **vars(test.test.place)}


def page(trace: Trace, rows: Sequence[Row], gaps: Sequence[Gap]) -> str:
    """One self-contained page."""
    from needlepen.report.page import environment, style

    every = sorted(upwards.all_steps(trace), key=lambda step: (step.place, step.requirement.id))
    tests = {test.place.file for test in trace.tests.values()}
    return environment().get_template("trace.html.j2").render(
        style=style(),
        rows=rows,
        gaps=gaps,
        kinds=KINDS,
        reviewed=trace.reviewed,
        hazards=trace.hazards(),
        by_id={row.requirement.id: row for row in rows},
        code_files=_by_file(step for step in every if step.place.file not in tests),
        test_files=_by_file(step for step in every if step.place.file in tests),
        figures=_figures(trace, rows, gaps),
        files=trace.results.files if trace.results else [],
        verdict=_overall(trace, rows, gaps),
        said=_said(trace, rows),
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        version=__version__,
    )  # fmt: skip


def _by_file(steps: Iterator[Step]) -> dict[str, list[Step]]:
    found: dict[str, list[Step]] = {}
    for step in steps:
        found.setdefault(step.place.file, []).append(step)
    return found


def _overall(trace: Trace, rows: Sequence[Row], gaps: Sequence[Gap]) -> str:
    """The class of the page's head: fail for a gap or a failed requirement, pass for a whole trace with results."""
    if gaps or any(row.verdict in ("fail", "error") for row in rows):
        return "fail"
    return "pass" if trace.results else "unset"


def _said(trace: Trace, rows: Sequence[Row]) -> str:
    """What the head of the page says of the results."""
    if trace.results is None:
        return "no results of a run"
    bad = [row for row in rows if row.verdict in ("fail", "error")]
    return f"but {len(bad)} requirements failed" if bad else "with the results of a run"


def _figures(trace: Trace, rows: Sequence[Row], gaps: Sequence[Gap]) -> list[tuple[str, str, str]]:
    limits = [limit for row in rows for limit in row.limits if limit.value is not None]
    measured = sum(any(link.how == "measures" for link in limit.links) for limit in limits)
    evidence = {t.test.id for row in rows for t in row.evidence}
    passed = sum(row.verdict == "pass" for row in rows)
    return [
        (
            "hazards",
            str(len(trace.hazards())),
            "each controlled by a requirement" if not gaps else "see the gaps",
        ),
        (
            "requirements",
            str(len(rows)),
            f"{passed} pass in the last run" if trace.results else "no results given",
        ),
        ("limits", str(len(limits)), f"{measured} measured, the others are thresholds that tests go to"),
        ("places in the code", str(len(trace.code)), "constants, tables, docstrings and comments"),
        ("tests", str(len(evidence)), "that are evidence for a requirement"),
    ]
