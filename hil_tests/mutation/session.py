"""Runs mutants on the fast tests: most by exchanging one function in a copy of a collected session, some afresh."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mutation.choosing import Choice
from mutation.mutants import Mutant
from mutation.patching import Functions, firmware_loaded, stage_instead
from mutation.processes import Ended, in_copy
from mutation.running import Judge, arguments, silent
from mutation.verdicts import Outcome

_IMPORT_CPU_S = 12.0  # of firmware and tests; they take 1 to 2 s
_SESSION_CPU_S = 36_000.0
_FACTOR = 12
_HEAVY = (
    "numpy",
    "scipy.optimize",
    "scipy.stats",
    "scipy.interpolate",
    "hypothesis",
    "pydantic",
    "click",
    "rich.console",
    "jinja2",
    "serial",
    "cryptography.hazmat.primitives.asymmetric.ed25519",
    "littlefs",
    "filelock",
    "platformdirs",
    "xml.etree.ElementTree",
    "asyncio",
    "unittest.mock",
)


@dataclass(frozen=True)
class Task:
    """A mutant, or None for the firmware as it is (the control), and its tests."""

    mutant: Mutant | None
    choice: Choice


def prepare() -> None:
    """Import what tests need and what knows nothing of the firmware; make hypothesis repeat itself."""
    from hypothesis import settings

    settings.register_profile("mutation", derandomize=True, database=None, deadline=None)
    settings.load_profile("mutation")
    for name in _HEAVY:
        try:
            importlib.import_module(name)
        except ImportError:
            continue
    assert not firmware_loaded(), "the firmware has to be imported in copies only"
    gc.collect()
    gc.freeze()


def run(
    tasks: Iterator[Task],
    places: Mapping[str, Path],
    times_s: dict[str, float],
    plain: dict[str, bytes],
    scratch: Path,
    done: Callable[[Task, Outcome], None],
) -> None:
    """Run all tasks; `done` hears of each. `places`: the file of each test."""
    _Runner(places, times_s, plain, scratch, done).run(tasks)


class _Runner:
    def __init__(
        self,
        places: Mapping[str, Path],
        times_s: dict[str, float],
        plain: dict[str, bytes],
        scratch: Path,
        done: Callable[[Task, Outcome], None],
    ) -> None:
        self._places = places
        self._times_s = times_s
        self._plain = plain
        self._scratch = scratch
        self._done = done

    def run(self, tasks: Iterator[Task]) -> None:
        fresh: list[Task] = []
        quick: list[Task] = []
        for task in tasks:
            if not task.choice.tests:
                self._done(task, Outcome("not run"))
            elif task.choice.fresh:
                fresh.append(task)
            else:
                quick.append(task)
        if quick:
            fresh = self._in_place(quick) + fresh
        for task in fresh:
            self._done(task, self.afresh(task))

    # ------------------------------------------------------------------ by exchanging a function
    def _in_place(self, tasks: list[Task]) -> list[Task]:
        """Run these in copies of one collected session; returns those that need a fresh import."""
        answered: dict[int, Outcome | None] = {}

        def heard(told: tuple[int, Outcome | None]) -> None:
            number, outcome = told
            answered[number] = outcome
            if outcome is not None:
                self._done(tasks[number], outcome)

        session = _CollectedOnce(tasks, self._times_s)
        wanted = self._files_of(test for task in tasks for test in task.choice.tests)

        def work(tell: Callable[[Any], None]) -> None:
            silent()
            session.tell = tell
            pytest.main(arguments(wanted, self._scratch), plugins=[session, session.judge])

        try:
            in_copy(work, _SESSION_CPU_S, heard)
        except Ended as ended:
            for number, task in enumerate(tasks):
                if number not in answered:
                    self._done(task, Outcome("infrastructure", f"the session ended: {ended}"))
            return []
        missing = [task for number, task in enumerate(tasks) if number not in answered]
        for task in missing:
            self._done(task, Outcome("infrastructure", "the session could not collect the tests"))
        return [tasks[number] for number, outcome in answered.items() if outcome is None]

    # ------------------------------------------------------------------ afresh
    def afresh(self, task: Task) -> Outcome:
        """Import the changed firmware in a copy, collect the tests there, and run them.

        What could be the machine's fault is repeated without the change: only if that passes, it counts.
        """
        outcome = self._once(task)
        odd = outcome.verdict in ("infrastructure", "timeout") or outcome.by.startswith("collecting ")
        if not odd or task.mutant is None:
            return outcome
        control = self._once(Task(None, task.choice))
        if control.verdict != "survived":
            return Outcome(
                "infrastructure", f"{outcome.by}; without the change: {control.verdict} {control.by}"
            )
        return outcome

    def _once(self, task: Task) -> Outcome:
        limit_s = _IMPORT_CPU_S + _FACTOR * sum(self._times_s.get(test, 1.0) for test in task.choice.tests)
        session = _Fresh(task.choice.tests, self._times_s)
        wanted = self._files_of(task.choice.tests)

        def work(tell: Callable[[Any], None]) -> Outcome:
            silent()
            if task.mutant is not None:
                name = task.mutant.file
                stage_instead(name, self._plain[name], task.mutant.source.encode())
            pytest.main(arguments(wanted, self._scratch), plugins=[session, session.judge])
            if session.outcome is not None:
                return session.outcome
            if session.judge.collection_errors:
                return Outcome("killed", f"collecting {session.judge.collection_errors[0]}")
            return Outcome("infrastructure", "pytest ran nothing")

        try:
            result: Outcome = in_copy(work, limit_s, lambda told: None)
        except Ended as ended:
            return Outcome("timeout" if ended.cpu else "infrastructure", f"collecting or running: {ended}")
        return result

    def _files_of(self, tests: Iterable[str]) -> list[Path]:
        return sorted({self._places[test] for test in tests})


class _Fresh:
    """pytest plugin of a session for one mutant."""

    def __init__(self, tests: Sequence[str], times_s: dict[str, float]) -> None:
        self._tests = tests
        self._times_s = times_s
        self.judge = Judge()
        self.outcome: Outcome | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        if session.testsfailed:
            return None
        self.outcome = self.judge.run(_wanted(self._tests, session.items), self._times_s)
        return True


def _wanted(tests: Sequence[str], items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """The items of these names. Where a changed constant gave a case another name, all cases of its test."""
    by_name = {item.nodeid: item for item in items}
    wanted: dict[str, pytest.Item] = {}
    for test in tests:
        if test in by_name:
            wanted[test] = by_name[test]
        else:
            wanted |= {i.nodeid: i for i in items if i.nodeid.split("[")[0] == test.split("[")[0]}
    return list(wanted.values())


class _CollectedOnce:
    """pytest plugin: collects once, then judges each mutant in a copy of the session."""

    def __init__(self, tasks: list[Task], times_s: dict[str, float]) -> None:
        self._tasks = tasks
        self._times_s = times_s
        self.judge = Judge()
        self.tell: Callable[[Any], None] = lambda told: None
        self._killers: dict[str, dict[str, int]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        if session.testsfailed:
            return None
        items = {item.nodeid: item for item in session.items}
        functions = Functions()
        gc.freeze()
        for number, task in enumerate(self._tasks):
            outcome = self._judge(task, items, functions)
            if outcome is not None and outcome.verdict == "killed" and task.mutant is not None:
                count = self._killers.setdefault(task.mutant.module, {})
                count[outcome.by] = count.get(outcome.by, 0) + 1
            self.tell((number, outcome))
        return True

    def _judge(self, task: Task, items: dict[str, pytest.Item], functions: Functions) -> Outcome | None:
        """The verdict; None if this mutant needs a fresh import, or a second look without the change."""
        missing = [test for test in task.choice.tests if test not in items]
        if missing:
            return Outcome("infrastructure", f"{missing[0]} was not collected")
        killers = self._killers.get(task.mutant.module if task.mutant else "", {})
        order = sorted(task.choice.tests, key=lambda test: -killers.get(test, 0))
        chosen = [items[test] for test in order]
        limit_s = _IMPORT_CPU_S + _FACTOR * sum(self._times_s.get(test, 1.0) for test in order)

        def work(tell: Callable[[Any], None]) -> Outcome | None:
            if task.mutant is not None and not functions.exchange(task.mutant):
                return None
            return self.judge.run(chosen, self._times_s)

        try:
            outcome: Outcome | None = in_copy(work, limit_s, lambda told: None)
        except Ended as ended:
            outcome = Outcome("timeout" if ended.cpu else "infrastructure", str(ended))
        if outcome is not None and outcome.verdict in ("infrastructure", "timeout"):
            return None if outcome.verdict == "infrastructure" else self._confirmed(outcome, items)
        return outcome

    def _confirmed(self, outcome: Outcome, items: dict[str, pytest.Item]) -> Outcome:
        """A test that did not end has to end without the change."""
        item = items.get(outcome.by)
        if item is None:
            return outcome
        try:
            control: Outcome = in_copy(
                lambda tell: self.judge.run([item], self._times_s), _IMPORT_CPU_S, lambda told: None
            )
        except Ended as ended:
            return Outcome("infrastructure", f"{outcome.by}: without the change it {ended}")
        if control.verdict != "survived":
            return Outcome("infrastructure", f"{outcome.by}: without the change: {control.verdict}")
        return outcome
