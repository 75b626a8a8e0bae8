"""The overcurrent protection of layer 0: comparator, and a latch whose node TRIP_N is an open drain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol


class Planner(Protocol):
    """What the latch needs of the electronics."""

    def plan(self, what: str, t_ns: float, fn: Callable[[float], None]) -> None:
        """Have fn(t) called at that time, instead of an earlier plan of the same name."""

    def unplan(self, what: str) -> None:
        """Forget a plan."""


class OvercurrentLatch:
    """Too much current sets the latch after the comparator's delay; so does anybody who pulls TRIP_N low.

    Set, it opens the supply at once and brakes `brake_delay_ns` later. A rising edge of LATCH_CLR clears it, unless
    something still sets it. `stuck` holds faults: COMPARATOR 0 (never trips), LATCH 0 (cannot be set) or 1 (is set
    and cannot be cleared), LATCH_HOLD 0 (set only as long as something sets it).
    """

    def __init__(
        self,
        planner: Planner,
        delay_ns: float,
        brake_delay_ns: float,
        stuck: Mapping[str, int],
        on_change: Callable[[float, str, int], None],
    ) -> None:
        self._planner = planner
        self._delay_ns = delay_ns
        self._brake_delay_ns = brake_delay_ns
        self._stuck = stuck
        self._on_change = on_change
        self._over = self._pulled = self._about_to_trip = False
        self.latched = 0
        self.braking = 0

    def power_up(self, t_ns: float) -> None:
        """The state after a power cut: clear, unless a fault sets it."""
        self._planner.unplan("trip")
        self._planner.unplan("latch brake")
        self._pulled = self._about_to_trip = False
        self._latch(t_ns, self._stuck.get("LATCH", 0))
        self._brake(t_ns, self.latched)

    def compare(self, t_ns: float, over: bool) -> None:
        """What the current does at the comparator's threshold."""
        if over == self._over:
            return
        self._over = over
        self._on_change(t_ns, "OVERCURRENT", int(over))
        if not over:
            self.look(t_ns)
        elif self._stuck.get("COMPARATOR") != 0 and not self._about_to_trip:
            self._about_to_trip = True
            self._planner.plan("trip", t_ns + self._delay_ns, self._trip)

    def pull(self, t_ns: float, low: bool) -> None:
        """Somebody pulls TRIP_N low from outside, or lets go of it."""
        self._pulled = low
        if low:
            self.set(t_ns)
        else:
            self.look(t_ns)

    def _trip(self, t_ns: float) -> None:
        self._about_to_trip = False
        self.set(t_ns)

    def set(self, t_ns: float) -> None:
        """Set it now."""
        if self._stuck.get("LATCH") == 0:
            return
        self._latch(t_ns, 1)
        if self.braking:
            self._planner.unplan("latch brake")  # a release under way
        else:
            self._planner.plan("latch brake", t_ns + self._brake_delay_ns, lambda t: self._brake(t, 1))

    def clear(self, t_ns: float) -> None:
        """A rising edge of LATCH_CLR; setting wins over clearing."""
        if self.latched and not self._over and not self._pulled and self._stuck.get("LATCH") != 1:
            self._latch(t_ns, 0)
            self._planner.plan("latch brake", t_ns + self._brake_delay_ns, lambda t: self._brake(t, 0))

    def look(self, t_ns: float) -> None:
        """A fault has come or gone, or something has stopped setting the latch."""
        if self._stuck.get("LATCH") == 1:
            self.set(t_ns)
        elif self._stuck.get("LATCH") == 0 or self._stuck.get("LATCH_HOLD") == 0:
            self.clear(t_ns)

    def _latch(self, t_ns: float, latched: int) -> None:
        if latched != self.latched:
            self.latched = latched
            self._on_change(t_ns, "LATCH", latched)
            self._on_change(t_ns, "TRIP_N", 1 - latched)

    def _brake(self, t_ns: float, braking: int) -> None:
        if braking != self.braking:
            self.braking = braking
            self._on_change(t_ns, "LATCH_BRAKE", braking)
