"""Reads a whole project: requirements, code, tables, tests, the list of reviewed limits, and results."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from needlepen import requirements
from needlepen.trace import firmware, host, results, reviewed, tables, tests
from needlepen.trace.model import Project, Trace


def read(root: Path, files: Sequence[Path] = ()) -> Trace:
    """The trace of the checkout in `root`, with what `files` say about its last run.

    Raises UsageError, one line, for a folder that is no checkout and for a file that cannot be used.
    """
    project = Project(Path(os.path.realpath(root)))  # of a link to itself, too
    known = requirements.load(project.root / "firmware" / "requirements.toml")
    excused = reviewed.read(project)
    links = [link for link in excused.links if link.requirement in known]
    trace = Trace(project, known, code=links, found=excused.gaps, reviewed=excused.reviewed)
    for part in (firmware, tables, host):
        links, found = part.read(project, known)
        trace.code += links
        trace.found += found
    tested = tests.read(project, known)
    trace.tests, trace.links = tested.tests, sorted(tested.links)
    trace.found += tested.found
    if files:
        trace.results = results.read(files, trace)
    trace.code.sort()
    return trace
