"""The firmware's control step closed on the physics of the pen, without a chip: fast enough for sweeps."""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import needlepen.emulator  # noqa: F401  (chooses the compiled physics first)
from needlepen.emulator.parameters import PenParameters
from needlepen.emulator.physics import DRIVE, PenPhysics
from needlepen.firmware_modules import firmware_module
from support.trace import Trace

control = firmware_module("pen.control")
places = firmware_module("pen.places")
limits = firmware_module("pen.limits")
board_constants = firmware_module("pen.board")

TICK_NS = 1e6
SAMPLE_NS = 165e3  # one conversion of the motor current
FILTER_NS = 230e3  # delay of the glitch filter
START_RAMP_MHZ, RUN_RAMP_MHZ = 2500, 49
START_LIMIT_MA, RUN_LIMIT_MA = 950, 1500


@dataclass
class Loop:
    """One run. `skin` maps a tick to the needles on skin from then on."""

    set_hz: int
    cell_v: float = 3.7
    seed: int = 0
    skin: Mapping[int, int] = field(default_factory=dict)
    targets: Mapping[int, int] = field(default_factory=dict)
    protrusion_mm: float = 1.5
    pen: Any = field(init=False, default=None)

    def run(self, ticks: int) -> tuple[Trace, list[list[int]]]:
        """The trace, one sample a tick, and the control state after each tick."""
        state = control.state
        for place in range(len(state)):
            state[place] = 0
        state[places.TARGET_MHZ] = 1000 * self.set_hz
        state[places.RAMP_MHZ] = START_RAMP_MHZ
        state[places.CURRENT_LIMIT_MA] = START_LIMIT_MA
        pen = self.pen = PenPhysics(PenParameters().but(cell_ocv_v=self.cell_v), seed=self.seed)
        pen.set_supply(0.0, True)
        adc: list[int] = [0] * 8
        marks: list[int] = []
        due: list[float] = []
        rows, states = [], []
        for tick in range(ticks):
            begin_ns, end_ns = tick * TICK_NS, (tick + 1) * TICK_NS
            if tick in self.skin:
                pen.set_skin(begin_ns, self.skin[tick], self.protrusion_mm, self.skin[tick] > 0)
            if tick in self.targets:
                state[places.TARGET_MHZ] = 1000 * self.targets[tick]
            due += _marks(pen, begin_ns, end_ns)
            for n in range(int(begin_ns // SAMPLE_NS) + 1, int(end_ns // SAMPLE_NS) + 1):
                adc.append(max(0, min(4095, int(pen.sensed_current_a(n * SAMPLE_NS) / 3.3 * 4096))))
            pen.advance(end_ns)
            state[places.NOW_US] = int(end_ns / 1e3)
            state[places.CURRENT_MA] = sum(adc[-8:]) * board_constants.ADC_MOTOR_CURRENT_MA_PER_LSB_Q16 >> 19
            state[places.CELL_MV] = int(pen.now.supply_v * 1000)
            while due and due[0] <= end_ns:
                marks.append(int(due.pop(0) / 1e3))
                turn_us = marks[-1] - marks[-5] if len(marks) > 4 else 0
                control.edge(state, marks[-1] - state[places.EDGE_US], turn_us)
                state[places.EDGE_US] = marks[-1]
            control.step(state)
            if state[places.SET_MHZ] == state[places.TARGET_MHZ]:
                state[places.RAMP_MHZ], state[places.CURRENT_LIMIT_MA] = RUN_RAMP_MHZ, RUN_LIMIT_MA
            duty = state[places.ON_COUNTS] / board_constants.PWM_N_PERIOD_CLOCKS
            pen.set_drive(end_ns, DRIVE, duty)
            s = pen.now
            rows.append((tick + 1.0, s.strokes, s.rate_hz, s.current_a, s.needle_mm))
            states.append(list(state))
        return Trace(*np.array(rows).T), states


def _marks(pen: Any, begin_ns: float, end_ns: float) -> list[float]:
    """Instants at which the filtered INDEX rises for the index edges of a tick."""
    found, at_ns = [], begin_ns
    while (crossing := pen.next_crossing(at_ns, end_ns)) is not None:
        at_ns = crossing[0]
        if crossing[1:] == ("INDEX", 1):
            bisect.insort(found, at_ns + FILTER_NS)
    return found


class Int32(int):
    """An integer of the pen's viper code: any result that needs more than 32 bits is an error here."""

    def __new__(cls, value: int) -> Int32:
        if not -(1 << 31) <= value < 1 << 31:
            raise OverflowError(f"{value} needs more than 32 bits; viper would wrap it silently")
        return super().__new__(cls, value)


def _checked(name: str) -> None:
    plain = getattr(int, name)
    setattr(Int32, name, lambda self, *others: Int32(plain(self, *others)))


for _name in ("add", "sub", "mul", "floordiv", "lshift", "rshift", "and", "or"):
    _checked(f"__{_name}__")
    _checked(f"__r{_name}__")
_checked("__neg__")
