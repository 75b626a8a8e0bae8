"""Times what the suite itself does, in functions and in hooks of pytest; see `support.overhead`."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass
class Stopwatch:
    """Adds up time; what is timed inside of something that is timed counts once."""

    spent_s: float = 0.0
    _depth: int = 0
    _since_s: float = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Time what is inside of the block."""
        if not self._depth:
            self._since_s = time.perf_counter()
        self._depth += 1
        try:
            yield
        finally:
            if self._depth == 1:
                self.spent_s = self.so_far_s
            self._depth -= 1

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What is inside of the block does not count, although something that is timed calls it."""
        self.spent_s, depth, self._depth = self.so_far_s, self._depth, 0
        try:
            yield
        finally:
            self._depth, self._since_s = depth, time.perf_counter()

    @property
    def so_far_s(self) -> float:
        """With what is being timed now."""
        return self.spent_s + (time.perf_counter() - self._since_s if self._depth else 0.0)


def timed(watch: Stopwatch, hook: Callable[..., Any]) -> Callable[..., Any]:
    """The same hook, timed; of one that is wrapped around others, what comes before and after them."""
    if not inspect.isgeneratorfunction(hook):

        @functools.wraps(hook)
        def plain(*arguments: Any) -> Any:
            with watch.running():
                return hook(*arguments)

        return plain

    @functools.wraps(hook)
    def around(*arguments: Any) -> Generator[Any, Any, Any]:
        steps = hook(*arguments)
        with watch.running():
            value = next(steps)
        while True:
            try:
                sent = yield value
            except BaseException as error:
                go_on = functools.partial(steps.throw, error)
            else:
                go_on = functools.partial(steps.send, sent)
            try:
                with watch.running():
                    value = go_on()
            except StopIteration as end:
                return end.value

    return around


WATCH = pytest.StashKey[Stopwatch]()
"""The one of this process."""
