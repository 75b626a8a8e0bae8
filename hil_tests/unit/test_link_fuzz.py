"""A million damaged inputs to the pen's parser, its dispatch and its port on CPython: no crash, no action, no leak."""

from __future__ import annotations

import itertools
import random
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from support.damage import SHORT, damaged, frames, kinds, messages, requests, useless
from support.nights import mostly_nightly

SEED = 20261
INPUTS = 1_000_000
TORN = 20_000


def _accepted(parser: Any, data: bytes) -> list[tuple[int, int, bytes]]:
    feed = parser.feed
    return [frame for byte in data if (frame := feed(byte)) is not None]


def _is_what_was_sent(frame: tuple[int, int, bytes], data: bytes) -> bool:
    """Whether the frame stands whole and undamaged in the input."""
    return frames.encode(*frame) in data


@pytest.mark.parametrize("count", mostly_nightly([INPUTS // 5, INPUTS], INPUTS // 5))
def test_a_million_damaged_inputs_are_no_requests(count: int) -> None:
    parser = frames.Parser()
    accepted = 0
    feed, unpack = parser.feed, messages.unpack
    for data in damaged(SEED, count):
        for byte in data:
            frame = feed(byte)
            if frame is not None:
                accepted += 1
                assert _is_what_was_sent(frame, data), (frame, data)
                unpack(frame[0], frame[2])
        assert not parser.busy, data
    print(f"{count} inputs (seed {SEED}): {parser.dropped} refused, {accepted} not damaged")
    assert parser.dropped > count // 2, "a test of the test"
    assert accepted < count // 100
    assert len(parser._line) == frames.MAX_LINE


def test_a_whole_frame_after_any_damage_is_taken() -> None:
    """Resynchronisation: whatever came before, also without its newline, the next frame counts."""
    rng = random.Random(SEED)
    pool = requests(rng, 500)
    parser = frames.Parser()
    for number, data in enumerate(damaged(SEED + 1, TORN)):
        line, frame = pool[number % len(pool)]
        assert _accepted(parser, data[:-1] + line)[-1] == frame


def test_damaged_input_leaks_nothing() -> None:
    parser = frames.Parser()
    inputs = list(itertools.islice(damaged(SEED + 2, TORN), TORN))
    for data in inputs[:1000]:
        _accepted(parser, data)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for data in inputs:
            _accepted(parser, data)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    print(f"memory after {TORN} inputs: {after - before} bytes more, limit 256 bytes (counters grow)")
    assert after - before <= 256


# ---------------------------------------------------------------------- properties
@given(st.sampled_from(SHORT), st.integers(0, 255), st.data())
def test_every_message_survives_the_way(kind: int, sequence: int, data: st.DataObject) -> None:
    import struct

    layout = messages.MESSAGES[kind][1]
    body = data.draw(st.binary(min_size=struct.calcsize(layout), max_size=struct.calcsize(layout)))
    (frame,) = _accepted(frames.Parser(), frames.encode(kind, sequence, body))
    assert frame == (kind, sequence, body)
    fields = messages.unpack(kind, frame[2])
    assert fields is not None and list(fields) == messages.MESSAGES[kind][2].split()
    assert messages.pack(kind, *fields.values()) == body


@given(st.binary(max_size=frames.MAX_BODY), st.data())
def test_any_changed_byte_is_refused(body: bytes, data: st.DataObject) -> None:
    line = bytearray(frames.encode(7, 1, body))
    place = data.draw(st.integers(1, len(line) - 2))
    line[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte not in (10, 126, line[place])))
    assert _accepted(frames.Parser(), bytes(line)) == []


@given(st.binary(max_size=frames.MAX_BODY), st.integers(1, 60), st.binary(max_size=frames.MAX_BODY))
def test_a_torn_frame_does_not_take_the_next_one_with_it(first: bytes, cut: int, second: bytes) -> None:
    torn = frames.encode(7, 1, first)
    found = _accepted(frames.Parser(), torn[: min(cut, len(torn) - 1)] + frames.encode(8, 2, second))
    assert found == [(8, 2, second)]


@settings(max_examples=50)
@given(st.lists(st.one_of(st.binary(max_size=30), st.integers(0, 255)), max_size=30))
def test_frames_in_a_stream_with_garbage_are_found_in_order(parts: list[bytes | int]) -> None:
    """Numbers are frames, bytes are garbage without the two signs that frames begin and end with."""
    stream = b""
    for part in parts:
        is_frame = isinstance(part, int)
        stream += frames.encode(1, part, b"x") if is_frame else bytes(b for b in part if b not in b"~")
    found = _accepted(frames.Parser(), stream)
    assert [frame[1] for frame in found] == [part for part in parts if isinstance(part, int)]


def test_useless_frames_are_whole_and_ask_for_nothing() -> None:
    rng = random.Random(SEED)
    for _ in range(2000):
        ((kind, _, body),) = _accepted(frames.Parser(), useless(rng))
        assert kind not in messages.MESSAGES or kind >= 0x80 or messages.unpack(kind, body) is None


@pytest.mark.parametrize("number", [kinds.HELLO, kinds.RESULT])
def test_what_every_version_understands_stays_as_it_is(number: int) -> None:
    """A pen of any version refuses another version with RESULT; so these two never change."""
    expected = {
        kinds.HELLO: (0x01, "<B", "protocol_version"),
        kinds.RESULT: (0x80, "<BB60s", "of_sequence refused reason"),
    }
    assert (number, *messages.MESSAGES[number][1:]) == expected[number]
