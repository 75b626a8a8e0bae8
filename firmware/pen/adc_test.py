"""Test of the converter (SR-26) with what it can know: the chip's temperature, and that no current flows at rest.

The sensor (channel 4) gives 0.706 V at 27 C and 1.721 mV less for each K, whatever the reference is, so its code says
how high the reference is, as well as one knows the temperature. The chip is taken to be at 5 to 60 C (assumed): at 27 C
a reference 9 % too high or 5 % too low shows, at any temperature one 15 % too high or 13 % too low. A multiplexer that
is stuck shows because the inputs lie apart at rest: current 0 V, sensor 0.65 to 0.74 V, the others above or below.
Call only at rest: while the drive is awake the converter runs by itself.
"""

import time

from machine import ADC, mem32
from micropython import const

from pen.board import ADC_REFERENCE_UV, PIN_MOTOR_CURRENT

_CS = const(0x4004_C000)
_SENSOR_ON = const(2)
_SENSOR_CHANNEL = const(4)
_SETTLE_US = const(50)  # assumed; the datasheet gives no settling time
_SAMPLES = const(8)
_HOTTEST_C = const(60)
_COLDEST_C = const(5)
_LOWEST = (706_000 - 1_721 * (_HOTTEST_C - 27)) * 4096 // ADC_REFERENCE_UV
_HIGHEST = (706_000 - 1_721 * (_COLDEST_C - 27)) * 4096 // ADC_REFERENCE_UV
REST_CURRENT_LSB = const(124)  # 0.1 A: offset of the amplifier and noise


class AdcTest:
    """`failed`: reference or multiplexer. `current_failed`: current is measured although none can flow.

    `step` takes 0.4 ms and returns True, the end of a round. `sensor` and `current` are the codes that it saw.
    """

    def __init__(self):
        self._sensor = ADC(_SENSOR_CHANNEL)
        self._current = ADC(PIN_MOTOR_CURRENT)
        self.failed = self.current_failed = False
        self.sensor = self.current = 0

    def step(self):
        mem32[_CS] |= _SENSOR_ON
        time.sleep_us(_SETTLE_US)
        self.sensor = _mean(self._sensor)
        self.current = _mean(self._current)
        if not _LOWEST <= self.sensor <= _HIGHEST:
            self.failed = True
        elif self.current > REST_CURRENT_LSB:
            if _LOWEST <= self.current <= _HIGHEST:
                self.failed = True  # the sensor again: the multiplexer is stuck there
            else:
                self.current_failed = True
        return True


def _mean(converter):
    total = 0
    for _ in range(_SAMPLES):
        total += converter.read_u16() >> 4
    return total // _SAMPLES
