"""Which pen is on the port? After unplugging it may be another one, and that one must not get what was meant here."""

from __future__ import annotations

from collections import deque

import pytest

from needlepen.errors import Refused
from needlepen.link import pen as pen_module
from needlepen.link.client import frames, kinds, messages
from needlepen.link.pen import Pen
from needlepen.link.transport import Unplugged

FIRST, OTHER = bytes(range(8)), bytes(range(8, 16))


class Socket:
    """A port with a pen in it that can be changed for another one. Every pen answers HELLO and takes any setting."""

    def __init__(self) -> None:
        self.unique_id = FIRST
        self.plugged = True
        self.asked: list[tuple[bytes, int]] = []
        """(pen, kind of request), in order."""
        self._answers: deque[bytes] = deque()
        self._parser = frames.Parser()

    def change(self, unique_id: bytes) -> None:
        """The pen is pulled out, and this one is plugged in."""
        self.plugged, self.unique_id = False, unique_id

    def take(self, data: bytes) -> None:
        for byte in data:
            frame = self._parser.feed(byte)
            if frame and frame[0] != messages.SEEN:
                self._answer(frame[0], frame[1])

    def _answer(self, kind: int, sequence: int) -> None:
        self.asked.append((self.unique_id, kind))
        if kind == messages.HELLO:
            who = (kinds.PROTOCOL_VERSION, self.unique_id, b"pico_pen", b"0.1.0", b"0" * 12, 1)
            body = messages.pack(messages.IDENTITY, *who)
            self._answers.append(frames.encode(messages.IDENTITY, 0, bytes([sequence]) + body))
        else:
            body = messages.pack(messages.RESULT, sequence, 0, b"")
            self._answers.append(frames.encode(messages.RESULT, 0, body))

    def said(self) -> bytes:
        return self._answers.popleft() if self._answers else b""


class Plugged:
    """An open port, in place of needlepen.link.transport.Transport; its clock goes on by itself."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._now_s = 0.0

    def now_s(self) -> float:
        return self._now_s

    def read(self, timeout_s: float) -> bytes:
        self._now_s += timeout_s
        return self._socket.said()

    def write(self, data: bytes) -> None:
        if not self._socket.plugged:
            self._socket.plugged = True  # by the time that somebody opens the port again
            raise Unplugged("the port has gone")
        self._socket.take(data)

    def close(self) -> None:
        pass


@pytest.fixture
def socket(monkeypatch: pytest.MonkeyPatch) -> Socket:
    made = Socket()
    monkeypatch.setattr(pen_module, "Transport", lambda url: Plugged(made))
    return made


def test_the_same_pen_in_its_place_goes_on(socket: Socket) -> None:
    with Pen.open("port") as pen:
        socket.change(FIRST)
        assert pen.command(messages.STOP) == {} and pen.reconnections == 1
        assert (FIRST, messages.STOP) in socket.asked


def test_another_pen_in_the_place_of_the_first_gets_nothing(socket: Socket) -> None:
    """Also where nobody has said which pen it has to be: the first one that answered is meant from then on."""
    with Pen.open("port") as pen:
        socket.change(OTHER)
        with pytest.raises(Refused, match=f"is pen {OTHER.hex()}, not {FIRST.hex()}"):
            pen.command(messages.STOP)
    assert [kind for who, kind in socket.asked if who == OTHER] == [messages.HELLO]
