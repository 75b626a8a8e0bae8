"""The matrix of faults and states that a run has left as a table (see safety/matrix_output.py), for the report."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from needlepen.evidence_report.model import Attachment

_FIRST_COLUMNS = ("target", "kind", "requirement")


@dataclass(frozen=True)
class Cell:
    """One outcome: its kind, and what the pen said."""

    kind: str
    detail: str


@dataclass(frozen=True)
class MatrixTable:
    """One row a fault: (target and kind, requirement, a cell for each state)."""

    name: str
    states: Sequence[str]
    rows: Sequence[tuple[str, str, Sequence[Cell]]]
    colours: Mapping[str, str]


def read(path: Path, name: str) -> MatrixTable | None:
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
    return MatrixTable(name, states, rows, COLOURS)


def of(attachments: Sequence[Attachment], folder: Path) -> list[MatrixTable]:
    """All matrices among the attachments."""
    tables = (read(folder / a.file, a.name) for a in attachments if a.file.endswith(".csv"))
    return [table for table in tables if table is not None]


def _cell(text: str) -> Cell:
    kind, _, detail = (text or "untested").partition(" (")
    return Cell(kind, detail.removesuffix(")"))
