"""The last seconds before a fault, in memory that only power takes away: a watchdog's reset leaves them.

    begin(boot_fault)                           once at boot
    note(now_ms, depth_um, pen_state, fault)    each pass while the drive is awake, and when a fault comes: from then on
                                                nothing is added until pen.black_box_keep has stored it

A ring of records in the lowest part of the stack, which the program does not reach, so that it costs no heap; the tests
measure how far it stays away. A record is what pen.black_box_keep says; a mark tells it from anything else.
"""

import struct
import time

import uctypes
from machine import mem32
from micropython import const

from pen.control import state
from pen.places import CELL_MV, CURRENT_MA, I2_SUM, ON_COUNTS, RATE_MHZ, SET_MHZ, STOP_REASON
from pen.store.numbers import BLACK_BOX_MARK, BLACK_BOX_RECORD, BLACK_BOX_RECORD_BYTES

_BASE = const(0x2004_0000)
_RING_BYTES = const(84 * BLACK_BOX_RECORD_BYTES)
_PERIOD_MS = const(30)  # every second full pass of a run: 40 ms
_GPIO_IN = const(0xD000_0004)

ring = uctypes.bytearray_at(_BASE, _RING_BYTES)
frozen = 0
_at = _last_ms = _last_state = 0


def begin(fault):
    """`fault`: why the chip was reset, NONE if somebody meant it: what the ring holds is of no use then."""
    global frozen
    frozen = fault
    if not fault:
        clear()


def clear():
    """Empty it, and let it go on."""
    global frozen
    ring[:] = bytes(_RING_BYTES)
    frozen = 0


def note(now_ms, depth_um, pen_state, fault):
    """Put one record, if it is time for one or the state is another."""
    global frozen, _at, _last_ms, _last_state
    if frozen or (pen_state == _last_state and time.ticks_diff(now_ms, _last_ms) < _PERIOD_MS):
        return
    struct.pack_into(
        BLACK_BOX_RECORD,
        ring,
        _at,
        BLACK_BOX_MARK,
        pen_state,
        state[STOP_REASON],
        now_ms,
        mem32[_GPIO_IN],
        state[SET_MHZ] >> 2,
        state[RATE_MHZ] >> 2,
        state[CURRENT_MA],
        state[CELL_MV],
        state[ON_COUNTS],
        depth_um,
        state[I2_SUM],
    )
    _at = (_at + BLACK_BOX_RECORD_BYTES) % _RING_BYTES
    _last_ms = now_ms
    _last_state = pen_state
    frozen = fault
