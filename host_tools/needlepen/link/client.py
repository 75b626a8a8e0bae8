"""Requests, answers and telemetry over any byte stream.

The client does no input or output of its own: `send` is given, `feed` takes what arrives. So it serves an emulated
pen in the same process and a serial port alike, and waiting is the caller's business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from needlepen.firmware_modules import firmware_module
from needlepen.link.values import Reply, Status, Telemetry, text

__all__ = ["LinkClient", "Reply", "Status", "Telemetry", "frames", "kinds", "messages"]

frames = firmware_module("pen.link.frames")
kinds = firmware_module("pen.link.kinds")
messages = firmware_module("pen.link.messages")

SEEN_EVERY = 2
"""Telemetry frames per credit message; the pen's window holds four."""
_REPLIES_KEPT = 16
_FROM_PEN = 0x80


class LinkClient:
    """One host talking to one pen. Not thread-safe; one request at a time.

    Requests are numbered by themselves, and each answer names the number of its request: the same number again is
    the same request again, which the pen answers again without carrying it out again.
    """

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._parser = frames.Parser()
        self._sequence = 0
        self._last_request = b""
        self._replies: dict[int, Reply] = {}
        self._listeners: list[Callable[[Telemetry], None]] = []
        self._last_received: int | None = None
        self._unconfirmed = 0
        self.lost_frames = 0
        self.frames_heard = 0
        self.echoes = 0
        self.telemetry: Telemetry | None = None
        self.status: Status | None = None

    @property
    def dropped_frames(self) -> int:
        """Lines that looked like frames but were torn or failed their check."""
        return int(self._parser.dropped)

    def on_telemetry(self, listener: Callable[[Telemetry], None]) -> None:
        """Call listener for each telemetry frame, in order."""
        self._listeners.append(listener)

    def lost(self) -> None:
        """The pen was reset or unplugged: what it said before no longer holds."""
        self._parser.reset()
        self.telemetry = None
        self.status = None
        self._last_received = None
        self._unconfirmed = 0
        self._replies.clear()

    def feed(self, data: bytes) -> None:
        """Take bytes from the pen; anything that is not a frame is skipped."""
        for byte in data:
            frame = self._parser.feed(byte)
            if frame is not None:
                self._take(*frame)

    def request(self, kind: int, *values: Any) -> int:
        """Send a request; its sequence number finds the answer with `reply`."""
        sequence = self._sequence
        self._sequence = (sequence + 1) & 0xFF
        self._replies.pop(sequence, None)
        self._last_request = frames.encode(kind, sequence, messages.pack(kind, *values))
        self._send(self._last_request)
        return sequence

    def repeat(self) -> None:
        """Send the last request once more, as it was: the pen carries it out once, and answers twice.

        What has come is confirmed first: if a confirmation was lost, the answer might wait for room for ever.
        """
        if self._last_received is not None:
            self._confirm(self._last_received)
        self._send(self._last_request)

    def reply(self, sequence: int) -> Reply | None:
        """The answer to a request, or None while it has not come."""
        return self._replies.get(sequence)

    def _take(self, kind: int, sequence: int, body: bytes) -> None:
        if kind < _FROM_PEN:
            self.echoes += 1  # what a host sends comes back from a prompt, never from a pen
            return
        if self._last_received is not None:
            self.lost_frames += (sequence - self._last_received - 1) & 0xFF
        self._last_received = sequence
        self.frames_heard += 1
        self._unconfirmed += 1
        self._dispatch(kind, body)
        if kind not in (messages.TELEMETRY, messages.STATUS) or self._unconfirmed >= SEEN_EVERY:
            self._confirm(sequence)

    def _confirm(self, sequence: int) -> None:
        self._unconfirmed = 0
        self._send(frames.encode(messages.SEEN, 0, messages.pack(messages.SEEN, sequence)))

    def _dispatch(self, kind: int, body: bytes) -> None:
        unasked = kind in (messages.TELEMETRY, messages.STATUS)
        if not unasked and kind != messages.RESULT:
            of_sequence, body = body[:1], body[1:]
        fields = messages.unpack(kind, body)
        if fields is None:
            return
        if kind == messages.TELEMETRY:
            self.telemetry = Telemetry.of(fields)
            for listener in self._listeners:
                listener(self.telemetry)
        elif kind == messages.STATUS:
            self.status = Status.of(fields)
        elif kind == messages.RESULT:
            reason = text(fields["reason"])
            self._keep(fields["of_sequence"], Reply(reason if fields["refused"] else None, {}))
        elif of_sequence:
            self._keep(of_sequence[0], Reply(None, fields))

    def _keep(self, of_sequence: int, reply: Reply) -> None:
        self._replies.pop(of_sequence, None)
        self._replies[of_sequence] = reply
        while len(self._replies) > _REPLIES_KEPT:
            del self._replies[next(iter(self._replies))]
