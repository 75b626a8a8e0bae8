"""The PWM block, by its registers: a duty and a frequency instead of an alarm per edge.

The counter is computed from device time when somebody asks. A slice simulates its edges, exactly, only
while somebody listens to the output of one of its pins; `on_pwm` listeners hear of each change of the
effective waveform, at the wrap where the double-buffered registers take effect (RP2040 datasheet 4.5.2).
All times are in 1/16 of a clk_sys cycle, the resolution of the dividers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from rp2040py.gpio_pin import FUNCTION_PWM
from rp2040py.irq import IRQ
from rp2040py.peripherals.dma import DREQChannel
from rp2040py.peripherals.peripheral import ATOMIC_NORMAL, atomic_update

from needlepen.errors import InfrastructureError

SLICES = 8
GPIO_COUNT = 30
TICK_NS = 0.5  # 1/16 of 8 ns
CLOCK_HZ = 125_000_000

CSR, DIV, CTR, CC, TOP = 0x00, 0x04, 0x08, 0x0C, 0x10
EN, INTR, INTE, INTF, INTS = 0xA0, 0xA4, 0xA8, 0xAC, 0xB0
CSR_EN, CSR_PH_CORRECT, CSR_A_INV, CSR_B_INV = 1 << 0, 1 << 1, 1 << 2, 1 << 3
CSR_DIVMODE, CSR_PH_RET, CSR_PH_ADV = 3 << 4, 1 << 6, 1 << 7

PwmListener = Callable[[int, "float | None", float], None]


def slice_of(gpio: int) -> int:
    """The slice that a pad belongs to."""
    return (gpio >> 1) & 7


class PwmSlice:
    """One counter with its two compare channels."""

    def __init__(self, block: PwmBlock, index: int) -> None:
        self._block = block
        self.index = index
        self.alarm = block.rp2040.clock.create_alarm(self._on_alarm)
        self.has_edges = False  # somebody listens to an output
        self.has_listener = False  # somebody listens to the waveform
        self.reset()

    def reset(self) -> None:
        self.csr, self.div, self.cc, self.top = 0, 16, 0, 0xFFFF
        self.cc_in_use, self.top_in_use = 0, 0xFFFF
        self.is_pending = False
        self._base = (
            0  # time at which the count was at position 0 (running), or the position itself (stopped)
        )
        self._wraps_seen = 0  # position of the last wrap that the interrupt flag has seen, in time
        self.alarm.cancel()

    @property
    def is_running(self) -> bool:
        return bool(self.csr & CSR_EN)

    def _counts(self) -> int:
        """Counts in a period."""
        if self.csr & CSR_PH_CORRECT:
            return max(1, 2 * self.top_in_use)
        return self.top_in_use + 1

    def _divider(self) -> int:
        return self.div if self.div >> 4 else 256 << 4

    def _period(self) -> int:
        return self._counts() * self._divider()

    def synchronise(self) -> None:
        """Apply what happened at wraps since the last look."""
        if not self.is_running:
            return
        now = self._block.now()
        wraps = (now - self._base) // self._period()
        if wraps <= 0:
            return
        self._block.wrapped(self.index)
        if self.is_pending:
            self._base += self._period()  # the first wrap ended the old waveform
            self._take_over()
            wraps = (now - self._base) // self._period()
        self._base += wraps * self._period()

    def _take_over(self) -> None:
        self.cc_in_use, self.top_in_use = self.cc, self.top
        self.is_pending = False

    def position(self) -> int:
        """Counts since the start of the period."""
        if not self.is_running:
            return self._base
        return (self._block.now() - self._base) // self._divider()

    def counter(self) -> int:
        """The value of the counter register."""
        position = self.position()
        if self.csr & CSR_PH_CORRECT and position > self.top_in_use:
            return 2 * self.top_in_use - position
        return position

    def _move_to(self, position: int) -> None:
        self._base = self._block.now() - position * self._divider() if self.is_running else position

    def compare(self, is_b: bool) -> int:
        return self.cc_in_use >> 16 if is_b else self.cc_in_use & 0xFFFF

    def level(self, is_b: bool) -> bool:
        """The present level of a channel's output."""
        return (self.counter() < self.compare(is_b)) != bool(self.csr & (CSR_B_INV if is_b else CSR_A_INV))

    def duty(self, is_b: bool) -> tuple[float, float]:
        """(fraction of time at high level, frequency in Hz) of a channel; frequency 0 for a constant
        level."""
        if not self.is_running:
            return float(self.level(is_b)), 0.0
        high = self.compare(is_b) * (2 if self.csr & CSR_PH_CORRECT else 1) / self._counts()
        high = min(1.0, high)
        frequency_hz = CLOCK_HZ * 16 / self._period() if 0.0 < high < 1.0 else 0.0
        return (1.0 - high if self.csr & (CSR_B_INV if is_b else CSR_A_INV) else high), frequency_hz

    # registers

    def read(self, offset: int) -> int:
        self.synchronise()
        if offset == CSR:
            return self.csr
        if offset == DIV:
            return self.div
        if offset == CTR:
            return self.counter()
        return self.cc if offset == CC else self.top

    def write(self, offset: int, value: int) -> None:
        self.synchronise()
        if offset == CSR:
            self._write_control(value)
        elif offset == DIV:
            if value & 0xFFF != self.div:
                position = self.position()
                self.div = value & 0xFFF
                self._move_to(position)
        elif offset == CTR:
            self._move_to(value & 0xFFFF)
        elif offset == CC:
            self.cc = value & 0xFFFFFFFF
            self._written()
        elif offset == TOP:
            self.top = value & 0xFFFF
            self._written()
        self.update()

    def _write_control(self, value: int) -> None:
        if value & CSR_DIVMODE:
            raise InfrastructureError(
                f"The firmware lets PWM slice {self.index} count its B input, which the emulator does not "
                "model; count edges with a PIO machine instead."
            )
        position = self.position()
        step = bool(value & CSR_PH_ADV) - bool(value & CSR_PH_RET)
        changed = self.csr ^ value
        self.csr = value & (CSR_EN | CSR_PH_CORRECT | CSR_A_INV | CSR_B_INV)
        if changed & (CSR_EN | CSR_PH_CORRECT) or step:
            self._move_to((position + step) % self._counts())

    def _written(self) -> None:
        if self.is_running:
            self.is_pending = True
        else:
            self._take_over()  # a stopped slice passes writes on at once

    # events

    def update(self) -> None:
        """After any change: tell the listeners, and plan the next instant at which something happens by
        itself."""
        self._block.refresh(self.index)
        self._plan()

    def _plan(self) -> None:
        block = self._block
        needs_wrap = block.int_enable & (1 << self.index) or block.is_dma_paced(self.index)
        if not self.is_running:
            self.alarm.cancel()
        elif self.has_edges:
            self.alarm.schedule_at(self._next_edge() * TICK_NS)
        elif needs_wrap or (self.is_pending and self.has_listener):
            self.alarm.schedule_at((self._base + self._period()) * TICK_NS)
        else:
            self.alarm.cancel()

    def _next_edge(self) -> int:
        position, counts = self.position(), self._counts()
        edges = [counts]
        for compare in (self.compare(False), self.compare(True)):
            edges.append(compare)
            if self.csr & CSR_PH_CORRECT:
                edges.append(counts - compare + 1)
        return self._base + min(edge for edge in edges if edge > position) * self._divider()

    def _on_alarm(self) -> None:
        self.synchronise()
        self.update()


