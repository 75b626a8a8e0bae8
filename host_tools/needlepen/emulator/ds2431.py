"""DS2431 1-Wire EEPROM of 1024 bits: commands, memory, page protection, and what a power cut leaves of a copy.

Knows bits and instants, not slots: `onewire_slave` brings the bits. All rules are those of the DS2431 datasheet,
standard speed. Where it leaves a choice, the model takes the one that is harder for the master: Read Memory moves the
address registers, too, so that a Copy Scratchpad has to follow its Read Scratchpad directly.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from typing import Literal

from needlepen.errors import UsageError

FAMILY = 0x2D
DATA_BYTES, PAGE_BYTES, ROW_BYTES = 128, 32, 8
MEMORY_BYTES = 0x90
PROTECTION, COPY_PROTECTION, FACTORY, USER = 0x80, 0x84, 0x85, 0x86
WRITE_PROTECTED, EPROM_MODE = 0x55, 0xAA

READ_ROM, MATCH_ROM, SEARCH_ROM, SKIP_ROM, RESUME = 0x33, 0x55, 0xF0, 0xCC, 0xA5
WRITE_SCRATCHPAD, READ_SCRATCHPAD, COPY_SCRATCHPAD, READ_MEMORY = 0x0F, 0xAA, 0x55, 0xF0

PROGRAMMING_NS = 10_000_000
"""tPROG, its longest by the datasheet."""

Torn = Literal["subset", "scrambled"]
Bits = Generator[int | None, int, None]
"""Yields None for a bit from the master, or the bit that the master is to read next."""


def crc8(data: bytes) -> int:
    """CRC-8 of 1-Wire IDs (x^8 + x^5 + x^4 + 1); on purpose not the firmware's own."""
    crc = 0
    for value in data:
        crc ^= value
        for _ in range(8):
            crc = crc >> 1 ^ (0x8C if crc & 1 else 0)
    return crc


def crc16_inverted(data: bytes) -> bytes:
    """CRC-16 of 1-Wire memories (x^16 + x^15 + x^2 + 1) as the chip sends it: inverted, low byte first."""
    crc = 0
    for value in data:
        crc ^= value
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return (crc ^ 0xFFFF).to_bytes(2, "little")


def make_rom(serial: bytes) -> bytes:
    """The 64-bit ID of a DS2431: family, serial number of 6 bytes, CRC-8. Raises UsageError for another length."""
    if len(serial) != 6:
        raise UsageError(f"The serial number of a 1-Wire chip has 6 bytes, not {len(serial)}.")
    body = bytes([FAMILY]) + serial
    return body + bytes([crc8(body)])


