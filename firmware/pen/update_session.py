"""A host brings a new program: the session in which it does. Imported for it, forgotten after it.

begin -> list and signature come -> they are checked, the files compared -> the missing ones come -> commit, restart.
For its time the session reads the port itself: frames of 772 bytes, in native code, 25 us a byte.
"""

import gc
import sys
import time
from binascii import crc32

import machine
import micropython
import pen_loader
import pen_shelf
import uctypes
from machine import mem8
from micropython import const

from pen import update
from pen.board import BOARD_NAME, FLASH_BLOCK_BYTES, FLASH_BLOCKS, FLASH_RUNTIME_BYTES
from pen.build_info import BUILD_KIND
from pen.events import PROGRAM_STAGED, UPDATE_REFUSED
from pen.flash_test import each_line
from pen.link import frames, messages
from pen.link.kinds import ABORT_UPDATE, BEGIN_UPDATE, COMMIT_UPDATE, GET_UPDATE, PUT_DATA, SEEN, UPDATE
from pen.settle import counter_pair, read_counter, tidy
from pen.states import SERVICE

_CLOSED = const(0)
_LIST = const(1)
_CHECKING = const(2)
_FILES = const(3)
_REFUSED = const(4)
_LIST_MAX = const(24_576)
_SIGNATURE_BYTES = const(64)
_LINE_MAX = const(1_040)
_READ_MAX = const(1_200)
_STEP_MS = const(40)
_ROUNDS = const(2)  # the first, at boot, reads the files at their places; the second by their paths
_XIP = const(0x1000_0000)
_START = const(0x7E)  # ~


class Session:
    """`answer` deals with one request and returns False when the session is over."""

    def __init__(self, app, port, result):
        self._app = app
        self._port = port
        self._result = result
        self._stage = _CLOSED
        self._refusal = ""
        self._verify_ms = 0
        self._offset = self._total = 0  # of the stream that comes
        self._signed = 0
        self._buffer = bytearray()
        self._staging = None
        self._line = bytearray(_LINE_MAX)
        self._used = -1
        self._reading = False
        self._byte = bytearray(1)
        self._counter = read_counter(counter_pair(app.store.files, machine.unique_id()))

    def answer(self, kind, sequence, fields):
        if kind == GET_UPDATE:
            if self._stage == _REFUSED:
                self._result(sequence, self._refusal)
            else:
                self._port.answer(UPDATE, self._report())
        elif kind == ABORT_UPDATE:
            if self._stage > _LIST:
                files = self._app.store.files
                record = pen_loader.parse(files.read(pen_loader.RECORD)) or (
                    pen_shelf.program,
                    pen_loader.NONE,
                )
                self._app.job = tidy(files, record[:2])
            self._close()
            self._result(sequence, None)
        else:
            refused = self._may()
            if not refused and kind == BEGIN_UPDATE:
                refused = self._begin(fields["list_bytes"], fields["signature_bytes"])
            elif not refused and kind == PUT_DATA:
                refused = self._put(fields["offset"], fields["data"])
            elif not refused and kind == COMMIT_UPDATE:
                refused = self._commit()
            self._result(sequence, refused)
            if kind == COMMIT_UPDATE and not refused:
                self._app.commands.restart()
        return self._stage != _CLOSED

    def _may(self):
        """None, or why no program may come now."""
        app = self._app
        if app.supervisor.state != SERVICE:
            return "open the service access first"
        return None

    def _begin(self, list_bytes, signature_bytes):
        if pen_shelf.came or self._stage == _CHECKING:
            return "not yet: the pen is still busy"
        if not 0 < list_bytes <= _LIST_MAX or signature_bytes not in (0, _SIGNATURE_BYTES):
            return "list or signature of impossible length"
        self._close()
        gc.collect()
        self._buffer = bytearray(list_bytes + signature_bytes)
        self._signed = signature_bytes
        self._total = len(self._buffer)
        self._stage = _LIST
        self._port.receive = self._receive
        self._reading = True
        return None

    def _close(self):
        self._stage = _CLOSED
        self._offset = self._total = 0
        self._buffer = bytearray()
        if self._staging is not None:
            self._staging.close()
        self._staging = None
        if self._reading:
            self._reading = False
            self._port.receive = None  # see pen_shelf.forget
            del self._port.receive

    def _put(self, offset, data):
        if self._stage not in (_LIST, _FILES):
            return self._refusal or "no update has begun"
        if offset < self._offset:
            return None  # its answer was lost, and it comes again
        if offset != self._offset:
            return "data from %d on are missing" % self._offset
        data = data[: self._total - offset]
        if self._stage == _FILES:
            staging = self._staging
            assert staging is not None
            refused = staging.take(data)
            self._offset = staging.received
            return refused
        self._buffer[offset : offset + len(data)] = data
        self._offset += len(data)
        if self._offset == self._total:
            self._stage = _CHECKING
            self._app.job = self._check()
        return None

    def _check(self):
        """Generator: judge signature and list, then find out what is missing."""
        tests = self._app.selftest
        thorough = bool(tests.fault) or tests.rounds < _ROUNDS
        counter = 0
        try:
            refused = yield from self._verify()
            if not refused:
                gc.collect()
                staging = update.Staging(self._app.store.files, Flash(), pen_shelf.program)
                yield
                refused = yield from staging.begin(
                    self._buffer,
                    len(self._buffer) - self._signed,
                    BOARD_NAME.encode(),
                    BUILD_KIND.encode(),
                    ("%d.%d" % sys.implementation.version[:2]).encode(),
                    self._counter,
                )
                counter = staging.counter
            if not refused:
                begun_ms = time.ticks_ms()
                for _ in staging.look(thorough):
                    if time.ticks_diff(time.ticks_ms(), begun_ms) >= _STEP_MS:
                        yield
                        begun_ms = time.ticks_ms()
        except MemoryError:
            refused = "out of memory: restart the pen, try again"
        if refused:
            self._refusal = refused
            self._app.store.log.add(UPDATE_REFUSED, counter)
            self._close()
            self._stage = _REFUSED
            return
        gc.collect()
        self._staging = staging
        self._offset, self._total = 0, staging.wanted
        self._stage = _FILES

    def _verify(self):
        """Generator: its value is None, or why the signature does not do. It makes garbage, so it comes first."""
        if not self._signed:
            return None if BUILD_KIND == "development" else "not signed"
        key = getattr(self._app.store.keys, "release", None)
        if key is None:
            return "the pen holds no key to check the signature with"
        end = len(self._buffer) - self._signed
        text = update.signed_text(memoryview(self._buffer)[:end])
        signature = bytes(memoryview(self._buffer)[end:])
        begun_ms = time.ticks_ms()
        from pen import ed25519

        gc.collect()
        yield
        steps = ed25519.verify(key, text, signature)
        sound = None
        while sound is None:
            step_ms = time.ticks_ms()
            try:
                while time.ticks_diff(time.ticks_ms(), step_ms) < _STEP_MS:
                    next(steps)
            except StopIteration as end:
                sound = bool(end.value)
            yield
        self._verify_ms = time.ticks_diff(time.ticks_ms(), begun_ms)
        del steps, ed25519
        pen_shelf.forget("ed25519")
        gc.collect()
        return None if sound else "the signature is wrong"

    def _commit(self):
        staging = self._staging
        if staging is None or self._stage != _FILES:
            return "no program has been sent"
        refused = staging.commit()
        if not refused:
            self._app.store.log.add(PROGRAM_STAGED, int(staging.name[:7], 16), staging.counter)
        return refused

    def _report(self):
        return messages.pack(
            UPDATE,
            self._stage,
            pen_shelf.came,
            min(self._verify_ms, 65_535),
            self._offset,
            self._total,
            self._counter,
            _loader_crc(),
            bytes([int(pen_shelf.program[k : k + 2], 16) for k in range(0, 16, 2)]),
            bytes(self._staging.lacking) if self._staging else b"",
        )

    def forget(self):
        """The session is over: free what it has imported."""
        self._close()
        pen_shelf.forget("update_session", "update", "settle", "ed25519")

    @micropython.native
    def _receive(self):
        """As pen.link.port.Port.receive, for long frames."""
        port, line, used, byte = self._port, self._line, self._used, self._byte
        heard, read = port.heard, port._read
        for _ in range(_READ_MAX):
            there = False
            for _ready in heard(0):
                there = True
                break
            if not there:
                break
            read(byte)
            code = byte[0]
            if code == _START:
                used = 0
            elif used < 0:
                continue
            elif code == 10:
                frame = frames.decode(bytes(memoryview(line)[:used]), frames.DATA_BODY)
                self._used = used = -1
                if frame is None:
                    port._parser.dropped += 1
                elif frame[0] == SEEN:
                    port._confirm(frame[2])
                else:
                    return frame
            elif used == _LINE_MAX:
                used = -1
                port._parser.dropped += 1
            else:
                line[used] = code
                used += 1
        self._used = used
        return None


