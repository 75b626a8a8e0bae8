"""Which lines and branches of the firmware are run: coverage.py, set up in one place. Imports nothing of needlepen."""

from __future__ import annotations

from pathlib import Path

import coverage

HIL_TESTS = Path(__file__).resolve().parents[1]
FIRMWARE = HIL_TESTS.parent / "firmware"


def tracer(data_file: Path | None = None, suffix: str | None = None) -> coverage.Coverage:
    """Not started yet. `data_file`: where it saves, nowhere if not given; `suffix`: of its name, a process each."""
    traced = coverage.Coverage(
        data_file=str(data_file) if data_file is not None else None,
        data_suffix=suffix,
        branch=True,
        include=[str(FIRMWARE / "*")],
        config_file=False,
        messages=False,
    )
    traced.set_option("run:disable_warnings", ["couldnt-parse"])  # generated modules are no files
    return traced


def write_report(traced: coverage.Coverage, path: Path) -> None:
    """What was run, as JSON. Raises coverage.exceptions.NoDataError if nothing was."""
    traced.json_report(outfile=str(path), ignore_errors=True)
