"""A plan of future calls, which the emulated chip is in reality: for models that are tested without a chip."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable


class PlannedCall:
    """A call that may still be cancelled."""

    def __init__(self, fn: Callable[[], None]) -> None:
        self.fn: Callable[[], None] | None = fn

    def cancel(self) -> None:
        """Forget it."""
        self.fn = None


class Plan:
    """Calls in the order of their times. `now_ns` moves in `run_until` only."""

    def __init__(self) -> None:
        self.now_ns = 0.0
        self.calls = 0
        self._queue: list[tuple[float, int, PlannedCall]] = []
        self._order = itertools.count()

    def call_at(self, t_ns: float, fn: Callable[[], None]) -> PlannedCall:
        """Call fn() at a time that is not over."""
        assert t_ns >= self.now_ns, f"planned {self.now_ns - t_ns} ns in the past"
        call = PlannedCall(fn)
        heapq.heappush(self._queue, (t_ns, next(self._order), call))
        return call

    def run_until(self, t_ns: float) -> None:
        """Make all calls up to a time."""
        while self._queue and self._queue[0][0] <= t_ns:
            self.now_ns, _, call = heapq.heappop(self._queue)
            if call.fn is not None:
                self.calls += 1
                call.fn()
        self.now_ns = t_ns

    @property
    def waiting(self) -> int:
        """How many calls are planned."""
        return sum(1 for _, _, call in self._queue if call.fn is not None)
