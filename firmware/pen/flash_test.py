"""Test of the flash (SR-26): CRC-32 of the runtime and of the application's files, in slices.

The runtime lies in front of the file system and never changes; /flash.ref holds its length and CRC. Whoever prepares
the pen puts that record into the image; where there is none, the first boot writes it and says so (`adopted`): trust
on first use, which finds what breaks later but not what was broken then. /manifest.crc lists the files that start the
program, /sets/... the modules of the program that runs: CRC, size, place and path; the last line is the CRC of the
lines before. The first round, at boot, reads the files straight from the flash at their places, which takes a tenth of
the time; later ones by their path.
"""

import os
from binascii import crc32

import pen_shelf
import uctypes
from micropython import const

from pen.board import FLASH_RUNTIME_BYTES
from pen.integrity import parse_reference, reference_text

REFERENCE = "/flash.ref"
MANIFEST = "/manifest.crc"
_XIP = const(0x1000_0000)
_SLICE_BYTES = const(2048)
_NOWHERE = b"ffffffff"
_LAST_LINE_BYTES = const(9)
_PART_BYTES = const(256)


def _read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def write_new(path, data):
    """Write a file so that it appears whole or not at all."""
    with open(path + ".new", "wb") as file:
        file.write(data)
    os.rename(path + ".new", path)


class RuntimeTest:
    """`step` adds a slice (0.5 ms) and returns True after the last one; then `failed` says whether the CRC was wrong.

    `adopted`: there was no record, and the present state was taken for sound.
    """

    def __init__(self, write=write_new):
        self._write = write
        self.failed = self.adopted = False
        self._place = self._crc = 0
        record = _read(REFERENCE)
        self._expected = None
        self._length = FLASH_RUNTIME_BYTES
        if record is not None:
            self._expected = parse_reference(record)
            self.failed = self._expected is None
        if self._expected:
            self._length = self._expected[0]

    @property
    def begun(self):
        """True in the middle of a round."""
        return self._place > 0

    def step(self):
        count = min(_SLICE_BYTES, self._length - self._place)
        self._crc = crc32(uctypes.bytearray_at(_XIP + self._place, count), self._crc)
        self._place += count
        if self._place < self._length:
            return False
        found = (self._length, self._crc)
        self._place = self._crc = 0
        if self._expected is None and not self.failed:
            self._adopt(found)
        elif found != self._expected:
            self.failed = True
        return True

    def _adopt(self, found):
        try:
            self._write(REFERENCE, reference_text(*found))
        except OSError:
            return  # the drive is awake, so nothing may be written: the next round tries again
        self._expected = found
        self.adopted = True


class FilesTest:
    """`step` checks part of a file and returns True after the last one. `failed`: one was missing or wrong.

    The lists stay in the flash and are read along: in RAM they would take 7 KB.
    """

    def __init__(self):
        self.failed = False
        self.bad_path = ""
        self._buffer = bytearray(512)
        self._lines = None
        self._file = None
        self._wanted = 0  # CRC, size and path of the file that is being read
        self._size = 0
        self._path = ""
        self._at = ""  # where it is, until it is open
        self._crc = 0
        self._first_round = True

    def step(self):
        if self._at:
            self._open()
            return False
        if self._file is not None:
            self._go_on()
            return False
        if self._lines is None:
            self._lines = _lines((MANIFEST, "/sets/" + pen_shelf.program))
        try:
            words = next(self._lines)
        except StopIteration:
            self._lines = None
            self._first_round = False
            return True
        if isinstance(words, str):
            self._fail(words)
            return False
        try:
            self._begin(words)
        except ValueError:  # a damaged line
            self._fail(str(words[-1]))
        return False

    def _begin(self, words):
        """Test a file where it lies, or have it opened."""
        self._wanted, size, place = int(words[0], 16), int(words[1]), words[2]
        self._size = size
        self._path = path = str(words[-1], "ascii")
        if self._first_round and place != _NOWHERE:
            start = _XIP + FLASH_RUNTIME_BYTES + int(place, 16)
            if crc32(uctypes.bytearray_at(start, size)) != self._wanted:
                self._fail(path)
            return
        self._crc = 0
        if len(words) > 4:
            path = "/code/" + str(words[3][:16], "ascii")
        self._at = path

    def _open(self):
        """A step of its own: looking up a path takes 3 ms."""
        path, self._at = self._at, ""
        try:
            self._file = open(path, "rb")  # noqa: SIM115 (open until its last slice)
        except OSError:
            self._fail(self._path)

    def _go_on(self):
        """Read a slice of the open file."""
        file, buffer = self._file, self._buffer
        assert file is not None
        try:
            for _ in range(_SLICE_BYTES // 512):
                count = file.readinto(buffer)
                self._crc = crc32(memoryview(buffer)[:count], self._crc)
                self._size -= count
                if count < len(buffer):
                    break
            else:
                return
            sound = self._crc == self._wanted and self._size == 0
        except OSError:
            sound = False
        file.close()
        self._file = None
        if not sound:
            self._fail(self._path)

    def _fail(self, path):
        if not self.failed:
            self.failed = True
            self.bad_path = path


def each_line(path):
    """Generator: the lines of a file; littlefs takes 80 us for a read, also for one of a byte."""
    rest = b""
    with open(path, "rb") as file:
        while True:
            part = file.read(_PART_BYTES)
            if not part:
                return
            rest += part
            end = rest.find(b"\n") + 1
            while end:
                yield rest[:end]
                rest = rest[end:]
                end = rest.find(b"\n") + 1


def _lines(paths):
    """The words of each line of some lists; the path, as a text, of a list that is missing or damaged."""
    for path in paths:
        crc = 0
        ended = False
        try:
            for line in each_line(path):
                if len(line) == _LAST_LINE_BYTES:
                    ended = line == b"%08x\n" % crc
                    break
                crc = crc32(line, crc)
                words = line.split()
                if 2 < len(words) < 10:  # the first line has ten
                    yield words
        except OSError:
            pass
        if not ended:
            yield (path,)
