"""SR-25 without a pen: the table of access, keys and attempts as records, and a power cut in any of their writes."""

from __future__ import annotations

from typing import Any

import pytest
from support.flash import UNIQUE_ID, RecordedFlash, files, store

from needlepen import access_table, requirements
from needlepen.access import Key, Role, answer, role_key
from needlepen.build.roles_module import roles_module
from needlepen.errors import UsageError
from needlepen.firmware_modules import firmware_module
from needlepen.records import making

access = firmware_module("pen.access")
auth = firmware_module("pen.store.auth")
kinds = firmware_module("pen.link.kinds")
keys = firmware_module("pen.store.keys")
numbers = firmware_module("pen.store.numbers")
records = firmware_module("pen.access_records")
roles = firmware_module("pen.roles")

ATTEMPTS = int(requirements.load().limit("SR-25", "attempts"))
REAL = (b"p" * 32, b"c" * 32, b"r" * 32)
FRACTIONS = (0.0, 0.1, 0.3, 0.5, 0.9, 1.0)


def _production(flash: Any) -> Any:
    made = firmware_module("pen.store.store").Store(files(flash), UNIQUE_ID, False)
    made.boot(1)
    return made


# ---------------------------------------------------------------------- the table
def test_every_request_is_in_the_table_once_and_nothing_else_is() -> None:
    requests = {name for name, kind in vars(kinds).items() if name.isupper() and isinstance(kind, int)
                and kind < 0x80 and name not in ("PROTOCOL_VERSION", "WINDOW_BYTES")}  # fmt: skip
    assert set(access_table.load()) == requests


def test_the_pen_has_the_table_and_refuses_what_is_not_in_it() -> None:
    assert access_table.ROLES == roles.ROLES == tuple(role.name.lower() for role in Role)
    for name, role in access_table.load().items():
        assert roles.ROLES[roles.NEEDED[getattr(kinds, name)]] == role
    listed = {getattr(kinds, name) for name in access_table.load()}
    assert {kind for kind, needed in enumerate(roles.NEEDED) if needed != access_table.NOBODY} == listed


def test_what_changes_the_pen_needs_a_role() -> None:
    """Only requests that read, end a run, or get a role need none."""
    harmless = {"HELLO", "SUBSCRIBE", "SEEN", "STOP", "UNLOCK", "LOCK", "PROVISION"}
    for name, role in access_table.load().items():
        reads = name in harmless or name.startswith(("GET_", "READ_"))
        assert (role == "none") == reads, name
    assert access_table.load()["OPEN_REPL"] == access_table.load()["ENTER_BOOTSEL"] == "engineer"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('none = ["HELLO"]\n', "a list of requests for each of none, operator"),
        (
            'none = ["HELLO"]\noperator = ["HELLO"]\ntechnician = []\nengineer = []\n',
            "HELLO needs both none and operator",
        ),
    ],
)  # fmt: skip
def test_a_faulty_table_is_one_line(tmp_path: Any, text: str, problem: str) -> None:
    (tmp_path / "access.toml").write_text(text)
    with pytest.raises(UsageError, match=problem) as told:
        access_table.load(tmp_path)
    assert "\n" not in str(told.value)


def test_a_request_that_does_not_exist_is_named() -> None:
    with pytest.raises(UsageError, match="no request OPEN_DOOR"):
        roles_module({"OPEN_DOOR": "none"}, "HELLO = 1\n")


# ---------------------------------------------------------------------- keys
def test_the_keys_of_roles_pens_and_challenges_are_all_different() -> None:
    made = [role_key(Key(pen), role) for pen in REAL[:2] for role in Role if role]
    assert len({key.reveal() for key in made} | set(REAL)) == 6 + 3
    nonces = [bytes([k]) * 16 for k in range(4)]
    answers = {
        answer(key, pen, role, nonce) for key in made for pen in ("00" * 8, "01" * 8) for role in Role if role
        for nonce in nonces
    }  # fmt: skip
    assert len(answers) == 6 * 2 * 3 * 4


def test_a_comparison_looks_at_every_byte() -> None:
    """The loop has no way out: what it costs on the pen is measured in hil_tests/emulator/test_constant_time.py."""
    seen: list[int] = []

    class Watched(bytes):
        def __iter__(self) -> Any:
            for at in range(len(self)):
                seen.append(at)
                yield self[at]

    for at in (0, 15, 31):
        seen.clear()
        tag = bytearray(32)
        tag[at] = 1
        assert not auth.same(Watched(bytes(32)), bytes(tag)) and seen == list(range(32))
    assert auth.same(bytes(32), bytes(32)) and not auth.same(bytes(31), bytes(32))


