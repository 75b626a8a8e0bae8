"""Frames on the USB serial line. Pure code: the host imports this file too.

    ~ base64( type, sequence, body ..., CRC-32 little-endian ) newline

Base64 keeps control characters out of the line, so that Ctrl-C still reaches the REPL of a development build
and text mode cannot change a frame. The sequence number is the sender's, modulo 256: a gap is a lost frame.
"""

import binascii
import struct

from pen.link.kinds import PUT_DATA

MAX_BODY = 96
DATA_BODY = 772  # PUT_DATA alone, and only while the pen takes an update
MAX_LINE = 2 + (MAX_BODY + 6 + 2) // 3 * 4
_START = b"~"


def encode(kind, sequence, body):
    """One frame as bytes. `kind`, `sequence`: 0-255; `body`: at most MAX_BODY bytes."""
    longest = DATA_BODY if kind == PUT_DATA else MAX_BODY
    if len(body) > longest:
        raise ValueError("frame body of %d bytes, at most %d fit" % (len(body), longest))
    content = bytes((kind, sequence)) + body
    check = struct.pack("<I", binascii.crc32(content) & 0xFFFFFFFF)
    return _START + binascii.b2a_base64(content + check)


def decode(line, longest=MAX_BODY):
    """(kind, sequence, body) of the text between `~` and newline; None if anything about it is wrong."""
    try:
        content = binascii.a2b_base64(line)
    except ValueError:
        return None
    if len(content) < 6 or len(content) > longest + 6:
        return None
    if binascii.b2a_base64(content)[:-1] != line:
        return None  # base64 skips what it does not know, and has bits that mean nothing: damage all the same
    if struct.unpack("<I", content[-4:])[0] != binascii.crc32(content[:-4]) & 0xFFFFFFFF:
        return None
    return content[0], content[1], content[2:-4]


class Parser:
    """Finds frames in a stream that may hold anything else. Never grows beyond one line; counts what it drops."""

    def __init__(self):
        self._line = bytearray(MAX_LINE)
        self._used = -1  # -1: outside a frame
        self.dropped = 0

    @property
    def busy(self):
        """True inside a frame."""
        return self._used >= 0

    def reset(self):
        """Forget the begin of a frame: the rest of it will not come."""
        self._used = -1

    def feed(self, byte):
        """Take one byte (0-255); a frame (kind, sequence, body) when it completes one, else None."""
        if byte == 126:  # ~ always starts afresh: a torn frame costs only itself
            if self._used >= 0:
                self.dropped += 1
            self._used = 0
            return None
        if self._used < 0:
            return None
        if byte == 10:
            frame = decode(bytes(self._line[: self._used]))
            self._used = -1
            if frame is None:
                self.dropped += 1
            return frame
        if self._used == MAX_LINE:
            self._used = -1
            self.dropped += 1
            return None
        self._line[self._used] = byte
        self._used += 1
        return None
