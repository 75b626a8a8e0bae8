"""The page of several runs that are judged together: requirements and hazards by target, faults by state and target."""

from __future__ import annotations

from needlepen.evidence_report import matrix_table
from needlepen.evidence_report.combine import Combination
from needlepen.evidence_report.verdicts import MEANINGS
from needlepen.report import page as pages


def render(found: Combination) -> str:
    """The page as text, self-contained."""
    tables = [table for run in found.runs for table in run.matrices]
    return (
        pages.environment()
        .get_template("combined.html.j2")
        .render(
            found=found,
            style=pages.style(),
            meanings=MEANINGS,
            figures=_key_figures(found),
            hazards=[row for row in found.rows if row.hazard],
            matrix=matrix_table.by_target(tables, found.targets),
        )
    )


def _key_figures(found: Combination) -> list[tuple[str, str, str]]:
    """Label, number and remark for the strip below the title."""
    shown = len(found.rows) - len(found.not_shown)
    missing = ", ".join(row.id for row in found.not_shown)
    return [
        ("requirements shown", f"{shown} / {len(found.rows)}", missing or "every one on a target at least"),
        ("targets", str(len(found.targets)), ", ".join(found.targets)),
        ("runs", str(len(found.runs)), ", ".join(run.source for run in found.runs)),
        ("tests failed", str(len(found.failed)), f"infrastructure troubles: {len(found.troubles)}"),
    ]
