# mypy: disable-error-code="arg-type"
# Viper converts the array to a pointer where a function asks for one; the type checker does not know.
"""The analogue inputs as the main loop reads them, the charger line, and the heat that survives a reset.

While the drive is awake the sampling ring holds the last 8 codes of each input; at rest each is converted on demand.
"""

import array

from machine import ADC, Pin, mem32
from micropython import const

from pen.analogue import gather
from pen.board import ADC_CHANNELS, PIN_VBUS_SENSE

_AT_REST = const(16)  # conversions for a mean: 1 LSB of noise is left
_SCRATCH = const(0x4005_800C)  # watchdog scratch register 0: survives every reset but power-on
_MARK = const(0x4EA7)  # in the upper half: the lower half is heat that this firmware stored


class Inputs:
    """`total`, `least`, `most`: of the last codes of each input, by channel; `count` codes each."""

    def __init__(self, ring_address):
        self.total = [0] * ADC_CHANNELS
        self.least = [0] * ADC_CHANNELS
        self.most = [0] * ADC_CHANNELS
        self.count = 0
        self._ring_address = ring_address
        self._found = array.array("i", [0, 0, 0])
        self._converters = [ADC(channel) for channel in range(ADC_CHANNELS)]
        self._vbus = Pin(PIN_VBUS_SENSE, Pin.IN)

    def read(self, awake):
        """Take the codes; `awake`: the sampling ring is live."""
        for channel in range(ADC_CHANNELS):
            if awake:
                gather(self._ring_address, channel, self._found)
                self.total[channel], self.least[channel], self.most[channel] = self._found
            else:
                self._convert(channel)
        self.count = 8 if awake else _AT_REST

    def _convert(self, channel):
        total = most = 0
        least = 4095
        read = self._converters[channel].read_u16
        for _ in range(_AT_REST):
            code = read() >> 4
            total += code
            if code < least:
                least = code
            if code > most:
                most = code
        self.total[channel] = total
        self.least[channel] = least
        self.most[channel] = most

    def external_power(self):
        return self._vbus() == 1

    def keep_heat(self, heat):
        """Store 16 bits where a reset other than power-on leaves them."""
        mem32[_SCRATCH] = _MARK << 16 | heat

    def kept_heat(self):
        """What `keep_heat` stored before the last reset; 0 after power-on."""
        value = mem32[_SCRATCH]
        return value & 0xFFFF if value >> 16 == _MARK else 0
