"""The clocks of the chip against each other, by its frequency counter (RP2040 datasheet 2.15.4). SR-26.

Two sources are measured in turn, 1 ms each, with the crystal's clock as the measure:

- the system clock, made from the crystal by a PLL: known exactly, so that a PLL that has lost its lock shows at once;
- the ring oscillator, an RC oscillator without any relation to the crystal. It is 1.8 to 12 MHz, differs from chip to
  chip and follows temperature and supply, so only a change against the value of the last seconds says anything.

What that shows: the crystal, or all of its clocks, jump by more than the limit: within 3 measurements. What it cannot
show: a crystal that was wrong already when the pen was switched on (a quartz that runs 5 % off does not exist, but an
oscillator on a wrong overtone does: that one leaves the plausible window), and one that drifts as slowly as the ring
oscillator does. Slow drift is followed up to _DRIFT_PERMILLE from the value at boot, then it is a fault as well.
"""

import array

import micropython
from machine import mem32
from micropython import const

from pen.board import SYS_CLOCK_HZ

_FC0 = const(0x4000_8080)  # REF_KHZ, MIN_KHZ, MAX_KHZ, DELAY, INTERVAL, SRC, STATUS, RESULT
_REFERENCE_KHZ = const(12_000)
_INTERVAL = const(10)  # 2^10 x 0.98 us: 1 ms, good to 2 kHz
_ROSC = const(3)
_CLK_SYS = const(9)
_SYS_LSB = const(SYS_CLOCK_HZ // 1000 * 32)  # results are 1/32 kHz
_SYS_TOLERANCE = const(SYS_CLOCK_HZ // 1000 * 32 // 100)
_ROSC_LOWEST = const(1_800 * 32)  # datasheet 2.17
_ROSC_HIGHEST = const(12_000 * 32)
_TOLERANCE_PERMILLE = const(45)  # a crystal 5 % fast (SR-26) makes the ring oscillator read 4.8 % low
_DRIFT_PERMILLE = const(150)  # against boot: assumed, from -10 to +60 C
_FOLLOW_SHIFT = const(4)  # of the difference, at each `follow`
_BAD_LIMIT = const(2)  # measurements of one source in a row
_SILENT_LIMIT = const(4)  # passes without a result

# Places in `watched`; two values each: ring oscillator, system clock.
LOW = const(0)
HIGH = const(2)
VALUE = const(4)
BAD = const(6)
TURN = const(8)  # 0: the ring oscillator is being measured, 1: the system clock
SILENT = const(9)
_SIZE = const(10)

watched = array.array("i", [0] * _SIZE)


@micropython.viper
def look() -> int:
    """Take a measurement if one is ready and begin the next; 1 once a clock is wrong, else 0. Takes 8 us.

    Call in every pass of the main loop, also at rest: a wrong clock is seen after 4 calls at most.
    """
    s = ptr32(watched)
    counter = ptr32(_FC0)
    turn = s[TURN]
    if counter[6] & 0x10:  # done
        value = counter[7]
        s[SILENT] = 0
        s[VALUE + turn] = value
        if value < s[LOW + turn] or value > s[HIGH + turn]:
            s[BAD + turn] += 1  # the same source again, to be sure
        else:
            s[BAD + turn] = 0
            turn = 1 - turn
            s[TURN] = turn
        counter[5] = _CLK_SYS if turn else _ROSC
    else:
        s[SILENT] += 1
    return int(s[BAD] >= _BAD_LIMIT or s[BAD + 1] >= _BAD_LIMIT or s[SILENT] >= _SILENT_LIMIT)


class ClockWatch:
    """Sets the windows that `look` compares with. `failed`: a clock was wrong when it was made, or is now."""

    def __init__(self):
        mem32[_FC0] = _REFERENCE_KHZ
        mem32[_FC0 + 16] = _INTERVAL
        self._boot = self._measure()
        self._reference = self._boot
        self.failed = not _ROSC_LOWEST <= self._boot <= _ROSC_HIGHEST
        watched[LOW + 1], watched[HIGH + 1] = _SYS_LSB - _SYS_TOLERANCE, _SYS_LSB + _SYS_TOLERANCE
        self._set_window()
        watched[BAD] = watched[BAD + 1] = watched[SILENT] = watched[TURN] = 0
        mem32[_FC0 + 20] = _ROSC

    def _measure(self):
        """The ring oscillator in 1/32 kHz, 0 if it stands; waits for up to 3 ms."""
        mem32[_FC0 + 20] = _ROSC
        for _ in range(300):  # some 10 us each; not by the timer, which is the clock in question
            if mem32[_FC0 + 24] & 0x10:
                return mem32[_FC0 + 28]
        return 0

    def _set_window(self):
        reference = self._reference
        watched[LOW] = reference - reference * _TOLERANCE_PERMILLE // 1000
        watched[HIGH] = reference + reference * _TOLERANCE_PERMILLE // 1000

    def follow(self):
        """Follow the drift of the ring oscillator. Call once a second, at most."""
        value = watched[VALUE]
        if value and not watched[BAD]:
            self._reference += (value - self._reference) >> _FOLLOW_SHIFT
            if abs(self._reference - self._boot) > self._boot * _DRIFT_PERMILLE // 1000:
                self.failed = True
            self._set_window()
