"""Puts a new program beside the one that runs: checks its list, takes the files that are missing, switches. Pure.

    staging = Staging(files, flash, program)
    refused = yield from staging.begin(buffer, length, board, kind, micropython, counter)
    for _ in staging.look(): ...          # a few ms each; then `lacking` says which files are missing
    refused = staging.take(data)          # all of them as one stream, in the order of the list
    refused = staging.commit()            # from now on the loader tries the new program

Whatever is cut on the way, the record that names the program is the last write: until then the old one is booted.
`files` is pen.store.device.Device or its like; `flash.part(place, size)` gives bytes of the file system's area,
`flash.find(head, size, crc)` the place at which a file lies in one piece, or NOWHERE, `flash.check(path)` its length
and CRC, `flash.lines(path)` yields the words of the lines of a list.
"""

import hashlib
from array import array
from binascii import crc32, hexlify, unhexlify

import pen_loader
from micropython import const

_LOADER = const(1)
_FILE_MAX = const(16_384)
_FILES_MAX = const(256)
_HEAD_BYTES = const(16)
NOWHERE = const(0xFFFF_FFFF)


class Staging:
    """`name`: of the new set; `wanted`, `received`: bytes of the files that are missing; `lacking`: a bit for each."""

    def __init__(self, files, flash, program):
        self._files = files
        self._flash = flash
        self._program = program
        self.name = ""
        self.counter = 0
        self.lacking = bytearray(_FILES_MAX // 8)
        self.wanted = self.received = 0
        self._list = b""
        self._placed_list = bytearray()
        self._places = array("I", bytes(4 * _FILES_MAX))
        self._line = 0  # where the line of the file that comes begins
        self._number = -1
        self._file = None  # the one that comes, open, with its beginning, length so far, CRC and hash
        self._head = b""
        self._filled = self._crc = 0
        self._digest = hashlib.sha256()

    def begin(self, buffer, length, board, kind, micropython, counter):
        """Generator: judge a list. Its value is None, or why it is refused. `counter`: the lowest that is allowed.

        The list is the first `length` bytes of `buffer`, which is then written to the flash with the places filled in.
        """
        self._list = manifest = bytes(memoryview(buffer)[:length])
        self._placed_list = buffer
        yield
        if not pen_loader.is_sound(manifest):
            return "the list of the program is damaged"
        words = manifest[: manifest.find(b"\n")].split(b" ")
        try:
            loader, self.counter = int(words[6]), int(words[7])
        except (ValueError, IndexError):
            return "the list of the program is of another format"
        if words[2] != board:
            return "made for another board"
        if words[3] != kind:
            return "not a %s build" % str(kind, "ascii")
        if words[5] != micropython:
            return "made for another MicroPython"
        if loader > _LOADER:
            return "needs a newer loader: flash the pen"
        if self.counter < counter:
            return "security counter %d, the pen demands %d" % (self.counter, counter)
        for number, words in enumerate(_entries(manifest)):
            if number % 8 == 0:
                yield
            if number >= _FILES_MAX or not _fits(words):
                return "the list names files that cannot be"
        yield
        self.name = str(hexlify(hashlib.sha256(manifest).digest())[:16], "ascii")
        if self.name == self._program:
            return "this program runs already"
        return None

    def look(self, thorough):
        """Generator: find out which files are there, and sound. One file a step.

        The flash test reads the files of the running program all the time; unless it failed or has not been through
        them (`thorough`), what the list of that program names needs only a look at its place.
        What stays is in arrays made before: small objects between the garbage would leave the heap in small pieces.
        """
        running = self._flash.lines("/sets/" + self._program)  # in the order of the modules, as the new list
        there = _following(running)
        for number, words in enumerate(_entries(self._list)):
            crc, size, name = int(words[0], 16), int(words[1]), words[3]
            while there and there[4] < words[4]:
                there = _following(running)
            known = bool(there) and there[3] == name
            place = int(there[2], 16) if known else NOWHERE
            path = _path(name)
            if place != NOWHERE and not thorough:
                sound = crc32(self._flash.part(place, size)) == crc
            else:
                sound = self._flash.check(path) == (size, crc)
            if not sound:
                self.lacking[number >> 3] |= 1 << (number & 7)
                self.wanted += size
            elif not known or (place != NOWHERE and crc32(self._flash.part(place, size)) != crc):
                place = self._flash.find(self._files.read(path, _HEAD_BYTES), size, crc)
            self._places[number] = place
            yield
        self._next()

    def _next(self):
        """Go on to the next missing file."""
        manifest = self._list
        while True:
            self._line = manifest.find(b"\n", self._line) + 1
            self._number += 1
            if self._number >= _FILES_MAX or self.lacking[self._number >> 3] >> (self._number & 7) & 1:
                return

    def take(self, data):
        """The next part of the stream of files. Returns None, or why it is refused; then the file comes again.

        What has come is written at once: a buffer for a whole file would not always find room in the heap.
        """
        while data and self.received < self.wanted:
            line = self._list[self._line : self._list.find(b"\n", self._line)]
            words = line.split(b" ")
            size = int(words[1])
            part = data[: size - self._filled]
            data = data[len(part) :]
            refused = self._write(words, part)
            if not refused and self._filled == size:
                refused = self._store(words)
                if not refused:
                    self._filled = 0
                    self._next()
            if refused:
                self.received -= self._filled
                self.close()
                return refused
        return None

    def _write(self, words, part):
        files = self._files
        files.begin()
        try:
            file = self._file
            if file is None:
                files.make_folder("/code")
                file = self._file = files.create(_path(words[3]) + ".new")
                self._head = bytes(part[:_HEAD_BYTES])
                self._digest = hashlib.sha256()
                self._crc = 0
            file.write(part)
        except OSError as error:
            return "cannot write a file (error %d)" % (error.errno or 0)
        finally:
            files.end()
        self._digest.update(part)
        self._crc = crc32(part, self._crc)
        self._filled += len(part)
        self.received += len(part)
        return None

    def close(self):
        """Leave the file that was coming; what there is of it is removed with what no list names."""
        self._filled = 0
        file, self._file = self._file, None
        if file is not None:
            try:  # noqa: SIM105
                file.close()
            except OSError:
                pass

    def _store(self, words):
        """A file is complete: it gets its name when it is what the list says, and reads back so."""
        name, crc = words[3], int(words[0], 16)
        path = _path(name)
        files = self._files
        files.begin()
        try:
            file, self._file = self._file, None
            if file is not None:
                file.close()
            if hexlify(self._digest.digest())[:32] != name or self._crc != crc:
                return "a file is not what the list says"
            if self._flash.check(path + ".new") != (self._filled, crc):
                return "a file cannot be read back"
            files.rename(path + ".new", path)
        except OSError as error:
            return "cannot write a file (error %d)" % (error.errno or 0)
        finally:
            files.end()
        self._places[self._number] = self._flash.find(self._head, self._filled, crc)
        return None

    def commit(self):
        """Switch: the loader tries the new program at the next start. Returns None, or why not."""
        if not self.name or self.received < self.wanted:
            return "files are missing"
        placed = self._placed()
        files = self._files
        files.begin()
        try:
            files.make_folder("/sets")
            files.write("/sets/" + self.name, placed)
            files.write(pen_loader.RECORD, pen_loader.pack(self._program, self.name, pen_loader.NEW))
        except OSError as error:
            return "cannot switch (error %d)" % (error.errno or 0)
        finally:
            files.end()
        return None

    def _placed(self):
        """The list with the places of the files in this pen."""
        manifest = self._list
        placed = self._placed_list
        at = manifest.find(b"\n") + 1
        for number, words in enumerate(_entries(manifest)):
            begin = at + len(words[0]) + len(words[1]) + 2
            placed[begin : begin + 8] = b"%08x" % self._places[number]
            at = manifest.find(b"\n", at) + 1
        placed[at : at + 9] = b"%08x\n" % crc32(memoryview(placed)[:at])
        return memoryview(placed)[: len(manifest)]


def _fits(words):
    """Whether these words are a line of a list: CRC, size, no place, hash, module."""
    if len(words) != 5 or len(words[0]) != 8 or words[2] != b"ffffffff":
        return False
    try:
        return int(words[0], 16) >= 0 and 0 <= int(words[1]) <= _FILE_MAX and len(unhexlify(words[3])) == 16
    except ValueError:
        return False


def _following(lines):
    """The words of the next line, [] after the last one."""
    try:
        return next(lines)
    except StopIteration:
        return []


def _entries(manifest):
    """Generator: the words of each line of a sound list."""
    at = manifest.find(b"\n") + 1
    while True:
        end = manifest.find(b"\n", at)
        if end < 0 or end + 1 >= len(manifest):
            return
        yield manifest[at:end].split(b" ")
        at = end + 1


def _path(name):
    """Where a file lies: under half of its hash, since littlefs looks through all names of a folder."""
    return "/code/" + str(name[:16], "ascii")


def signed_text(manifest):
    """What the signature of a list is made of: short, so that one block of SHA-512 holds it with key and nonce."""
    return b"needlepen set 1" + hashlib.sha256(manifest).digest()
