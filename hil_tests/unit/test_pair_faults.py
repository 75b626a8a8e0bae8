"""A record in two copies when reading or writing fails: which copy counts, which one is written, what is told."""

from __future__ import annotations

from typing import Any

import pytest

from needlepen.firmware_modules import firmware_module

pair = firmware_module("pen.store.pair")
envelope = firmware_module("pen.store.envelope")
n = firmware_module("pen.store.numbers")
UNIQUE_ID = bytes(range(8))
VERSION = 2
KIND = n.KIND_SETTINGS
A, B = "/data/settings.a", "/data/settings.b"


class Files:
    """A flash in memory; what is named in `refused` raises OSError, and `garbles` writes something else."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.refused: set[str] = set()
        self.garbles = False

    def _do(self, what: str) -> None:
        if what in self.refused:
            raise OSError(5, "no")

    def read(self, path: str) -> bytes | None:
        self._do("read")
        return self.held.get(path)

    def write(self, path: str, data: bytes) -> None:
        self._do("write")
        self.held[path] = data[:-1] if self.garbles else data

    def rename(self, old: str, new: str) -> None:
        self._do("rename")
        self.held[new] = self.held.pop(old)


def record(payload: bytes, sequence: int, version: int = VERSION) -> bytes:
    made: bytes = envelope.pack(KIND, version, sequence, UNIQUE_ID, payload)
    return made


def made(files: Files) -> Any:
    return pair.Pair(files, KIND, VERSION, UNIQUE_ID)


def loaded(a: bytes | None, b: bytes | None) -> tuple[Any, Files, Any]:
    """A pair over these two copies, after `load`."""
    files = Files()
    files.held = {path: data for path, data in ((A, a), (B, b)) if data is not None}
    p = made(files)
    return p, files, p.load()


@pytest.mark.parametrize(
    ("sequence_a", "sequence_b", "payload"), [(4, 3, b"a"), (3, 4, b"b"), (1, 0xFFFFFFFE, b"b"), (3, 3, b"a")]
)
def test_the_copy_with_the_higher_number_counts(sequence_a: int, sequence_b: int, payload: bytes) -> None:
    p, files, found = loaded(record(b"a", sequence_a), record(b"b", sequence_b))
    assert found == payload and p.reason == n.OK
    assert p.save(b"new") == n.OK
    older = B if payload == b"a" else A
    assert envelope.parse(files.held[older], KIND, VERSION, UNIQUE_ID) == (
        n.OK,
        max(sequence_a, sequence_b) + 1,
        b"new",
    )


def test_a_new_pen_has_no_copy_and_writes_both_in_turn() -> None:
    files = Files()
    p = made(files)
    assert p.reasons == [n.MISSING, n.MISSING] and p.reason == n.MISSING and p.set_aside == 0
    assert p.load() is None and not p.newer
    assert p.save(b"1") == n.OK and set(files.held) == {B}
    assert p.save(b"2") == n.OK and set(files.held) == {A, B}
    assert p.save(b"3") == n.OK and p.reasons == [n.OK, n.OK] and p.set_aside == 0
    assert made(files).load() == b"3"
    assert [envelope.parse(files.held[x], KIND, VERSION, UNIQUE_ID)[1] for x in (B, A)] == [3, 2]


def test_an_empty_copy_is_overwritten_and_not_kept() -> None:
    p, files, _ = loaded(b"", record(b"new", 2))
    assert p.save(b"newest") == n.OK and p.set_aside == 0 and set(files.held) == {A, B}


@pytest.mark.parametrize("what", ["write", "read"])
def test_a_write_that_fails_is_told_and_leaves_the_newer_copy(what: str) -> None:
    p, files, _ = loaded(record(b"old", 1), record(b"new", 2))
    files.refused = {what}
    assert p.save(b"newest") == n.WRITE_FAILED and p.reasons == [n.DAMAGED, n.OK]
    files.refused = set()
    assert envelope.parse(files.held[B], KIND, VERSION, UNIQUE_ID)[2] == b"new"
    assert p.save(b"newest") == n.OK and p.set_aside == 1 and A + ".bad" in files.held
    assert made(files).load() == b"newest"


def test_a_copy_that_reads_back_otherwise_is_told_and_set_aside_the_next_time() -> None:
    p, files, _ = loaded(record(b"old", 1), record(b"new", 2))
    files.garbles = True
    assert p.save(b"newest") == n.NOT_READ_BACK and p.reasons == [n.NOT_READ_BACK, n.OK]
    files.garbles = False
    assert made(files).load() == b"new"
    assert p.save(b"newest") == n.OK and p.set_aside == 1
    assert envelope.parse(files.held[A], KIND, VERSION, UNIQUE_ID) == (n.OK, 3, b"newest")


def test_a_refused_copy_that_cannot_be_set_aside_stays_refused() -> None:
    p, files, _ = loaded(b"garbage", record(b"new", 2))
    files.refused = {"rename"}
    assert p.save(b"newest") == n.WRITE_FAILED and p.set_aside == 0 and p.reasons[0] == n.DAMAGED


def test_copies_that_cannot_be_read_are_damaged() -> None:
    files = Files()
    files.held = {A: record(b"a", 1)}
    files.refused = {"read"}
    p = made(files)
    assert p.load() is None and p.reasons == [n.DAMAGED, n.DAMAGED] and p.reason == n.DAMAGED


@pytest.mark.parametrize(
    ("a", "b", "reason"),
    [
        (None, None, n.MISSING),
        (b"", None, n.MISSING),
        (None, b"", n.EMPTY),
        (None, b"x" * 40, n.NOT_A_RECORD),
        (b"x" * 40, None, n.NOT_A_RECORD),
        (b"", b"x", n.TRUNCATED),
        (b"x", b"y" * 40, n.TRUNCATED),
        (b"x", record(b"b", 1), n.OK),
        (record(b"a", 1), b"x", n.OK),
        (record(b"a", 1), record(b"b", 2, VERSION + 1), n.NEWER_FORMAT),
        (record(b"a", 1, VERSION + 1), None, n.NEWER_FORMAT),
    ],
)
def test_the_more_telling_reason_of_the_two_is_given(a: bytes | None, b: bytes | None, reason: int) -> None:
    p, _, found = loaded(a, b)
    assert p.reason == reason and (found is not None) == (reason == n.OK)


@pytest.mark.parametrize("newer", [A, B])
def test_beside_a_copy_of_newer_firmware_nothing_is_read_or_written(newer: str) -> None:
    copies = {A: record(b"a", 1), B: record(b"b", 2)} | {newer: record(b"new", 3, VERSION + 1)}
    p, files, found = loaded(copies[A], copies[B])
    assert found is None and p.newer and p.save(b"mine") == p.save_both(b"mine") == n.NEWER_FORMAT
    assert files.held == copies


# ---------------------------------------------------------------------- a payload that is refused
def test_the_other_copy_takes_the_place_of_one_whose_payload_is_refused() -> None:
    p, files, found = loaded(record(b"good", 1), record(b"bad", 2))
    assert found == b"bad" and p.refuse(n.FOREIGN) == b"good" and p.reasons == [n.OK, n.FOREIGN]
    assert p.save(b"new") == n.OK and p.set_aside == 1
    assert envelope.parse(files.held[B], KIND, VERSION, UNIQUE_ID)[2] == b"new"
    assert made(files).load() == b"new"


@pytest.mark.parametrize("other", [None, b"x" * 40])
def test_without_another_sound_copy_there_is_none(other: bytes | None) -> None:
    p, files, _ = loaded(other, record(b"bad", 2))
    assert p.refuse(n.FOREIGN) is None and p.reasons[1] == n.FOREIGN
    assert p.save(b"new") == n.OK
    assert made(files).load() == b"new", "the refused copy is the older one now"


def test_both_payloads_may_be_refused() -> None:
    p, _, _ = loaded(record(b"x", 1), record(b"y", 2))
    assert p.refuse(n.FOREIGN) == b"x" and p.refuse(n.FOREIGN) is None
    assert p.reasons == [n.FOREIGN, n.FOREIGN] and p.reason == n.FOREIGN


def test_the_other_copy_may_have_become_unreadable_meanwhile() -> None:
    p, files, _ = loaded(record(b"x", 1), record(b"y", 2))
    files.refused = {"read"}
    assert p.refuse(n.FOREIGN) is None and p.reasons == [n.DAMAGED, n.FOREIGN]


def test_both_copies_can_be_written_at_once() -> None:
    p, files, _ = loaded(None, None)
    assert p.save_both(b"same") == n.OK
    assert {envelope.parse(data, KIND, VERSION, UNIQUE_ID)[2] for data in files.held.values()} == {b"same"}
    assert set(files.held) == {A, B}
    files.refused = {"write"}
    assert p.save_both(b"other") == n.WRITE_FAILED
    assert [p.reasons.count(n.OK), p.reasons.count(n.DAMAGED)] == [1, 1], "the second copy is left alone"
