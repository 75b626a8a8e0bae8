# mypy: disable-error-code="arg-type"
# Viper converts the array to a pointer where a function asks for one; the type checker does not know.
"""Step schedules of the depth axis, worked out before the move: which coils, and for how long. Pure: no pins, no clock.

Places of the rotor are counted in half steps from home, outward. At even places one coil is energised: there the axis
rests, with half the power. At odd places both are, and full steps from odd place to odd place move it with the most
torque. A move begins and ends with half a step, so that it starts from and ends at the one-coil pattern of its place,
and holding with one coil shifts nothing. The coil vector A+, B+, A-, B- extends; A+ is A1 high, A2 low.

A schedule is a list of words for `pio_programs.depth_steps`: the coil ends A1 A2 B1 B2 in bits 0-3, above them the
time until the next word in us, less what the program itself takes. DMA and PIO then move the axis without the CPU.
"""

import array
import math

import micropython
from micropython import const

from pen.board import (
    DEPTH_ACCELERATION_HZ_S,
    DEPTH_BEHIND_HOME_UM,
    DEPTH_START_RATE_HZ,
    DEPTH_STEP_RATE_HZ,
    DEPTH_STEP_UM,
    HARD_STOP_UM,
)
from pen.limits import SR23_RETRACT_MM_S

COILS = b"\x01\x05\x04\x06\x02\x0a\x08\x09"
HALF_STEPS_PER_STEP = 2

_WORD_OVERHEAD_US = const(4)
LONGEST_LEG = const((HARD_STOP_UM + 2 * DEPTH_BEHIND_HOME_UM) // DEPTH_STEP_UM)
_MOST_WORDS = const(LONGEST_LEG + 40)

SETTLE_US = const(10_000)  # of the rotor, at the end of each leg: one swing
_HALF_STEP_US = const(10_000)  # the rotor settles before the next: the home switch decides alike each time


def ramp(start_hz, top_hz, acceleration_hz_s):
    """Times of the steps of an acceleration in us, the last one being that of the top rate.

    From v = sqrt(v0^2 + 2 a n) after n steps: t = (v - v0) / a.
    """
    times = array.array("I")
    before_s = 0.0
    while True:
        hz = math.sqrt(start_hz * start_hz + 2.0 * acceleration_hz_s * (len(times) + 1))
        if hz > 1.001 * top_hz:
            break
        at_s = (hz - start_hz) / acceleration_hz_s
        times.append(int(1e6 * (at_s - before_s) + 0.5))
        before_s = at_s
    times.append(1_000_000 // top_hz)
    return times


FAST = ramp(DEPTH_START_RATE_HZ, DEPTH_STEP_RATE_HZ, DEPTH_ACCELERATION_HZ_S)
SAFE = array.array("I", (1_000_000 // DEPTH_START_RATE_HZ,))  # may end at any step
_SLOW_HZ = const(3 * 1000 * SR23_RETRACT_MM_S // (4 * DEPTH_STEP_UM))
SLOW = array.array("I", (1_000_000 // _SLOW_HZ,))  # while the motor runs (SR-23)


@micropython.viper
def _write_steps(words: ptr32, at: int, half: int, sign: int, steps: int, times: ptr32, last: int):
    coils = ptr8(COILS)
    k = 0
    half += sign
    while k < steps:
        # Accelerate from the start, decelerate to the end, the shorter of the two counts.
        n = k
        if steps - 2 - k < n:
            n = steps - 2 - k
        if n > last:
            n = last
        if n < 0:
            n = 0
        words[at + k] = coils[half & 7] | (times[n] - _WORD_OVERHEAD_US) << 4
        half += 2 * sign
        k += 1
    words[at + steps] = coils[(half - sign) & 7] | (SETTLE_US - _WORD_OVERHEAD_US) << 4


@micropython.viper
def _write_half_steps(words: ptr32, at: int, half: int, sign: int, count: int):
    coils = ptr8(COILS)
    k = 0
    while k < count:
        half += sign
        words[at + k] = coils[half & 7] | (_HALF_STEP_US - _WORD_OVERHEAD_US) << 4
        k += 1


class Schedule:
    """One move: `words[:count]`, made of legs that follow each other. Starts and ends at an even place."""

    def __init__(self):
        self.words = array.array("I", bytes(4 * _MOST_WORDS))
        self.begin(0)

    def begin(self, half):
        """Empty, with the rotor at place `half`, in half steps."""
        self.count = 0
        self.end_half = half
        self._legs = []  # (first word, place before it, direction, words, whether in full steps)

    def to(self, half, times=FAST):
        """A leg of full steps to an even place, with the step times of a ramp (FAST, SAFE, SLOW)."""
        start = self.end_half
        steps = abs(half - start) >> 1
        if steps:
            self._room(steps + 1)
            sign = 1 if half > start else -1
            _write_steps(self.words, self.count, start, sign, steps, times, len(times) - 1)
            self._leg(start, sign, steps + 1, True, half)

    def creep_to(self, half):
        """A leg of half steps, each long enough for the rotor to settle."""
        start = self.end_half
        count = abs(half - start)
        if count:
            self._room(count)
            sign = 1 if half > start else -1
            _write_half_steps(self.words, self.count, start, sign, count)
            self._leg(start, sign, count, False, half)

    def _room(self, words):
        if self.count + words > _MOST_WORDS:
            raise ValueError("depth move of %d words, room for %d" % (self.count + words, _MOST_WORDS))

    def _leg(self, start, sign, words, full, end):
        self._legs.append((self.count, start, sign, words, full))
        self.count += words
        self.end_half = end

    def half_at(self, executed):
        """Place after so many words, in half steps."""
        for first, start, sign, words, full in self._legs:
            done = executed - first
            if done <= words:
                if done <= 0:
                    return start
                if not full:
                    return start + sign * done
                return start + sign * (2 * done - 1 if done < words else 2 * done - 2)
        return self.end_half

    def ahead(self, executed, us):
        """Words executed when `us` more have passed, at most: where the axis will be soon."""
        while executed < self.count and us > 0:
            us -= (self.words[executed] >> 4) + _WORD_OVERHEAD_US
            executed += 1
        return executed

    def span(self, executed):
        """Lowest and highest place from now to the end of the move, in half steps."""
        low = high = self.half_at(executed)
        for first, start, sign, words, full in self._legs:
            if executed < first + words:
                end = start + sign * (2 * words - 2 if full else words)
                low = min(low, end)
                high = max(high, end)
        return low, high

    def duration_us(self):
        """Time from the first pattern to the end of the last one's stay."""
        return sum([(word >> 4) + _WORD_OVERHEAD_US for word in self.words[: self.count]])
