"""pytest plugin that writes down how tests ended, as JSON to SEEDED_TOLD.

It is loaded alone, from a folder of its own: a defect of the harness must not judge itself. So it knows pytest and
nothing of this project but the names of its errors.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

_OF_THE_PRODUCT = ("ProductFailure", "Refused")
_AROUND_IT = ("InfrastructureError", "ConnectionError", "MemoryError", "TimeoutExpired", "SerialException")
_IN_A_COPY = "ChildFailedError"  # holds the traceback of another process
_RAISED = re.compile(r"^([A-Za-z_][\w.]*)(:|$)")
_JUDGED_IN_A_COPY = (
    "AssertionError",
    "Failed",
    "NotInTime",
    "ProductFailure",
    "Refused",
    "LimitsMissedError",
)
_HOST_TIMEOUT = "from pytest-timeout"
_LONGEST = 300


def kind_of(error: BaseException) -> str:
    """ "product": somebody judged; "around": trouble around the product; "crash": something broke."""
    found: BaseException | None = error
    while found is not None:
        names = [base.__name__ for base in type(found).__mro__]
        if "ProductFailure" in names:
            return "product"
        if any(name in names for name in _AROUND_IT):
            return "around"
        found = found.__cause__
    if isinstance(error, pytest.fail.Exception):
        return "around" if _HOST_TIMEOUT in str(error) else "product"
    names = [base.__name__ for base in type(error).__mro__]
    if _IN_A_COPY in names:
        return "product" if _raised_in(str(error)).endswith(_JUDGED_IN_A_COPY) else "crash"
    if isinstance(error, BaseExceptionGroup):
        kinds = {kind_of(each) for each in error.exceptions}
        return "product" if kinds == {"product"} else "around" if "around" in kinds else "crash"
    return (
        "product"
        if isinstance(error, AssertionError) or any(n in names for n in _OF_THE_PRODUCT)
        else "crash"
    )


def _raised_in(traceback: str) -> str:
    """The type of the error with which a traceback ends."""
    lines = [match[1] for line in traceback.splitlines() if (match := _RAISED.match(line))]
    return lines[-1] if lines else ""


def said_by(error: BaseException) -> str:
    """An error in one line: of the traceback of a copy the last one, of a list of limits the first that was missed."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    name = type(error).__name__
    if name == _IN_A_COPY:
        return next((line for line in reversed(lines) if _RAISED.match(line)), lines[-1])
    return f"{name}: {' '.join(lines[:2] if lines[0].endswith(':') else lines[:1])}"


class Watcher:
    def __init__(self, told: Path) -> None:
        self._told = told
        self._facts: dict[str, Any] = {"collected": [], "errors": [], "internal": "", "phases": []}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._facts["collected"] = [item.nodeid for item in session.items]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if not report.passed:
            last = str(report.longrepr).strip().splitlines()[-1:]
            self._facts["errors"].append(f"{report.nodeid}: {' '.join(last)}"[:_LONGEST])

    def pytest_internalerror(self, excrepr: object) -> None:
        self._facts["internal"] = str(excrepr).strip().splitlines()[-1][:_LONGEST]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[Any]) -> None:
        error = call.excinfo.value if call.excinfo else None
        phase = {
            "test": item.nodeid,
            "when": call.when,
            "seconds": call.duration,
            "ended": "passed",
            "said": "",
        }
        if error is not None:
            skipped = isinstance(error, pytest.skip.Exception)
            phase["ended"] = "skipped" if skipped else kind_of(error)
            phase["said"] = said_by(error)[:_LONGEST]
        if item.get_closest_marker("xfail"):
            phase["ended"] = "known failure"
        self._facts["phases"].append(phase)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        package = sys.modules.get("needlepen")
        self._facts["package"] = str(getattr(package, "__file__", None) or "")
        self._told.write_text(json.dumps(self._facts))


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Watcher(Path(os.environ["SEEDED_TOLD"])), "seeded-watcher")
