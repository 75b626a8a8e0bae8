"""The comparison of two runs, and the judgement of several, as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from needlepen.evidence_report.combine import Combination
from needlepen.evidence_report.compare import Comparison, VerdictChange
from needlepen.evidence_report.verdicts import PASSED

_STYLES = {"pass": "green", "marginal": "yellow", "fail": "bold red", "infrastructure": "bold yellow"}


def comparison(found: Comparison) -> Group:
    """Tables of what differs, and one line that sums it up; print it with a rich console."""
    parts: list[RenderableType] = [Padding(table, (0, 0, 1, 0)) for table in _tables(found)]
    parts.append(_last_line(found))
    return Group(*parts)


def _tables(found: Comparison) -> Iterator[Table]:
    if found.identity:
        table = _table("what was tested", "", "before", "after")
        for row in found.identity:
            table.add_row(*map(escape, row))
        yield table
    for title, changes in (("verdicts of tests", found.tests), ("verdicts of limits", found.measurements)):
        if changes:
            yield _changes(title, changes)
    if found.moves:
        table = _table("values that moved", "measurement", "before", "after", "limit", "of the limit")
        for move in found.moves:
            share = "" if move.share_pct is None else f"{move.share_pct:+.1f} %"
            table.add_row(*map(escape, (move.what, move.before, move.after, move.limit, share)))
        yield table


def _changes(title: str, changes: list[VerdictChange]) -> Table:
    """Those first that passed and do not any more."""
    table = _table(title, "", "before", "after")
    for change in sorted(changes, key=lambda change: not change.lost):
        table.add_row(escape(change.what), _verdict(change.before), _verdict(change.after))
    return table


def _verdict(verdict: str | None) -> Text:
    return Text(verdict or "not there", style=_STYLES.get(verdict or "", "dim"))


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim"
    )
    for place, name in enumerate(columns):
        table.add_column(name, overflow="fold", no_wrap=False, ratio=None if place else 1)
    return table


def _last_line(found: Comparison) -> Text:
    lost = len(found.lost)
    appeared = sum(change.before is None for change in found.tests)
    vanished = sum(change.after is None for change in found.tests)
    gained = sum(change.before not in PASSED and change.after in PASSED for change in found.tests) - sum(
        change.before is None and change.after in PASSED for change in found.tests
    )
    told = (
        f"{lost} that passed do not any more, {gained} tests pass now, {len(found.moves)} values moved, "
        f"{appeared} tests appeared, {vanished} vanished"
    )
    word = ("WORSE", "bold red") if lost else ("NOT WORSE", "bold green")
    return Text.assemble(word, f"  {told}")


# ---------------------------------------------------------------------- several runs together
def combination(found: Combination) -> Group:
    """Requirement by target, what is wrong, and one line that sums it up; print it with a rich console."""
    table = _table("requirements by target", "", "", *found.targets)
    for row in found.rows:
        cells = [_verdict(row.cells[target].verdict or "-") for target in found.targets]
        table.add_row(row.id, escape(row.title), *cells)
    together: dict[str, list[str]] = {}
    for row in found.not_shown:
        together.setdefault(row.remark, []).append(row.id)
    lines = [_line(f"{', '.join(ids)}: {remark}", "red") for remark, ids in together.items()]
    lines += [_line(f"failed: {test}", "red") for test in found.failed]
    lines += [_line(trouble, "yellow") for trouble in found.troubles]
    shown = len(found.rows) - len(found.not_shown)
    told = f"{shown} of {len(found.rows)} requirements shown; runs: {len(found.runs)}, targets: {len(found.targets)}"
    style = "bold green" if found.verdict == "pass" else _STYLES.get(found.verdict, "bold red")
    return Group(
        Padding(table, (0, 0, 1, 0)), *lines, Text.assemble((found.verdict.upper(), style), f"  {told}")
    )


def _line(text: str, style: str) -> Text:
    """One line that is not broken, so that it can be searched for."""
    return Text(text, style=style, no_wrap=True, overflow="ignore")
