"""Frames, messages and flow control of the link, on both ends."""

from __future__ import annotations

import binascii
import io
import select
import struct
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from needlepen.firmware_modules import firmware_module
from needlepen.link import LinkClient

frames = firmware_module("pen.link.frames")
kinds = firmware_module("pen.link.kinds")
messages = firmware_module("pen.link.messages")
port_module = firmware_module("pen.link.port")
BODIES = st.binary(max_size=frames.MAX_BODY)
BYTES = st.integers(0, 255)


def _parse(data: bytes) -> tuple[list[Any], Any]:
    parser = frames.Parser()
    return [frame for byte in data if (frame := parser.feed(byte)) is not None], parser


# ---------------------------------------------------------------------- frames
@given(BYTES, BYTES, BODIES)
def test_a_frame_arrives_as_it_was_sent(kind: int, sequence: int, body: bytes) -> None:
    assert _parse(frames.encode(kind, sequence, body))[0] == [(kind, sequence, body)]


@given(BYTES, BYTES, BODIES)
def test_a_frame_holds_no_control_characters(kind: int, sequence: int, body: bytes) -> None:
    line = frames.encode(kind, sequence, body)
    assert line[:1] == b"~" and line[-1:] == b"\n" and len(line) <= frames.MAX_LINE + 2
    assert all(32 <= byte < 127 for byte in line[:-1])


@given(BODIES, st.data())
def test_any_changed_bit_is_noticed(body: bytes, data: st.DataObject) -> None:
    line = bytearray(frames.encode(7, 1, body))
    place = data.draw(st.integers(1, len(line) - 2))
    line[place] ^= 1 << data.draw(st.integers(0, 7))
    assert (7, 1, body) not in _parse(bytes(line))[0] or binascii.a2b_base64(
        bytes(line[1:])
    ) == binascii.a2b_base64(frames.encode(7, 1, body)[1:])


@given(st.binary(max_size=2000), BODIES)
def test_rubbish_before_a_frame_costs_nothing_but_itself(rubbish: bytes, body: bytes) -> None:
    found, _ = _parse(rubbish + b"\n" + frames.encode(3, 9, body))
    assert found[-1] == (3, 9, body)


@given(st.binary(max_size=5000))
def test_the_parser_never_grows_nor_fails(noise: bytes) -> None:
    _, parser = _parse(noise)
    assert len(parser._line) == frames.MAX_LINE


def test_a_torn_frame_costs_only_itself_and_is_counted() -> None:
    whole = frames.encode(1, 1, b"abc")
    found, parser = _parse(whole[:5] + whole + whole[:-3] + b"\n" + whole)
    assert found == [(1, 1, b"abc")] * 2 and parser.dropped == 2


def test_a_body_that_is_too_long_is_refused() -> None:
    frames.encode(1, 1, bytes(frames.MAX_BODY))
    with pytest.raises(ValueError, match="at most 96"):
        frames.encode(1, 1, bytes(frames.MAX_BODY + 1))


def test_a_frame_that_is_too_long_for_the_parser_is_dropped() -> None:
    found, parser = _parse(b"~" + b"A" * (frames.MAX_LINE + 1) + b"\n" + frames.encode(1, 2, b""))
    assert found == [(1, 2, b"")] and parser.dropped == 1


# ---------------------------------------------------------------------- messages
@pytest.mark.parametrize("kind", sorted(messages.MESSAGES))
def test_every_message_fits_a_frame_and_names_all_its_fields(kind: int) -> None:
    name, layout, fields = messages.MESSAGES[kind]
    size = struct.calcsize(layout)
    assert layout.startswith("<") and name and frames.encode(kind, 0, bytes(size))
    assert len(struct.unpack(layout, bytes(size))) == len(fields.split()) == len(set(fields.split()))
    unpacked = messages.unpack(kind, bytes(size))
    assert messages.pack(kind, *unpacked.values()) == bytes(size)


@pytest.mark.parametrize("kind", sorted(messages.MESSAGES))
@pytest.mark.parametrize("change", [-1, 1, 20])
def test_a_message_of_the_wrong_length_is_none(kind: int, change: int) -> None:
    size = struct.calcsize(messages.MESSAGES[kind][1]) + change
    assert messages.unpack(kind, bytes(max(0, size))) is None or size <= 0


def test_an_unknown_message_is_none() -> None:
    assert messages.unpack(0x7F, b"") is None


def test_every_answer_fits_the_window() -> None:
    longest = max(struct.calcsize(m[1]) for kind, m in messages.MESSAGES.items() if kind >= 0x80)
    assert len(frames.encode(0, 0, bytes(longest))) <= kinds.WINDOW_BYTES


# ---------------------------------------------------------------------- the pen's port
class Wire:
    """Standard input and output of the pen, as the port sees them."""

    def __init__(self) -> None:
        self.to_pen = bytearray()
        self.from_pen = bytearray()

        self.room = 1_000_000
        self.blocked = False

    def write(self, data: bytes) -> None:
        self.blocked = self.blocked or len(data) > self.room
        self.from_pen += data
        self.room -= len(data)

    def read(self, size: int) -> bytes:
        data = bytes(self.to_pen[:size])
        del self.to_pen[:size]
        return data

    def readinto(self, buffer: bytearray) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def frames(self) -> list[Any]:
        found, _ = _parse(bytes(self.from_pen))
        self.from_pen.clear()
        return found


