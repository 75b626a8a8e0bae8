"""SR-25 on CPython: who holds a role and for how long, what an answer to a challenge is worth, when nobody can unlock.

The emulated pen shows the same over its port (requirements/test_access.py); here each rule stands at its limit.
"""

from __future__ import annotations

import hashlib
import struct
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from needlepen import requirements
from needlepen.firmware_modules import firmware_module

access = firmware_module("pen.access")
auth = firmware_module("pen.store.auth")
E = firmware_module("pen.events")
kinds = firmware_module("pen.link.kinds")
messages = firmware_module("pen.link.messages")
roles = firmware_module("pen.roles")
S = firmware_module("pen.states")
unlocking = firmware_module("pen.unlocking")

LIMIT = requirements.load().limit
ATTEMPTS, LOCK_MS = int(LIMIT("SR-25", "attempts")), 1000 * int(LIMIT("SR-25", "lock_s"))
OPERATOR, TECHNICIAN, ENGINEER = 1, 2, 3
LEASE_MS, NONCE_MS = 600_000, 30_000
SPARE_MS = 1_000
"""The lock lasts a second longer: the host heard of it a little after it began."""
PEN_ID, PEN_KEY = bytes(range(8)), bytes(range(32))
STATES = [S.BOOT, S.SELF_TEST, S.LOCKED_OUT, S.IDLE, S.ARMED, S.RUNNING, S.STOPPING, S.SAFE, S.SERVICE]


class Clock:
    """time of MicroPython; it only passes when told to."""

    def __init__(self) -> None:
        self.ms = 5_000
        self.us = 7
        self.slept: list[int] = []

    def ticks_ms(self) -> int:
        return self.ms

    def ticks_us(self) -> int:
        return self.us

    def sleep_ms(self, ms: int) -> None:
        self.slept.append(ms)

    @staticmethod
    def ticks_diff(later: int, earlier: int) -> int:
        return later - earlier


class Records:
    """pen.access_records in RAM. `counted`: every number of wrong answers that was stored."""

    def __init__(self) -> None:
        self.stored, self.reads = 0, 0
        self.counted: list[int] = []
        self.refusal: str | None = None
        self.fails_from: int | None = None  # keeping this one, and each later one, is refused
        self.taken: list[tuple[bytes, ...]] = []

    def read_attempts(self, _store: Any) -> int:
        self.reads += 1
        return self.stored

    def write_refusal(self, _store: Any) -> str | None:
        return self.refusal

    def keep_attempts(self, _store: Any, attempts: int) -> str | None:
        if self.fails_from is not None and len(self.counted) >= self.fails_from:
            return "could not be written"
        self.counted.append(attempts)
        return None

    def take_keys(self, store: Any, *keys: bytes) -> str | None:
        self.taken.append(keys)
        store.keys = "the new keys"
        return "the answer of the store"


class Pen:
    """What the requests of pen.unlocking use of the App. `results`: every RESULT, `sent`: every other answer."""

    def __init__(self, clock: Clock, records: Records) -> None:
        self.clock, self.records = clock, records
        self.results: list[tuple[int, str | None]] = []
        self.sent: list[tuple[int, bytes]] = []
        self.events: list[tuple[int, ...]] = []
        self.flushed = 0
        self.flush_refusal: str | None = None
        self.store = SimpleNamespace(
            keys=SimpleNamespace(pen=PEN_KEY),
            counters=SimpleNamespace(boots=3),
            log=SimpleNamespace(add=lambda *event: self.events.append(event)),
            flush=self._flush,
        )
        self.access = access.Access(False)
        self.host = SimpleNamespace(
            access=self.access,
            _result=lambda *result: self.results.append(result),
            _port=SimpleNamespace(answer=lambda *answer: self.sent.append(answer)),
        )
        self.supervisor = SimpleNamespace(state=S.IDLE)
        self.cartridge = SimpleNamespace(keys="the old keys")
        self.access.drop(True)

    def _flush(self) -> str | None:
        self.flushed += 1
        return self.flush_refusal

    def ask(self, role: int) -> tuple[int, bytes, int]:
        """GET_CHALLENGE: the role, the nonce and the time to wait that it sends."""
        unlocking.challenge(self, 9, {"role": role})
        kind, body = self.sent.pop()
        assert kind == kinds.CHALLENGE
        values: tuple[int, bytes, int] = struct.unpack("<B16sB", body)
        return values

    def refused(self, role: int) -> str | None:
        """GET_CHALLENGE that is answered by a RESULT."""
        unlocking.challenge(self, 9, {"role": role})
        assert not self.sent
        return self._result()

    def give(self, role: int, answer: bytes) -> str | None:
        """UNLOCK."""
        unlocking.unlock(self, 9, {"role": role, "answer": answer})
        return self._result()

    def right(self, role: int) -> bytes:
        """The right answer to a new challenge."""
        key = auth.role_key(PEN_KEY, role)
        answer: bytes = unlocking.answer(key, PEN_ID, role, self.ask(role)[1])
        return answer

    def wrong(self, role: int = ENGINEER) -> str | None:
        """A wrong answer to a new challenge."""
        answer = bytearray(self.right(role))
        answer[-1] ^= 1
        return self.give(role, bytes(answer))

    def _result(self) -> str | None:
        ((sequence, refusal),) = self.results
        assert sequence == 9
        self.results.clear()
        return refusal


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(access, "time", made)
    monkeypatch.setattr(unlocking, "time", made)
    return made


