"""Writes the report folder. It appears complete or not at all."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from needlepen.errors import InfrastructureError, UsageError
from needlepen.evidence import RunRecord
from needlepen.files import replace_folder
from needlepen.report import page

PAGE, MEASUREMENTS, TRACE, SCENARIO = "index.html", "measurements.json", "trace.vcd", "scenario.toml"
_OWN = {PAGE, MEASUREMENTS, TRACE, SCENARIO}


def write(record: RunRecord, folder: Path, trace: bytes | Path | None = None) -> Path:
    """Write page, measurements, scenario and trace (VCD, as bytes or as a file) and return the page's path.

    An older report in `folder` is replaced. Raises UsageError if the folder holds anything else, and
    InfrastructureError if it can not be written; in both cases nothing is left half-written.
    """
    folder = Path(folder)
    check_target(folder)
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.absolute().parent) as scratch:
            fresh = Path(scratch) / "new"
            fresh.mkdir()
            _fill(record, fresh, trace)
            replace_folder(fresh, folder, Path(scratch) / "old")
    except OSError as error:
        reason = error.strerror or str(error)
        raise InfrastructureError(
            f"{folder}: the report can not be written ({reason}); give another folder"
        ) from error
    return folder / PAGE


def check_target(folder: Path) -> None:
    """Raise UsageError if a report can not go into this folder."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file, so no report can be put there; give a folder")
    foreign = (
        sorted(path.name for path in folder.iterdir() if path.name not in _OWN) if folder.is_dir() else []
    )
    if foreign:
        raise UsageError(
            f"{folder}: holds {foreign[0]!r}, which is no part of a report; give an empty or a new folder"
        )


def _fill(record: RunRecord, folder: Path, trace: bytes | Path | None) -> None:
    (folder / PAGE).write_text(page.render(record), encoding="utf-8")
    text = json.dumps(record.as_dict(), indent=2, allow_nan=False, ensure_ascii=False)
    (folder / MEASUREMENTS).write_text(text + "\n", encoding="utf-8")
    if record.scenario_text:
        (folder / SCENARIO).write_text(record.scenario_text, encoding="utf-8")
    if isinstance(trace, bytes):
        (folder / TRACE).write_bytes(trace)
    elif trace is not None:
        shutil.copyfile(trace, folder / TRACE)
