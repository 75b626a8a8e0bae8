# mypy: disable-error-code="arg-type"
# Viper converts the array to a pointer where a function asks for one; the type checker does not know.
"""The hall sensor of the depth axis: the independent second opinion on where the needles are (SR-02 to SR-04).

It never steers. Its zero is taken at home, its gain comes from the calibration. While the drive is awake the control
tick compares the sum of its last 8 codes with a window in the tick's state array; at rest single conversions do.
"""

import array
import time

from machine import ADC
from micropython import const

from pen.analogue import gather
from pen.board import (
    ADC_DEPTH_POSITION_CHANNEL,
    ADC_DEPTH_POSITION_OFFSET_UM,
    ADC_DEPTH_POSITION_UM_PER_LSB_Q16,
    ADC_DEPTH_POSITION_VALID_MAX_RAW,
    ADC_DEPTH_POSITION_VALID_MIN_RAW,
)
from pen.depth import RUNAWAY_UM, DepthMap, Drift, Follower
from pen.faults import DEPTH_RUNAWAY, DEPTH_SENSOR
from pen.limits import SR02_TRIP_MS
from pen.places import ADC_RING, DEPTH_BAD_MS, DEPTH_HIGH_SUM, DEPTH_LOW_SUM, TICKS

_SAMPLES = const(8)
_LEAST_SUM = const(_SAMPLES * ADC_DEPTH_POSITION_VALID_MIN_RAW)
_MOST_SUM = const(_SAMPLES * ADC_DEPTH_POSITION_VALID_MAX_RAW)
_ANY_SUM = const(_SAMPLES * 4096)
_RING_TICKS = const(3)  # after waking until the ring holds new samples only
_SPREAD_CODES = const(256)  # of 8 codes in 1.3 ms: a carriage moves by 13 um in that time
_WILD_READINGS = const(2)

_NOISE_CODES = const(16)  # by which a single code may miss: nearer to the edge, a mean has to decide

_LIMIT_MS = const(SR02_TRIP_MS // 2)  # an error counts after 10 ms and has to stop the pen within 20 (SR-02)
_MAY_WAIT_MS = const(4)
_REST_LIMIT_US = const(1000 * _LIMIT_MS - 800)  # the look that found it, and the last one, take the rest
_REST_LOOK_US = const(500)


class DepthSensor:
    """`map`: protrusion for travel and back. `sum`: of the last 8 codes, -1 while not known.

    `window_codes`: (lowest, highest) single code that needs no closer look at rest.
    """

    def __init__(self, state):
        self.map = DepthMap()
        self.drift = Drift()
        self.follower = Follower()
        self.sum = -1
        self.zero_sum = 0
        self.window_codes = (0, 4096)
        self._state = state
        self._adc = ADC(ADC_DEPTH_POSITION_CHANNEL)
        self._gathered = array.array("i", (0, 0, 0))
        self._wild = 0  # readings in a row whose codes were far apart
        self.allow_sound()

    @property
    def known(self):
        return self.sum >= 0

    @property
    def sound(self):
        """False when the last reading lay outside what the sensor can give (SR-04)."""
        return self.sum < 0 or _LEAST_SUM <= self.sum <= _MOST_SUM

    @property
    def raves(self):
        """True when its codes have been far apart in several readings."""
        return self._wild > _WILD_READINGS

    @property
    def nominal_um(self):
        """Protrusion by a sensor without tolerances: all that is known before home is found."""
        return (self.sum // _SAMPLES * ADC_DEPTH_POSITION_UM_PER_LSB_Q16 >> 16) + ADC_DEPTH_POSITION_OFFSET_UM

    @property
    def um(self):
        """Protrusion, once the zero has been taken."""
        return self.map.home_um + self.map.um_off(self.sum - self.zero_sum)

    def read(self, awake):
        """Take the tick's sum, or 8 conversions while the tick rests."""
        if awake:
            if self._state[TICKS] <= _RING_TICKS:
                self.sum = -1
                return
            gathered = self._gathered
            gather(self._state[ADC_RING], ADC_DEPTH_POSITION_CHANNEL, gathered)
            self.sum, least, most = gathered
        else:
            total = most = 0
            least = 4095
            for _ in range(_SAMPLES):
                code = self._adc.read_u16() >> 4
                total += code
                least = min(least, code)
                most = max(most, code)
            self.sum = total
        self._wild = self._wild + 1 if most - least > _SPREAD_CODES else 0

    # ---------------------------------------------------------------- window
    def allow(self, low_um, high_um):
        """Protrusions that are right now; the tolerance comes on top."""
        pen_map = self.map
        off = pen_map.tolerance_um
        low = self.zero_sum + pen_map.sum_off(low_um - off - pen_map.home_um)
        high = self.zero_sum + pen_map.sum_off(high_um + off - pen_map.home_um)
        self._set_window(max(low, _LEAST_SUM), min(high, _MOST_SUM))

    def allow_sound(self):
        """Nothing to compare with: any reading that a sound sensor can give is right."""
        self._set_window(_LEAST_SUM, _MOST_SUM)

    def allow_any(self):
        """It does not matter any more."""
        self._set_window(-_SAMPLES * _NOISE_CODES, _ANY_SUM + _SAMPLES * _NOISE_CODES)

    def _set_window(self, low, high):
        self._state[DEPTH_LOW_SUM] = low
        self._state[DEPTH_HIGH_SUM] = high
        self.window_codes = (low // _SAMPLES + _NOISE_CODES, high // _SAMPLES - _NOISE_CODES)

    def left_window(self, now_ms, awake):
        """Whether the sensor has been outside its window for 10 ms. While awake the tick counts them.

        Where the next pass would come too late (SR-02) it waits for the few ms that are left.
        """
        if not awake:
            return not self._inside() and self._stays_outside()
        state = self._state
        until_ms = time.ticks_add(now_ms, _MAY_WAIT_MS)
        while _LIMIT_MS - _MAY_WAIT_MS < state[DEPTH_BAD_MS] <= _LIMIT_MS:
            if time.ticks_diff(until_ms, time.ticks_ms()) < 0:
                break
        if state[DEPTH_BAD_MS] <= _LIMIT_MS:
            return False
        self.read(True)
        return True

    def _stays_outside(self):
        """At rest: look until it is inside again, or 10 ms are over. Nothing else is as urgent then."""
        begun_us = time.ticks_us()
        while time.ticks_diff(time.ticks_us(), begun_us) < _REST_LIMIT_US:
            time.sleep_us(_REST_LOOK_US)
            self.read(False)
            if self._inside():
                return False
        return True

    def _inside(self):
        return self._state[DEPTH_LOW_SUM] <= self.sum <= self._state[DEPTH_HIGH_SUM]

    def fault(self, set_um, at_home):
        """Which fault it is that the sensor does not agree with the axis at `set_um`: the sensor's, if it cannot be
        the axis. `at_home`: the home switch is closed."""
        if not self.sound or self._wild:
            return DEPTH_SENSOR
        follower = self.follower
        stood_still = follower.stood_still(self.um) and follower.moved(set_um) >= RUNAWAY_UM
        axis_stayed = set_um > RUNAWAY_UM and at_home
        return DEPTH_SENSOR if stood_still and not axis_stayed else DEPTH_RUNAWAY
