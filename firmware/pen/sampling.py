"""The four analogue inputs, converted without the CPU: free-running round robin, DMA into a ring.

One conversion every 41.25 us, so each input every 165 us. Four PWM periods are 160 us: successive samples of
one input step 5 us through the 40 us PWM period, and the mean of 8 samples covers it evenly. That removes the
PWM ripple from the current without a synchronised converter.
"""

import rp2
import uctypes
from machine import ADC, mem32
from micropython import const

from pen.board import (
    ADC_CHANNELS,
    ADC_CYCLES_PER_CONVERSION,
    ADC_RING_BYTES,
    ADC_RING_SIZE_BITS,
    ADC_ROUND_ROBIN_MASK,
)

_ADC_CS = const(0x4004_C000)
_ADC_FCS = const(0x4004_C008)
_ADC_FIFO = const(0x4004_C00C)
_ADC_DIV = const(0x4004_C010)
_DREQ_ADC = const(36)


class Sampling:
    """`ring_address`: 32 half-words, input 0, 1, 2, 3, 0, 1 ... each a 12 bit code."""

    def __init__(self):
        for channel in range(ADC_CHANNELS):
            ADC(channel)  # turns the digital input of the pin off
        self._raw = bytearray(2 * ADC_RING_BYTES)
        start = uctypes.addressof(self._raw)
        self.ring_address = start + (-start % ADC_RING_BYTES)
        self._dma = rp2.DMA()

    def stop(self):
        """End the conversions; the ring keeps the last ones."""
        mem32[_ADC_CS] = 1
        self._dma.active(0)

    def close(self):
        """Give the DMA channel back."""
        self.stop()
        self._dma.close()

    def start(self):
        """(Re)start with input 0 in slot 0. The transfer count lasts 6 h; each arming starts it anew."""
        self.stop()
        mem32[_ADC_FCS] = (1 << 24) | (1 << 3) | 1
        while (mem32[_ADC_FCS] >> 16) & 0xF:
            mem32[_ADC_FIFO]
        mem32[_ADC_DIV] = (ADC_CYCLES_PER_CONVERSION - 1) << 8
        self._dma.config(
            read=_ADC_FIFO,
            write=self.ring_address,
            count=1 << 29,
            ctrl=self._dma.pack_ctrl(
                size=1,
                inc_read=False,
                inc_write=True,
                ring_sel=True,
                ring_size=ADC_RING_SIZE_BITS,
                treq_sel=_DREQ_ADC,
                irq_quiet=True,
            ),
            trigger=True,
        )
        mem32[_ADC_CS] = 1 | (ADC_ROUND_ROBIN_MASK << 16) | (1 << 3)
