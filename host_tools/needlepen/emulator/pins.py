"""The 30 GPIO pads: who drives them, which level they have, and when the chip's logic sees a change.

A change of a pad reaches the logic through the two flip-flops of the input synchroniser (RP2040 datasheet
3.5.6.3): the first clk_sys edge after the change samples it, and an instruction that takes effect two edges
later can act on it. That is 16 to 24 ns after the change.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any

from rp2040py.gpio_pin import GPIOPinState
from rp2040py.peripherals.io import GPIO_CTRL_LAST, RPIO
from rp2040py.peripherals.pads import GPIO_FIRST, GPIO_LAST, RPPADS

GPIO_COUNT = 30
CYCLE_NS = 8
SYNCHRONISER_CYCLES = 3  # counted from the edge before the change

_OUTPUT_LEVEL = {GPIOPinState.LOW: 0, GPIOPinState.HIGH: 1}
_PULL_LEVEL = {GPIOPinState.INPUT_PULL_UP: 1, GPIOPinState.INPUT_PULL_DOWN: 0}

PinHook = Callable[[int], None]
OutputListener = Callable[[int, "int | None"], None]


class IoBank(RPIO):
    """The function registers of the pads; `hook` hears of every write, also of one that changes no level."""

    def __init__(self, mcu: Any, name: str, hook: PinHook) -> None:
        super().__init__(mcu, name)
        self._hook = hook

    def write_uint32(self, offset: int, value: int) -> None:
        super().write_uint32(offset, value)
        if offset <= GPIO_CTRL_LAST and offset & 4:
            self._hook(offset >> 3)


class PadsBank(RPPADS):
    """The pad registers; `hook` hears of every write."""

    def __init__(self, mcu: Any, name: str, hook: PinHook) -> None:
        super().__init__(mcu, name, "bank0")
        self._hook = hook

    def write_uint32(self, offset: int, value: int) -> None:
        super().write_uint32(offset, value)
        if GPIO_FIRST <= offset <= GPIO_LAST:
            self._hook((offset - GPIO_FIRST) >> 2)


class Pins:
    """All pads of one chip. Levels are 0 and 1; None means high impedance, or not driven from outside."""

    def __init__(self, mcu: Any) -> None:
        self._mcu = mcu
        self._clock = mcu.clock
        self._engine: Any = None
        self._word = 0  # the levels that the chip's logic sees
        self._changed: PinHook = lambda _gpio: None
        self._written: PinHook = lambda _gpio: None
        self._outside: list[int | None] = [None] * GPIO_COUNT
        self._output: list[int | None] = [None] * GPIO_COUNT
        self._pad = [0] * GPIO_COUNT  # electrical level now
        self._listeners: list[list[OutputListener]] = [[] for _ in range(GPIO_COUNT)]
        self._pad_listeners: list[list[Callable[[int, int], None]]] = [[] for _ in range(GPIO_COUNT)]
        self._synchroniser: deque[tuple[float, int, int]] = deque()
        self.forced: dict[
            int, int | None
        ] = {}  # faults of nets: held at a level, or (None) cut off from the board
        self._routes: dict[int, Callable[[int | None], None]] = {}
        self._meant: list[int | None] = [None] * GPIO_COUNT
        for gpio in range(GPIO_COUNT):
            self._attach(gpio)

    def _attach(self, gpio: int) -> None:
        pin = self._mcu.gpio[gpio]
        pin.add_listener(lambda new, _old: self._state_changed(gpio, new))
        self._output[gpio] = _OUTPUT_LEVEL.get(pin.value)
        self._pad[gpio] = self._resolve(gpio, pin.value)
        pin.set_input_value(bool(self._pad[gpio]))

    def set_engine(self, engine: Any) -> None:
        """The run loop that calls `apply_inputs` when its `input_due_ns` is reached."""
        self._engine = engine

    def set_hooks(self, changed: PinHook, written: PinHook) -> None:
        """Have changed(gpio) called after each change of what the chip does with a pad, and written(gpio) after
        each write to a register of the pad."""
        self._changed, self._written = changed, written

    def _now_ns(self) -> int:
        return math.floor(self._clock.nanos + 0.5)

    def _resolve(self, gpio: int, state: GPIOPinState) -> int:
        held = self.forced.get(gpio)
        if held is not None:
            return held
        output = _OUTPUT_LEVEL.get(state)
        if output is not None:
            return output
        outside = None if gpio in self.forced else self._outside[gpio]
        if outside is not None:
            return outside
        return _PULL_LEVEL.get(state, self._pad[gpio])  # a floating pad keeps its charge

    def _state_changed(self, gpio: int, state: GPIOPinState) -> None:
        self._update_pad(gpio, state)
        output = self.forced[gpio] if gpio in self.forced else _OUTPUT_LEVEL.get(state)
        if output != self._output[gpio]:
            self._output[gpio] = output
            for listener in self._listeners[gpio]:
                listener(self._now_ns(), output)
        self._changed(gpio)

    def _update_pad(self, gpio: int, state: GPIOPinState) -> None:
        level = self._resolve(gpio, state)
        if level == self._pad[gpio]:
            return
        self._pad[gpio] = level
        visible_ns = (math.floor(self._clock.nanos / CYCLE_NS) + SYNCHRONISER_CYCLES) * CYCLE_NS
        if not self._synchroniser:
            self._engine.input_due_ns = float(visible_ns)
        self._synchroniser.append((visible_ns, gpio, level))
        for listener in self._pad_listeners[gpio]:
            listener(self._now_ns(), level)

    def apply_inputs(self) -> None:
        """Called by the run loop: let the change at the head of the synchroniser reach the chip's logic."""
        _, gpio, level = self._synchroniser.popleft()
        self._engine.input_due_ns = self._synchroniser[0][0] if self._synchroniser else math.inf
        self._mcu.gpio[gpio].set_input_value(bool(level))
        self._update_word(gpio)

    def _update_word(self, gpio: int) -> None:
        """Pass the level that the chip's logic sees on a pad to those blocks that read all pads at once."""
        word = self._word & ~(1 << gpio) | self._mcu.gpio[gpio].input_value << gpio
        if word != self._word:
            self._word = self._mcu.sio.inputs = word
            cycle = int(self._clock.nanos / CYCLE_NS)
            for pio in self._mcu.pio:
                pio.input_changed(word, cycle)

    def registers_written(self, gpio: int) -> None:
        """The function or pad register of a pad has been written, which may change no level and yet much."""
        self._update_word(gpio)
        self._written(gpio)

    def drive(self, gpio: int, level: bool | int | None) -> None:
        """Drive the pad from outside now, or let go of it (None). An output of the chip wins over it."""
        value = None if level is None else int(bool(level))
        self._meant[gpio] = value
        if gpio in self._routes:
            self._routes[gpio](value)
        else:
            self.drive_directly(gpio, value)

    def drive_directly(self, gpio: int, value: int | None) -> None:
        """As `drive`, past the route of a disturbed line."""
        if value != self._outside[gpio]:
            self._outside[gpio] = value
            self._update_pad(gpio, self._mcu.gpio[gpio].value)

    def meant(self, gpio: int) -> int | None:
        """The level that the outside means to give to a pad, whatever disturbs the line on its way."""
        return self._meant[gpio]

    def route(self, gpio: int, fn: Callable[[int | None], None] | None) -> None:
        """Have fn(level) called in place of each `drive` of a pad, so that it can disturb the line; None ends that."""
        if fn is None:
            self._routes.pop(gpio, None)
        else:
            self._routes[gpio] = fn

    def force(self, gpio: int, level: int | None) -> None:
        """Break the net of a pad now: held at a level, whoever drives it, or (None) cut between pad and board.

        The board then sees that level, or nobody driving; the chip reads that level, or only itself and its pull.
        """
        self.forced[gpio] = level
        self._net_changed(gpio)

    def repair(self, gpio: int) -> None:
        """The net of a pad is sound again."""
        if gpio in self.forced:
            del self.forced[gpio]
            self._net_changed(gpio)

    def _net_changed(self, gpio: int) -> None:
        self._state_changed(gpio, self._mcu.gpio[gpio].value)

    def output(self, gpio: int) -> int | None:
        """The level that the chip drives, None for high impedance."""
        return _OUTPUT_LEVEL.get(self._mcu.gpio[gpio].value)  # a PWM pad changes without telling

    def outside(self, gpio: int) -> int | None:
        """The level that is driven from outside, None for none."""
        return self._outside[gpio]

    def level(self, gpio: int) -> int:
        """The electrical level of the pad: the chip's output, else the outside's, else the pull, else the
        last one."""
        output = self.output(gpio)
        return self._pad[gpio] if output is None or gpio in self.forced else output

    def on_output(self, gpio: int, fn: OutputListener) -> None:
        """Call fn(t_ns, level or None) whenever the chip's output changes, at exact device time."""
        self._listeners[gpio].append(fn)

    def on_level(self, gpio: int, fn: Callable[[int, int], None]) -> None:
        """Call fn(t_ns, level) whenever the electrical level of the pad changes, whoever drives it."""
        self._pad_listeners[gpio].append(fn)

    def after_reset(self) -> None:
        """Tell everybody what a reset of the pad registers has changed; rp2040py itself does not."""
        for gpio in range(GPIO_COUNT):
            self._state_changed(gpio, self._mcu.gpio[gpio].value)
            self.registers_written(gpio)
