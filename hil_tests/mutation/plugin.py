"""pytest plugin for a run with a mutant on the emulated pen: `-p mutation.plugin`; MUTATION_ORDER names a file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mutation.patching import stage_instead
from mutation.running import is_machine


class _Verdict:
    def __init__(self, told: Path) -> None:
        self._told = told
        self._ran = 0
        self._failed = ""
        self._machine = ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[Any]) -> None:
        if call.excinfo is not None and is_machine(call.excinfo.value):
            self._machine = f"{item.nodeid}: {call.excinfo.value!r}"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._ran += report.when == "call" and not report.skipped
        if report.failed and not self._failed:
            self._failed = report.nodeid

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self._machine:
            verdict, by = "infrastructure", self._machine
        elif self._failed:
            verdict, by = "killed", self._failed
        elif exitstatus == pytest.ExitCode.OK and self._ran:
            verdict, by = "survived", ""
        else:
            verdict, by = "infrastructure", f"pytest ended with {exitstatus!s} after {self._ran} tests"
        self._told.write_text(json.dumps({"verdict": verdict, "by": by, "tests": self._ran}))


def pytest_configure(config: pytest.Config) -> None:
    """Put the mutant in place before anything builds the firmware."""
    order = json.loads(Path(os.environ["MUTATION_ORDER"]).read_text())
    if "file" in order:
        stage_instead(order["file"], order["plain"].encode(), order["changed"].encode())
    config.pluginmanager.register(_Verdict(Path(order["told"])), "mutation-verdict")
