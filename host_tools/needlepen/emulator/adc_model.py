# cython: infer_types=True, annotation_typing=False
"""The converter block: sampling instants, round robin, free running, FIFO, and a short way into DMA.

Runs plain and compiled (with adc_model.pxd). The value of a conversion comes from a source that is asked at
the instant of sampling, which is the start of the conversion; 96 cycles of the 48 MHz converter clock (2
us) later the result is there (RP2040 datasheet 4.9.2). rp2040py's own block loses the round robin and takes
three alarms per conversion.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rp2040py.irq import IRQ
from rp2040py.peripherals import dma
from rp2040py.peripherals.peripheral import ATOMIC_NORMAL, atomic_update

CHANNELS = 5
TEMPERATURE_CHANNEL = 4
CONVERSION_CYCLES = 96
CYCLE_NS = 1000.0 / 48.0
CONVERSION_NS = CONVERSION_CYCLES * CYCLE_NS
CODE_AT_27_C = 876  # 0.706 V of a 3.3 V reference

CS, RESULT, FCS, FIFO, DIV, INTR, INTE, INTF, INTS = range(0, 0x24, 4)
CS_EN, CS_TS_EN, CS_START_ONE, CS_START_MANY, CS_READY = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 8
CS_WRITABLE = (0x1F << 16) | (7 << 12) | CS_START_MANY | CS_TS_EN | CS_EN
FCS_EN, FCS_SHIFT, FCS_DREQ_EN = 1 << 0, 1 << 1, 1 << 3
FCS_EMPTY, FCS_FULL, FCS_UNDER, FCS_OVER = 1 << 8, 1 << 9, 1 << 10, 1 << 11
FCS_WRITABLE = (0xF << 24) | 0xF
FIFO_DEPTH = 4
FIFO_ADDRESS = 0x4004C000 + FIFO
DREQ_ADC = int(dma.DREQChannel.DREQ_ADC)
ADC_IRQ = int(IRQ.ADC_FIFO)
SRAM_BASE, SRAM_SIZE = 0x20000000, 264 * 1024
BUSY, BSWAP, RING_SEL = int(dma.BUSY), int(dma.BSWAP), int(dma.RING_SEL)
INCR_READ, INCR_WRITE = int(dma.INCR_READ), int(dma.INCR_WRITE)

AdcSource = Callable[[int], int]


def _constant(code: int) -> AdcSource:
    return lambda _t_ns: code


class AdcBlock:
    """The converter as the bus, DMA and reset see it."""

    def __init__(self, mcu: Any, name: str) -> None:
        self.rp2040 = mcu
        self.clock = mcu.clock
        self.name = name
        self.raw_write_value = 0
        self.sources = [_constant(0)] * CHANNELS
        self.sources[TEMPERATURE_CHANNEL] = _constant(CODE_AT_27_C)
        self.sram = mcu.sram
        self.fast_conversions = 0
        self.start_alarm = mcu.clock.create_alarm(self.start)
        self.done_alarm = mcu.clock.create_alarm(self.done)
        self.cs = self.fcs = self.divider = self.int_enable = self.int_force = self.result = 0
        self.fifo: list[int] = []
        self.is_busy = False
        self.held = 0  # the sampled code of the conversion under way

    def reset(self) -> None:
        """Registers to their power-on values; what is connected to the inputs stays."""
        self.cs = self.fcs = self.divider = self.int_enable = self.int_force = self.result = 0
        self.fifo.clear()
        self.is_busy = False
        self.start_alarm.cancel()
        self.done_alarm.cancel()
        self.update_requests()

    # conversions

    def start(self) -> int:
        self.is_busy = True
        now_ns = self.clock.nanos
        channel = (self.cs >> 12) & 7
        self.held = self.sources[channel](int(now_ns + 0.5)) & 0xFFF if channel < CHANNELS else 0
        self.done_alarm.schedule_at(now_ns + CONVERSION_NS)
        if self.cs & CS_START_MANY:
            # The period is 1 + INT + FRAC/256 cycles; shorter ones than a conversion run back to back.
            cycles = 1 + self.divider / 256
            self.start_alarm.schedule_at(now_ns + max(cycles, CONVERSION_CYCLES) * CYCLE_NS)
        return 0

    def done(self) -> int:
        self.is_busy = self.start_alarm.is_scheduled and self.start_alarm.t_ns <= self.clock.nanos
        self.result = self.held
        mask = (self.cs >> 16) & 0x1F
        if mask:
            channel = (((self.cs >> 12) & 7) + 1) % CHANNELS
            while not mask & (1 << channel):
                channel = (channel + 1) % CHANNELS
            self.cs = (self.cs & ~(7 << 12)) | (channel << 12)
        if self.fcs & FCS_EN:
            self.deliver(self.held >> 4 if self.fcs & FCS_SHIFT else self.held)
        return 0

    def deliver(self, value: int) -> int:
        if (
            not self.fifo
            and self.fcs & FCS_DREQ_EN
            and self.threshold() <= 1
            and self.straight_to_sram(value)
        ):
            self.fast_conversions += 1
        elif len(self.fifo) >= FIFO_DEPTH:
            self.fcs |= FCS_OVER
        else:
            self.fifo.append(value)
            self.update_requests()
        return 0

    def threshold(self) -> int:
        return (self.fcs >> 24) & 0xF

    def straight_to_sram(self, value: int) -> bool:
        """Do the DMA transfer of this sample here, if exactly one channel waits for it in the plainest
        way."""
        channels = self.rp2040.dma.paced_by(DREQ_ADC)
        if len(channels) != 1:
            return False
        channel = channels[0]
        control = channel._ctrl
        count = channel._trans_count
        if not control & BUSY or count <= 1 or channel._read_addr != FIFO_ADDRESS:
            return False
        address, size = channel._write_addr, channel._data_size
        offset = address - SRAM_BASE
        if control & (INCR_READ | BSWAP) or not 0 <= offset <= SRAM_SIZE - size:
            return False
        for index in range(size):
            self.sram[offset + index] = (value >> 8 * index) & 0xFF
        if control & INCR_WRITE:
            following = address + size
            ring = channel._ring_mask
            if ring and control & RING_SEL:
                following = (address & ~ring) | (following & ring)
            channel._write_addr = following
        channel._trans_count = count - 1
        return True

    # requests

    def update_requests(self) -> int:
        block = self.rp2040.dma
        if self.fcs & FCS_DREQ_EN and len(self.fifo) >= max(1, self.threshold()):
            block.set_dreq(DREQ_ADC)
        else:
            block.clear_dreq(DREQ_ADC)
        self.rp2040.set_interrupt(ADC_IRQ, bool(self.int_status()))
        return 0

    def int_raw(self) -> int:
        return 1 if len(self.fifo) >= max(1, self.threshold()) else 0

    def int_status(self) -> int:
        return (self.int_raw() & self.int_enable) | self.int_force

    # registers

    def read_uint32(self, offset: int) -> int:
        if offset == CS:
            return self.cs | (0 if self.is_busy else CS_READY)
        if offset == RESULT:
            return self.result
        if offset == FCS:
            level = len(self.fifo)
            return (
                self.fcs
                | level << 16
                | (FCS_FULL if level >= FIFO_DEPTH else 0)
                | (0 if level else FCS_EMPTY)
            )
        if offset == FIFO:
            return self._pull()
        if offset == DIV:
            return self.divider
        if offset == INTR:
            return self.int_raw()
        if offset == INTE:
            return self.int_enable
        if offset == INTF:
            return self.int_force
        return self.int_status() if offset == INTS else 0

    def _pull(self) -> int:
        if not self.fifo:
            self.fcs |= FCS_UNDER
            return 0
        value = self.fifo.pop(0)
        self.update_requests()
        return value

    def write_uint32(self, offset: int, value: int) -> None:
        if offset == CS:
            self._write_control(value)
        elif offset == FCS:
            self.fcs &= ~(value & (FCS_OVER | FCS_UNDER))  # written ones clear
            self.fcs = (self.fcs & ~FCS_WRITABLE) | (value & FCS_WRITABLE)
            self.update_requests()
        elif offset == DIV:
            self.divider = value & 0xFFFFFF
        elif offset == INTE:
            self.int_enable = value & 1
            self.update_requests()
        elif offset == INTF:
            self.int_force = value & 1
            self.update_requests()

    def _write_control(self, value: int) -> None:
        self.cs = (self.cs & ~CS_WRITABLE) | (value & CS_WRITABLE)
        if not value & CS_EN or not value & CS_START_MANY:
            self.start_alarm.cancel()
        if not value & CS_EN:
            self.done_alarm.cancel()
            self.is_busy = False
        elif (
            value & (CS_START_ONE | CS_START_MANY) and not self.is_busy and not self.start_alarm.is_scheduled
        ):
            self.start()

    def write_uint32_atomic(self, offset: int, value: int, atomic_type: int) -> None:
        self.raw_write_value = value
        if atomic_type != ATOMIC_NORMAL:
            value = atomic_update(self.read_uint32(offset), atomic_type, value)
        self.write_uint32(offset, value)