class PwmBlock:
    """The eight slices as the bus, the pads and reset see them."""

    def __init__(self, mcu: Any, name: str) -> None:
        self.rp2040 = mcu
        self.name = name
        self.raw_write_value = 0
        self.gpio_direction = 0xFFFFFFFF
        self.int_raw = self.int_enable = self.int_force = 0
        self._listeners: list[list[PwmListener]] = [[] for _ in range(GPIO_COUNT)]
        self._told: list[tuple[float | None, float] | None] = [None] * GPIO_COUNT
        self._followed = [False] * GPIO_COUNT  # pads whose edges somebody wants
        self.forced: dict[int, int | None] = {}  # faults of nets, see Pins.force
        self._asked: int | None = None  # the only pad of interest while `gpio_value` is read
        self.slices = [PwmSlice(self, index) for index in range(SLICES)]

    def reset(self) -> None:
        """Registers to their power-on values; listeners stay."""
        self.int_raw = self.int_enable = self.int_force = 0
        for one in self.slices:
            one.reset()
        self._check_interrupts()

    def now(self) -> int:
        """Device time in 1/16 cycles."""
        return int(self.rp2040.clock.nanos * 2.0)

    # outputs

    @property
    def gpio_value(self) -> int:
        """Levels of the pads that have the PWM function, one bit each."""
        value = 0
        for gpio in range(GPIO_COUNT) if self._asked is None else (self._asked,):
            if self.rp2040.gpio[gpio].ctrl & 0x1F == FUNCTION_PWM:
                one = self.slices[slice_of(gpio)]
                one.synchronise()
                value |= one.level(bool(gpio & 1)) << gpio
        return value

    def gpio_on_input(self, index: int) -> None:
        """Called by the pads; counting an input is not modelled."""

    def on_pwm(self, gpio: int, fn: PwmListener) -> None:
        """Call fn(t_ns, duty or None, frequency_hz) at each change of what the pad does on average."""
        self._listeners[gpio].append(fn)
        self.slices[slice_of(gpio)].has_listener = True
        fn(self._now_ns(), *self.waveform(gpio))
        self._told[gpio] = self.waveform(gpio)

    def follow_edges(self, gpio: int) -> None:
        """Simulate the edges of this pad from now on, whenever it has the PWM function."""
        self._followed[gpio] = True
        self._choose_mode(slice_of(gpio))

    def _choose_mode(self, index: int) -> None:
        one = self.slices[index]
        pads = (pad for pad in range(GPIO_COUNT) if slice_of(pad) == index and self._followed[pad])
        has_edges = any(self.rp2040.gpio[pad].ctrl & 0x1F == FUNCTION_PWM for pad in pads)
        if has_edges != one.has_edges:
            one.synchronise()
            one.has_edges = has_edges
            one.update()

    def function_written(self, gpio: int) -> None:
        """Called when the function or pad register of a pad has been written."""
        if self._followed[gpio]:
            self._choose_mode(slice_of(gpio))
        self.pad_changed(gpio)

    def waveform(self, gpio: int) -> tuple[float | None, float]:
        """(duty, frequency in Hz) of a pad whatever drives it; duty None if the chip does not drive it."""
        if gpio in self.forced:
            held = self.forced[gpio]
            return (None if held is None else float(held)), 0.0
        pin = self.rp2040.gpio[gpio]
        if not pin.output_enable:
            return None, 0.0
        override = pin.output_override
        if pin.ctrl & 0x1F != FUNCTION_PWM or override >= 2:
            return float(pin.output_value), 0.0
        one = self.slices[slice_of(gpio)]
        one.synchronise()
        duty, frequency_hz = one.duty(bool(gpio & 1))
        return (1.0 - duty if override else duty), frequency_hz

    def pad_changed(self, gpio: int) -> None:
        """Called when what the chip does with a pad may have changed."""
        if not self._listeners[gpio]:
            return
        waveform = self.waveform(gpio)
        if waveform != self._told[gpio]:
            self._told[gpio] = waveform
            for listener in self._listeners[gpio]:
                listener(self._now_ns(), *waveform)

    def refresh(self, index: int) -> None:
        """Let the pads of a slice look at it again."""
        one = self.slices[index]
        for gpio in range(2 * index, GPIO_COUNT, 16):
            for pad in (gpio, gpio + 1):
                if self.rp2040.gpio[pad].ctrl & 0x1F == FUNCTION_PWM:
                    if one.has_edges or not one.is_running:
                        self._asked = pad
                        self.rp2040.gpio[pad].check_for_updates()
                        self._asked = None
                    self.pad_changed(pad)

    def _now_ns(self) -> int:
        return math.floor(self.rp2040.clock.nanos + 0.5)

    # wraps

    def wrapped(self, index: int) -> None:
        self.int_raw |= 1 << index
        self._check_interrupts()
        if self.is_dma_paced(index):
            # A wrap is a pulse, not a level: one transfer for each.
            request = DREQChannel.DREQ_PWM_WRAP0 + index
            self.rp2040.dma.set_dreq(request)
            self.rp2040.dma.clear_dreq(request)

    def is_dma_paced(self, index: int) -> bool:
        request = DREQChannel.DREQ_PWM_WRAP0 + index
        return any(channel.active for channel in self.rp2040.dma.paced_by(request))

    def _check_interrupts(self) -> None:
        status = (self.int_raw & self.int_enable) | self.int_force
        self.rp2040.set_interrupt(int(IRQ.PWM_WRAP), bool(status))

    # registers

    def read_uint32(self, offset: int) -> int:
        if offset < EN:
            return self.slices[offset // 0x14].read(offset % 0x14)
        if offset == EN:
            return sum(one.is_running << one.index for one in self.slices)
        for one in self.slices:
            one.synchronise()
        if offset == INTR:
            return self.int_raw
        if offset == INTE:
            return self.int_enable
        if offset == INTF:
            return self.int_force
        return (self.int_raw & self.int_enable) | self.int_force

    def write_uint32(self, offset: int, value: int) -> None:
        if offset < EN:
            self.slices[offset // 0x14].write(offset % 0x14, value)
        elif offset == EN:
            for one in self.slices:
                one.write(CSR, (one.csr & ~CSR_EN) | ((value >> one.index) & CSR_EN))
        elif offset == INTR:
            for one in self.slices:
                one.synchronise()
            self.int_raw &= ~value
        elif offset == INTE:
            self.int_enable = value & 0xFF
            for one in self.slices:
                one.synchronise()
                one.update()
        elif offset == INTF:
            self.int_force = value & 0xFF
        self._check_interrupts()

    def write_uint32_atomic(self, offset: int, value: int, atomic_type: int) -> None:
        self.raw_write_value = value
        if atomic_type != ATOMIC_NORMAL:
            value = atomic_update(self.read_uint32(offset), atomic_type, value)
        self.write_uint32(offset, value)