class DS2431:
    """One chip. `memory` holds the data pages, then the protection and factory bytes from 0x80 on.

    Args:
        rom: 64-bit ID with its CRC, see `make_rom`.
        memory: up to 144 bytes; the rest is as the chip leaves the factory (data 0xFF, protection 0x00).
        seed: which bits have changed when a copy is cut off.
        torn: "subset": some of the bits that were to change have done so, more of them the later the cut.
            "scrambled": each bit of the row may read either way, as after an unfinished erase.
        programming_ns: duration of a copy.
    """

    def __init__(
        self,
        rom: bytes,
        memory: bytes = b"",
        seed: int = 0,
        torn: Torn = "subset",
        programming_ns: int = PROGRAMMING_NS,
    ) -> None:
        if len(rom) != 8 or rom != make_rom(rom[1:7]):
            raise UsageError(
                f"{rom.hex()} is not the ID of a DS2431 (2d, 6 bytes, CRC-8); make it with make_rom."
            )
        if len(memory) > MEMORY_BYTES:
            raise UsageError(f"A DS2431 has {MEMORY_BYTES} bytes of memory, not {len(memory)}.")
        factory = b"\xff" * DATA_BYTES + bytes(MEMORY_BYTES - DATA_BYTES)
        self.rom = rom
        self.memory = bytearray(memory + factory[len(memory) :])
        self.programming_ns = programming_ns
        self.copies = 0
        self.torn_copies = 0
        self._seed = seed
        self._torn = torn
        self._now_ns = 0.0
        self._row: tuple[int, bytes] | None = None  # address and data of the copy under way
        self._copy_begun_ns = 0.0
        self._resumable = False
        self.lose_power(0.0)

    # ------------------------------------------------------------------ bits
    @property
    def wish(self) -> int | Literal["silence"] | None:
        """The bit that the next slot reads, None if it writes, "silence" if the chip waits for a reset."""
        return self._wish

    def reset(self, t_ns: float) -> None:
        """A reset pulse has ended."""
        self.disturb(t_ns)
        self._talk = self._conversation()
        self._wish: int | Literal["silence"] | None = next(self._talk)

    def slot(self, t_ns: float, bit: int = 1) -> None:
        """A slot has passed: `bit` came from the master, or the wished bit was sent."""
        self._now_ns = t_ns
        try:
            self._wish = self._talk.send(bit)
        except StopIteration:
            self._wish = "silence"

    def disturb(self, t_ns: float) -> None:
        """The bus went low at t_ns: fatal to a copy that has not ended by then."""
        self.settle(t_ns)
        if self._row:
            self._tear(t_ns)

    def settle(self, t_ns: float) -> None:
        """Let a copy end that is over by t_ns."""
        if self._row and t_ns >= self._copy_begun_ns + self.programming_ns:
            address, data = self._row
            self.memory[address : address + ROW_BYTES] = data
            self._row = None

    @property
    def programming(self) -> bool:
        """True while a copy is under way."""
        return self._row is not None

    def lose_power(self, t_ns: float) -> None:
        """The supply, which is the bus, is gone: a copy is torn, scratchpad and address registers are void."""
        self.disturb(t_ns)
        self._wish = "silence"
        self._talk = self._conversation()
        self._resumable = False
        self._scratchpad = bytearray(b"\xff" * ROW_BYTES)
        self._address = 0
        self._end_offset = 0
        self._partial, self._authorised = True, False

    def _tear(self, t_ns: float) -> None:
        assert self._row
        address, data = self._row
        self._row = None
        self._wish = "silence"
        self.torn_copies += 1
        done = (t_ns - self._copy_begun_ns) / self.programming_ns
        chance = random.Random(f"{self._seed} {self.copies}")
        for place, wanted in enumerate(data):
            changing = 0xFF if self._torn == "scrambled" else self.memory[address + place] ^ wanted
            flips = sum(1 << bit for bit in range(8) if chance.random() < done)
            if self._torn == "scrambled":
                flips &= chance.getrandbits(8)
            self.memory[address + place] ^= changing & flips

    # ------------------------------------------------------------------ ROM functions
    def _byte(self) -> Generator[int | None, int, int]:
        value = 0
        for place in range(8):
            value |= (yield None) << place
        return value

    def _bytes(self, count: int) -> Generator[int | None, int, bytes]:
        received = bytearray()
        for _ in range(count):
            received.append((yield from self._byte()))
        return bytes(received)

    def _send(self, data: bytes) -> Bits:
        for value in data:
            for place in range(8):
                yield value >> place & 1

    def _conversation(self) -> Bits:
        command = yield from self._byte()
        if command == RESUME:
            selected = self._resumable
        elif command == SKIP_ROM:
            selected, self._resumable = True, False
        elif command == READ_ROM:
            self._resumable = False
            yield from self._send(self.rom)
            selected = True
        elif command == MATCH_ROM:
            self._resumable = False
            selected = self._resumable = (yield from self._bytes(8)) == self.rom
        elif command == SEARCH_ROM:
            self._resumable = False
            selected = self._resumable = yield from self._search()
        else:
            selected = False  # overdrive too: the pen never speaks that fast
        if selected:
            yield from self._memory_function()

    def _search(self) -> Generator[int | None, int, bool]:
        for value in self.rom:
            for place in range(8):
                bit = value >> place & 1
                yield bit
                yield 1 - bit
                if (yield None) != bit:
                    return False
        return True

    # ------------------------------------------------------------------ memory functions
    def _memory_function(self) -> Bits:
        command = yield from self._byte()
        if command == WRITE_SCRATCHPAD:
            yield from self._write_scratchpad()
        elif command == READ_SCRATCHPAD:
            yield from self._read_scratchpad()
        elif command == COPY_SCRATCHPAD:
            yield from self._copy_scratchpad()
        elif command == READ_MEMORY:
            self._address = int.from_bytes((yield from self._bytes(2)), "little")
            if self._address < MEMORY_BYTES:
                yield from self._send(bytes(self.memory[self._address :]))

    def _write_scratchpad(self) -> Bits:
        target = yield from self._bytes(2)
        address = int.from_bytes(target, "little")
        if address >= MEMORY_BYTES:
            return
        self._address, self._authorised = address, False
        sent = bytearray()
        for offset in range(address % ROW_BYTES, ROW_BYTES):
            first = yield None
            self._partial = True
            value = first
            for place in range(1, 8):
                value |= (yield None) << place
            self._partial = False
            self._end_offset = offset
            sent.append(value)
            self._scratchpad[offset] = self._protected(address - address % ROW_BYTES + offset, value)
        yield from self._send(crc16_inverted(bytes([WRITE_SCRATCHPAD]) + target + sent))

    def _protected(self, address: int, value: int) -> int:
        """What a write of `value` puts into the scratchpad, by the protection of the address."""
        present = self.memory[address]
        if address < DATA_BYTES:
            mode = self.memory[PROTECTION + address // PAGE_BYTES]
            if mode == EPROM_MODE:
                return value & present
            return present if mode == WRITE_PROTECTED else value
        if address <= COPY_PROTECTION:
            return present if present in (WRITE_PROTECTED, EPROM_MODE) else value
        if address in (USER, USER + 1) and self.memory[FACTORY] != EPROM_MODE:
            return value
        return present

    @property
    def _status(self) -> int:
        return self._authorised << 7 | self._partial << 5 | self._end_offset

    def _registers(self) -> bytes:
        return self._address.to_bytes(2, "little") + bytes([self._status])

    def _read_scratchpad(self) -> Bits:
        answer = self._registers() + self._scratchpad[self._address % ROW_BYTES : self._end_offset + 1]
        yield from self._send(answer + crc16_inverted(bytes([READ_SCRATCHPAD]) + answer))

    def _copy_scratchpad(self) -> Bits:
        given = yield from self._bytes(3)
        row = self._address - self._address % ROW_BYTES
        if given != self._registers() or self._partial or self._copy_protected(row):
            return
        self._authorised = True
        self.copies += 1
        self._row = row, bytes(self._scratchpad)
        self._copy_begun_ns = self._now_ns
        while True:  # entered when the copy is over: a slot before that has torn it
            yield 0
            yield 1

    def _copy_protected(self, row: int) -> bool:
        if self.memory[COPY_PROTECTION] not in (WRITE_PROTECTED, EPROM_MODE):
            return False
        return row >= DATA_BYTES or self.memory[PROTECTION + row // PAGE_BYTES] == WRITE_PROTECTED
