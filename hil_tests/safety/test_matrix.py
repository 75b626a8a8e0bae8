"""Every fault of the catalogue in every state of the pen: tested, and not unsafe."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from needlepen.emulator.bench import Bench
from needlepen.emulator.injection import ENTRIES
from needlepen.errors import UsageError
from needlepen.safety import matrix, matrix_output
from needlepen.safety.outcome import MEANINGS, Outcome

FOLDER = Path("reports/matrix")


def _judge(made: matrix.Matrix, name: str) -> None:
    """Leaves the matrix as a page, a table and Markdown in reports/matrix."""
    for ending in matrix_output.FORMS:
        matrix_output.write(made, FOLDER / f"{name}{ending}")
    print(matrix_output.summary(made))
    bad = [f"{':'.join(key[:2])} in {key[2]}: {cell.unsafe[0]}" for key, cell in made.unsafe]
    assert not bad, "\n".join(bad)
    assert {cell.kind for cell in made.cells.values() if cell} <= set(MEANINGS)


@pytest.mark.timeout(900)
def test_every_fault_is_safe_in_some_states(bench: Bench) -> None:
    cells = matrix.daily_cells()
    assert {key[:2] for key in cells} == set(ENTRIES) and {key[2] for key in cells} == set(matrix.STATES)
    made = matrix.run(bench, cells)
    assert None not in made.cells.values()
    _judge(made, "daily")


@pytest.mark.nightly
@pytest.mark.timeout(7200)
def test_every_fault_in_every_state_is_tested_and_safe(bench: Bench) -> None:
    made = matrix.run(bench)
    assert not made.untested, f"cells without an outcome: {made.untested[:5]}"
    _judge(made, "matrix")


def _one_cell(outcome: Outcome | None) -> matrix.Matrix:
    cells = {(*pair, state): Outcome("no_effect_safe") for pair in ENTRIES for state in matrix.STATES}
    made = matrix.Matrix(dict(cells))
    made.cells["motor", "stuck", "running"] = outcome
    return made


def test_a_cell_that_was_not_tested_is_a_hole() -> None:
    assert _one_cell(Outcome("safe_state", "stall")).untested == []
    assert _one_cell(None).untested == [("motor", "stuck", "running")]
    missing = _one_cell(Outcome("safe_state", "stall"))
    del missing.cells["index", "open", "boot"]
    assert missing.untested == [("index", "open", "boot")]
    for form in matrix_output.FORMS.values():
        assert matrix_output.UNTESTED in form(_one_cell(None))


def test_an_unsafe_cell_is_shown_in_every_form() -> None:
    made = _one_cell(Outcome("unsafe", "needles out at rest", ("needles out at rest at 1 s: 0.5 mm",)))
    assert [key for key, _ in made.unsafe] == [("motor", "stuck", "running")]
    for form in matrix_output.FORMS.values():
        assert "needles out at rest" in form(made)
    rows = list(csv.DictReader(io.StringIO(matrix_output.as_csv(made))))
    assert len(rows) == len(ENTRIES)
    assert [row["running"] for row in rows if (row["target"], row["kind"]) == ("motor", "stuck")] == [
        "unsafe (needles out at rest)"
    ]


def test_a_file_of_another_form_is_refused_before_anything_runs() -> None:
    with pytest.raises(UsageError, match=r"\.html, \.csv, \.md"):
        matrix_output.check_names([Path("matrix.html"), Path("matrix.pdf")])
