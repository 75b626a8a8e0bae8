"""pytest plugin: the gate of the coverage in an ordinary run of the whole suite, also with several workers.

With NEEDLEPEN_COVERAGE=FOLDER in its environment a run records which lines and branches of the safety modules the fast
tests run; if it was not narrowed it ends with exit code 1 when something is missing. `python -m covering` is the same
in one process. The variable decides at import, since modules of the firmware are imported before pytest has read its
options; processes that tests start do not see it.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import coverage
import pytest

from covering import tracing

_VARIABLE = "NEEDLEPEN_COVERAGE"
_FAST = tracing.HIL_TESTS / "unit"
_DATA = ".coverage"
_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "alone")
_PRODUCT_FAILURE = 1


_folder = Path(os.environ[_VARIABLE]).resolve() if os.environ.get(_VARIABLE) else None
_traced = tracing.tracer(_folder / _DATA, _WORKER) if _folder is not None else None
if _traced is not None:
    _traced.start()


def pytest_configure(config: pytest.Config) -> None:
    if _traced is None or _folder is None:
        return
    distributes = bool(getattr(config.option, "numprocesses", None)) and _WORKER == "alone"
    if _WORKER == "alone":
        _folder.mkdir(parents=True, exist_ok=True)
        for old in _folder.glob(f"{_DATA}*"):
            old.unlink()
        config.pluginmanager.register(Gate(_folder), "coverage-gate")
    if distributes:
        _traced.stop()  # the workers, which are started with this environment, run the tests
    else:
        del os.environ[_VARIABLE]
        config.pluginmanager.register(Recorder(_traced), "coverage-recorder")


class Recorder:
    """Traces while modules are imported and while a fast test runs; other tests are not slowed."""

    def __init__(self, traced: coverage.Coverage) -> None:
        self._traced = traced

    def pytest_collection_finish(self) -> None:
        self._traced.stop()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        if not item.path.is_relative_to(_FAST):
            return (yield)
        self._traced.start()
        try:
            return (yield)
        finally:
            self._traced.stop()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        self._traced.save()


class Gate:
    """Judges what all workers have recorded."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._text = ""
        self._open = False

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        config = session.config
        whole = not config.option.keyword and config.args_source is pytest.Config.ArgsSource.TESTPATHS
        if whole and not config.option.collectonly:
            self._judge()
        if self._open and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = _PRODUCT_FAILURE

    def _judge(self) -> None:
        from covering import exceptions, gate, measuring
        from needlepen.files import write_whole

        report = self._folder / "lines.json"
        try:
            together = tracing.tracer(self._folder / _DATA)
            together.combine([str(path) for path in self._folder.glob(f"{_DATA}.*")])
            tracing.write_report(together, report)
        except coverage.exceptions.NoDataError:  # no test has run a line: all is missing
            write_whole(report, '{"files": {}}\n')
        covered, stale = measuring.read(report, measuring.MODULES, exceptions.load())
        self._text = gate.text(covered, stale)
        write_whole(self._folder / "coverage.txt", self._text + "\n")
        self._open = bool(stale) or any(module.gaps for module in covered)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._text:
            return
        terminalreporter.section("coverage of the safety modules")
        if self._open:
            terminalreporter.write_line(self._text)
        else:
            modules = len(self._text.splitlines()) - 2
            terminalreporter.write_line(
                f"{modules} modules: every line and branch is run, or excepted with a reason"
            )
