"""One treatment, recorded: start, run free, touch skin, stay, lift. Many requirements are read off the same run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from needlepen.emulator.pen import EmulatedPen
from needlepen.link import Telemetry
from support.bench import MS, PROTRUSION_MM, press, to_angle
from support.forks import each_in_fork
from support.trace import Trace, record

START_MS = 350.0  # PR-04 asks for 150; then 200 ms of steady running
SKIN_MS = 400.0
LIFT_MS = 200.0
STEADY_MS = 150.0  # at the end of a part


@dataclass(frozen=True)
class Treatment:
    """What one run showed. Times in ms of device time since power-on."""

    set_hz: int
    needles: int
    cell_v: float
    pressed_ms: float
    start: Trace
    touched: Trace | None
    lifted: Trace | None
    telemetry: list[Telemetry]

    @property
    def name(self) -> str:
        return f"{self.set_hz} Hz, {self.needles} needles, {self.cell_v} V cell"

    @property
    def whole(self) -> Trace:
        trace = self.start
        for part in (self.touched, self.lifted):
            trace = trace if part is None else trace.then(part)
        return trace

    def steady(self) -> Trace:
        """The steady end of the part with these needles."""
        trace = self.touched if self.touched is not None else self.start
        keep = trace.t_ms > trace.t_ms[-1] - STEADY_MS
        # turn_hz needs the revolution before
        keep |= trace.t_ms > trace.t_ms[-1] - STEADY_MS - 2e3 / self.set_hz
        return Trace(*(getattr(trace, name)[keep] for name in trace.__dataclass_fields__))


def treat(
    pen: EmulatedPen, set_hz: int, needles: tuple[int, ...], touch_turns: tuple[float, ...]
) -> list[Treatment]:
    """Start once, then treat with each cartridge, touching the skin at each of some cam angles (0 = needles out)."""
    heard: list[Telemetry] = []
    pen.link.on_telemetry(heard.append)
    pressed_ns = press(pen, set_hz)
    start = record(pen, START_MS)

    def one(pen: EmulatedPen, case: tuple[int, float]) -> Treatment:
        count, turn = case
        touched = lifted = None
        if count:
            to_angle(pen, turn)
            pen.touch_skin(count, PROTRUSION_MM)
            touched = record(pen, SKIN_MS)
            pen.lift()
            lifted = record(pen, LIFT_MS)
        return Treatment(
            set_hz, count, pen.parameters.cell_ocv_v, pressed_ns / MS, start, touched, lifted, list(heard)
        )

    cases: list[Any] = [(count, turn) for count in needles for turn in (touch_turns if count else (0.0,))]
    treatments: list[Treatment] = each_in_fork(pen, one, cases)
    return treatments
