"""The true motion of an emulated pen, sampled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from needlepen.emulator.pen import EmulatedPen

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Trace:
    """Samples of the physics, ascending in time. `turn_hz` is the mean rate of the revolution that ends there."""

    t_ms: Floats
    strokes: Floats
    rate_hz: Floats
    current_a: Floats
    needle_mm: Floats

    @property
    def turn_hz(self) -> Floats:
        """Mean stroke rate over the last revolution; NaN before there was one."""
        begun_ms = np.interp(self.strokes - 1.0, self.strokes, self.t_ms, left=np.nan)
        return 1e3 / (self.t_ms - begun_ms)

    def turn_hz_at(self, t_ms: float) -> float:
        """`turn_hz` at one instant."""
        stroke = float(np.interp(t_ms, self.t_ms, self.strokes))
        return float(1e3 / (t_ms - np.interp(stroke - 1.0, self.strokes, self.t_ms, left=np.nan)))

    @property
    def centred_hz(self) -> Floats:
        """Stroke rate without the ripple inside a stroke and without delay: the mean over the revolution around each
        sample; NaN where half a revolution is missing."""
        begun = np.interp(self.strokes - 0.5, self.strokes, self.t_ms, left=np.nan)
        ended = np.interp(self.strokes + 0.5, self.strokes, self.t_ms, right=np.nan)
        return 1e3 / (ended - begun)

    def then(self, later: Trace) -> Trace:
        """This trace continued."""
        pairs = ((getattr(self, name), getattr(later, name)) for name in self.__dataclass_fields__)
        return Trace(*(np.concatenate(pair) for pair in pairs))

    def out_of_band_ms(self, target_hz: float, pct: float) -> float:
        """Last instant at which the rate of a revolution was not within pct of the target; -inf if never."""
        outside = ~(np.abs(self.turn_hz / target_hz - 1.0) <= pct / 100.0)
        return float(self.t_ms[outside].max()) if outside.any() else float("-inf")


def record(pen: EmulatedPen, duration_ms: float, step_us: float = 250.0) -> Trace:
    """Let device time pass and sample the pen, now included."""
    rows = []
    for index in range(round(duration_ms * 1e3 / step_us) + 1):
        if index:
            pen.run_for(step_us * 1e3)
        s = pen.physics.peek(pen.now_ns)
        rows.append((pen.now_ns / 1e6, s.strokes, s.rate_hz, s.current_a, s.needle_mm))
    return Trace(*np.array(rows, dtype=np.float64).T)
