# mypy: disable-error-code="arg-type"
"""The quick look: has anything changed that the main loop should know? In viper, since it happens a hundred times a
second for as long as the pen lies there, and between two passes while it runs."""

import time

import micropython
from micropython import const

from pen.clock_watch import look

LOOK_MS = const(8)  # part of the times of SR-02 at rest and of PR-04


@micropython.viper
def depth_code() -> int:
    """One conversion of the depth sensor, while the converter does nothing else."""
    adc = ptr32(0x4004C000)
    adc[0] = 0x1001
    adc[0] = 0x1005  # input 1, start once
    while not adc[0] & 0x100:
        pass
    return adc[1]


@micropython.viper
def lines(mask: int) -> int:
    """Present levels of the lines in `mask`."""
    return int(ptr32(0xD0000004)[0]) & mask


NOTHING = const(0)
CHANGED = const(1)  # a line, the depth sensor, or a clock
HEARD = const(2)  # the host has sent something


@micropython.viper
def lie_still(mask: int, levels: int, low_code: int, high_code: int, until_ms: int, feed, heard) -> int:
    """Return when something happens, or NOTHING at `until_ms`.

    CHANGED: a line in `mask` has not its level, the depth sensor leaves its window, or a clock is wrong. HEARD:
    `heard(0)`, a poll without waiting, has something. Looks every 8 ms, and feeds the watchdog.
    """
    sleep = time.sleep_ms
    now = time.ticks_ms
    late = time.ticks_diff
    watch = look
    while True:
        if int(ptr32(0xD0000004)[0]) & mask != levels or int(watch()):
            return CHANGED
        code = int(depth_code())
        if code < low_code or code > high_code:
            return CHANGED
        for _ in heard(0):
            return HEARD
        if int(late(now(), until_ms)) >= 0:
            return NOTHING
        feed()
        sleep(LOOK_MS)
