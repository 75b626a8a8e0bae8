"""Index supervision on PIO1: glitch filter, and time stamps of its edges by DMA, without the CPU.

The debounced signal leaves on INDEX_CLEAN, where the index window of PIO0 (and an oscilloscope) reads it.
Two DMA channels in a ring copy the microsecond timer at each rising edge: the first empties the FIFO word
that announces the edge, the second stores the time.
"""

import array

import rp2
import uctypes
from machine import Pin, mem32
from micropython import const

from pen.board import (
    PIN_INDEX,
    PIN_INDEX_CLEAN,
    PIO_INDEX_CAPTURE_HZ,
    PIO_INDEX_CAPTURE_SM,
    PIO_INDEX_DEBOUNCE_HZ,
    PIO_INDEX_DEBOUNCE_SM,
)
from pen.pio_programs import announce_edge, debounce

RING_EDGES = const(16)

_TIMERAWL = const(0x4005_4028)
_RXF_CAPTURE = const(0x5030_0024)
_DREQ_CAPTURE = const(13)
_DREQ_ALWAYS = const(0x3F)


def _channel(dma):
    return dma.channel


class Index:
    """Glitch filter and edge time stamps. `ring` holds the last RING_EDGES times in us, oldest overwritten."""

    def __init__(self):
        index = Pin(PIN_INDEX, Pin.IN, Pin.PULL_UP)
        clean = Pin(PIN_INDEX_CLEAN)
        self._debounce = rp2.StateMachine(
            PIO_INDEX_DEBOUNCE_SM,
            debounce,
            freq=PIO_INDEX_DEBOUNCE_HZ,
            jmp_pin=index,
            set_base=clean,
        )
        self._capture = rp2.StateMachine(
            PIO_INDEX_CAPTURE_SM, announce_edge, freq=PIO_INDEX_CAPTURE_HZ, in_base=clean
        )
        self._pop = rp2.DMA()
        self._stamp = rp2.DMA()
        raw = array.array("I", bytes(8 * RING_EDGES))
        size = 4 * RING_EDGES
        skip = (-uctypes.addressof(raw) % size) >> 2
        self._keep = raw  # the ring is a window into it, aligned to its own size for the DMA ring
        self.ring = memoryview(raw)[skip : skip + RING_EDGES]
        self.ring_address = uctypes.addressof(raw) + 4 * skip
        self._sink = array.array("I", (0,))
        self._start_dma()
        self.write_register = 0x5000_0004 + 0x40 * _channel(self._stamp)

    def _start_dma(self):
        common = {"size": 2, "inc_read": False, "irq_quiet": True}
        self._stamp.config(
            read=_TIMERAWL,
            write=self.ring_address,
            count=1,
            ctrl=self._stamp.pack_ctrl(
                inc_write=True,
                ring_sel=True,
                ring_size=6,
                treq_sel=_DREQ_ALWAYS,
                chain_to=_channel(self._pop),
                **common,
            ),
        )
        self._pop.config(
            read=_RXF_CAPTURE,
            write=self._sink,
            count=1,
            ctrl=self._pop.pack_ctrl(
                inc_write=False, treq_sel=_DREQ_CAPTURE, chain_to=_channel(self._stamp), **common
            ),
            trigger=True,
        )

    def start(self):
        """Watch the line from now on."""
        self._debounce.active(1)
        self._capture.active(1)

    def stop(self):
        """Stop watching; INDEX_CLEAN keeps its level."""
        self._debounce.active(0)
        self._capture.active(0)

    def close(self):
        """Give the DMA channels back; the chain is opened first, or aborting one would start the other."""
        self.stop()
        for channel in (self._pop, self._stamp):
            channel.config(ctrl=channel.pack_ctrl(enable=False))
        for channel in (self._pop, self._stamp):
            channel.close()

    def next_slot(self):
        """Ring position that the next edge will be written to."""
        return (mem32[self.write_register] - self.ring_address) >> 2
