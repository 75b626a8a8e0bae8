"""The ledger: every test that was planned is collected, run and reported, or named as missing.

planned   what the collection found, less what was deselected on purpose
collected what was handed to the workers
run       what began
reported  what came to its end and has a verdict
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Problem:
    """What does not add up, and for which tests."""

    what: str
    tests: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.what}: {', '.join(self.tests)}" if self.tests else self.what


@dataclass(frozen=True)
class BoardBalance:
    """Of one worker and its board; `run` is the worker's own word, None if it died before it could give it."""

    worker: str
    board: str
    run: int | None
    reported: int


@dataclass(frozen=True)
class Balance:
    """The sums. `problems` is empty if and only if planned = collected = run = reported, test by test."""

    planned: int
    collected: int
    run: int
    reported: int
    deselected: tuple[str, ...]
    boards: tuple[BoardBalance, ...]
    problems: tuple[Problem, ...]

    def __str__(self) -> str:
        sums = f"planned {self.planned}, collected {self.collected}, run {self.run}, reported {self.reported}"
        return f"{sums}, deselected {len(self.deselected)}"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Ledger:
    """Filled as the run goes on. `each`: every worker is to run all tests, on a board of its own."""

    each: bool = False
    _found: dict[str, set[str]] = field(default_factory=dict)
    _deselected: dict[str, set[str]] = field(default_factory=dict)
    _collected: dict[str, set[str]] = field(default_factory=dict)
    _started: Counter[str] = field(default_factory=Counter)
    _reported: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    _run_by: dict[str, int] = field(default_factory=dict)
    _board_of: dict[str, str] = field(default_factory=dict)
    _further: list[Problem] = field(default_factory=list)

    def found(self, worker: str, tests: Iterable[str], deselected: Iterable[str]) -> None:
        """What a worker's collection found, and what of it was deselected on purpose."""
        self._found[worker] = set(tests)
        self._deselected[worker] = set(deselected)

    def collected(self, worker: str, tests: Collection[str]) -> None:
        """What is to be run, as the worker says it."""
        self._collected[worker] = set(tests)
        if doubled := [test for test, count in Counter(tests).items() if count > 1]:
            self._further.append(Problem("collected more than once", tuple(sorted(doubled))))

    def started(self, test: str) -> None:
        """A test begins."""
        self._started[test] += 1

    def reported(self, worker: str, board: str, test: str) -> None:
        """A test has come to its end, and has a verdict."""
        self._board_of[worker] = board
        self._reported[worker][test] += 1

    def ran(self, worker: str, board: str, count: int) -> None:
        """What a worker says of itself at its end: how many tests it has begun."""
        self._board_of[worker] = board
        self._run_by[worker] = count

    def board_of(self, worker: str, otherwise: str) -> str:
        """The board that a worker's reports have named."""
        return self._board_of.get(worker, otherwise)

    def workers(self) -> list[str]:
        """All that have collected or reported anything."""
        return sorted({*self._collected, *self._board_of})

    def trouble(self, what: str, *tests: str) -> None:
        """Something else that leaves tests without a result: a file that cannot be collected, a worker that died."""
        self._further.append(Problem(what, tests))

    def balance(self) -> Balance:
        """Add up."""
        copies = max(len(self._collected), 1) if self.each else 1
        planned = (_union(self._found) - _union(self._deselected)) if self._found else _union(self._collected)
        collected = _union(self._collected)
        reported: Counter[str] = sum(self._reported.values(), Counter())
        return Balance(
            planned=len(planned) * copies,
            collected=len(collected) * copies,
            run=self._started.total(),
            reported=reported.total(),
            deselected=tuple(sorted(_union(self._deselected))),
            boards=tuple(self._of_worker(worker) for worker in sorted(self._board_of)),
            problems=(*self._further, *self._compared(planned, collected, reported, copies)),
        )

    def _of_worker(self, worker: str) -> BoardBalance:
        reported = self._reported[worker].total() if worker in self._reported else 0
        return BoardBalance(worker, self._board_of[worker], self._run_by.get(worker), reported)

    def _compared(
        self, planned: set[str], collected: set[str], reported: Counter[str], copies: int
    ) -> list[Problem]:
        """Each step of the way, test by test."""
        started = self._started
        pairs = (
            ("found, but left out without being deselected", planned - collected),
            ("collected, but not planned", collected - planned),
            ("planned, but not run", {test for test in collected if started[test] < copies}),
            ("begun, but never reported", {test for test in started if reported[test] < started[test]}),
            ("reported, but never begun", {test for test in reported if started[test] < reported[test]}),
            ("run more often than planned", {test for test in started if started[test] > copies}),
            ("run, but not planned", set(started) - collected),
        )
        found = [Problem(what, tuple(sorted(tests))) for what, tests in pairs if tests]
        for worker, tests in self._collected.items():
            if odd := tests ^ collected:
                found.append(Problem(f"{worker} collected other tests than the rest", tuple(sorted(odd))))
        for worker, count in self._run_by.items():
            got = self._reported[worker].total() if worker in self._reported else 0
            if got != count:
                found.append(Problem(f"{worker} says that it ran {count} tests, {got} were reported"))
        return found


def _union(sets: dict[str, set[str]]) -> set[str]:
    return set().union(*sets.values())
