"""A line on its way to whoever reads it, with the disturbances that a scenario asks for."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from needlepen.emulator.watchdog import Alarm, Scheduler
from needlepen.errors import UsageError

MODES = ("or", "and", "xor")


class DisturbedLine:
    """Level of one line: what its source says (delayed, inverted), then pulses on top (or, and, xor), then a stuck
    level."""

    def __init__(self, scheduler: Scheduler, level: int, on_change: Callable[[float, int], None]) -> None:
        self._scheduler = scheduler
        self._on_change = on_change
        self.true_level = level
        self._heard_level = level
        self._delay_ns = 0.0
        self._inverted = False
        self._stuck: int | None = None
        self._pulse = False
        self._mode = "xor"
        self._alarm: Alarm | None = None
        self.level = level

    def set_true(self, t_ns: float, level: int) -> None:
        """The level at the source."""
        self.true_level = level
        if self._delay_ns:
            heard_ns = t_ns + self._delay_ns
            self._scheduler.call_at(heard_ns, lambda: self._hear(heard_ns, level))
        else:
            self._hear(t_ns, level)

    def _hear(self, t_ns: float, level: int) -> None:
        self._heard_level = level
        self._update(t_ns)

    def stick(self, t_ns: float, level: int | None) -> None:
        """Hold the line at a level, or let go of it (None)."""
        self._stuck = level
        self._update(t_ns)

    def delay(self, delay_us: float) -> None:
        """From now on every change arrives so much later."""
        self._delay_ns = delay_us * 1e3

    def invert(self, t_ns: float, is_inverted: bool) -> None:
        """High is low from now on."""
        self._inverted = is_inverted
        self._update(t_ns)

    def clear(self, t_ns: float) -> None:
        """Everything repaired."""
        self._stuck, self._inverted, self._delay_ns = None, False, 0.0
        self._heard_level = self.true_level
        self.quiet(t_ns)

    def burst(self, t_ns: float, period_us: float, width_us: float, duration_ms: float, mode: str) -> None:
        """Pulses of width_us every period_us, the first one now; replaces a burst under way.

        Raises:
            UsageError: a width that is not shorter than the period, or an unknown mode.
        """
        if not 0.0 < width_us < period_us or duration_ms <= 0.0:
            raise UsageError(
                f"Glitches {width_us:g} us wide every {period_us:g} us for {duration_ms:g} ms are no pulses: "
                "give a width shorter than the period and a positive duration."
            )
        self.pulses(t_ns, itertools.repeat((period_us, width_us)), mode, t_ns + duration_ms * 1e6)

    def pulses(
        self, t_ns: float, plan: Iterator[tuple[float, float]], mode: str, end_ns: float = float("inf")
    ) -> None:
        """Pulses by a plan of (period us, width us), the first one now, until the end; replaces those under way.

        Raises UsageError for an unknown mode.
        """
        if mode not in MODES:
            raise UsageError(f"There is no glitch mode {mode!r}: use one of {', '.join(MODES)}.")
        self.quiet(t_ns)
        self._mode = mode
        self._edge(t_ns, plan, end_ns)

    def quiet(self, t_ns: float) -> None:
        """End a burst."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._pulse = False
        self._update(t_ns)

    def _edge(self, start_ns: float, plan: Iterator[tuple[float, float]], end_ns: float) -> None:
        if start_ns >= end_ns:
            return
        period_us, width_us = next(plan)
        self._pulse = True
        self._update(start_ns)

        def falls() -> None:
            self._pulse = False
            self._update(start_ns + width_us * 1e3)
            following_ns = start_ns + period_us * 1e3
            self._alarm = self._scheduler.call_at(
                following_ns, lambda: self._edge(following_ns, plan, end_ns)
            )

        self._alarm = self._scheduler.call_at(start_ns + width_us * 1e3, falls)

    def _update(self, t_ns: float) -> None:
        level = self._heard_level ^ int(self._inverted)
        if self._pulse:
            level = {"or": 1, "and": 0, "xor": 1 - level}[self._mode]
        if self._stuck is not None:
            level = self._stuck
        if level != self.level:
            self.level = level
            self._on_change(t_ns, level)
