"""The run as a VCD file for a waveform viewer: every signal at its exact device time, and the sampled quantities."""

from __future__ import annotations

import io
from typing import Any

from vcd import VCDWriter

from needlepen.scenario.signals import LANES, Signals
from needlepen.scenario.situation import Situation

_QUANTITIES = ("shaft_hz", "rate_hz", "current_a", "needle_mm", "supply_v", "duty")
_EVERY_NS = 500_000


def as_vcd(s: Situation) -> bytes:
    """The trace with a time unit of 1 ns. Quantities every 0.5 ms, finer around the injected faults."""
    text = io.StringIO()
    with VCDWriter(
        text, timescale="1 ns", comment="needlepen: times are device time since power-on"
    ) as writer:
        changes = [*_signals(writer, s.signals), *_quantities(writer, s)]
        for t_ns, variable, value in sorted(changes, key=lambda change: change[0]):
            writer.change(variable, t_ns, value)
    return text.getvalue().encode()


def _signals(writer: Any, signals: Signals) -> list[tuple[int, Any, int]]:
    changes = []
    lanes = signals.lanes()
    for name in LANES:
        if name in lanes:
            lane = lanes[name]
            variable = writer.register_var("pen", name, "wire", size=1, init=lane.levels[0])
            changes += [(t, variable, v) for t, v in zip(lane.t_ns, lane.levels, strict=True)]
    return changes


def _quantities(writer: Any, s: Situation) -> list[tuple[int, Any, float]]:
    changes = []
    t_ns = s.recording.column("t_ns").round().astype(int).tolist()
    for name in _QUANTITIES:
        variable = writer.register_var("pen", name, "real", init=0.0)
        values = s.recording.column(name).round(6).tolist()
        before = None
        for t, value in zip(t_ns, values, strict=True):
            if value != before:
                changes.append((t, variable, value))
                before = value
    return changes