class Poll:
    """As select.poll has it, for one stream."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def register(self, _stream: object, events: int) -> None:
        self._events = events

    def ipoll(self, _timeout_ms: int) -> list[int]:
        ready = self._wire.to_pen if self._events == select.POLLIN else self._wire.room > 0
        return [1] if ready else []


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def port(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> Any:
    stdin = SimpleNamespace(buffer=SimpleNamespace(readinto=wire.readinto))
    stdout = SimpleNamespace(buffer=SimpleNamespace(write=wire.write))
    monkeypatch.setattr(port_module, "sys", SimpleNamespace(stdin=stdin, stdout=stdout))
    fake = SimpleNamespace(poll=lambda: Poll(wire), POLLIN=select.POLLIN, POLLOUT=select.POLLOUT)
    monkeypatch.setattr(port_module, "select", fake)
    return port_module.Port()


def _seen(wire: Wire, sequence: int) -> None:
    wire.to_pen += frames.encode(messages.SEEN, 0, messages.pack(messages.SEEN, sequence))


def _drain(port: Any) -> list[Any]:
    return [frame for _ in range(50) if (frame := port.receive()) is not None]


def test_a_silent_host_is_sent_no_more_than_the_window(port: Any, wire: Wire) -> None:
    sent = sum(port.offer(messages.TELEMETRY, bytes(29)) for _ in range(100))
    assert sent >= 2 and len(wire.from_pen) <= kinds.WINDOW_BYTES


def test_credit_for_a_frame_confirms_all_before_it(port: Any, wire: Wire) -> None:
    while port.offer(messages.TELEMETRY, bytes(29)):
        pass
    last = wire.frames()[-1][1]
    _seen(wire, last)
    assert _drain(port) == [] and port.offer(messages.TELEMETRY, bytes(29))


def test_credit_that_was_never_given_out_changes_nothing(port: Any, wire: Wire) -> None:
    while port.offer(messages.TELEMETRY, bytes(29)):
        pass
    _seen(wire, 200)
    _drain(port)
    assert not port.offer(messages.TELEMETRY, bytes(29))


def test_answers_wait_for_credit_in_order_and_the_oldest_of_too_many_is_lost(port: Any, wire: Wire) -> None:
    while port.offer(messages.TELEMETRY, bytes(29)):
        pass
    last = wire.frames()[-1][1]
    for number in range(6):
        port.answer(messages.RESULT, bytes([number]))
    assert wire.frames() == [] and not port.offer(messages.TELEMETRY, b"")
    _seen(wire, last)
    _drain(port)
    assert [body for _, _, body in wire.frames()] == [bytes([n]) for n in range(2, 6)]


def test_a_hello_forgets_what_an_earlier_host_left(port: Any, wire: Wire) -> None:
    while port.offer(messages.TELEMETRY, bytes(29)):
        pass
    port.forget()
    assert port.offer(messages.TELEMETRY, bytes(29))


def test_hosts_that_say_hello_and_do_not_read_never_block_a_write(port: Any, wire: Wire) -> None:
    """The buffer holds 256 bytes; each hello makes the earlier answers forgotten, not gone."""
    wire.room = 256
    for number in range(20):
        port.forget()
        assert port.is_new((messages.HELLO, number, b"\x03"))
        port.answer(messages.RESULT, bytes(62))
    assert not wire.blocked and wire.room == 0
    wire.frames()
    wire.room = 256
    port.forget()
    assert port.is_new((messages.HELLO, 99, b"\x03"))
    port.answer(messages.RESULT, bytes((99,)))
    ((_, sequence, body),) = wire.frames()
    assert body == bytes((99,)), "with room again the answer is whole"
    _seen(wire, sequence)
    _drain(port)
    assert not port._doubtful


def test_the_same_request_again_is_answered_again_and_not_taken_again(port: Any, wire: Wire) -> None:
    first = (messages.SET_RATE, 7, b"\x64\x00")
    assert port.is_new(first)
    port.answer(messages.RESULT, b"\x07done")
    port.answer(messages.IDENTITY, b"me")
    assert [body for _, _, body in wire.frames()] == [b"\x07done", b"\x07me"], "an answer names its request"
    assert not port.is_new(first)
    assert [body for _, _, body in wire.frames()] == [b"\x07me"]
    for other in (
        (messages.SET_RATE, 7, b"\x65\x00"),
        (messages.SET_RATE, 8, b"\x64\x00"),
        (messages.STOP, 7, b""),
    ):
        assert port.is_new(other)
        assert not port.is_new(other) and wire.frames() == [], "no answer yet"
    assert port.is_new(first), "only the last one counts"


def test_a_hello_makes_every_number_new(port: Any) -> None:
    assert port.is_new((messages.STOP, 7, b""))
    port.forget()
    assert port.is_new((messages.STOP, 7, b""))


def test_a_flood_cannot_hold_up_a_pass(port: Any, wire: Wire) -> None:
    wire.to_pen += b"x" * 10_000
    assert port.receive() is None and len(wire.to_pen) > 9_000


@given(
    st.lists(
        st.one_of(st.binary(max_size=40), st.just(frames.encode(messages.GET_STATISTICS, 5, b""))),
        max_size=20,
    )
)
def test_requests_in_noise_are_found(parts: list[bytes]) -> None:
    wanted = sum(part.startswith(b"~") and part.endswith(b"\n") and len(part) > 5 for part in parts)
    stream = io.BytesIO(b"\n".join(parts)).read()
    found, _ = _parse(stream)
    assert len([frame for frame in found if frame[0] == messages.GET_STATISTICS]) >= wanted - sum(
        b"~" in part[1:] for part in parts
    )


# ---------------------------------------------------------------------- the host's client
def _client() -> tuple[LinkClient, bytearray]:
    sent = bytearray()
    return LinkClient(sent.extend), sent


def test_a_reply_belongs_to_its_request() -> None:
    client, _ = _client()
    first = client.request(messages.SET_RATE, 100)
    client.feed(frames.encode(messages.RESULT, 0, messages.pack(messages.RESULT, first, 1, b"no")))
    assert client.reply(first).refused == "no"  # type: ignore[union-attr]
    second = client.request(messages.SET_RATE, 100)
    assert client.reply(second) is None


def test_a_late_answer_is_not_taken_for_that_of_the_next_request() -> None:
    client, _ = _client()
    body = messages.pack(messages.COUNTERS, 1, 2, 3, 4, 5)
    first = client.request(messages.GET_COUNTERS)
    second = client.request(messages.GET_COUNTERS)
    client.feed(frames.encode(messages.COUNTERS, 0, bytes((first,)) + body))
    assert client.reply(second) is None and client.reply(first) is not None
    client.feed(frames.encode(messages.COUNTERS, 1, bytes((second,)) + body))
    assert client.reply(second).fields["run_s"] == 3  # type: ignore[union-attr]


def test_a_repeated_request_is_the_same_frame_after_a_confirmation() -> None:
    client, sent = _client()
    client.feed(frames.encode(messages.TELEMETRY, 9, messages.pack(messages.TELEMETRY, *[0] * 12)))
    client.request(messages.STOP)
    client.repeat()
    stop, seen, again = _parse(bytes(sent))[0]
    assert stop == again and seen[0] == messages.SEEN and seen[2] == b"\x09"


def test_what_a_host_sends_is_an_echo_and_no_answer() -> None:
    client, sent = _client()
    sequence = client.request(messages.HELLO, kinds.PROTOCOL_VERSION)
    client.feed(bytes(sent))
    assert client.echoes == 1 and client.frames_heard == 0 and client.reply(sequence) is None


def test_lost_frames_are_counted_by_their_sequence() -> None:
    client, _ = _client()
    body = messages.pack(messages.TELEMETRY, *[0] * 12)
    for sequence in (254, 255, 0, 3):
        client.feed(frames.encode(messages.TELEMETRY, sequence, body))
    assert client.lost_frames == 2
    for sequence in (254, 2):  # the numbers run over among those that were lost
        client.feed(frames.encode(messages.TELEMETRY, sequence, body))
    assert client.lost_frames == 2 + 250 + 3


def test_after_a_reset_of_the_pen_nothing_holds_that_it_said_before() -> None:
    client, _ = _client()
    line = frames.encode(messages.TELEMETRY, 9, messages.pack(messages.TELEMETRY, *[0] * 12))
    stop = client.request(messages.STOP)
    client.feed(line + frames.encode(messages.RESULT, 10, messages.pack(messages.RESULT, stop, 0, b"")))
    client.feed(line[:20])
    assert client.reply(stop) is not None and client.telemetry is not None
    client.lost()
    client.feed(line[20:])
    assert client.reply(stop) is None and client.telemetry is None and client.frames_heard == 2


def test_an_answer_is_confirmed_at_once_since_nothing_may_follow_it() -> None:
    client, sent = _client()
    client.feed(frames.encode(messages.RESULT, 7, messages.pack(messages.RESULT, 0, 0, b"")))
    assert _parse(bytes(sent))[0] == [(messages.SEEN, 0, b"\x07")]


def test_the_host_gives_credit_before_the_window_is_full() -> None:
    client, sent = _client()
    body = messages.pack(messages.TELEMETRY, *[0] * 12)
    line = frames.encode(messages.TELEMETRY, 0, body)
    for sequence in range(kinds.WINDOW_BYTES // len(line)):
        client.feed(frames.encode(messages.TELEMETRY, sequence, body))
    assert any(kind == messages.SEEN for kind, _, _ in _parse(bytes(sent))[0])


@given(st.binary(max_size=3000))
def test_noise_from_the_pen_does_not_disturb_the_client(noise: bytes) -> None:
    client, _ = _client()
    client.feed(noise)
    assert client.telemetry is None
