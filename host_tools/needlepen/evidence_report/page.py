"""Renders the evidence of a run as one page: everything inline, nothing loaded from anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import plotly.offline  # type: ignore[import-untyped]
from markupsafe import Markup

from needlepen import requirements
from needlepen.evidence_report import distributions, matrix_table, verdicts
from needlepen.evidence_report.model import Evidence, Taken, TestResult
from needlepen.evidence_report.verdicts import Verdict
from needlepen.report import page as pages, words

ORDER = ("pass", "marginal", "known failure", "skipped", "infrastructure", "unset", "fail")


@dataclass(frozen=True)
class Line:
    """One measurement: where it was taken, and its row of the table."""

    taken: Taken
    row: pages.Row


@dataclass(frozen=True)
class Group:
    """A requirement with all that was measured for it. `verdict` is None where nothing was."""

    id: str
    title: str
    text: str
    hazard: str
    verdict: Verdict | None
    tightest: str
    lines: list[Line]


def render(evidence: Evidence, folder: Path, files: Mapping[str, str]) -> str:
    """The page as text. `folder` holds the attachments; `files`: SHA-256 of what lies beside them, by name."""
    groups = _groups(evidence)
    spread = distributions.of(evidence.taken)
    targets = {board.identity: board.target for board in evidence.boards}
    tables = matrix_table.of(evidence.attachments, folder)
    return (
        pages.environment()
        .get_template("suite.html.j2")
        .render(
            evidence=evidence,
            words=words,
            style=pages.style(),
            plotly=Markup(plotly.offline.get_plotlyjs().replace("</script", "<\\/script")),
            figures=_key_figures(evidence),
            counts=[(verdict, evidence.counts[verdict]) for verdict in ORDER if evidence.counts[verdict]],
            meanings=verdicts.MEANINGS,
            groups=[group for group in groups if group.lines],
            unmeasured=[group for group in groups if not group.lines],
            hazards=[group for group in groups if group.hazard],
            spread=spread,
            figure=pages.embedded(distributions.figure(spread)) if spread else None,
            matrices=[m.on(targets.get(m.target, m.target)) for m in tables],
            telling=[test for test in evidence.tests if test.verdict not in verdicts.PASSED],
            by_file=_by_file(evidence.tests),
            files=files,
            limit_at_pct=pages.BAR_AT_LIMIT_PCT,
        )
    )


def _groups(evidence: Evidence) -> list[Group]:
    """By requirement in the order of the requirements file, then what belongs to none of them."""
    known = requirements.load()
    found: dict[str, list[Taken]] = {}
    for taken in evidence.taken:
        found.setdefault(taken.measurement.requirement, []).append(taken)
    listed = [entry.id for entry in known.implemented()]
    return [_group(known, key, found.get(key, [])) for key in dict.fromkeys([*listed, *found])]


def _group(known: requirements.Requirements, key: str, taken: list[Taken]) -> Group:
    entry = known.get(key)
    lines = [Line(each, pages.row(each.measurement, each.verdict)) for each in taken]
    with_room = [
        (m.margin_fraction, m) for m in (t.measurement for t in taken) if m.margin_fraction is not None
    ]
    tightest = min(with_room, key=lambda pair: pair[0])[1] if with_room else None
    return Group(
        id=key or "no requirement",
        title=entry.title if entry else "",
        text=entry.text if entry else "",
        hazard=entry.hazard if entry else "",
        verdict=verdicts.worst(each.verdict for each in taken) if taken else None,
        tightest=(words.margin(tightest) or "none left") if tightest else "",
        lines=lines,
    )


def _key_figures(evidence: Evidence) -> list[tuple[str, str, str]]:
    """Label, number and remark for the strip below the title."""
    passed = sum(evidence.counts[verdict] for verdict in verdicts.PASSED)
    kept = sum(taken.verdict in verdicts.PASSED for taken in evidence.taken)
    rest = ", ".join(
        f"{evidence.counts[v]} {v}" for v in ORDER if v not in verdicts.PASSED and evidence.counts[v]
    )
    balance = evidence.balance
    marginal = sum(taken.verdict == "marginal" for taken in evidence.taken)
    return [
        ("tests passed", f"{passed} / {len(evidence.tests)}", rest or "none failed, none skipped"),
        ("limits kept", f"{kept} / {len(evidence.taken)}", f"{marginal} of them marginal"),
        ("planned / reported", f"{balance.planned} / {balance.reported}",
         f"{len(balance.deselected)} deselected" if not balance.problems else "the ledger does not add up"),
        ("time", f"{evidence.duration_s:.0f} s", f"boards: {', '.join(b.identity for b in evidence.boards)}"),
    ]  # fmt: skip


def _by_file(tests: list[TestResult]) -> list[tuple[str, Verdict, list[TestResult]]]:
    """(file, worst verdict, tests) in the order of their names."""
    files: dict[str, list[TestResult]] = {}
    for test in sorted(tests, key=lambda test: (test.test, test.board)):
        files.setdefault(test.test.partition("::")[0], []).append(test)
    return [(name, verdicts.worst(test.verdict for test in found), found) for name, found in files.items()]
