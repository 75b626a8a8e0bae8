"""`Pen` on a port of this file's own, with a clock of its own: which pen is there, and how long it may be silent.

After unplugging it may be another one, and that one must not get what was meant here.
"""

from __future__ import annotations

from collections import deque

import pytest

from needlepen.errors import InfrastructureError, Refused
from needlepen.link import pen as pen_module
from needlepen.link.client import frames, kinds, messages
from needlepen.link.pen import REPEAT_S, SILENCE_S, TIMEOUT_S, Pen
from needlepen.link.transport import Unplugged

FIRST, OTHER = bytes(range(8)), bytes(range(8, 16))


class Socket:
    """A port with a pen in it that can be changed for another one. Every pen answers HELLO and takes any setting."""

    def __init__(self) -> None:
        self.unique_id = FIRST
        self.plugged = True
        self.protocol = kinds.PROTOCOL_VERSION
        self.mute = False  # it takes requests, and answers none
        self.tells = False  # telemetry comes, a frame at each look
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
        if self.mute:
            return
        if kind == messages.HELLO:
            who = (self.protocol, self.unique_id, b"pico_pen", b"0.1.0", b"0" * 12, 1)
            body = messages.pack(messages.IDENTITY, *who)
            self._answers.append(frames.encode(messages.IDENTITY, 0, bytes([sequence]) + body))
        else:
            body = messages.pack(messages.RESULT, sequence, 0, b"")
            self._answers.append(frames.encode(messages.RESULT, 0, body))

    def said(self) -> bytes:
        if self._answers or not self.tells:
            return self._answers.popleft() if self._answers else b""
        return frames.encode(messages.TELEMETRY, 0, messages.pack(messages.TELEMETRY, *[0] * 12))

    def heard(self, kind: int) -> int:
        """How often a request has come."""
        return [asked for _, asked in self.asked].count(kind)


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


def test_a_port_that_says_nothing_gets_no_more_hellos_than_allowed(socket: Socket) -> None:
    """It may be no pen at all: what is written to a stranger is counted."""
    socket.mute = True
    with pytest.raises(InfrastructureError, match=r"nothing answered within 6\.0 s"):
        Pen.open("port", timeout_s=6.0, hellos=2)
    assert socket.heard(messages.HELLO) == 2


@pytest.mark.parametrize(("ahead", "remedy"), [(-1, "update the pen"), (1, "install a newer needlepen")])
def test_a_pen_of_another_protocol_that_answers_all_the_same_is_refused(
    socket: Socket, ahead: int, remedy: str
) -> None:
    socket.protocol += ahead
    with pytest.raises(Refused, match=remedy):
        Pen.open("port")


@pytest.mark.parametrize(("last", "locks"), [(messages.STOP, 1), (messages.RESTART, 0)])
def test_a_role_is_given_up_at_the_end_unless_the_pen_has_left(socket: Socket, last: int, locks: int) -> None:
    with Pen.open("port") as pen:
        pen.request(messages.UNLOCK, 1, bytes(32))
        pen.request(last)
    assert socket.heard(messages.LOCK) == locks


def test_a_request_without_an_answer_is_said_again_but_no_flood(socket: Socket) -> None:
    with Pen.open("port") as pen:
        socket.mute = True
        with pytest.raises(InfrastructureError, match=r"did not answer 'stop' within 2\.0 s"):
            pen.command(messages.STOP)
        assert 4 <= socket.heard(messages.STOP) <= 1 + TIMEOUT_S / REPEAT_S


def test_the_lease_of_telemetry_is_renewed_long_before_it_ends(socket: Socket) -> None:
    """At half of its time: the answer may be late, and the pen busy."""
    with Pen.open("port") as pen:
        socket.tells = True
        pen.subscribe(20, lease_ms=10_000)
        for _ in range(90):
            pen.attend(0.05)
        assert socket.heard(messages.SUBSCRIBE) == 1
        for _ in range(30):
            pen.attend(0.05)
        assert socket.heard(messages.SUBSCRIBE) == 2 and pen.reconnections == 0


def test_a_pen_that_stops_sending_is_looked_for(socket: Socket) -> None:
    with Pen.open("port") as pen:
        pen.subscribe(20)
        for _ in range(round(SILENCE_S / 0.05) - 2):
            pen.attend(0.05)
        assert pen.reconnections == 0
        for _ in range(4):
            pen.attend(0.05)
        assert pen.reconnections == 1 and socket.heard(messages.HELLO) == 2
