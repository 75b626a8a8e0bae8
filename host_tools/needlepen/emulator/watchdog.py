"""The external window watchdog on the drive gate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

KICKS_TO_CLEAR = 2


class Alarm(Protocol):
    """A planned call."""

    def cancel(self) -> None:
        """Forget it; harmless if it has happened."""


class Scheduler(Protocol):
    """What the electronics need from the emulated chip, or from a test: a plan of future calls."""

    def call_at(self, t_ns: float, fn: Callable[[], None]) -> Alarm:
        """Call fn() at that device time."""


class WindowWatchdog:
    """Wants a rising edge 2 to 30 ms after the previous one. Expired, it brakes the pen.

    Expired at power-up; cleared by two consecutive kicks that come inside the window after their
    predecessors.
    """

    def __init__(
        self, scheduler: Scheduler, min_ms: float, max_ms: float, on_change: Callable[[float, int], None]
    ) -> None:
        self._scheduler = scheduler
        self._min_ns = min_ms * 1e6
        self._max_ns = max_ms * 1e6
        self._on_change = on_change
        self._last_ns: float | None = None
        self._good = 0
        self._alarm: Alarm | None = None
        self.expired = True

    def power_up(self, t_ns: float) -> None:
        """Back to the state after power-up: expired, no kick seen."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._last_ns = None
        self._missed(t_ns)

    def kick(self, t_ns: float) -> None:
        """A rising edge on WDT_KICK."""
        gap_ns = None if self._last_ns is None else t_ns - self._last_ns
        self._last_ns = t_ns
        if gap_ns is not None and self._min_ns <= gap_ns <= self._max_ns:
            self._good += 1
        else:
            self._good = 0
            if gap_ns is not None:
                self._set(t_ns, True)
        if self._alarm is not None:
            self._alarm.cancel()
        due_ns = t_ns + self._max_ns
        self._alarm = self._scheduler.call_at(due_ns, lambda: self._missed(due_ns))
        if self._good >= KICKS_TO_CLEAR:
            self._set(t_ns, False)

    def _missed(self, t_ns: float) -> None:
        self._good = 0
        self._set(t_ns, True)

    def _set(self, t_ns: float, expired: bool) -> None:
        if expired != self.expired:
            self.expired = expired
            self._on_change(t_ns, int(expired))
