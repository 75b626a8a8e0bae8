"""Test of the whole memory (SR-26): March C- block by block, and the address lines.

Each block is put aside, tested with interrupts off and put back, so that nothing of the running program is lost; two
blocks of memory are reserved for that, and the code of the test is there twice, so that each copy is tested by the
other. A block that DMA reads or writes is left out while the drive is awake. Blocks are tested by themselves: a write
that changes a cell of another block shows only if the address lines are at fault.
"""

import array
import sys

import micropython
import uctypes
from micropython import const

from pen.march import aliased, march as first_march

del sys.modules["pen.march"]  # load it again: a second copy of the code at another place
from pen.march import march as second_march  # noqa: E402

START = const(0x2000_0000)
SIZE = const(264 * 1024)
LARGE_BYTES = const(4096)
REGION_BYTES = const(512)
BLOCK_BYTES = const(32)
_DMA_MARGIN = const(96)
_CODE_BEFORE = const(16)  # from the first instruction of march to the address that it gives; 10 in fact
_CODE_BYTES = const(192)  # 178 in fact
_FIRST_LINE = const(5)  # address lines below are tested by the march inside a block
_LINES = const(18)
BACKGROUNDS = (
    0x0000_0000,
    0x5555_5555,
)  # each with its complement: neighbouring bits of a word at unlike levels


class RamTest:
    """`bad_address`: a word that failed, 0 for none."""

    def __init__(self):
        self.bad_address = 0
        self._place = 0
        self._ways = []
        for march in (first_march, second_march):
            save = array.array("I", bytes(BLOCK_BYTES))
            code = march(START, 0, 0, 0) - _CODE_BEFORE
            self._ways.append((march, code, save, uctypes.addressof(save)))

    @property
    def address(self):
        """The region whose turn it is."""
        return START + self._place

    def step(self, awake=False):
        """Test the next 4 KiB in 1.5 ms, or 512 bytes in 0.4 ms while `awake`: control tick and DMA run then.

        True at the end of the memory. Where something lies that is in use, 512 bytes in blocks would take 25 ms: while
        `awake` each block is a step, in 1.5 ms.
        """
        address = START + self._place
        size = LARGE_BYTES
        if awake or self._place % LARGE_BYTES:
            size = REGION_BYTES
            if self._place % REGION_BYTES or (awake and not self._way(address, size, awake)):
                size = BLOCK_BYTES
        self._walk(address, size, awake)
        self._place += size
        if self._place < SIZE:
            return False
        self._place = 0
        if not awake:
            self._address_lines()
        return True

    def _walk(self, address, size, awake):
        """Test a stretch at once, or in smaller and smaller ones where something lies in it that is in use."""
        way = self._way(address, size, awake)
        if way:
            self._test(address, size, way)
            return
        if size > BLOCK_BYTES:
            part = REGION_BYTES if size > REGION_BYTES else BLOCK_BYTES
            for begin in range(address, address + size, part):
                self._walk(begin, part, awake)

    def _test(self, address, size, way):
        march, save = way
        for background in BACKGROUNDS:
            bad = march(address, size // BLOCK_BYTES, background, save)
            if bad:
                self.bad_address = bad

    def _way(self, address, size, awake):
        """A copy of the code and a save area that lie outside, None if there is no such pair; for a block there is,
        unless DMA is near.
        """
        if awake and dma_near(address, size):
            return None
        for march, code, _, _ in self._ways:
            if not _overlap(address, size, code, _CODE_BYTES):
                for _, _, _, save in self._ways:
                    if not _overlap(address, size, save, BLOCK_BYTES):
                        return march, save
        return None

    def _address_lines(self):
        """From both save areas: what one would write over the code, the other does not."""
        code = aliased(START, START) - _CODE_BEFORE
        for _, _, _, base in self._ways:
            for line in range(_FIRST_LINE, _LINES):
                other = START + (base - START ^ 1 << line)
                if (
                    other < START + SIZE
                    and not _overlap(other, 4, code, _CODE_BYTES)
                    and aliased(base, other)
                ):
                    self.bad_address = other


def _overlap(block, size, start, length):
    return block < start + length and start < block + size


@micropython.viper
def dma_near(address: int, size: int) -> bool:
    """Whether an enabled DMA channel reads or writes within 96 bytes of a block: further than it gets meanwhile."""
    channel = ptr32(0x5000_0000)  # READ_ADDR, WRITE_ADDR, TRANS_COUNT, CTRL_TRIG of a channel, 64 bytes each
    first = address - _DMA_MARGIN
    span = size + 2 * _DMA_MARGIN
    i = 0
    while i < 12 * 16:
        if channel[i + 3] & 1:
            at = channel[i] - first
            if at >= 0 and at < span:
                return True
            at = channel[i + 1] - first
            if at >= 0 and at < span:
                return True
        i += 16
    return False
