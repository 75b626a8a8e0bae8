"""Runs collected tests inside this process until the first that notices, each with a limit of CPU time."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from mutation.verdicts import Outcome
from needlepen.errors import InfrastructureError

_RESOURCES = {errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EDQUOT, errno.EAGAIN}
_TIMES = 10  # a test gets ten times what it takes without the change
_LEAST_S = 1.0


class TestTooLong(BaseException):
    """A test used up its CPU time. No `except Exception` of a test or of the firmware catches it."""


class Judge:
    """pytest plugin that keeps the exceptions of failing tests, to tell a product failure from a broken machine."""

    def __init__(self) -> None:
        self.raised: BaseException | None = None
        self.collection_errors: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[Any]) -> None:
        if call.excinfo is not None and not isinstance(call.excinfo.value, pytest.skip.Exception):
            self.raised = call.excinfo.value

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.collection_errors.append(f"{report.nodeid}: {str(report.longrepr)[-500:]}")

    def run(self, items: Sequence[pytest.Item], times_s: dict[str, float]) -> Outcome:
        """Run the tests in this order up to the first that fails; `times_s`: how long each takes without a change."""
        for number, item in enumerate(items):
            following = items[number + 1] if number + 1 < len(items) else None
            outcome = self._one(item, following, times_s.get(item.nodeid, 1.0), number + 1)
            if outcome is not None:
                return outcome
        return Outcome("survived" if items else "not run", tests=len(items))

    def _one(
        self, item: pytest.Item, following: pytest.Item | None, time_s: float, count: int
    ) -> Outcome | None:
        self.raised = None
        try:
            with _limited(max(_LEAST_S, _TIMES * time_s)):
                reports = runtestprotocol(item, nextitem=following, log=False)
        except TestTooLong:
            return Outcome("timeout", item.nodeid, count)
        if isinstance(self.raised, (TestTooLong, MemoryError)):
            return Outcome("timeout", item.nodeid, count)
        if not any(report.failed for report in reports):
            return None
        if is_machine(self.raised):
            return Outcome("infrastructure", f"{item.nodeid}: {self.raised!r}", count)
        return Outcome("killed", item.nodeid, count)


def is_machine(error: BaseException | None) -> bool:
    """Whether this is trouble of the machine, not of the firmware."""
    if isinstance(error, OSError):
        return error.errno in _RESOURCES
    return isinstance(error, (InfrastructureError, KeyboardInterrupt, SystemExit, pytest.exit.Exception))


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    def over(number: int, frame: FrameType | None) -> None:
        raise TestTooLong

    before = signal.signal(signal.SIGPROF, over)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


REPOSITORY = Path(__file__).resolve().parents[2]


def arguments(files: Sequence[Path], scratch: Path) -> list[str]:
    """pytest's options of every session here: nothing from caches, the same order, no plugins that fork."""
    return [
        *("-q", "-s", "-p", "no:cacheprovider", "-p", "no:xdist"),
        *("-c", str(REPOSITORY / "pyproject.toml"), f"--rootdir={REPOSITORY}", f"--basetemp={scratch}"),
        *(str(file) for file in files),
    ]


def silent() -> None:
    """What tests print is of no use here."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)
