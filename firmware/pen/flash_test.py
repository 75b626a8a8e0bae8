"""Test of the flash (SR-26): CRC-32 of the runtime and of the application's files, in slices.

The runtime lies in front of the file system and never changes; /flash.ref holds its length and CRC. Whoever prepares
the pen puts that record into the image; where there is none, the first boot writes it and says so (`adopted`): trust
on first use, which finds what breaks later but not what was broken then. /manifest.crc comes with every build and
holds CRC, size, place and path of each file; its last line is the CRC of the lines before. The first round, at boot,
reads the files straight from the flash at their places, which takes a tenth of the time; later ones by their path.
"""

import os
from binascii import crc32

import uctypes
from micropython import const

from pen.board import FLASH_RUNTIME_BYTES
from pen.integrity import manifest_lines, parse_reference, reference_text

REFERENCE = "/flash.ref"
MANIFEST = "/manifest.crc"
_XIP = const(0x1000_0000)
_SLICE_BYTES = const(2048)
_NOWHERE = b"ffffffff"


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
    """`step` checks part of a file and returns True after the last one. `failed`: one was missing or wrong."""

    def __init__(self):
        data = _read(MANIFEST)
        self._lines = (manifest_lines(data) if data else None) or ()
        self.failed = not self._lines
        self.bad_path = MANIFEST if self.failed else ""
        self._buffer = bytearray(512)
        self._line = 0
        self._file = None
        self._crc = 0
        self._first_round = True

    def step(self):
        if not self._lines:
            return True
        crc, size, place, path = self._lines[self._line].split(b" ")
        if self._first_round and place != _NOWHERE:
            start = _XIP + FLASH_RUNTIME_BYTES + int(place, 16)
            return self._end_of_file(crc32(uctypes.bytearray_at(start, int(size))) == int(crc, 16), path)
        try:
            if self._file is None:  # a step of its own: looking up a path takes 2 ms
                self._file = open(str(path, "ascii"), "rb")  # noqa: SIM115 (open until its last step)
                self._crc = 0
                return False
            for _ in range(_SLICE_BYTES // 512):
                count = self._file.readinto(self._buffer)
                self._crc = crc32(memoryview(self._buffer)[:count], self._crc)
                if count < len(self._buffer):
                    return self._end_of_file(
                        int(crc, 16) == self._crc and self._file.tell() == int(size), path
                    )
        except OSError:
            return self._end_of_file(False, path)
        return False

    def _end_of_file(self, sound, path):
        if self._file is not None:
            self._file.close()
            self._file = None
        if not sound:
            self.failed = True
            self.bad_path = str(path, "ascii")
        self._line = (self._line + 1) % len(self._lines)
        if self._line:
            return False
        self._first_round = False
        return True
