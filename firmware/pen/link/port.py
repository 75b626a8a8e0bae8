"""The link's end on the pen: frames over USB serial, without ever waiting for the host.

A write that finds no room in the USB buffer would block for up to 500 ms. So the pen counts what the host has
not yet confirmed and holds back what does not fit: telemetry is dropped, answers wait in a short queue.
"""

import select
import sys

from micropython import const

from pen.link import frames, messages
from pen.link.kinds import RESULT, SEEN, WINDOW_BYTES

_QUEUE_MAX = const(4)
_TELEMETRY_BYTES = const(50)  # the frame, on the line
_START = const(0x7E)  # ~
_READ_MAX = const(160)  # bytes a pass, so that a flood cannot hold up the main loop


class Port:
    def __init__(self):
        self._parser = frames.Parser()
        self._poll = select.poll()
        self._poll.register(sys.stdin, select.POLLIN)
        self.heard = self._poll.ipoll  # heard(0): iterates once if a byte has come
        self._read = sys.stdin.buffer.readinto
        self._byte = bytearray(1)
        self._write = sys.stdout.buffer.write
        room = select.poll()
        room.register(sys.stdout, select.POLLOUT)
        self._room = room.ipoll  # room(0): iterates once if a byte can be written at once
        self._doubtful = False  # what an earlier host did not confirm may still fill the buffer
        self._sequence = 0
        self._unseen = []  # (sequence, length) in order
        self._unseen_bytes = 0
        self._queue = []
        self._asked = ()  # the last request (kind, sequence, body) and its answer (kind, body)
        self._answer = None

    @property
    def dropped(self):
        return self._parser.dropped

    @property
    def waiting(self):
        """True if the host has sent something that was not read yet, or an answer waits for room."""
        for _ in self.heard(0):
            return True
        return bool(self._queue)

    def receive(self):
        """The next frame (kind, sequence, body), or None when no complete one has arrived.

        Bytes are taken without an allocation: a host that listens confirms each frame, and the garbage of that would
        have to be collected several times a second, for 24 ms each.
        """
        heard, read, parser, byte = self.heard, self._read, self._parser, self._byte
        for _ in range(_READ_MAX):
            for _ready in heard(0):
                break
            else:
                return None
            read(byte)
            if byte[0] != _START and not parser.busy:
                continue  # outside a frame nothing matters but its start
            frame = parser.feed(byte[0])
            if frame:
                if frame[0] == SEEN:
                    self._confirm(frame[2])
                else:
                    return frame
        return None

    def _confirm(self, body):
        fields = messages.unpack(SEEN, body)
        if fields is None:
            return
        for place, (sequence, _) in enumerate(self._unseen):
            if sequence == fields["sequence"]:
                for _, length in self._unseen[: place + 1]:
                    self._unseen_bytes -= length
                del self._unseen[: place + 1]
                self._doubtful = False
                break
        while self._queue and self._put(*self._queue[0]):
            del self._queue[0]

    def forget(self):
        """A host said hello: what an earlier one left unconfirmed does not count any more, but may be there."""
        self._doubtful = self._doubtful or self._unseen_bytes > 0
        self._unseen = []
        self._unseen_bytes = 0
        self._queue = []
        self._asked = ()

    def is_new(self, frame):
        """Note a request; False if it is the last one once more: then its answer goes out again, and that is all.

        A host numbers its requests one by one, so that the same number and contents are the same request: its
        answer, or the request itself, had not arrived.
        """
        if frame != self._asked:
            self._asked = frame
            self._answer = None
            return True
        if self._answer:
            self._send(*self._answer)
        return False

    def answer(self, kind, body):
        """Answer the request that was noted last; every answer begins with the number of its request."""
        if kind != RESULT:
            body = bytes(self._asked[1:2]) + body
        self._answer = (kind, body)
        self._send(kind, body)

    def _send(self, kind, body):
        """Send now, or when the host has confirmed enough; the oldest of too many waiting answers is dropped."""
        if self._queue or not self._put(kind, body):
            if len(self._queue) == _QUEUE_MAX:
                del self._queue[0]
            self._queue.append((kind, body))

    @property
    def has_room(self):
        """True if a frame of telemetry or status can be sent now."""
        return not self._queue and self._unseen_bytes <= WINDOW_BYTES - _TELEMETRY_BYTES

    def offer(self, kind, body):
        """Send if there is room now; True if it was sent."""
        return not self._queue and self._put(kind, body)

    def _put(self, kind, body):
        frame = frames.encode(kind, self._sequence, body)
        if self._unseen_bytes + len(frame) > WINDOW_BYTES:
            return False
        if self._doubtful:
            self._write_what_fits(frame)
        else:
            self._write(frame)
        self._unseen.append((self._sequence, len(frame)))
        self._unseen_bytes += len(frame)
        self._sequence = (self._sequence + 1) & 0xFF
        return True

    def _write_what_fits(self, frame):
        """Byte by byte as long as there is room; the rest is lost, as it is anyway if nobody reads."""
        byte = self._byte
        for byte[0] in frame:
            for _ready in self._room(0):
                break
            else:
                return
            self._write(byte)
