"""The readings of a gauge study in a CSV file: part, operator, trial, value_um; each is appended as it comes.

A part is a depth setting in mm when a pen is measured, and any name in a file that comes from elsewhere.
"""

from __future__ import annotations

import csv
import io
import os
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from needlepen.errors import InfrastructureError, UsageError

COLUMNS = ("part", "operator", "trial", "value_um")
PARTS_MM = tuple(f"{um / 1000:.2f}" for um in range(250, 2501, 250))
"""The depths of CR-03, from end to end of the range; 0.00 mm is home and no depth that is reached."""
OPERATORS, TRIALS = 3, 3

Readings = dict[tuple[str, str, int], float]
"""By part, operator and trial, in um; in the order of the file."""


def load(path: Path) -> Readings:
    """The readings of a file. A last line that was cut off in writing is left out.

    Raises UsageError with the line that cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file; take readings with --operator NAME") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); give another file") from None
    whole = text if text.endswith("\n") else text[: text.rfind("\n") + 1]
    rows = list(csv.reader(io.StringIO(whole)))
    if not rows or tuple(cell.strip() for cell in rows[0]) != COLUMNS:
        raise UsageError(f"{path}: the first line has to be {','.join(COLUMNS)}; correct the file")
    found: Readings = {}
    for number, row in enumerate(rows[1:], 2):
        if not row:
            continue
        key, value_um = _reading(path, number, row)
        if key in found:
            raise UsageError(
                f"{path}, line {number}: the same part, operator and trial twice; correct the file"
            )
        found[key] = value_um
    return found


def _reading(path: Path, number: int, row: list[str]) -> tuple[tuple[str, str, int], float]:
    try:
        part, operator, trial, value = (cell.strip() for cell in row)
        value_um = float(value)
        if not (part and operator and np.isfinite(value_um)):
            raise ValueError
        return (part, operator, int(trial)), value_um
    except ValueError:
        raise UsageError(
            f"{path}, line {number}: {','.join(row)!r} is not part, operator, trial (a whole number), value in um; "
            "correct it"
        ) from None


def refuse_torn(path: Path) -> None:
    """Raises UsageError if the last line has no end: nobody can say whether 49 was to be 498.2.

    A study that is measured takes that reading again; in a file from elsewhere it would be missing without a word.
    """
    last = path.read_text(encoding="utf-8-sig").rpartition("\n")[2]
    if last.strip():
        raise UsageError(
            f"{path}: its last line {last[:60]!r} does not end, so that it may have been cut off in writing: if it is "
            "whole, end it with a line break; else remove it, and measure again with --operator"
        )


def table(readings: Readings) -> np.ndarray:
    """Readings as an array (parts, operators, trials), each in the order of the file.

    Raises UsageError that names what is missing.
    """
    parts = list(dict.fromkeys(part for part, _, _ in readings))
    operators = list(dict.fromkeys(operator for _, operator, _ in readings))
    trials = list(dict.fromkeys(trial for _, _, trial in readings))
    missing = [
        (part, operator, trial)
        for operator in operators
        for trial in trials
        for part in parts
        if (part, operator, trial) not in readings
    ]
    if missing:
        part, operator, trial = missing[0]
        raise UsageError(
            f"{len(missing)} of {len(parts) * len(operators) * len(trials)} readings are missing, the first is part "
            f"{part}, operator {operator}, trial {trial}: take them, every operator has to measure every part equally "
            "often"
        )
    return np.array([[[readings[p, o, t] for t in trials] for o in operators] for p in parts])


def missing_of(readings: Readings, operator: str) -> Iterator[tuple[str, int]]:
    """(part, trial) that an operator still has to measure, in a random order within each trial, so that nobody knows
    what comes next and a drift does not pass for a difference between parts (AIAG MSA 4th ed., chapter II)."""
    for trial in range(1, TRIALS + 1):
        parts = list(PARTS_MM)
        random.Random(f"{operator} {trial}").shuffle(parts)
        for part in parts:
            if (part, operator, trial) not in readings:
                yield part, trial


def append(path: Path, part: str, operator: str, trial: int, value_um: float) -> None:
    """Keep a reading: it is on the disk when this returns. A new file gets its first line.

    A line that was cut off before is ended first. Raises InfrastructureError if it cannot be written.
    """
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\n")
    try:
        with path.open("a+b") as file:
            file.seek(0, os.SEEK_END)
            if file.tell() == 0:
                writer.writerow(COLUMNS)
            else:
                _cut_torn_line(file)
            writer.writerow([part, operator, trial, f"{value_um:g}"])
            file.write(line.getvalue().encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InfrastructureError(
            f"{path}: the reading cannot be kept ({error.strerror}); make room, or give another file, and go on"
        ) from None


def _cut_torn_line(file: io.BufferedRandom) -> None:
    """A program that died in the middle of a line left no reading there."""
    file.seek(0)
    content = file.read()
    if not content.endswith(b"\n"):
        file.truncate(content.rfind(b"\n") + 1)
        file.seek(0, os.SEEK_END)
