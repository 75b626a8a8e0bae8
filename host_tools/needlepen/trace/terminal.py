"""The trace as lines of text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

import click

from needlepen.trace.gaps import KINDS
from needlepen.trace.model import Gap, Trace
from needlepen.trace.rows import LimitRow, Row, TestRow
from needlepen.trace.upwards import Step

_COLOURS = {"pass": "green", "passed": "green", "fail": "red", "failed": "red", "error": "red"}
_WIDTH = 110


def overview(rows: Sequence[Row]) -> Iterator[str]:
    """One line for each requirement."""
    width = max((len(row.requirement.title) for row in rows), default=0)
    yield f"{'':5}  {'requirement':{width}}  limits  firmware  host  tests  result"
    for row in rows:
        r = row.requirement
        planned = "" if r.status == "implemented" else "  (planned)"
        counts = f"{len(r.limits):6}  {len(row.firmware):8}  {len(row.host):4}  {len(row.evidence):5}"
        yield f"{r.id}  {r.title:{width}}  {counts}  {_verdict(row.verdict)}{planned}"


def detail(row: Row) -> Iterator[str]:
    """One requirement from its hazard down to the last results."""
    r = row.requirement
    yield f"{click.style(f'{r.id} {r.title}', bold=True)}: {_verdict(row.verdict)}"
    if r.hazard:
        yield f"  hazard: {r.hazard}"
    yield from textwrap.wrap(r.text, _WIDTH, initial_indent="  ", subsequent_indent="  ")
    for limit in row.limits:
        yield from _limit(limit)
    yield "  code" if row.code else "  code: none"
    yield from _aligned([(str(link.place), f"{link.how} {link.limit}".rstrip()) for link in row.code])
    yield "  tests" if row.tests else "  tests: none"
    yield from _aligned([(t.test.id, f"{t.how_text}{_marked(t)}: {_verdict(t.outcome)}") for t in row.tests])


def upwards(steps: Sequence[Step]) -> Iterator[str]:
    """What leads up from a place, file by file."""
    file = ""
    for step in steps:
        if step.place.file != file:
            file = step.place.file
            yield click.style(file, bold=True)
        r = step.requirement
        where = f"{step.place.line}: {step.place.symbol}".rstrip(": ")
        yield f"  {where}  {f'{step.how} {step.limit}'.rstrip()}  {_verdict(step.verdict)}"
        yield f"      {r.id} {r.title}" + (f" < {r.hazard}" if r.hazard else "")


def gap_lines(gaps: Sequence[Gap]) -> Iterator[str]:
    """The gaps below the heading of their kind."""
    for kind, meaning in KINDS.items():
        found = [gap for gap in gaps if gap.kind == kind]
        if found:
            yield f"{click.style(kind, fg='red')}: {meaning}"
        for gap in found:
            yield from textwrap.wrap(
                f"{gap.subject}: {gap.text}", _WIDTH, initial_indent="  ", subsequent_indent="      ",
                break_long_words=False, break_on_hyphens=False,
            )  # fmt: skip


def tally(trace: Trace, rows: Sequence[Row], gaps: Sequence[Gap]) -> str:
    """The last line: how much there is, and how many gaps."""
    limits = sum(len(row.requirement.limits) for row in rows)
    evidence = {t.test.id for row in rows for t in row.evidence}
    ran = ""
    if trace.results:
        verdicts = [row.verdict for row in rows]
        ran = ", ".join(f"{verdicts.count(v)} {v}" for v in dict.fromkeys(verdicts)) + "; "
    found = click.style(f"{len(gaps)} gaps", fg="red") if gaps else click.style("no gap", fg="green")
    return (
        f"{len(trace.hazards())} hazards, {len(rows)} requirements, {limits} limits, {len(trace.code)} places in the "
        f"code, {len(evidence)} tests; {ran}{found}"
    )


def _limit(row: LimitRow) -> Iterator[str]:
    worst = row.worst
    said = [f"worst {row.worst_text} of {worst.count}, margin {row.margin_text or 'none'}"] if worst else []
    parts = [f"limit {row.name} = {row.value_text}", row.constant, *said, _verdict(row.verdict)]
    yield "  " + "  ".join(filter(None, parts))
    if worst:
        yield f"    by {worst.taken.case}"


def _marked(row: TestRow) -> str:
    return " (nightly)" if "nightly" in row.test.marks else ""


def _aligned(pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    width = max((len(first) for first, _ in pairs), default=0)
    for first, second in pairs:
        yield f"    {first:{width}}  {second}"


def _verdict(text: str) -> str:
    return click.style(text, fg=_COLOURS.get(text, "yellow"))
