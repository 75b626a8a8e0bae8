"""The 1-Wire bus of the cartridge: reset and bytes, at standard speed.

Slots come from MicroPython's `_onewire`, which turns interrupts off for up to 70 us each: never while the motor turns.
"""

import _onewire


class OneWire:
    def __init__(self, pin):
        pin.init(pin.OPEN_DRAIN, pin.PULL_UP, value=1)
        self._pin = pin

    def reset(self):
        """Reset the bus, 1 ms. True if a chip answers; a bus that stays low is no answer."""
        self._pin.value(0)  # the 480 us of `_onewire` are up to 1 us short: this makes them longer
        return bool(_onewire.reset(self._pin)) and self._pin.value() == 1

    def write(self, data):
        """Send bytes, 0.6 ms each."""
        for value in data:
            _onewire.writebyte(self._pin, value)

    def read_byte(self):
        """The next byte, 0.6 ms. 0xFF if nobody answers."""
        return _onewire.readbyte(self._pin)
