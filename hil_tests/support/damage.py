"""Damaged input for the link: frames that are torn, flipped, glued, unknown or of the wrong length, and noise.

Seeded and quick: a million pieces take seconds. None of them is a request that a pen may carry out.
"""

from __future__ import annotations

import itertools
import random
import struct
from collections.abc import Iterator
from typing import Any

from needlepen.firmware_modules import firmware_module

frames = firmware_module("pen.link.frames")
kinds = firmware_module("pen.link.kinds")
messages = firmware_module("pen.link.messages")

SHORT = [k for k, (_, layout, _) in messages.MESSAGES.items() if struct.calcsize(layout) <= frames.MAX_BODY]
"""Kinds that a pen takes at any time: all but the data of an update."""
_NOISE_BYTES = 1 << 16
_POOL = 4096
_FROM_PEN = 0x80
_CTRL_C = 3


def requests(
    rng: random.Random, count: int, longest: int = frames.MAX_BODY
) -> list[tuple[bytes, tuple[int, int, bytes]]]:
    """`count` whole requests of all kinds, with any contents of at most `longest` bytes: (line, frame)."""
    sizes = {kind: struct.calcsize(layout) for kind, (_, layout, _) in messages.MESSAGES.items()}
    known = [kind for kind, size in sizes.items() if kind < _FROM_PEN and size <= longest]
    made = []
    for _ in range(count):
        kind, sequence = rng.choice(known), rng.randrange(256)
        body = rng.randbytes(sizes[kind])
        made.append((frames.encode(kind, sequence, body), (kind, sequence, body)))
    return made


def useless(rng: random.Random) -> bytes:
    """A whole frame that asks for nothing: of a kind that no pen knows, from a pen, or of a wrong length."""
    way = rng.randrange(3)
    if way == 0:
        kind = rng.choice([k for k in range(_FROM_PEN) if k not in messages.MESSAGES])
    elif way == 1:
        kind = rng.randrange(_FROM_PEN, 256)
    else:
        kind = rng.choice([k for k in SHORT if k < _FROM_PEN and k not in (kinds.HELLO, kinds.SEEN)])
        size = struct.calcsize(messages.MESSAGES[kind][1])
        size += 1 if not size else -1 if size > frames.MAX_BODY - 2 else rng.choice((-1, 1, 2))
        return bytes(frames.encode(kind, rng.randrange(256), rng.randbytes(size)))
    return bytes(frames.encode(kind, rng.randrange(256), rng.randbytes(rng.randrange(9))))


def damaged(seed: int, count: int, longest: int = frames.MAX_BODY) -> Iterator[bytes]:
    """`count` pieces of input, each of which ends outside a frame."""
    rng: Any = random.Random(seed)
    noise = bytes(
        byte for byte in rng.randbytes(_NOISE_BYTES) if byte != _CTRL_C
    )  # 3 is Ctrl-C, meant for the prompt
    lines = [line for line, _ in requests(rng, _POOL, longest)]
    for number in range(count):
        line = lines[int(rng.random() * _POOL)]
        way = number % 8
        place = 1 + int(rng.random() * (len(line) - 2))
        if way < 3:  # a flipped bit; the newline stays, so that the pen sees a whole line
            yield line[:place] + bytes((line[place] ^ 1 << int(rng.random() * 7),)) + line[place + 1 :]
        elif way == 3:  # cut short
            yield line[:place] + b"\n"
        elif way == 4:  # two glued together in the middle
            yield line[:place] + lines[int(rng.random() * _POOL)][-place - 1 :].lstrip(b"~")
        elif way == 5:  # a piece left out
            yield line[:place] + line[place + 1 + int(rng.random() * 4) : -1] + b"\n"
        else:  # noise
            start = int(rng.random() * (len(noise) - 40))
            yield noise[start : start + 4 + int(rng.random() * 12)] + b"\n"


def harmless(seed: int, longest: int = frames.MAX_BODY) -> Iterator[bytes]:
    """Damaged input without an end that asks for nothing and breaks nothing off, as a pen's own parser sees it.

    What happens to be a whole frame in spite of its damage is left out, and so is Ctrl-C, which means the prompt.
    """
    parser = frames.Parser()
    for round_seed in itertools.count(seed):
        for data in damaged(round_seed, _POOL, longest):
            whole = [frame for frame in map(parser.feed, data) if frame is not None]
            if _CTRL_C not in data and not whole:
                yield data
