"""Test of the whole memory (SR-26): March C- block by block, and the address lines.

Each block is put aside, tested with interrupts off and put back, so that nothing of the running program is lost; two
blocks of memory are reserved for that, and the code of the test is there twice, so that each copy is tested by the
other. Blocks are tested by themselves: a write that changes a cell of another block shows only if the address lines
are at fault. Call only while nothing but the CPU touches the memory (no DMA: the drive is at rest).
"""

import array
import sys

import uctypes
from micropython import const

from pen.march import aliased
from pen.march import march as first_march

del sys.modules["pen.march"]  # load it again: a second copy of the code at another place
from pen.march import march as second_march  # noqa: E402

START = const(0x2000_0000)
SIZE = const(264 * 1024)
BLOCK_BYTES = const(512)
_WORDS = const(BLOCK_BYTES // 4)
_CODE_BYTES = const(256)  # march and aliased take 210
_FIRST_LINE = const(9)  # address lines below are tested by the march inside a block
_LINES = const(18)
BACKGROUNDS = (0x0000_0000, 0x5555_5555, 0x3333_3333, 0x0F0F_0F0F)  # each with its complement: bits of a word


class RamTest:
    """`bad_address`: a word that failed, 0 for none. `step` tests a block and returns True after the last one."""

    def __init__(self):
        self.bad_address = 0
        self._block = 0
        self._ways = []
        for march in (first_march, second_march):
            save = array.array("I", bytes(BLOCK_BYTES))
            code = march(START, 0, 0, 0) - _CODE_BYTES // 2
            self._ways.append((march, code, save, uctypes.addressof(save)))

    def step(self):
        """Test the next block (0.4 ms, interrupts off for 80 us at a time); after the last one the address lines."""
        if self._block == SIZE // BLOCK_BYTES:
            self._block = 0
            self._address_lines()
            return True
        address = START + BLOCK_BYTES * self._block
        self._block += 1
        march, save = self._way(address)
        for background in BACKGROUNDS:
            bad = march(address, _WORDS, background, save)
            if bad:
                self.bad_address = bad
        return False

    def _way(self, address):
        """A copy of the code and a save area that lie outside a block."""
        for march, code, _, _ in self._ways:
            if not _overlap(address, code, 2 * _CODE_BYTES):
                for _, _, _, save in self._ways:
                    if not _overlap(address, save, BLOCK_BYTES):
                        return march, save
        raise MemoryError("memory test: both copies in one block")

    def _address_lines(self):
        base = self._ways[0][3]
        for line in range(_FIRST_LINE, _LINES):
            other = START + (base - START ^ 1 << line)
            if other < START + SIZE and aliased(base, other):
                self.bad_address = other


def _overlap(block, start, size):
    return block < start + size and start < block + BLOCK_BYTES
