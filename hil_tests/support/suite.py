"""pytest plugin: sums up a run. One verdict a test, the ledger, the exit code, and the evidence.

Exit codes: 1 the product failed, else 2 infrastructure trouble or a ledger that does not add up, else pytest's own.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Generator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from needlepen.errors import InfrastructureError
from needlepen.evidence_report import verdicts
from needlepen.evidence_report.ledger import Balance, Ledger
from needlepen.evidence_report.model import UNKNOWN_BOARD, TestResult
from needlepen.evidence_report.results import Phase, Results, from_facts
from support import measuring
from support.boards import board_name, take_blame, why_lost
from support.closing import LastLines, Sections
from support.verdicts import skip_reason

ALONE = "main"
_FROM_WORKER = "needlepen"
_BEGUN = "needlepen_begun"
"""Folder with a file for each test that any worker has begun."""
NAMES = "requirements"
"""The user property of a report with the requirements that a test of a target names."""
CLAIMS = "claims"
"""The same of a test that needs no target: what it is about. A board has nothing to do with it."""

pytest_plugins = ["support.evidence", "support.repeating"]


class Here:
    """What this process collects and begins."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._items: list[pytest.Item] = []
        self._deselected: list[pytest.Item] = []
        self.found: list[str] = []
        self.deselected: list[str] = []
        self.begun = 0

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        self._items.append(item)

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        self._deselected += items

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Only now do the tests have their final names."""
        self.found = [item.nodeid for item in self._items]
        self.deselected = [item.nodeid for item in self._deselected]
        self._items, self._deselected = [], []

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.begun += 1

    def untold_loss(self) -> str:
        """Why the board is gone, if no test was left to tell it."""
        return why_lost(self._config) if take_blame(self._config) else ""


class Worker(Here):
    """A worker process of pytest-xdist: it tells at its end what only it knows."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """A test that has crashed a worker is not given a second one: with --dist loadfile it would kill them all."""
        begun = self._config.workerinput.get(_BEGUN)
        if begun is None:
            return None
        mark = Path(begun) / hashlib.sha256(item.nodeid.encode()).hexdigest()
        try:
            mark.touch(exist_ok=False)
        except FileExistsError:
            return True
        return None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        session.config.workeroutput[_FROM_WORKER] = {
            "found": self.found,
            "deselected": self.deselected,
            "begun": self.begun,
            "board": board_name(session.config),
            "untold_loss": self.untold_loss(),
        }


class Suite(Here):
    """The process that sums up; without pytest-xdist the only one."""

    def __init__(self, config: pytest.Config) -> None:
        super().__init__(config)
        each = config.getoption("dist", default="no") == "each"
        self.ledger = Ledger(each)
        self.results = Results()
        self.troubles: list[str] = []
        self.repeated: dict[str, str] = {}
        self.balance: Balance | None = None
        self.started = datetime.now(UTC)
        self._distributed = config.getoption("dist", default="no") != "no"
        self._started_at: dict[tuple[str, str], float] = {}
        self._begun: Counter[str] = Counter()
        self._marks = Path(tempfile.mkdtemp(prefix="needlepen-begun-")) if self._distributed else None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        if not self.ledger.each:
            node.workerinput[_BEGUN] = str(self._marks)

    def pytest_unconfigure(self) -> None:
        if self._marks is not None:
            shutil.rmtree(self._marks, ignore_errors=True)

    # ------------------------------------------------------------------ what is to be run
    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        super().pytest_collection_finish(session)
        if not self._distributed:
            self.ledger.found(ALONE, self.found, self.deselected)
            self.ledger.collected(ALONE, [item.nodeid for item in session.items])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        self.ledger.collected(node.gateway.id, ids)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            last = str(report.longrepr).strip().splitlines()[-1:]
            self.ledger.trouble(f"cannot be collected ({' '.join(last).strip()})", report.nodeid)
        elif report.skipped:
            # A whole file, whose tests nobody has counted: it is told, and has no place in the ledger.
            board = self._board_of(ALONE)
            skipped = TestResult(report.nodeid, board, ALONE, "skipped", skip_reason(report))
            self.results.tests.append(skipped)

    # ------------------------------------------------------------------ what is run
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        super().pytest_runtest_logstart(nodeid)
        self._begun[nodeid] += 1
        self.ledger.started(nodeid)

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """The worker that ran it is no more: nothing is known of the product."""
        worker = report.node.gateway.id
        if not self._begun[crashitem]:  # the word of its beginning was lost with the worker
            self.ledger.started(crashitem)
        report.needlepen = {
            "ending": "infrastructure",
            "reason": str(report.longrepr),
            "again": False,
            "board": self._board_of(worker),
            "taken": [],
        }

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        worker = report.node.gateway.id if hasattr(report, "node") else ALONE
        facts = getattr(report, "needlepen", None) or _plain(report, self._board_of(worker))
        test, board = report.nodeid, facts["board"]
        if trouble := facts.get("repeated"):
            self.repeated[test] = trouble
        taken = tuple(from_facts(each, test, board) for each in facts["taken"])
        self._started_at.setdefault((worker, test), getattr(report, "start", 0.0))
        duration_s = getattr(report, "duration", 0.0)
        self.results.add(worker, test, Phase(facts["ending"], facts["reason"], duration_s, taken))
        if report.when in ("teardown", "???"):
            self._end(worker, board, report)

    def _board_of(self, worker: str) -> str:
        """As far as the worker has told it yet."""
        return self.ledger.board_of(worker, UNKNOWN_BOARD if self._distributed else board_name(self._config))

    def _end(self, worker: str, board: str, report: pytest.TestReport) -> None:
        started_s = self._started_at.pop((worker, report.nodeid), 0.0)
        started = (
            datetime.fromtimestamp(started_s, UTC).isoformat(timespec="milliseconds") if started_s else ""
        )
        named = next((value for name, value in report.user_properties if name in (NAMES, CLAIMS)), ())
        result = self.results.end(worker, board, report.nodeid, started, named)
        self.ledger.reported(worker, board, report.nodeid)
        report.user_properties += [
            *[("verdict", result.verdict), ("board", board), ("worker", worker)],
            *([("reason", result.reason)] if result.reason else []),
        ]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        worker = node.gateway.id
        told = getattr(node, "workeroutput", {}).get(_FROM_WORKER)
        if told:
            self.ledger.found(worker, told["found"], told["deselected"])
            self.ledger.ran(worker, told["board"], told["begun"])
            if told["untold_loss"]:
                self.ledger.trouble(told["untold_loss"])
        if error:
            self.ledger.trouble(f"worker {worker} died ({str(error).strip().splitlines()[-1]})")

    @property
    def workers(self) -> list[str]:
        """The worker processes of pytest-xdist, if there are any."""
        return self.ledger.workers() if self._distributed else []

    # ------------------------------------------------------------------ the end
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Also called for pytest.exit, which says its reason itself."""
        if isinstance(excinfo.value, KeyboardInterrupt):
            self.troubles.append("the run was interrupted (Ctrl-C): what comes after it is not known")

    @pytest.hookimpl(wrapper=True, trylast=True)  # when junit.xml is written
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, Any, Any]:
        result = None
        try:
            result = yield
        except OSError as error:
            if not self._config.getoption("evidence", default=None):
                raise
            self.troubles.append(f"junit.xml cannot be written ({error.strerror or error})")
        if self._config.option.collectonly or self._config.getoption("plan", default=False):
            return result
        if not self._distributed:
            self.ledger.ran(ALONE, board_name(self._config), self.begun)
            if reason := self.untold_loss():
                self.ledger.trouble(reason)
        self.balance = self.ledger.balance()
        self._write_measurements()
        self._config.hook.pytest_needlepen_summed_up(
            config=self._config, suite=self, status=session.exitstatus
        )
        session.exitstatus = self.exit_code(session.exitstatus)
        return result

    def _write_measurements(self) -> None:
        if path := self._config.getoption("measurements", default=None):
            try:
                measuring.write(Path(path), [(t.test, t.measurement) for t in self.results.taken])
            except InfrastructureError as error:
                self.troubles.append(str(error))

    def exit_code(self, status: int) -> int:
        """The exit code of the run, from pytest's."""
        trouble = self.troubles or (self.balance and self.balance.problems)
        code = verdicts.exit_code([*self.results.verdicts(), *(["infrastructure"] if trouble else [])])
        known = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        if code == 1 or (code == 2 and status in (*known, pytest.ExitCode.NO_TESTS_COLLECTED)):
            return code
        return InfrastructureError.exit_code if status == pytest.ExitCode.INTERNAL_ERROR else int(status)


class SuiteHooks:
    """What wants to know the result."""

    @pytest.hookspec
    def pytest_needlepen_summed_up(self, config: pytest.Config, suite: Suite, status: int) -> None:
        """All is known; what goes wrong now is appended to `suite.troubles`. `status`: pytest's exit code."""


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(SuiteHooks)


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(Worker(config), "needlepen-suite")
        return
    suite = Suite(config)
    config.pluginmanager.register(suite, "needlepen-suite")
    config.pluginmanager.register(Sections(suite), "needlepen-sections")
    config.pluginmanager.register(LastLines(suite), "needlepen-last-lines")


def _plain(report: pytest.TestReport, board: str) -> dict[str, Any]:
    """Of a report that another plugin has made."""
    ending = {"passed": "passed", "skipped": "skipped"}.get(report.outcome, "failed")
    lines = str(report.longrepr).strip().splitlines() if report.longrepr else []
    return {"ending": ending, "reason": lines[-1] if lines else "", "board": board, "taken": []}
