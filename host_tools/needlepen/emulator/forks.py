"""Snapshots of an emulated pen by fork: boot once, then give every case its own copy of the whole process.

A copy costs milliseconds, cannot disturb its siblings, and is exact: the same case gives the same result wherever
and in whatever order it runs. Copies run side by side, as many as there are cores.
"""

from __future__ import annotations

import gc
import os
import pickle
import select
import signal
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from needlepen.errors import InfrastructureError, infrastructure_behind

TIMEOUT_S = 120.0


class ChildFailedError(AssertionError):
    """What went wrong in a copy, with its traceback.

    Its cause is an InfrastructureError if the copy crashed, ran out of wall time, or raised one itself.
    """


@dataclass
class _Child:
    index: int
    pid: int
    pipe: int
    deadline_s: float
    data: bytearray = field(default_factory=bytearray)


class Forks:
    """Runs functions in forked copies of this process. `start` returns at once unless all cores are busy.

    Use as a context manager: copies that still run at its end are killed.
    """

    def __init__(self, workers: int | None = None, timeout_s: float = TIMEOUT_S) -> None:
        self._workers = workers or int(os.environ.get("NEEDLEPEN_FORKS", 0)) or os.cpu_count() or 1
        self._timeout_s = timeout_s
        self._running: dict[int, _Child] = {}
        self._results: dict[int, tuple[str, Any]] = {}
        self._started = 0

    def __enter__(self) -> Forks:
        return self

    def __exit__(self, *_: object) -> None:
        for child in list(self._running.values()):
            self._end(child, kill=True)

    def start(self, fn: Callable[..., Any], *args: Any) -> None:
        """Run fn(*args) in a copy made now; its result has to be picklable."""
        while len(self._running) >= self._workers:
            self._collect()
        reading, writing = os.pipe()
        gc.freeze()  # the collector would touch, and so copy, every page
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            _run_in_child(writing, fn, args)
        os.close(writing)
        deadline_s = time.monotonic() + self._timeout_s
        self._running[reading] = _Child(self._started, pid, reading, deadline_s)
        self._started += 1

    def results(self) -> list[Any]:
        """Wait for all; their results in the order of `start`. Raises the first failure, with the copy's traceback."""
        while self._running:
            self._collect()
        for index in range(self._started):
            verdict, value = self._results[index]
            if verdict == "error":
                raise ChildFailedError(f"case {index}: {value}")
            if verdict != "ok":
                reason = str(value).strip().splitlines()[-1]
                raise ChildFailedError(f"case {index}: {value}") from InfrastructureError(reason)
        return [self._results[index][1] for index in range(self._started)]

    def _collect(self) -> None:
        """Wait until at least one copy has sent something, ended, or run out of time."""
        now_s = time.monotonic()
        patience_s = max(0.0, min(child.deadline_s for child in self._running.values()) - now_s)
        for pipe in select.select(list(self._running), [], [], patience_s)[0]:
            child = self._running[pipe]
            if chunk := os.read(pipe, 1 << 20):
                child.data += chunk
            else:
                self._end(child)
        for child in [c for c in self._running.values() if time.monotonic() >= c.deadline_s]:
            self._end(child, kill=True)
            self._results[child.index] = ("timeout", f"no result after {self._timeout_s:.0f} s of wall time")

    def _end(self, child: _Child, kill: bool = False) -> None:
        if kill:
            os.kill(child.pid, signal.SIGKILL)
        _, status = os.waitpid(child.pid, 0)
        os.close(child.pipe)
        del self._running[child.pipe]
        crashed = ("crash", f"the copy ended with status {status} and without a result")
        self._results[child.index] = pickle.loads(child.data) if child.data and not kill else crashed


def _run_in_child(pipe: int, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
    try:
        gc.disable()  # a short life; collecting would copy the pages shared with the parent
        answer: tuple[str, Any] = ("ok", fn(*args))
        data = pickle.dumps(answer)
    except BaseException as error:  # everything has to reach the parent, also a failed assertion of pytest
        verdict = "infrastructure" if infrastructure_behind(error) else "error"
        data = pickle.dumps((verdict, traceback.format_exc()))
    try:
        with os.fdopen(pipe, "wb") as out:
            out.write(data)
    finally:
        os._exit(0)  # no clean-up of the parent's things in the copy


def in_fork(fn: Callable[..., Any], *args: Any, timeout_s: float = TIMEOUT_S) -> Any:
    """fn(*args) on a copy: whatever it does to the pen is forgotten, only its result comes back."""
    with Forks(1, timeout_s) as forks:
        forks.start(fn, *args)
        return forks.results()[0]


def each_in_fork(
    pen: Any,
    fn: Callable[[Any, Any], Any],
    cases: Iterable[Any],
    prepare: Callable[[Any, Any], None] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> list[Any]:
    """[fn(pen, case) for each case], every case on its own copy of the pen.

    `prepare(pen, case)` runs before the copy is made and on the pen itself: it can move it on to the moment of the
    case. Call this on a copy then, or the caller's pen moves.
    """
    with Forks(timeout_s=timeout_s) as forks:
        for case in cases:
            if prepare is not None:
                prepare(pen, case)
            forks.start(fn, pen, case)
        return forks.results()
