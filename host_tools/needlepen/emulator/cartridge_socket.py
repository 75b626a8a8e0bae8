"""The cartridge in the nose of the emulated pen: needles, its chip on the bus, the contact that says it is seated."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from needlepen.emulator.chip import Chip
from needlepen.emulator.ds2431 import DS2431
from needlepen.emulator.onewire_slave import OneWireSlave, SlaveTiming
from needlepen.errors import UsageError

BusFault = Literal["open", "short"]


@dataclass(eq=False)
class Cartridge:
    """A cartridge as a thing. What its record says is in the chip; `needles` is what it really has."""

    chip: DS2431
    needles: int
    timing: SlaveTiming = field(default_factory=SlaveTiming)


class CartridgeSocket:
    """Bus and contact of one pen. The bus is low while anyone pulls it low; the pull-up makes it high.

    Args:
        chip: the emulated RP2040.
        bus_gpio: CARTRIDGE_BUS.
        seated_gpio: CARTRIDGE_N, low = seated.
    """

    def __init__(self, chip: Chip, bus_gpio: int, seated_gpio: int) -> None:
        self._chip = chip
        self._bus_gpio = bus_gpio
        self._seated_gpio = seated_gpio
        self._fault: BusFault | None = None
        self._pulled = False
        self._powered = True
        self.cartridge: Cartridge | None = None
        self.has_dummy = False
        self.slave: OneWireSlave | None = None
        chip.drive(seated_gpio, 1)
        chip.drive(bus_gpio, 1)
        chip.on_level(bus_gpio, self._level)

    def seat(self, cartridge: Cartridge) -> None:
        """Push a cartridge in now. Raises UsageError if one is in already."""
        self._check_empty()
        self.cartridge = cartridge
        self._chip.drive(self._seated_gpio, 0)
        self._connect()

    def seat_dummy(self) -> None:
        """Push the dummy cartridge in that calibrates the depth: no chip, and a pin where the needles would stand.

        Raises UsageError if there is a cartridge in already.
        """
        self._check_empty()
        self.has_dummy = True
        self._chip.drive(self._seated_gpio, 0)

    def _check_empty(self) -> None:
        if self.cartridge is not None or self.has_dummy:
            raise UsageError("There is a cartridge in the pen already; take it out first.")

    def unseat(self) -> None:
        """Take the cartridge out now: contact and bus open together. Without one, nothing happens."""
        if self.cartridge is not None or self.has_dummy:
            self.cartridge, self.has_dummy = None, False
            self._connect()
            self._chip.drive(self._seated_gpio, 1)

    def contact(self, seated: bool) -> None:
        """Move only the contact, as vibration or dirt does; the chip stays on the bus."""
        self._chip.drive(self._seated_gpio, 0 if seated else 1)

    def power(self, _t_ns: int, on: bool) -> None:
        """The pen's supply, and with it the bus that feeds the chip, goes (a copy under way is torn) or returns."""
        self._powered = on
        self._connect()

    def bus_fault(self, fault: BusFault | None) -> None:
        """Break the wire to the chip, short the bus to ground, or mend it."""
        self._fault = fault
        self._connect()
        self._drive()

    def _connect(self) -> None:
        """The chip lives while it is seated, the bus is whole and the pen has power."""
        if self.cartridge is None or self._fault or not self._powered:
            if self.slave is not None:
                self.slave.disconnect()
                self.slave = None
        elif self.slave is None:
            self.slave = OneWireSlave(self._chip, self.cartridge.chip, self._pull, self.cartridge.timing)
            self.slave.connect()

    def _pull(self, low: bool) -> None:
        self._pulled = low
        self._drive()

    def _drive(self) -> None:
        self._chip.drive(self._bus_gpio, 0 if self._pulled or self._fault == "short" else 1)

    def _level(self, t_ns: int, level: int) -> None:
        if self.slave is not None:
            self.slave.level(t_ns, level)
