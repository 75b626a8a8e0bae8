"""What the pen does, sampled in device time: mechanics, current and voltages, and the revolution's mean rate."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from needlepen.emulator.pen import EmulatedPen
from needlepen.evidence import FloatArray, Series

TWO_PI = 2.0 * math.pi
PERIOD_NS = 500_000
_COLUMNS = (
    *("t_ns", "theta_rad", "shaft_hz", "rate_hz", "current_a", "current_peak_a", "needle_mm"),
    *("supply_v", "duty"),
)
UNITS = {
    "rate_hz": "Hz", "shaft_hz": "Hz", "current_a": "A", "current_peak_a": "A", "needle_mm": "mm",
    "cell_v": "V", "duty": "",
}  # fmt: skip
_AFTER_DUTY_NS = 60_000
"""A new duty settles the current in a few time constants of 15 us; its highest value follows right after."""


class Recording:
    """Samples every 0.5 ms, finer where asked for, and shortly after each change of the duty.

    Sampling only looks at the pen: it changes nothing, and a run is the same with and without it.
    Columns: `shaft_hz` is the speed of the shaft at that instant; `rate_hz` the mean of the last revolution,
    or since the shaft began to turn if that is less, 0 at standstill.
    """

    def __init__(self, pen: EmulatedPen) -> None:
        self._pen = pen
        self._data = np.zeros((4096, len(_COLUMNS)))
        self._count = 0
        self._run_start = 0
        self._turn_ago = 0
        self._duty = 0.0
        self._fine: list[tuple[int, int]] = []
        self._alarm = pen.chip.create_alarm(self._due)
        self._duty_alarm = pen.chip.create_alarm(self.sample)
        pen.electronics.on_output("DUTY", self._duty_changed)
        self._due()

    # sampling

    def fine(self, *parts: tuple[float, float]) -> None:
        """Sample finer from now on: (period ns, for how long ns), one part after the other."""
        end_ns = self._pen.now_ns
        self._fine = []
        for period_ns, duration_ns in parts:
            end_ns += round(duration_ns)
            self._fine.append((end_ns, round(period_ns)))
        self._due()

    def sample(self) -> None:
        """Take a sample now; twice at the same instant is once."""
        physics = self._pen.physics
        state = physics.peek(max(self._pen.now_ns, physics.now.t_ns))
        if self._count and state.t_ns <= self._data[self._count - 1, 0]:
            return
        if self._count == len(self._data):
            self._data = np.concatenate((self._data, np.zeros_like(self._data)))
        self._data[self._count] = (
            *(state.t_ns, state.theta_rad, state.rate_hz, 0.0, state.current_a, state.peak_current_a),
            *(state.needle_mm, state.supply_v, self._duty),
        )
        self._count += 1
        self._data[self._count - 1, 3] = self._revolution_hz(state.omega_rad_s == 0.0)

    def _due(self) -> None:
        self.sample()
        now_ns = self._pen.now_ns
        while self._fine and self._fine[0][0] <= now_ns:
            del self._fine[0]
        period_ns = self._fine[0][1] if self._fine else PERIOD_NS
        self._alarm.schedule_at((now_ns // period_ns + 1) * period_ns)

    def _duty_changed(self, t_ns: float, duty: float) -> None:
        self._duty = duty
        self._duty_alarm.cancel()
        self._duty_alarm.schedule_at(self._pen.now_ns + _AFTER_DUTY_NS)

    def _revolution_hz(self, at_rest: bool) -> float:
        last = self._count - 1
        if at_rest:
            self._run_start = self._turn_ago = last
            return 0.0
        data, place = self._data, self._turn_ago
        t_ns, theta_rad = data[last, 0], data[last, 1]
        began_ns, began_rad = data[self._run_start, 0], data[self._run_start, 1]
        if theta_rad - began_rad < TWO_PI:
            return (
                float((theta_rad - began_rad) / TWO_PI / (t_ns - began_ns) * 1e9) if t_ns > began_ns else 0.0
            )
        target_rad = theta_rad - TWO_PI
        while data[place + 1, 1] <= target_rad and place + 1 < last:
            place += 1
        self._turn_ago = place
        step_rad = data[place + 1, 1] - data[place, 1]
        part = (target_rad - data[place, 1]) / step_rad if step_rad > 0.0 else 0.0
        then_ns = data[place, 0] + min(max(part, 0.0), 1.0) * (data[place + 1, 0] - data[place, 0])
        return float(1e9 / (t_ns - then_ns))

    # reading

    def column(self, name: str, t0_ns: float = 0.0, t1_ns: float = math.inf) -> FloatArray:
        """The values of a column between two times, both included."""
        t_ns = self._data[: self._count, 0]
        first, last = np.searchsorted(t_ns, t0_ns), np.searchsorted(t_ns, t1_ns, side="right")
        return self._data[first:last, _COLUMNS.index(name)]

    def at(self, name: str, t_ns: float) -> float:
        """The value of a column at a time, between two samples on the straight line."""
        place = int(np.searchsorted(self._data[: self._count, 0], t_ns))
        near = self._data[max(place - 1, 0) : min(place + 1, self._count)]
        return float(np.interp(t_ns, near[:, 0], near[:, _COLUMNS.index(name)]))

    def highest(self, name: str, t0_ns: float, t1_ns: float = math.inf) -> float | None:
        """The highest value between two times; None without a sample there."""
        values = self.column(name, t0_ns, t1_ns)
        return float(values.max()) if len(values) else None

    def last_time(
        self, bad: Callable[[FloatArray], npt.NDArray[np.bool_]], name: str, t0_ns: float, t1_ns: float
    ) -> float | None:
        """The first sample after the last one in the window for which `bad` holds; infinity if it holds to the end.

        The window's start if it never holds; None without a sample there.
        """
        t_ns = self.column("t_ns", t0_ns, t1_ns)
        if not len(t_ns):
            return None
        wrong = np.flatnonzero(bad(self.column(name, t0_ns, t1_ns)))
        if not len(wrong):
            return t0_ns
        return math.inf if wrong[-1] + 1 == len(t_ns) else float(t_ns[wrong[-1] + 1])

    def first_time(self, name: str, above: float, t0_ns: float, t1_ns: float = math.inf) -> float | None:
        """When a column first rises above a value, on the straight line between two samples; None if it does not."""
        t_ns, values = self.column("t_ns", t0_ns, t1_ns), self.column(name, t0_ns, t1_ns)
        over = np.flatnonzero(values > above)
        if not len(over):
            return None
        i = int(over[0])
        if i == 0:
            return float(t_ns[0])
        part = (above - values[i - 1]) / (values[i] - values[i - 1])
        return float(t_ns[i - 1] + part * (t_ns[i] - t_ns[i - 1]))

    def stroke_series(self, t0_ns: float, t1_ns: float) -> Series:
        """The mean rate over a whole stroke around each instant, so that the ripple inside a stroke does not count.

        Up to the furthest point that the shaft reaches in the window; NaN where half a stroke is missing.
        """
        t_ns, theta_rad = self.column("t_ns", t0_ns, t1_ns), self.column("theta_rad", t0_ns, t1_ns)
        if not len(t_ns):
            return Series(t_ns, theta_rad, "Hz")
        forward = int(theta_rad.argmax()) + 1
        t_ns, theta_rad = t_ns[:forward], np.maximum.accumulate(theta_rad[:forward])
        begun_ns = np.interp(theta_rad - math.pi, theta_rad, t_ns, left=np.nan)
        ended_ns = np.interp(theta_rad + math.pi, theta_rad, t_ns, right=np.nan)
        return Series(t_ns / 1e9, 1e9 / (ended_ns - begun_ns), "Hz")

    def series(self, name: str, t0_ns: float = 0.0, t1_ns: float = math.inf) -> Series:
        """A column for the report; `cell_v` is what `supply_v` is called there: the cell's terminals."""
        column = "supply_v" if name == "cell_v" else name
        return Series(
            self.column("t_ns", t0_ns, t1_ns) / 1e9, self.column(column, t0_ns, t1_ns).copy(), UNITS[name]
        )
