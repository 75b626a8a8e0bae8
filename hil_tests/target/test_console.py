"""The port itself: what is no request is not answered, and does not keep the next host from being answered."""

from __future__ import annotations

import itertools

from support.caller import Caller, greeted
from support.damage import harmless
from support.measuring import Measure
from support.targets.protocols import Console

from needlepen.link.client import frames, messages

NOISE = b"\r\n~~~~\r\n~AAAA\r\nhello pen\r\n\xff\x00\x80~\r\n"
SEED = 20262
PIECES, BATCH = 240, 20
LONGEST = (
    4  # bytes in the body of a request before it is damaged: neither keys nor an answer to a challenge fit
)


def test_noise_is_not_answered(console: Console) -> None:
    host = greeted(console)
    answers = host.heard
    console.write(NOISE)
    heard = host.listen(0.5)
    assert b">>>" not in heard and b"Traceback" not in heard and b"hello pen" not in heard
    assert host.heard == answers


def test_noise_does_not_keep_a_host_from_being_answered(console: Console) -> None:
    console.write(NOISE)
    greeted(console)


def test_a_request_that_was_damaged_is_not_carried_out(console: Console) -> None:
    host = greeted(console)
    answers, body = host.heard, messages.pack(messages.SET_RATE, 7)
    damaged = bytearray(frames.encode(messages.SET_RATE, 77, body))
    damaged[len(damaged) // 2] ^= 1
    console.write(bytes(damaged) + b"\r\n")
    host.listen(0.5)
    assert host.heard == answers
    assert host.refusal(messages.SET_RATE, body) is not None, (
        "whole, it is answered: the damage was the reason"
    )


def _picture(host: Caller) -> dict[str, object]:
    """What a request could have changed, but for the time."""
    found: dict[str, object] = {}
    for kind in (messages.GET_SETTINGS, messages.GET_COUNTERS, messages.GET_CARTRIDGE, messages.GET_ABOUT):
        found |= host.command(kind)
    return found | {"uptime_s": 0, "left_s": 0}


def test_hundreds_of_damaged_requests_do_nothing(console: Console, measure: Measure) -> None:
    """PR-07, SR-25: torn, flipped and glued frames and noise; each one is dropped, and counted if it was a frame.

    None of them is whole, by the pen's own parser; and the host has given up its role before.
    """
    host = greeted(console)
    host.command(messages.LOCK)
    before, cost = _picture(host), host.command(messages.GET_STATISTICS)
    answers = host.heard
    pieces = list(itertools.islice(harmless(SEED, LONGEST), PIECES))
    for first in range(0, PIECES, BATCH):
        console.write(b"".join(pieces[first : first + BATCH]))
        host.listen(0.1)
    assert host.heard == answers, "something was answered"
    after, cost_then = _picture(host), host.command(messages.GET_STATISTICS)
    dropped = (cost_then["frames_dropped"] - cost["frames_dropped"]) & 0xFFFF
    leak = cost["heap_free_bytes"] - cost_then["heap_free_bytes"]
    print(
        f"{PIECES} damaged pieces (seed {SEED}): {dropped} dropped as damaged frames, at least {PIECES // 2}"
    )
    assert after == before and dropped >= PIECES // 2
    measure.figure("PR-07", "heap_growth_bytes", leak, f"{PIECES} damaged pieces of input")
