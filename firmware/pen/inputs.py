# mypy: disable-error-code="arg-type"
# Viper converts the array to a pointer where a function asks for one; the type checker does not know.
"""The analogue inputs as the main loop reads them, the charger line, and the heat that survives a reset.

While the drive is awake the sampling ring holds the last 8 codes of each input; at rest each is converted on demand.
"""

import array
import time

import micropython
from machine import Pin, mem32
from micropython import const

from pen.analogue import gather
from pen.board import (
    ADC_BATTERY_CHANNEL,
    ADC_CHANNELS,
    ADC_MOTOR_CURRENT_CHANNEL,
    ADC_NOSE_TEMPERATURE_CHANNEL,
    PIN_VBUS_SENSE,
)

_SPIKE_MS = const(2)  # a charger that is plugged in stays longer than that
_AT_REST = const(16)  # conversions for a mean: 1 LSB of noise is left
_SCRATCH = const(0x4005_800C)  # watchdog scratch register 0: survives every reset but power-on
_MARK = const(0x4EA7)  # in the upper half: the lower half is heat that this firmware stored
_CHANNELS = (ADC_MOTOR_CURRENT_CHANNEL, ADC_NOSE_TEMPERATURE_CHANNEL, ADC_BATTERY_CHANNEL)


@micropython.viper
def convert(channel: int, count: int, out: ptr32):
    """Convert one input `count` times, 2 us each; sum, least and most into out[0] to out[2]. Only while at rest."""
    adc = ptr32(0x4004C000)
    total = 0
    least = 4095
    most = 0
    adc[0] = channel << 12 | 1
    while count > 0:
        adc[0] = channel << 12 | 5  # start once
        while not adc[0] & 0x100:
            pass
        code = int(adc[1])
        total += code
        if code < least:
            least = code
        if code > most:
            most = code
        count -= 1
    out[0] = total
    out[1] = least
    out[2] = most


class Inputs:
    """`total`, `least`, `most`: of the last codes of current, nose and battery, by channel; `count` codes each."""

    def __init__(self, ring_address):
        self.total = [0] * ADC_CHANNELS
        self.least = [0] * ADC_CHANNELS
        self.most = [0] * ADC_CHANNELS
        self.count = 0
        self._ring_address = ring_address
        self._found = array.array("i", [0, 0, 0])
        self._vbus = Pin(PIN_VBUS_SENSE, Pin.IN)
        self._external = False

    def read(self, awake):
        """Take the codes; `awake`: the sampling ring is live."""
        found = self._found
        for channel in _CHANNELS:
            if awake:
                gather(self._ring_address, channel, found)
            else:
                convert(channel, _AT_REST, found)
            self.total[channel] = found[0]
            self.least[channel] = found[1]
            self.most[channel] = found[2]
        self.count = 8 if awake else _AT_REST

    def external_power(self):
        """True with a charger at the line; one that appears is looked at twice, so that a spike ends no treatment."""
        if self._vbus() == 1 and not self._external:
            time.sleep_ms(_SPIKE_MS)
        self._external = self._vbus() == 1
        return self._external

    def keep_heat(self, heat):
        """Store 16 bits where a reset other than power-on leaves them."""
        mem32[_SCRATCH] = _MARK << 16 | heat

    def kept_heat(self):
        """What `keep_heat` stored before the last reset; 0 after power-on."""
        value = mem32[_SCRATCH]
        return value & 0xFFFF if value >> 16 == _MARK else 0
