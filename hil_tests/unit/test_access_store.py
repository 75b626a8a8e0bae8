"""SR-25: the count of wrong answers and the keys as records, on files in RAM: what is read, kept, told and refused."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from ram_files import RamFiles
from ram_store import booted, news
from support.flash import UNIQUE_ID

from needlepen import requirements
from needlepen.firmware_modules import firmware_module
from needlepen.records import making

records = firmware_module("pen.access_records")
auth = firmware_module("pen.store.auth")
envelope = firmware_module("pen.store.envelope")
n = firmware_module("pen.store.numbers")
E = firmware_module("pen.events")
S = firmware_module("pen.states")

ATTEMPTS = int(requirements.load().limit("SR-25", "attempts"))
REAL = (b"p" * 32, b"c" * 32, b"r" * 32)
OTHERS = (b"q" * 32, b"d" * 32, b"s" * 32)
PUBLISHED = making.development_keys(UNIQUE_ID)
ONCE = "the pen holds keys: they are given once"


def count_record(payload: bytes, sequence: int = 1, version: int = n.ACCESS_FORMAT) -> bytes:
    data: bytes = envelope.pack(n.KIND_ACCESS, version, sequence, UNIQUE_ID, payload)
    return data


def keys_record(*keys: bytes, version: int = n.KEYS_FORMAT) -> bytes:
    data: bytes = envelope.pack(n.KIND_KEYS, version, 1, UNIQUE_ID, b"".join(keys))
    return data


def production(held: dict[str, bytes], development: bool = False) -> Any:
    """A store over these files, that has booted and stored its events."""
    pen = booted(RamFiles(**held), development)
    assert pen.flush() is None
    pen._files.calls.clear()
    return pen


# ---------------------------------------------------------------------- wrong answers
@pytest.mark.parametrize(
    ("a", "b", "count", "refused"),
    [
        (None, None, 0, []),
        (b"", None, 0, [(0, n.EMPTY)]),
        (b"", b"", 0, [(0, n.EMPTY), (1, n.EMPTY)]),
        (count_record(b"\0"), None, 0, []),
        (count_record(b"\3"), None, 3, []),
        (count_record(b"\3"), count_record(b"\4", 2), 4, []),
        (count_record(bytes((ATTEMPTS,))), None, ATTEMPTS, []),
        (count_record(bytes((ATTEMPTS + 1,))), None, ATTEMPTS, [(0, n.OUT_OF_RANGE)]),
        (count_record(b""), None, ATTEMPTS, [(0, n.OUT_OF_RANGE)]),
        (count_record(b"\0\0"), None, ATTEMPTS, [(0, n.OUT_OF_RANGE)]),
        (b"x" * 40, None, ATTEMPTS, [(0, n.NOT_A_RECORD)]),
        (b"x" * 40, b"", ATTEMPTS, [(0, n.NOT_A_RECORD), (1, n.EMPTY)]),
        (b"x" * 40, count_record(b"\2"), 2, [(0, n.NOT_A_RECORD)]),
        (
            count_record(b"\0", version=n.ACCESS_FORMAT + 1),
            count_record(b"\2"),
            ATTEMPTS,
            [(0, n.NEWER_FORMAT)],
        ),
    ],
    ids=[
        "none", "empty", "both empty", "0", "3", "3 and 4", "5", "6", "no byte", "two bytes", "garbage",
        "garbage and empty", "garbage and 2", "newer",
    ],
)  # fmt: skip
def test_a_count_that_cannot_be_read_is_the_most_and_a_missing_one_is_0(
    a: bytes | None, b: bytes | None, count: int, refused: list[tuple[int, int]]
) -> None:
    pen = production(
        {f"/data/access.{copy}": data for copy, data in (("a", a), ("b", b)) if data is not None}
    )
    assert records.read_attempts(pen) == count
    assert news(pen) == [(E.RECORD_REFUSED, n.KIND_ACCESS, copy, reason) for copy, reason in refused]


def test_a_count_is_kept_in_one_write_and_read_back() -> None:
    pen = production({})
    records.read_attempts(pen)
    assert records.keep_attempts(pen, 3) is None and pen._files.calls == [("write", "/data/access.b")]
    assert records.read_attempts(production(pen._files.held)) == 3
    pen._files.may_write = False
    assert (
        records.write_refusal(pen)
        == records.keep_attempts(pen, 4)
        == "the motor may turn: nothing is written"
    )
    pen._files.may_write, pen._files.refused = True, {"write"}
    assert records.write_refusal(pen) is None and records.keep_attempts(pen, 4) == "could not be written"


# ---------------------------------------------------------------------- keys
def test_the_published_keys_follow_from_a_text_and_the_pens_id() -> None:
    secret = b"needlepen development key: published with the sources, protects nothing"
    pen = auth.hmac_sha256(secret, b"pen" + UNIQUE_ID)
    assert records.development_pair(UNIQUE_ID) == (pen, hashlib.sha256(secret + b"cartridges").digest())


PUBLISHED_RECORD = keys_record(PUBLISHED.pen, PUBLISHED.cartridge, PUBLISHED.release)


@pytest.mark.parametrize(
    ("held", "development", "refusal"),
    [
        (None, False, None),
        (None, True, None),
        (b"", False, None),
        (keys_record(*REAL[:2], version=n.KEYS_FORMAT - 1), False, None),
        (PUBLISHED_RECORD, False, None),
        (PUBLISHED_RECORD, True, None),
        (keys_record(*REAL), False, ONCE),
        (keys_record(*REAL), True, ONCE),
        (b"x" * 40, False, ONCE),
        (b"x" * 40, True, ONCE),
        (keys_record(b"future", version=n.KEYS_FORMAT + 1), False, ONCE),
        (keys_record(*REAL[:2], bytes(32)), False, ONCE),
    ],
    ids=[
        "none", "none, development", "empty", "older format", "published", "published, development", "real",
        "real, development", "garbage", "garbage, development", "newer format", "one is missing",
    ],
)  # fmt: skip
def test_keys_are_given_once(held: bytes | None, development: bool, refusal: str | None) -> None:
    pen = production({} if held is None else {"/data/keys.a": held}, development)
    assert records.take_keys(pen, *OTHERS) == refusal
    if refusal is None:
        assert {path for call, path in pen._files.calls if call == "write"} == {
            "/data/keys.a",
            "/data/keys.b",
        }
        again = production(pen._files.held)
        assert (again.keys.pen, again.keys.cartridge, again.keys.release) == OTHERS
        assert news(pen)[-1] == (E.KEYS_STORED, 0, 0, 0)
        assert records.take_keys(pen, *REAL) == ONCE
    else:
        assert not pen._files.calls and not news(pen)


def test_new_keys_count_at_once() -> None:
    pen = production({})
    assert pen.blockers & S.BLOCK_KEYS_MISSING
    assert records.take_keys(pen, *REAL) is None
    assert pen.keys.pen == REAL[0] and not pen.blockers & S.BLOCK_KEYS_MISSING


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_no_key_may_be_missing(missing: int) -> None:
    pen = production({})
    given = [bytes(32) if k == missing else key for k, key in enumerate(REAL)]
    assert records.take_keys(pen, *given) == "a key is missing" and not pen._files.calls


def test_a_published_key_is_refused() -> None:
    pen = production({})
    for given in ((PUBLISHED.pen, *REAL[1:]), (REAL[0], PUBLISHED.cartridge, REAL[2])):
        assert records.take_keys(pen, *given) == "published keys protect nothing"
    assert not pen._files.calls and pen.keys is None


def test_keys_that_are_not_stored_do_not_count() -> None:
    pen = production({})
    pen._files.may_write = False
    assert records.take_keys(pen, *REAL) == "the motor may turn: nothing is written"
    pen._files.may_write, pen._files.refused = True, {"write"}
    assert records.take_keys(pen, *REAL) == "could not be written"
    assert pen.keys is None and (E.KEYS_STORED, 0, 0, 0) not in news(pen)


def test_keys_whose_first_writing_was_cut_off_twice_can_be_given() -> None:
    pen = production({"/data/keys.a": b"", "/data/keys.b": b""})
    assert pen._pairs[n.KIND_KEYS].reason == n.EMPTY
    assert records.take_keys(pen, *REAL) is None and pen.keys.pen == REAL[0]
