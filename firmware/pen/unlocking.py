"""How a host gets a role (SR-25), a pen its keys, and an engineer the REPL. Imported when somebody asks for it.

    GET_CHALLENGE role     ->  CHALLENGE role, nonce, wait_s
    UNLOCK role, answer    ->  RESULT; the answer is an HMAC-SHA256 under the key of the role, see `answer`

A nonce is good for one answer and 30 s. Each answer is counted in flash before it is looked at, so that pulling the
plug gains no attempt; a right one clears the count. The host works out its answer with the functions of this file.
"""

import hashlib
import os
import struct
import time

from micropython import const

from pen import access_records as records
from pen.events import ACCESS_DENIED, ACCESS_GRANTED, ACCESS_LOCKED, REPL_OPENED
from pen.limits import SR25_ATTEMPTS, SR25_LOCK_S
from pen.link.kinds import (
    CHALLENGE,
    GET_CHALLENGE,
    LOCK,
    OPEN_REPL,
    PROTOCOL_VERSION,
    PROVISION,
    UNLOCK,
)
from pen.link.messages import pack
from pen.roles import ROLES
from pen.states import ARMED, IDLE, LOCKED_OUT, SAFE, SERVICE
from pen.store.auth import hmac_sha256, role_key, same

NONCE_BYTES = const(16)
_LABEL = b"needlepen unlock"
_NONCE_MS = const(30_000)
_LEAVE_MS = const(50)
_LOCK_MS = const(
    1_000 * SR25_LOCK_S + 1_000
)  # from the answer that the host hears, which flash may delay, no shorter


def answer(key, unique_id, role, nonce):
    """The right answer to a challenge, 32 bytes. `key`: that of the role."""
    return hmac_sha256(key, _LABEL + bytes((PROTOCOL_VERSION,)) + unique_id + bytes((role,)) + nonce)


def _nonce(store):
    """Random; number of the boot and time keep it from coming again even if the ring oscillator stood still."""
    about = struct.pack("<II", store.counters.boots, time.ticks_us())
    return hashlib.sha256(os.urandom(2 * NONCE_BYTES) + about).digest()[:NONCE_BYTES]


def _refusal(access, store, role):
    """Why nobody can get this role now, besides the lock; None if somebody can. Reads the record at first."""
    if not 0 < role < len(ROLES):
        return "there is no role %d" % role
    if store.keys is None:
        return "the pen holds no keys that this build takes"
    if access.attempts is None:
        access.attempts = records.read_attempts(store)
    return records.write_refusal(store)


def _wait_s(access):
    """How long nobody can unlock, in whole seconds, rounded up; 0 if not locked. What has passed is forgotten."""
    if access.attempts < SR25_ATTEMPTS:
        return 0
    left_ms = _LOCK_MS - time.ticks_diff(time.ticks_ms(), access.locked_ms)
    if 0 < left_ms <= _LOCK_MS:
        return (left_ms + 999) // 1000
    access.attempts = 0
    return 0


def challenge(app, sequence, fields):
    """A nonce, and none while the pen is locked: then the seconds to wait."""
    access, role = app.host.access, fields["role"]
    access.asked = None
    refused = _refusal(access, app.store, role)
    if refused:
        app.host._result(sequence, refused)
        return
    wait_s, nonce = _wait_s(access), bytes(NONCE_BYTES)
    if not wait_s:
        nonce = _nonce(app.store)
        access.asked = role, nonce, time.ticks_ms()
    app.host._port.answer(CHALLENGE, pack(CHALLENGE, role, nonce, wait_s))


def unlock(app, sequence, fields):
    """Judge the answer to the last challenge: if it is right the host holds the role."""
    access, store = app.host.access, app.store
    asked, access.asked = access.asked, None
    refused = _refusal(access, store, fields["role"])
    if not refused:
        wait_s = _wait_s(access)
        if wait_s:
            refused = "locked for another %d s" % wait_s
        elif asked is None or time.ticks_diff(time.ticks_ms(), asked[2]) > _NONCE_MS:
            refused = "ask for a new challenge first"
        elif asked[0] != fields["role"]:
            refused = "the challenge was for another role"
        else:
            refused = _judge(access, store, asked[0], asked[1], fields["answer"])
    app.host._result(sequence, refused)


def _judge(access, store, role, nonce, given):
    """None if the answer is right. It is counted in flash as a wrong one before it is looked at."""
    from machine import unique_id  # not at the top: a host uses this file too

    refused = records.keep_attempts(store, access.attempts + 1)
    if refused:
        return refused
    access.attempts += 1
    if same(answer(role_key(store.keys.pen, role), unique_id(), role, nonce), given):
        access.role = role
        store.log.add(ACCESS_GRANTED, role)
        if not records.keep_attempts(store, 0):
            access.attempts = 0
        return None
    access.drop(False)
    store.log.add(ACCESS_DENIED, role, access.attempts)
    if access.attempts < SR25_ATTEMPTS:
        return "wrong answer, attempts left: %d" % (SR25_ATTEMPTS - access.attempts)
    access.locked_ms = time.ticks_ms()
    store.log.add(ACCESS_LOCKED, SR25_LOCK_S)
    return "wrong answer: locked for %d s" % SR25_LOCK_S


def lock(app, sequence, _fields):
    """The host gives its role up."""
    app.host.access.drop(False)
    app.host._result(sequence, None)


def provision(app, sequence, fields):
    """Give the pen its keys, once."""
    refused = "not in this state"
    if app.supervisor.state in (IDLE, ARMED, SERVICE):
        refused = records.take_keys(app.store, fields["pen"], fields["cartridge"], fields["release"])
        app.cartridge.keys = app.store.keys
    app.host._result(sequence, refused)


def open_repl(app, sequence, _fields):
    """Have the pen leave its program; the record of it is stored first."""
    refused = "not in this state"
    if app.supervisor.state in (IDLE, ARMED, SAFE, LOCKED_OUT, SERVICE):
        refused = records.write_refusal(app.store)
    if not refused:
        app.store.log.add(REPL_OPENED)
        refused = app.store.flush()
    app.host._result(sequence, refused)
    if not refused:
        time.sleep_ms(_LEAVE_MS)  # the answer has to leave first
        raise KeyboardInterrupt("an engineer asked for it")


ANSWERS = {
    GET_CHALLENGE: challenge,
    UNLOCK: unlock,
    LOCK: lock,
    PROVISION: provision,
    OPEN_REPL: open_repl,
}