@pytest.fixture
def pen(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Pen:
    """A production pen with keys, that a host has just greeted."""
    records = Records()
    monkeypatch.setattr(unlocking, "records", records)
    monkeypatch.setitem(sys.modules, "machine", SimpleNamespace(unique_id=lambda: PEN_ID))  # type: ignore[arg-type]
    return Pen(clock, records)


# ---------------------------------------------------------------------- holding a role
def test_a_host_that_says_hello_holds_nothing_of_a_production_pen_and_all_of_a_development_build(
    clock: Clock,
) -> None:
    for development, role in ((False, 0), (True, ENGINEER)):
        held = access.Access(development)
        assert held.role == 0 and held.asked is None and held.attempts is None
        assert held.locked_ms == clock.ms, "a lock begins anew at each reset"
        held.drop(True)
        assert held.role == role
        held.role, held.asked = ENGINEER, (1, b"", 0)
        held.drop(False)
        assert held.role == 0 and held.asked is None


@pytest.mark.parametrize("role", range(4))
def test_each_request_needs_the_role_of_the_table_or_a_higher_one(clock: Clock, role: int) -> None:
    held = access.Access(False)
    held.role = role
    for kind, needed in enumerate(roles.NEEDED):
        wanted = "unknown request" if needed == 255 else f"needs the role {roles.ROLES[needed]}"
        assert held.may(kind, 0) == (None if needed <= role else wanted)
    for kind in (len(roles.NEEDED), 255):
        assert held.may(kind, 0) == "unknown request"


def test_a_role_is_dropped_ten_minutes_after_the_last_request(clock: Clock) -> None:
    held = access.Access(True)
    held.drop(True)
    held.may(kinds.HELLO, 1_000)
    held.watch(1_000 + LEASE_MS - 1, 1)
    assert held.role == ENGINEER
    held.watch(1_000 + LEASE_MS, 2)
    assert held.role == 0


def test_a_role_is_dropped_300_ms_after_the_computer_has_gone(clock: Clock) -> None:
    """Its frames stand still."""
    held = access.Access(True)
    held.drop(True)
    held.watch(299, 0)
    assert held.role == ENGINEER
    held.watch(300, 0)
    assert held.role == 0, "no frame has come since the start"
    held.drop(True)
    held.watch(2_000, 7)
    held.watch(2_299, 7)
    assert held.role == ENGINEER
    held.watch(2_300, 8)
    held.watch(2_599, 8)
    assert held.role == ENGINEER
    held.watch(2_600, 8)
    assert held.role == 0


def test_without_a_request_the_lease_counts_from_the_start(clock: Clock) -> None:
    held = access.Access(True)
    held.drop(True)
    held.watch(LEASE_MS - 1, 5)
    assert held.role == ENGINEER
    held.watch(LEASE_MS, 6)
    assert held.role == 0


# ---------------------------------------------------------------------- a challenge
def test_the_answer_is_bound_to_label_protocol_pen_role_and_nonce() -> None:
    nonce = bytes(range(100, 116))
    text = b"needlepen unlock" + bytes((kinds.PROTOCOL_VERSION,)) + PEN_ID + b"\x02" + nonce
    assert unlocking.answer(PEN_KEY, PEN_ID, 2, nonce) == auth.hmac_sha256(PEN_KEY, text)


def test_a_nonce_is_made_of_32_random_bytes_the_boot_and_the_time(
    pen: Pen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unlocking, "os", SimpleNamespace(urandom=bytes))
    seen = set()
    for boots, us in ((3, 7), (4, 7), (3, 8)):
        pen.store.counters.boots, pen.clock.us = boots, us
        role, nonce, wait_s = pen.ask(OPERATOR)
        made = hashlib.sha256(bytes(32) + struct.pack("<II", boots, us)).digest()
        assert (role, nonce, wait_s) == (OPERATOR, made[:16], 0)
        seen.add(nonce)
    assert len(seen) == 3, "also if the random bytes come again"


@pytest.mark.parametrize("role", [OPERATOR, TECHNICIAN, ENGINEER])
def test_the_right_answer_gives_the_role_and_clears_the_count(pen: Pen, role: int) -> None:
    pen.records.stored = 2
    assert pen.give(role, pen.right(role)) is None
    assert pen.access.role == role and pen.access.asked is None
    assert pen.records.counted == [3, 0] and pen.access.attempts == 0, "counted before it was looked at"
    assert pen.events == [(E.ACCESS_GRANTED, role)]


def test_a_count_that_cannot_be_cleared_stands_and_the_role_is_given(pen: Pen) -> None:
    pen.records.fails_from = 1
    assert pen.give(OPERATOR, pen.right(OPERATOR)) is None
    assert pen.access.role == OPERATOR and pen.access.attempts == 1


def test_an_answer_that_cannot_be_counted_is_not_looked_at(pen: Pen) -> None:
    pen.records.fails_from = 0
    assert pen.give(OPERATOR, pen.right(OPERATOR)) == "could not be written"
    assert pen.access.role == 0 and pen.access.attempts == 0 and not pen.events


@pytest.mark.parametrize("role", [0, 4, 255])
def test_there_are_three_roles(pen: Pen, role: int) -> None:
    assert pen.refused(role) == f"there is no role {role}"
    assert pen.give(role, bytes(32)) == f"there is no role {role}"
    assert pen.records.reads == 0 and not pen.records.counted


def test_a_pen_without_keys_and_one_that_may_not_write_say_so(pen: Pen) -> None:
    pen.records.refusal = "not now"
    assert pen.refused(OPERATOR) == pen.give(OPERATOR, bytes(32)) == "not now"
    pen.store.keys = None
    assert (
        pen.refused(OPERATOR)
        == pen.give(OPERATOR, bytes(32))
        == "the pen holds no keys that this build takes"
    )
    assert not pen.records.counted


def test_the_record_of_wrong_answers_is_read_once(pen: Pen) -> None:
    pen.ask(OPERATOR)
    pen.ask(OPERATOR)
    assert pen.records.reads == 1 and pen.access.attempts == 0


def test_a_challenge_that_is_refused_voids_the_one_before(pen: Pen) -> None:
    right = pen.right(OPERATOR)
    pen.refused(0)
    assert pen.give(OPERATOR, right) == "ask for a new challenge first"


# ---------------------------------------------------------------------- an answer
def test_an_answer_needs_a_challenge_for_its_role_not_older_than_30_s(pen: Pen) -> None:
    assert pen.give(OPERATOR, bytes(32)) == "ask for a new challenge first"
    right = pen.right(OPERATOR)
    assert pen.give(TECHNICIAN, right) == "the challenge was for another role"
    assert pen.give(OPERATOR, right) == "ask for a new challenge first", "one answer a challenge"
    right = pen.right(OPERATOR)
    pen.clock.ms += NONCE_MS + 1
    assert pen.give(OPERATOR, right) == "ask for a new challenge first"
    assert pen.access.role == 0 and not pen.records.counted
    right = pen.right(OPERATOR)
    pen.clock.ms += NONCE_MS
    assert pen.give(OPERATOR, right) is None and pen.access.role == OPERATOR


def test_wrong_answers_drop_the_role_say_how_many_are_left_and_lock_at_the_last(pen: Pen) -> None:
    pen.give(OPERATOR, pen.right(OPERATOR))
    pen.events.clear()
    pen.records.counted.clear()
    for count in range(1, ATTEMPTS):
        assert pen.wrong() == f"wrong answer, attempts left: {ATTEMPTS - count}"
        assert pen.access.role == 0 and pen.access.attempts == count
        assert pen.events.pop() == (E.ACCESS_DENIED, ENGINEER, count) and not pen.events
    right = pen.right(OPERATOR)
    pen.clock.ms += 11
    assert pen.wrong() == f"wrong answer: locked for {LOCK_MS // 1000} s"
    assert pen.events == [(E.ACCESS_DENIED, ENGINEER, ATTEMPTS), (E.ACCESS_LOCKED, LOCK_MS // 1000)]
    assert pen.records.counted == list(range(1, ATTEMPTS + 1)) and pen.access.locked_ms == pen.clock.ms
    assert pen.give(OPERATOR, right) == f"locked for another {(LOCK_MS + SPARE_MS) // 1000} s"


def test_a_locked_pen_gives_no_nonce_and_tells_the_whole_seconds_to_wait(pen: Pen) -> None:
    pen.records.stored = ATTEMPTS
    locked_ms = pen.access.locked_ms
    whole_ms = LOCK_MS + SPARE_MS
    for passed_ms, wait_s in (
        (0, 61),
        (1, 61),
        (999, 61),
        (1_000, 60),
        (whole_ms - 1_001, 2),
        (whole_ms - 1_000, 1),
    ):
        pen.clock.ms = locked_ms + passed_ms
        assert pen.ask(OPERATOR) == (OPERATOR, bytes(16), wait_s), passed_ms
        assert pen.access.asked is None
        assert pen.give(OPERATOR, bytes(32)) == f"locked for another {wait_s} s"
    pen.clock.ms = locked_ms + whole_ms - 1
    assert pen.ask(OPERATOR)[2] == 1
    pen.clock.ms = locked_ms + whole_ms
    assert pen.ask(OPERATOR)[2] == 0 and pen.access.attempts == 0, "what has passed is forgotten"
    assert pen.records.counted == [], "no answer was looked at"


def test_one_attempt_before_the_lock_the_pen_still_asks(pen: Pen) -> None:
    pen.records.stored = ATTEMPTS - 1
    assert pen.ask(OPERATOR)[2] == 0
    assert pen.access.attempts == ATTEMPTS - 1, "the count stands"


def test_a_lock_whose_time_went_round_is_over(pen: Pen) -> None:
    """The ticks wrap after 12 days: a time since the lock below 0 is a lock of long ago."""
    pen.records.stored = ATTEMPTS
    pen.clock.ms = pen.access.locked_ms - 1
    assert pen.ask(OPERATOR)[2] == 0 and pen.access.attempts == 0


# ---------------------------------------------------------------------- what else can be asked
def test_a_role_is_given_up(pen: Pen) -> None:
    pen.give(OPERATOR, pen.right(OPERATOR))
    unlocking.lock(pen, 9, {})
    assert pen.access.role == 0 and pen._result() is None


@pytest.mark.parametrize("state", STATES)
def test_keys_are_taken_while_nothing_runs(pen: Pen, state: int) -> None:
    pen.supervisor.state = state
    unlocking.provision(pen, 9, {"pen": b"p", "cartridge": b"c", "release": b"r"})
    if state in (S.IDLE, S.ARMED, S.SERVICE):
        assert pen._result() == "the answer of the store" and pen.records.taken == [(b"p", b"c", b"r")]
        assert pen.cartridge.keys == pen.store.keys == "the new keys"
    else:
        assert pen._result() == "not in this state" and not pen.records.taken
        assert pen.cartridge.keys == "the old keys"


def prompt_opens(pen: Pen) -> bool:
    """OPEN_REPL: whether the pen leaves its program."""
    try:
        unlocking.open_repl(pen, 9, {})
    except KeyboardInterrupt:
        return True
    return False


@pytest.mark.parametrize("state", STATES)
def test_the_prompt_opens_at_rest_when_its_record_is_stored_and_the_answer_has_left(
    pen: Pen, state: int
) -> None:
    pen.supervisor.state = state
    if state in (S.IDLE, S.ARMED, S.SAFE, S.LOCKED_OUT, S.SERVICE):
        assert prompt_opens(pen) and pen._result() is None and pen.clock.slept == [50]
        assert pen.events == [(E.REPL_OPENED,)] and pen.flushed == 1
    else:
        assert not prompt_opens(pen)
        assert pen._result() == "not in this state" and not pen.events and not pen.flushed


def test_without_a_stored_record_there_is_no_prompt(pen: Pen) -> None:
    pen.records.refusal = "not now"
    assert not prompt_opens(pen)
    assert pen._result() == "not now" and not pen.events
    pen.records.refusal, pen.flush_refusal = None, "could not be written"
    assert not prompt_opens(pen)
    assert (
        pen._result() == "could not be written" and pen.events == [(E.REPL_OPENED,)] and not pen.clock.slept
    )


def test_each_request_is_answered_by_its_function() -> None:
    assert {
        kinds.GET_CHALLENGE: unlocking.challenge,
        kinds.UNLOCK: unlocking.unlock,
        kinds.LOCK: unlocking.lock,
        kinds.PROVISION: unlocking.provision,
        kinds.OPEN_REPL: unlocking.open_repl,
    } == unlocking.ANSWERS
    assert messages.MESSAGES[kinds.CHALLENGE][1] == "<B16sB", "the nonce has 16 bytes"


def test_in_a_development_build_too_a_role_is_given_up_and_lost_by_a_wrong_answer(pen: Pen) -> None:
    pen.access._most = ENGINEER
    pen.access.drop(True)
    unlocking.lock(pen, 9, {})
    assert pen._result() is None and pen.access.role == 0
    pen.access.drop(True)
    pen.wrong()
    assert pen.access.role == 0
