"""Faults of the analogue inputs: a stage between a sensor and the converter of the RP2040.

A stage takes the sound code and the time of the conversion, and gives the code that the chip reads. What it makes
itself passes the converter's own model, so that it has the same noise as a sound signal.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from needlepen.emulator.pen import EmulatedPen

Source = Callable[[int], int]
Stage = Callable[[int, Source], int]
Undo = Callable[[], None]

CHATTER_MS = (0.2, 40.0)
"""A bad contact is open, and closed, for random times up to these."""
CODES = 4096
CHANNELS = range(5)  # the fifth is the chip's own temperature
_TOP = CODES - 1


class Chain:
    """The stages in front of one converter channel, the one that was put in first nearest to the sensor."""

    def __init__(self, pen: EmulatedPen, channel: int) -> None:
        self._pen, self._channel = pen, channel
        self.sound = pen.chip.adc_source(channel)
        self._stages: list[Stage] = []

    def insert(self, stage: Stage) -> Undo:
        """Put a stage in; the result takes it out again, in whatever order stages end."""
        self._stages.append(stage)
        self._connect()

        def remove() -> None:
            self._stages.remove(stage)
            self._connect()

        return remove

    def _connect(self) -> None:
        source = self.sound
        for stage in self._stages:
            source = _behind(stage, source)
        self._pen.chip.set_adc_source(self._channel, source)


def _behind(stage: Stage, source: Source) -> Source:
    return lambda t_ns: stage(t_ns, source)


def insert(pen: EmulatedPen, channel: int, stage: Stage) -> Undo:
    """Put a stage between the sensor of a converter channel and the converter; the result takes it out again."""
    return pen.faults.chain(channel).insert(stage)


def insert_everywhere(pen: EmulatedPen, stage: Stage) -> Undo:
    """The same stage in front of all channels."""
    undos = [insert(pen, channel, stage) for channel in CHANNELS]

    def undo() -> None:
        for each in undos:
            each()

    return undo


def converter(pen: EmulatedPen, seed: int) -> Callable[[float], int]:
    """Volts at the input to a code, with the converter's noise."""
    from needlepen.emulator.front_end import AdcModel  # after the engine is chosen

    model = AdcModel(pen.parameters, pen.seed + seed)
    return lambda volts: model.code(min(max(volts, 0.0), pen.parameters.adc_reference_v))


def volts_of(pen: EmulatedPen, code: int) -> float:
    """The input that belongs to a code, without the converter's bends."""
    return code * pen.parameters.adc_reference_v / CODES


def fixed(code_of: Callable[[float], int], volts: float) -> Stage:
    """The input stays at a voltage."""
    return lambda _t_ns, _sound: code_of(volts)


def frozen(pen: EmulatedPen, code_of: Callable[[float], int]) -> Stage:
    """The sensor stays at what it said when it broke."""
    kept: list[float] = []

    def stage(t_ns: int, sound: Source) -> int:
        if not kept:
            kept.append(volts_of(pen, sound(t_ns)))
        return code_of(kept[0])

    return stage


def garbage(seed: int) -> Stage:
    """Any code, a new one each time."""
    draw = random.Random(f"garbage {seed}")
    return lambda _t_ns, _sound: draw.randrange(CODES)


def shifted(pen: EmulatedPen, volts: float) -> Stage:
    """All readings are off by a voltage."""
    codes = round(volts * CODES / pen.parameters.adc_reference_v)
    return lambda t_ns, sound: min(max(sound(t_ns) + codes, 0), _TOP)


def scaled(factor: float) -> Stage:
    """All readings are off by a factor, as with another reference voltage."""
    return lambda t_ns, sound: min(round(sound(t_ns) * factor), _TOP)


def lagging(time_constant_ms: float) -> Stage:
    """The reading follows with a time constant."""
    last: list[tuple[int, float]] = []

    def stage(t_ns: int, sound: Source) -> int:
        code = sound(t_ns)
        if not last:
            last.append((t_ns, float(code)))
        before_ns, value = last[0]
        part = min(1.0, (t_ns - before_ns) / (time_constant_ms * 1e6))
        last[0] = (t_ns, value + (code - value) * part)
        return min(max(round(last[0][1]), 0), _TOP)

    return stage


def late(delay_ms: float) -> Stage:
    """The reading of some time ago."""
    known: deque[tuple[int, int]] = deque()

    def stage(t_ns: int, sound: Source) -> int:
        known.append((t_ns, sound(t_ns)))
        while len(known) > 1 and known[1][0] <= t_ns - delay_ms * 1e6:
            known.popleft()
        return known[0][1]

    return stage


def chattering(code_of: Callable[[float], int], open_v: float, seed: int) -> Stage:
    """A bad contact: now and then the input is open."""
    draw = random.Random(f"chatter {seed}")
    state = {"until_ns": -1.0, "open": 0.0}

    def stage(t_ns: int, sound: Source) -> int:
        while t_ns >= state["until_ns"]:
            if state["until_ns"] < 0:
                state["until_ns"] = t_ns
            state["open"] = 1.0 - state["open"]
            state["until_ns"] += draw.uniform(*CHATTER_MS) * 1e6
        code = sound(t_ns)
        return code_of(open_v) if state["open"] else code

    return stage
