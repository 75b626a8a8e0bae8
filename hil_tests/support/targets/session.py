"""What a session knows of its tests: what they need and name, how they ended, how long they took; its plan."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from needlepen import requirements
from needlepen.trace.ids import ids, leading_ids
from support.suite import CLAIMS, NAMES
from support.targets import session_plan, shown, sources
from support.targets.protocols import CAPABILITIES, IN_PROCESS
from support.targets.specification import Specification

_DURATIONS = "needlepen/durations"


def needs(item: pytest.Item) -> frozenset[str]:
    """The capabilities that a test asks for, by its fixtures."""
    return frozenset(getattr(item, "fixturenames", ())) & {*CAPABILITIES, IN_PROCESS}


class Session:
    """Registered for one session."""

    def __init__(self, targets: list[Specification]) -> None:
        self._targets = targets
        self._outcomes: dict[tuple[str, str], shown.Outcome] = {}
        self._durations: dict[str, float] = {}
        self._skipped: list[str] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            if needs(item):
                item.user_properties.append((NAMES, _requirements(item)))
            elif claimed := _claimed(item):
                item.user_properties.append((CLAIMS, claimed))

    # ------------------------------------------------------------------ plan
    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """With --plan: say it, and run nothing."""
        if not session.config.option.plan:
            return None
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        durations = _cached(session.config)
        planned = [_planned(item, durations) for item in session.items]
        for line in session_plan.lines(self._targets, planned, _wanted()):
            print(line) if reporter is None else reporter.write_line(line)
        return True

    # ------------------------------------------------------------------ outcomes
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._durations[report.nodeid] = self._durations.get(report.nodeid, 0.0) + report.duration
        names = next((value for name, value in report.user_properties if name == NAMES), None)
        if not isinstance(names, (list, tuple)) or (report.when != "call" and report.outcome == "passed"):
            return
        worker = str(getattr(getattr(report, "node", None), "gateway", ""))
        self._outcomes[worker, report.nodeid] = shown.Outcome(report.nodeid, tuple(names), _outcome(report))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        config = session.config
        if hasattr(config, "workerinput") or config.option.plan:
            return
        if (cache := getattr(config, "cache", None)) is not None and self._durations:
            kind, known = self._targets[0].kind, _cached(config)
            cache.set(_DURATIONS, known | {kind: known.get(kind, {}) | self._durations})
        if any(target.is_emulated for target in self._targets):
            self._skipped = shown.skipped(self._outcomes.values())
        if self._skipped and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self._skipped:
            text = f"every test of {', '.join(self._skipped)} was skipped: that is no pass"
            terminalreporter.write_line(text, red=True)
        if self._outcomes and not any(target.is_emulated for target in self._targets):
            where = ", ".join(map(str, self._targets))
            missing = shown.not_shown(_wanted(), self._outcomes.values())
            seen = [name for name in _wanted() if name not in missing]
            terminalreporter.write_line(
                f"shown on this target, as far as a port can: {', '.join(seen) or 'none'}"
            )
            terminalreporter.write_line(f"not shown on this target ({where}): {', '.join(missing) or 'none'}")


def _outcome(report: pytest.TestReport) -> shown.Ended:
    """A failure that was expected is one that ran, though pytest calls it skipped."""
    return "failed" if hasattr(report, "wasxfail") and report.outcome == "skipped" else report.outcome


def _wanted() -> list[str]:
    return [requirement.id for requirement in requirements.load().implemented()]


def _cached(config: pytest.Config) -> dict[str, dict[str, float]]:
    """Durations by kind of target and test."""
    cache = getattr(config, "cache", None)
    return {} if cache is None else dict(cache.get(_DURATIONS, {}))


def _requirements(item: pytest.Item) -> list[str]:
    return sources.of(item.path).requirements(_function(item))


def _claimed(item: pytest.Item) -> list[str]:
    """What a test that needs no target is about: the IDs that its docstring begins with, else those that the first
    sentence of its file names."""
    own = getattr(getattr(item, "function", None), "__doc__", None) or ""
    about = getattr(getattr(item, "module", None), "__doc__", None) or ""
    return list(leading_ids(own) or ids(re.split(r"\.\s|\n\s*\n", about)[0]))


def _function(item: pytest.Item) -> str:
    return str(getattr(item, "originalname", None) or item.name)


def _planned(item: pytest.Item, known: Mapping[str, Mapping[str, float]]) -> session_plan.Planned:
    wanted = needs(item)
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    source = sources.of(item.path)
    return session_plan.Planned(
        test=item.nodeid,
        file=item.nodeid.partition("::")[0],
        needs=wanted,
        requirements=tuple(_requirements(item)) if wanted else (),
        faults=tuple(source.faults(_function(item), parameters)) if wanted else (),
        durations_s={kind: found[item.nodeid] for kind, found in known.items() if item.nodeid in found},
    )
