"""The matrix as a page, as a table for a spreadsheet, and as Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from jinja2 import Environment

from needlepen.errors import UsageError
from needlepen.files import write_whole
from needlepen.safety.matrix import Matrix, as_rows
from needlepen.safety.outcome import MEANINGS, Outcome

UNTESTED = "untested"
COLOURS = {
    "unsafe": "#d73027",
    "locked_out": "#9e9ac8",
    "safe_state": "#9ecae1",
    "stopped": "#c6dbef",
    "refused_start": "#d9d9d9",
    "warned": "#fee391",
    "no_effect_safe": "#e5f5e0",
    UNTESTED: "#ffffff",
}
_PAGE = Environment(autoescape=True).from_string(
    """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Fault x state x outcome</title><style>
body { font: 14px/1.4 system-ui, sans-serif; margin: 2em; color: #222 }
table { border-collapse: collapse } th { text-align: left; position: sticky; top: 0; background: #fff }
td, th { padding: .25em .5em; border: 1px solid #ddd; vertical-align: top } small { color: #555 }
{% for name, colour in colours.items() %}.{{ name }} { background: {{ colour }} } {% endfor %}
</style></head><body>
<h1>Fault x state x outcome</h1>
<p>{{ summary }} Made by running every cell on the emulated pen: <code>needlepen matrix</code>.</p>
<ul>{% for name, text in meanings.items() %}<li><span class="{{ name }}">&nbsp;{{ name }}&nbsp;</span> {{ text }}</li>
{% endfor %}</ul>
<table><tr><th>fault</th><th>provokes</th>{% for state in states %}<th>{{ state }}</th>{% endfor %}</tr>
{% for row in rows %}<tr><th>{{ row.target }}: {{ row.kind }}</th><td>{{ row.requirement }}</td>
{% for state in states %}{% set cell = row[state] %}<td class="{{ cell.kind if cell else 'untested' }}"
 title="{{ cell.unsafe | join('; ') if cell }}">{{ cell.kind if cell else 'untested' }}
{% if cell and cell.detail %}<br><small>{{ cell.detail }}</small>{% endif %}</td>{% endfor %}</tr>
{% endfor %}</table></body></html>
"""
)


def check_names(paths: Iterable[Path]) -> None:
    """Raises UsageError for a file of another form than .html, .csv and .md, before hours are spent."""
    for path in paths:
        if path.suffix not in FORMS:
            raise UsageError(
                f"{path}: the matrix is written as {', '.join(FORMS)}; give it one of these endings"
            )


def write(matrix: Matrix, path: Path) -> None:
    """Write the form that the file's name ends with. Raises UsageError for another ending."""
    check_names([path])
    write_whole(path, FORMS[path.suffix](matrix))


def summary(matrix: Matrix) -> str:
    """One line."""
    tested = [cell for cell in matrix.cells.values() if cell is not None]
    return f"{len(tested)} cells tested, {len(matrix.unsafe)} unsafe, {len(matrix.untested)} of the catalogue untested."


def html(matrix: Matrix) -> str:
    """A page that needs nothing else."""
    return _PAGE.render(
        rows=as_rows(matrix),
        states=_states(matrix),
        meanings=MEANINGS,
        colours=COLOURS,
        summary=summary(matrix),
    )


def as_csv(matrix: Matrix) -> str:
    """One line a fault."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["target", "kind", "requirement", *_states(matrix)])
    for row in as_rows(matrix):
        cells = [_text(row[state]) for state in _states(matrix)]
        writer.writerow([row["target"], row["kind"], row["requirement"], *cells])
    return out.getvalue()


def markdown(matrix: Matrix) -> str:
    """A table for a document."""
    states = _states(matrix)
    lines = [f"| fault | provokes | {' | '.join(states)} |", "|---|---|" + "---|" * len(states)]
    for row in as_rows(matrix):
        cells = " | ".join(_text(row[state]) for state in states)
        lines.append(f"| {row['target']}: {row['kind']} | {row['requirement']} | {cells} |")
    return "\n".join([summary(matrix), "", *lines, ""])


def _states(matrix: Matrix) -> list[str]:
    return list(dict.fromkeys(state for _, _, state in matrix.cells))


def _text(cell: Outcome | None) -> str:
    return UNTESTED if cell is None else str(cell)


FORMS: Mapping[str, Callable[[Matrix], str]] = {".html": html, ".csv": as_csv, ".md": markdown}
"""By the ending of a file's name."""
