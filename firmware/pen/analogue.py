"""Codes of the converter as quantities: erratum corrected, means, plausibility. Pure.

Means of codes are in Q4 (1/16 LSB). RP2040-E11: the converter dwells at four codes for 10 to 15 LSB of its input, and
its steps between them are that much narrower, so that both ends of the range are right and codes in between are off by
up to 6 LSB. Which dwell a chip has is not known; the middle of the range is corrected, half of its width remains.
"""

from math import log

import micropython

from pen.board import (
    ADC_BATTERY_MV_PER_LSB_Q16,
    ADC_JUMP_CODES,
    ADC_JUMP_Q4,
    ADC_NOSE_TEMPERATURE_BETA_K,
    ADC_NOSE_TEMPERATURE_DIVIDER_OHM,
    ADC_NOSE_TEMPERATURE_R25_OHM,
)

# Noise of some LSB smears the dwell over its neighbours: the correction sets in over that many Q4 on both sides.
_HALF_DWELL_Q4 = 48
_FULL_SCALE = 4096
_NARROWED = _FULL_SCALE + len(ADC_JUMP_CODES) * ADC_JUMP_Q4 // 16
_FULL_Q4 = 16 * _FULL_SCALE
_KELVIN = 273.15
_NTC_REFERENCE_K = 298.15


def mean_q4(total, count):
    """Mean of `count` codes with the sum `total`; half an LSB is added, since the converter cuts off."""
    return 16 * total // count + 8


def corrected_q4(mean):
    """A mean code (Q4) without erratum RP2040-E11, 0 to 65535."""
    lag = 0
    for code in ADC_JUMP_CODES:
        beyond = mean - 16 * code + _HALF_DWELL_Q4
        if beyond >= 2 * _HALF_DWELL_Q4:
            lag += ADC_JUMP_Q4
        elif beyond > 0:
            lag += ADC_JUMP_Q4 * beyond // (2 * _HALF_DWELL_Q4)
    return (mean + lag) * _FULL_SCALE // _NARROWED


def cell_mv(mean):
    """Cell voltage in mV from the mean code (Q4) of the battery input."""
    return corrected_q4(mean) * (ADC_BATTERY_MV_PER_LSB_Q16 >> 4) >> 16


def nose_dc(mean):
    """Nose temperature in 0.1 C from the mean code (Q4) of the NTC; for codes inside the valid range only."""
    code = corrected_q4(mean)
    ratio = code / (_FULL_Q4 - code) * (ADC_NOSE_TEMPERATURE_DIVIDER_OHM / ADC_NOSE_TEMPERATURE_R25_OHM)
    kelvin = 1 / (1 / _NTC_REFERENCE_K + log(ratio) / ADC_NOSE_TEMPERATURE_BETA_K)
    return round(10 * (kelvin - _KELVIN))


@micropython.viper
def gather(ring: ptr16, channel: int, out: ptr32):
    """Sum, least and most of the 8 codes of one input in the sampling ring, into out[0] to out[2]."""
    total = 0
    least = 4095
    most = 0
    i = channel
    while i < 32:
        code = int(ring[i])
        total += code
        if code < least:
            least = code
        if code > most:
            most = code
        i += 4
    out[0] = total
    out[1] = least
    out[2] = most


class Plausibility:
    """Whether the codes of an input can be true: inside a range, and close together.

    Time outside counts up, time inside counts down at a quarter of that pace, so that an intermittent contact is
    found too. `broken` comes at `limit_ms` and goes when the count is down again; `doubtful` asks for
    another look soon.
    """

    def __init__(self, least, most, spread, limit_ms):
        self._least = least
        self._most = most
        self._spread = spread
        self._limit_ms = limit_ms
        self._bad_ms = 0
        self.broken = False
        self.doubtful = False

    def judge(self, least, most, elapsed_ms):
        """Take the extremes of the last codes, `elapsed_ms` after the ones before. Returns True if they can be true."""
        good = least >= self._least and most <= self._most and most - least <= self._spread
        if good:
            self._bad_ms = max(0, self._bad_ms - elapsed_ms // 4)
            if not self._bad_ms:
                self.broken = False
        else:
            self._bad_ms = min(self._limit_ms, self._bad_ms + elapsed_ms)
            if self._bad_ms == self._limit_ms:
                self.broken = True
        self.doubtful = not good and not self.broken
        return good


class Threshold:
    """A value with two levels: `on` from `rise` on, off again below `fall`."""

    def __init__(self, rise, fall):
        self._rise = rise
        self._fall = fall
        self.on = False

    def judge(self, value):
        """Take a value; returns `on`."""
        self.on = value >= (self._fall if self.on else self._rise)
        return self.on
