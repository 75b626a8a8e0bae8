"""Faults of the lines out of the chip: the net between a pad and the circuit board is held, or cut."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

from needlepen.emulator.injection.entry import Act, Entry, Undo, Value, word
from needlepen.emulator.injection.inputs import CHATTER_US
from needlepen.emulator.injection.vocabulary import Fault

if TYPE_CHECKING:
    from needlepen.emulator.pen import EmulatedPen

_LEVELS = ("low", "high", "now")
_NOW = Value("level", "now", words=_LEVELS)
_HIGH = Value("level", "high", words=_LEVELS)


def _hold(signal: str) -> Act:
    def act(pen: EmulatedPen, fault: Fault) -> Undo:
        gpio = pen.board.gpio(signal)
        level = {"low": 0, "high": 1, "now": pen.chip.pin_level(gpio)}[word(fault)]
        return force(pen, signal, level)

    return act


def force(pen: EmulatedPen, signal: str, level: int | None) -> Undo:
    """Hold the net of a signal at a level, or (None) cut it."""
    gpio = pen.board.gpio(signal)
    pen.chip.pins.force(gpio, level)
    return lambda: pen.chip.pins.repair(gpio)


def chatter(signal: str) -> Act:
    """A bad solder joint: cut and whole at random moments."""

    def act(pen: EmulatedPen, fault: Fault) -> Undo:
        draw = random.Random(f"joint {fault.seed}")
        pins, gpio = pen.chip.pins, pen.board.gpio(signal)
        state = {"cut": False}
        alarm = pen.chip.create_alarm(lambda: turn())

        def turn() -> None:
            state["cut"] = not state["cut"]
            if state["cut"]:
                pins.force(gpio, None)
            else:
                pins.repair(gpio)
            alarm.schedule(draw.uniform(*CHATTER_US) * 1e3)

        def undo() -> None:
            alarm.cancel()
            pins.repair(gpio)

        turn()
        return undo

    return act


def _line(
    target: str, signal: str, requirement: str, name: str, undriven: str, stuck: Value
) -> Iterator[Entry]:
    yield Entry(
        target, "short", requirement, f"{name}: shorted to ground", lambda pen, _f: force(pen, signal, 0)
    )
    yield Entry(target, "stuck", requirement, f"{name}: held at a level", _hold(signal), stuck)
    yield Entry(
        target, "open", requirement, f"{name}: cut, {undriven}", lambda pen, _f: force(pen, signal, None)
    )
    yield Entry(
        target, "intermittent", requirement, f"{name}: bad solder joint, cut now and then", chatter(signal)
    )


ENTRIES: tuple[Entry, ...] = (
    *_line("run_n", "RUN_N", "SR-29", "drive permission", "its pull-up brakes", _NOW),
    *_line("supply_en", "SUPPLY_EN", "SR-29", "supply switch command", "its pull-down opens the supply", _HIGH),
    *_line("pwm_n", "PWM_N", "SR-29", "drive gate PWM", "its pull-up brakes", _NOW),
    *_line("trip_n", "TRIP_N", "SR-29", "overcurrent latch line", "the chip sees no trip", _HIGH),
    *_line("latch_clr", "LATCH_CLR", "SR-29", "clear line of the latch", "the latch cannot be cleared", _HIGH),
    *_line("wdt_kick", "WDT_KICK", "SR-29", "kick line of the external watchdog", "the watchdog expires", _NOW),
    Entry("pixel", "open", "", "signal pixel: dark, its line is cut", lambda pen, _f: force(pen, "PIXEL", None)),
    Entry("buzzer", "open", "", "buzzer: silent, its line is cut", lambda pen, _f: force(pen, "BUZZER", None)),
)  # fmt: skip
