"""The matrix of faults and states that a run has left as a table (see safety/matrix_output.py), for the report."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from needlepen.evidence_report.model import Attachment

_FIRST_COLUMNS = ("target", "kind", "requirement")
UNTESTED = "untested"


@dataclass(frozen=True)
class Cell:
    """One outcome: its kind, and what the pen said."""

    kind: str
    detail: str


@dataclass(frozen=True)
class MatrixTable:
    """One row a fault: (target and kind, requirement, a cell for each state). `target`: what it was made on."""

    name: str
    target: str
    states: Sequence[str]
    rows: Sequence[tuple[str, str, Sequence[Cell]]]
    colours: Mapping[str, str]

    def on(self, target: str) -> MatrixTable:
        """The same with another name of the target."""
        return replace(self, target=target)


@dataclass(frozen=True)
class TargetsTable:
    """One row a fault in a state: (fault, requirement, state, a cell for each target)."""

    targets: Sequence[str]
    rows: Sequence[tuple[str, str, str, Sequence[Cell]]]
    colours: Mapping[str, str]


def read(path: Path, name: str, target: str = "") -> MatrixTable | None:
    """The matrix in a CSV file; None if the file is something else."""
    from needlepen.safety.matrix_output import COLOURS

    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        columns = tuple(reader.fieldnames or ())
        if columns[:3] != _FIRST_COLUMNS:
            return None
        states = columns[3:]
        rows = [
            (f"{row['target']}: {row['kind']}", row["requirement"], [_cell(row[state]) for state in states])
            for row in reader
        ]
    return MatrixTable(name, target, states, rows, COLOURS)


def of(attachments: Sequence[Attachment], folder: Path) -> list[MatrixTable]:
    """All matrices among the attachments."""
    tables = (read(folder / a.file, a.name, a.board) for a in attachments if a.file.endswith(".csv"))
    return [table for table in tables if table is not None]


def by_target(tables: Iterable[MatrixTable], targets: Sequence[str]) -> TargetsTable | None:
    """All matrices as one, a column a target; None if there is none. Of two outcomes on a target the worse counts."""
    colours: Mapping[str, str] = {}
    found: dict[tuple[str, str, str], dict[str, Cell]] = {}
    for table in tables:
        colours = table.colours
        for fault, requirement, cells in table.rows:
            for state, cell in zip(table.states, cells, strict=True):
                here = found.setdefault((fault, requirement, state), {})
                known = here.get(table.target, cell)
                here[table.target] = min(known, cell, key=lambda c: [*colours].index(c.kind))
    none = Cell(UNTESTED, "")
    tested = {
        key: here for key, here in found.items() if any(cell.kind != UNTESTED for cell in here.values())
    }
    rows = [(*key, [here.get(target, none) for target in targets]) for key, here in tested.items()]
    return TargetsTable(targets, rows, colours) if rows else None


def _cell(text: str) -> Cell:
    kind, _, detail = (text or UNTESTED).partition(" (")
    return Cell(kind, detail.removesuffix(")"))
