"""The digital lines of a run, by name, from the electronics' timeline and from pins of the chip."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable

from needlepen.emulator.pen import EmulatedPen
from needlepen.evidence import Digital

LANES = (
    *("TRIGGER_N", "RUN_N", "SUPPLY_EN", "SUPPLY", "BRAKE", "OVERCURRENT", "TRIP_N", "LATCH_BRAKE"),
    *("WDT_EXPIRED", "WDT_KICK", "TICK", "INDEX", "TDC", "SHOOT_THROUGH"),
)
"""In the order of the report, from what the operator does to what the mechanics answer."""

_AT_POWER_ON = {"TRIGGER_N": 1, "RUN_N": 1, "BRAKE": 1, "TRIP_N": 1, "WDT_EXPIRED": 1}
_PINS = ("TICK", "WDT_KICK")


class Signals:
    """Level changes of every signal. STANDSTILL and SHOOT_THROUGH only ever happen: they have no way back to 0."""

    def __init__(self, pen: EmulatedPen) -> None:
        self._timeline = pen.electronics.timeline
        self._read = 0
        self._times: dict[str, list[float]] = {}
        self._levels: dict[str, list[int]] = {}
        for name in LANES:
            level = pen.electronics.level(name) if name in ("INDEX", "TDC") else _AT_POWER_ON.get(name, 0)
            self._add(0.0, name, level)
        for name in _PINS:
            if name in pen.board.pins:
                pen.chip.on_output(pen.board.gpio(name), self._pin(name))

    def _pin(self, name: str) -> Callable[[int, int | None], None]:
        return lambda t_ns, level: self._add(t_ns, name, level or 0)

    def _add(self, t_ns: float, name: str, level: float) -> None:
        self._times.setdefault(name, []).append(t_ns)
        self._levels.setdefault(name, []).append(int(level))

    def _update(self) -> None:
        for t_ns, name, level in self._timeline[self._read :]:
            if name != "DUTY":
                self._add(t_ns, name, level)
        self._read = len(self._timeline)

    def level(self, name: str, t_ns: float | None = None) -> int:
        """Level now, or at a time."""
        self._update()
        place = len(self._times[name]) if t_ns is None else bisect_right(self._times[name], t_ns)
        return self._levels[name][max(place - 1, 0)]

    def first(self, name: str, level: int, t0_ns: float, t1_ns: float = float("inf")) -> float | None:
        """When a signal first changed to a level between two times (both included), or None."""
        self._update()
        times, levels = self._times.get(name, []), self._levels.get(name, [])
        for i in range(bisect_left(times, t0_ns), len(times)):
            if times[i] > t1_ns:
                break
            if levels[i] == level:
                return times[i]
        return None

    def last(self, name: str, level: int, t0_ns: float, t1_ns: float) -> float | None:
        """When a signal last changed to a level between two times (both included), or None."""
        self._update()
        times, levels = self._times.get(name, []), self._levels.get(name, [])
        for i in range(bisect_right(times, t1_ns) - 1, -1, -1):
            if times[i] < t0_ns:
                break
            if levels[i] == level:
                return times[i]
        return None

    def count(self, name: str, level: int, t0_ns: float, t1_ns: float = float("inf")) -> int:
        """How often a signal changed to a level between two times."""
        self._update()
        pairs = zip(self._times.get(name, []), self._levels.get(name, []), strict=True)
        return sum(v == level and t0_ns <= t <= t1_ns for t, v in pairs)

    def lanes(self) -> dict[str, Digital]:
        """The report's lanes; those that never changed are left out."""
        self._update()
        return {
            name: Digital([round(t) for t in self._times[name]], self._levels[name])
            for name in LANES
            if len(self._times[name]) > 1
        }