def test_the_published_keys_are_known_by_what_they_are() -> None:
    made = making.development_keys(UNIQUE_ID)
    assert made.development and not keys.Keys(*REAL).development
    assert keys.unpack(made.pack(), True)[0] == keys.unpack(keys.Keys(*REAL).pack(), False)[0] == numbers.OK
    assert (
        keys.unpack(made.pack(), False)
        == keys.unpack(keys.Keys(*REAL).pack(), True)
        == (numbers.OTHER_BUILD, None)
    )
    for at in range(3):
        lacking = [bytes(32) if at == k else key for k, key in enumerate(REAL)]
        assert keys.unpack(b"".join(lacking), False)[0] == numbers.OUT_OF_RANGE


# ---------------------------------------------------------------------- cuts
def _keys_after(flash: Any) -> Any:
    found = _production(flash).keys
    return None if found is None else (found.pen, found.cartridge, found.release)


@pytest.mark.parametrize("done", FRACTIONS)
def test_a_cut_in_any_write_of_the_keys_leaves_none_of_them_or_all(done: float) -> None:
    """And a pen that has none takes them when they are given again."""
    flash = RecordedFlash()
    pen = _production(flash)
    flash.record()
    assert records.take_keys(pen, *REAL) is None
    seen = []
    for _, torn in flash.cuts(done):
        seen.append(_keys_after(torn))
        again = _production(torn)
        if again.keys is None:
            assert records.take_keys(again, *REAL) is None, again._pairs[numbers.KIND_KEYS].reasons
        else:
            assert records.take_keys(again, *REAL) == "the pen holds keys: they are given once"
        assert _keys_after(torn) == REAL
    assert set(seen) <= {None, REAL} and len(seen) > 2


@pytest.mark.parametrize("done", FRACTIONS)
@pytest.mark.parametrize("before", range(ATTEMPTS))
def test_a_cut_while_an_answer_is_counted_never_lowers_the_count(before: int, done: float) -> None:
    """The answer is judged only after its count was read back: whatever the cut leaves, no attempt was gained."""
    flash = RecordedFlash()
    pen = store(flash)
    assert records.read_attempts(pen) == 0
    for count in range(1, before + 1):
        assert records.keep_attempts(pen, count) is None
    flash.record()
    assert records.keep_attempts(pen, before + 1) is None
    cuts = [records.read_attempts(store(torn)) for _, torn in flash.cuts(done)]
    assert set(cuts) <= {before, before + 1} and cuts
    assert records.read_attempts(store(flash)) == before + 1


@pytest.mark.parametrize("done", FRACTIONS)
def test_a_cut_while_the_count_is_cleared_leaves_it_or_clears_it(done: float) -> None:
    flash = RecordedFlash()
    pen = store(flash)
    records.read_attempts(pen)
    records.keep_attempts(pen, 3)
    flash.record()
    records.keep_attempts(pen, 0)
    assert {records.read_attempts(store(torn)) for _, torn in flash.cuts(done)} <= {0, 3}


@pytest.mark.parametrize("content", [b"", b"\x06", b"\x01\x02", b"\xff"], ids=["empty", "6", "long", "255"])
def test_a_count_that_cannot_be_read_is_the_most_and_is_told(content: bytes) -> None:
    flash = RecordedFlash()
    pack = firmware_module("pen.store.envelope").pack
    record = pack(numbers.KIND_ACCESS, numbers.ACCESS_FORMAT, 3, UNIQUE_ID, content)
    for copy in "ab":
        files(flash).write(f"/data/access.{copy}", record)
    pen = store(flash)
    assert records.read_attempts(pen) == ATTEMPTS
    assert records.keep_attempts(pen, 0) is None and records.read_attempts(store(flash)) == 0


def test_an_attempt_that_cannot_be_stored_is_not_judged() -> None:
    pen = store(RecordedFlash())
    records.read_attempts(pen)
    pen._files.may_write = False
    assert records.keep_attempts(pen, 1) == "the motor may turn: nothing is written"


def test_newer_firmwares_keys_are_left_alone() -> None:
    flash = RecordedFlash()
    pack = firmware_module("pen.store.envelope").pack
    files(flash).write(
        "/data/keys.a", pack(numbers.KIND_KEYS, numbers.KEYS_FORMAT + 1, 1, UNIQUE_ID, b"of the future")
    )
    assert records.take_keys(_production(flash), *REAL) == "the pen holds keys: they are given once"
