"""The port itself: what is no request is not answered, and does not keep the next host from being answered."""

from __future__ import annotations

from support.targets.protocols import Console

from needlepen.link.client import LinkClient, frames, kinds, messages

NOISE = b"\r\n~~~~\r\n~AAAA\r\nhello pen\r\n\xff\x00\x80~\r\n"
WAIT_S, SLICE_S, REPEAT_S = 5.0, 0.05, 0.7


def _listen(console: Console, client: LinkClient, seconds: float, sequence: int | None = None) -> bytes:
    """What comes in some time, or until the answer to a request."""
    end_s, heard = console.now_s() + seconds, b""
    while console.now_s() < end_s and (sequence is None or client.reply(sequence) is None):
        data = console.read(SLICE_S)
        heard += data
        client.feed(data)
    return heard


def _greeted(console: Console) -> LinkClient:
    client, heard = LinkClient(console.write), b""
    sequence = client.request(messages.HELLO, kinds.PROTOCOL_VERSION)
    end_s = console.now_s() + WAIT_S
    while client.reply(sequence) is None and console.now_s() < end_s:
        heard += _listen(console, client, REPEAT_S, sequence)
        if client.reply(sequence) is None:
            client.repeat()  # what a host before this one did not confirm may have torn the answer
    reply = client.reply(sequence)
    assert reply is not None and reply.refused is None, heard
    return client


def test_noise_is_not_answered(console: Console) -> None:
    client = _greeted(console)
    console.write(NOISE)
    heard = _listen(console, client, 0.5)
    assert b">>>" not in heard and b"Traceback" not in heard and b"hello pen" not in heard


def test_noise_does_not_keep_a_host_from_being_answered(console: Console) -> None:
    console.write(NOISE)
    _greeted(console)


def test_a_request_that_was_damaged_is_not_carried_out(console: Console) -> None:
    client = _greeted(console)
    whole = frames.encode(messages.SET_RATE, 77, messages.pack(messages.SET_RATE, 7))
    damaged = bytearray(whole)
    damaged[len(damaged) // 2] ^= 1
    console.write(bytes(damaged) + b"\r\n")
    _listen(console, client, 0.5)
    assert client.reply(77) is None
    console.write(whole)
    _listen(console, client, WAIT_S, 77)
    reply = client.reply(77)
    assert reply is not None and reply.refused is not None, "whole, it is answered: the damage was the reason"