class Flash:
    """The file system's area as it lies in the flash."""

    def part(self, place, size):
        return uctypes.bytearray_at(_XIP + FLASH_RUNTIME_BYTES + place, size)

    def find(self, head, size, crc):
        """Offset at which a file that begins with `head` lies in one piece, NOWHERE if it does not."""
        if head and size <= FLASH_BLOCK_BYTES:
            first, length = head[0], len(head)
            at = _XIP + FLASH_RUNTIME_BYTES
            for place in range(0, FLASH_BLOCKS * FLASH_BLOCK_BYTES, FLASH_BLOCK_BYTES):
                if (
                    mem8[at + place] == first
                    and uctypes.bytearray_at(at + place, length) == head
                    and crc32(uctypes.bytearray_at(at + place, size)) == crc
                ):
                    return place
        return update.NOWHERE

    def lines(self, path):
        """Generator: the words of each line of a list that names a module."""
        try:
            for line in each_line(path):
                words = line.split()
                if len(words) == 5:
                    yield words
        except OSError:
            return

    def check(self, path):
        """Length and CRC of a file, None if it is not there."""
        part = bytearray(512)
        crc = length = 0
        try:
            with open(path, "rb") as file:
                while True:
                    count = file.readinto(part)
                    if not count:
                        return length, crc
                    crc = crc32(memoryview(part)[:count], crc)
                    length += count
        except OSError:
            return None


def _loader_crc():
    """CRC over what starts the program, which an update leaves as it is: content and path of each file."""
    crc = 0
    try:
        with open("/manifest.crc", "rb") as file:
            for line in file:
                words = line.split()
                if len(words) == 4:
                    crc = crc32(words[0] + words[3], crc)
    except OSError:
        return 0
    return crc
