"""pytest plugin: what the suite's own machinery (verdicts, ledger, evidence, measuring, targets) costs of a run.

Every hook of the plugins in `support` is timed around what it does itself: not around the test that it lets run. So is
each call of `measure`. Time is that of the wall, as is the time of the run, so that a busy machine stretches both.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from needlepen.evidence_report.model import Harness
from support.stopwatch import WATCH, Stopwatch, timed

_OURS = "support."
_FROM_WORKER = "needlepen_overhead"


class Overhead:
    """Of one process: times the hooks, and tells what they have cost so far."""

    def __init__(self) -> None:
        self.watch = Stopwatch()
        self._begun_s = time.perf_counter()
        self._of_workers: list[dict[str, float]] = []

    def pytest_plugin_registered(self, plugin: object, manager: pytest.PytestPluginManager) -> None:
        """Also called for each plugin that is there already."""
        module = getattr(plugin, "__name__", None) or type(plugin).__module__
        if not str(module).startswith(_OURS) or plugin is self:
            return
        for caller in manager.get_hookcallers(plugin) or ():
            for found in caller.get_hookimpls():
                if found.plugin is plugin:
                    found.function = timed(self.watch, found.function)

    def told(self) -> Harness:
        """What it has cost in all processes that ran tests, and how long these took."""
        here = self._here()
        runs_s = [worker["run_s"] for worker in self._of_workers] or [here["run_s"]]
        spent_s = here["spent_s"] + sum(worker["spent_s"] for worker in self._of_workers)
        return Harness(spent_s, max(sum(runs_s), here["run_s"]))  # workers that died have not told theirs

    def _here(self) -> dict[str, float]:
        """What runs now, to write the evidence for example, counts as far as it has come."""
        return {"spent_s": self.watch.so_far_s, "run_s": time.perf_counter() - self._begun_s}

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput[_FROM_WORKER] = self._here()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        if told := getattr(node, "workeroutput", {}).get(_FROM_WORKER):
            self._of_workers.append(told)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """After the evidence was written: with that."""
        if terminalreporter.config.getoption("evidence", default=None):
            terminalreporter.line(f"harness: {self.told()}")


_OVERHEAD = pytest.StashKey[Overhead]()


def overhead_of(config: pytest.Config) -> Overhead:
    """What times this process."""
    return config.stash[_OVERHEAD]


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_OVERHEAD] = made = Overhead()
    config.stash[WATCH] = made.watch
    config.pluginmanager.register(made, "needlepen-overhead")
