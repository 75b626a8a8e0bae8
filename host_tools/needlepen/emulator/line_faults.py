"""A sensor line on its way to the pad, with the disturbances that a scenario asks for."""

from __future__ import annotations

from collections.abc import Callable

from needlepen.emulator.watchdog import Alarm, Scheduler
from needlepen.errors import UsageError

MODES = ("or", "xor")


class DisturbedLine:
    """Level of one line: what the sensor says, then pulses on top of it (or, xor), then a stuck level."""

    def __init__(self, scheduler: Scheduler, level: int, on_change: Callable[[float, int], None]) -> None:
        self._scheduler = scheduler
        self._on_change = on_change
        self._true_level = level
        self._stuck: int | None = None
        self._pulse = False
        self._mode = "xor"
        self._alarm: Alarm | None = None
        self.level = level

    def set_true(self, t_ns: float, level: int) -> None:
        """The sensor's own level."""
        self._true_level = level
        self._update(t_ns)

    def stick(self, t_ns: float, level: int | None) -> None:
        """Hold the line at a level, or let go of it (None)."""
        self._stuck = level
        self._update(t_ns)

    def burst(self, t_ns: float, period_us: float, width_us: float, duration_ms: float, mode: str) -> None:
        """Pulses of width_us every period_us, the first one now; replaces a burst under way.

        Raises:
            UsageError: a width that is not shorter than the period, or an unknown mode.
        """
        if mode not in MODES:
            raise UsageError(f"There is no glitch mode {mode!r}: use one of {', '.join(MODES)}.")
        if not 0.0 < width_us < period_us or duration_ms <= 0.0:
            raise UsageError(
                f"Glitches {width_us:g} us wide every {period_us:g} us for {duration_ms:g} ms are no pulses: "
                "give a width shorter than the period and a positive duration."
            )
        self.quiet(t_ns)
        self._mode = mode
        self._edge(t_ns, period_us * 1e3, width_us * 1e3, t_ns + duration_ms * 1e6)

    def quiet(self, t_ns: float) -> None:
        """End a burst."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._pulse = False
        self._update(t_ns)

    def _edge(self, start_ns: float, period_ns: float, width_ns: float, end_ns: float) -> None:
        if start_ns >= end_ns:
            return
        self._pulse = True
        self._update(start_ns)

        def falls() -> None:
            self._pulse = False
            self._update(start_ns + width_ns)
            following_ns = start_ns + period_ns
            self._alarm = self._scheduler.call_at(
                following_ns, lambda: self._edge(following_ns, period_ns, width_ns, end_ns)
            )

        self._alarm = self._scheduler.call_at(start_ns + width_ns, falls)

    def _update(self, t_ns: float) -> None:
        level = self._true_level
        if self._pulse:
            level = 1 if self._mode == "or" else 1 - level
        if self._stuck is not None:
            level = self._stuck
        if level != self.level:
            self.level = level
            self._on_change(t_ns, level)
