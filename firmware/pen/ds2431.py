"""Commands of the DS2431 memory chip, written against its datasheet.

Most of it is generators that yield after each 1 ms, at the latest after 1.5 ms, so that a main loop can do them in
slices. They yield None if they could go on at once and True if there is nothing to do yet. Between two slices the bus
may rest as long as it likes; only during a copy it has to.

After one Match ROM the chip is called by Resume: one byte instead of nine, and a chip that lost power in between, or
another one, does not answer to it.
"""

import time

from micropython import const

from pen.onewire_crc import crc8, crc16

ROW_BYTES = const(8)
MEMORY_BYTES = const(0x88)  # pages, protection bytes, factory byte, maker's bytes
_FAMILY = const(0x2D)

_READ_ROM = const(0x33)
_MATCH_ROM = const(0x55)
_RESUME = const(0xA5)
_WRITE_SCRATCHPAD = const(0x0F)
_READ_SCRATCHPAD = const(0xAA)
_COPY_SCRATCHPAD = const(0x55)
_READ_MEMORY = const(0xF0)

_COMPLETE = const(0x07)  # ends at byte 7, no partial byte, no copy authorised yet
_PROGRAMMING_US = const(10_050)  # tPROG is at most 10 ms
_COPIED = (0xAA, 0x55)  # alternating bits follow a copy that was done


class ChipError(Exception):
    """The chip does not answer as it should; the text says at which step."""


def _wait(us):
    begun_us = time.ticks_us()
    while time.ticks_diff(time.ticks_us(), begun_us) < us:
        yield True


class Ds2431:
    def __init__(self, bus):
        self._bus = bus

    def _call(self, command):
        """Reset, then command bytes. Raises ChipError."""
        if not self._bus.reset():
            raise ChipError("no answer")
        yield
        for value in command:
            self._bus.write((value,))
            yield

    def _call_now(self, command):
        """The same without slices: 1 ms and 0.6 ms per byte."""
        if not self._bus.reset():
            raise ChipError("no answer")
        self._bus.write(command)

    def _read(self, count, data):
        """Append bytes to a bytearray."""
        for _ in range(count):
            data.append(self._bus.read_byte())
            yield

    def identify(self):
        """Read the ID of the only chip on the bus and match it; returns 8 bytes. Raises ChipError."""
        yield from self._call((_READ_ROM,))
        rom = bytearray()
        yield from self._read(8, rom)
        if rom[0] != _FAMILY or crc8(rom[:7]) != rom[7]:
            raise ChipError("no DS2431, or its ID was misread")
        yield
        yield from self._call(bytes((_MATCH_ROM,)) + rom)
        return bytes(rom)

    def read(self, address, count):
        """Read memory; returns bytes. There is no check sum: compare, or read on to bytes that are known."""
        yield from self._call((_RESUME, _READ_MEMORY, address, 0))
        data = bytearray()
        yield from self._read(count, data)
        return bytes(data)

    def prepare(self, address, row):
        """Put a row of 8 bytes into the scratchpad and verify it there. Raises ChipError if the memory ignores it."""
        sent = bytes((_WRITE_SCRATCHPAD, address, 0)) + row
        yield from self._call(bytes((_RESUME,)) + sent)
        crc = bytearray()
        yield from self._read(2, crc)
        self._check(sent, crc, "scratchpad write")
        yield
        yield from self.verify(address, row)

    def verify(self, address, row):
        """Read the scratchpad: still this row for this address, complete, not copied? Raises ChipError if not."""
        expected = bytes((_READ_SCRATCHPAD, address, 0, _COMPLETE)) + row
        yield from self._call((_RESUME, _READ_SCRATCHPAD))
        answer = bytearray((_READ_SCRATCHPAD,))
        crc = bytearray()
        yield from self._read(len(expected) - 1, answer)
        yield from self._read(2, crc)
        self._check(answer, crc, "scratchpad read")
        if answer != expected:
            raise ChipError("the chip does not take this row")
        yield

    @staticmethod
    def _check(data, sent_crc, step):
        if crc16(data, len(data), 0) ^ 0xFFFF != sent_crc[0] | sent_crc[1] << 8:
            raise ChipError("check sum of " + step)

    def end_copy(self):
        """10 ms after a copy was begun: raises ChipError if the chip does not say that it is done."""
        if self._bus.read_byte() not in _COPIED:
            raise ChipError("copy not done")

    def copy_now(self, address, wanted):
        """Copy the verified scratchpad and read `wanted` back, in one go of 18 ms and 0.6 ms a byte.

        Raises ChipError if the chip did not copy, or holds something else.
        """
        self._call_now((_RESUME, _COPY_SCRATCHPAD, address, 0, _COMPLETE))
        time.sleep_us(_PROGRAMMING_US)
        self.end_copy()
        self._call_now((_RESUME, _READ_MEMORY, address, 0))
        for value in wanted:
            if self._bus.read_byte() != value:
                raise ChipError("reads back otherwise")

    def write(self, address, row):
        """Prepare, copy and read back a row of 8 bytes. Raises ChipError."""
        yield from self.prepare(address, row)
        yield from self._call((_RESUME, _COPY_SCRATCHPAD, address, 0, _COMPLETE))
        yield from _wait(_PROGRAMMING_US)
        self.end_copy()
        yield
        if (yield from self.read(address, len(row))) != row:
            raise ChipError("reads back otherwise")
