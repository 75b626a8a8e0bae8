"""What the store keeps for access (SR-25): the number of wrong answers, and keys that are given once.

A part of pen.store that is in memory only while pen.unlocking is.
"""

import hashlib

from pen.events import KEYS_STORED, RECORD_REFUSED
from pen.limits import SR25_ATTEMPTS
from pen.store.auth import hmac_sha256
from pen.store.keys import Keys
from pen.store.numbers import (
    ACCESS_FORMAT,
    EMPTY,
    KIND_ACCESS,
    KIND_KEYS,
    MISSING,
    NOT_NOW,
    OK,
    OTHER_BUILD,
    OUT_OF_RANGE,
    UNKNOWN_FORMAT,
)
from pen.store.pair import Pair
from pen.store.reason_texts import text

DEVELOPMENT_SECRET = b"needlepen development key: published with the sources, protects nothing"


def development_pair(unique_id):
    """(pen, cartridge): the published keys of the pen with this ID."""
    secret = DEVELOPMENT_SECRET
    return hmac_sha256(secret, b"pen" + unique_id), hashlib.sha256(secret + b"cartridges").digest()


def write_refusal(store):
    """None if a record could be written now, else the reason."""
    return None if store._files.may_write else text(NOT_NOW)


def read_attempts(store):
    """The stored number of wrong answers. A record that cannot be read counts as the most."""
    pair = store._pairs[KIND_ACCESS] = Pair(store._files, KIND_ACCESS, ACCESS_FORMAT, store._unique_id)
    attempts = store._load(KIND_ACCESS, _unpack)
    for copy, reason in enumerate(pair.reasons):
        if reason not in (OK, MISSING):
            store.log.add(RECORD_REFUSED, KIND_ACCESS, copy, reason)
    if attempts is None:
        return 0 if pair.reason in (MISSING, EMPTY) else SR25_ATTEMPTS
    return attempts


def _unpack(payload):
    fits = len(payload) == 1 and payload[0] <= SR25_ATTEMPTS
    return (OK, payload[0]) if fits else (OUT_OF_RANGE, None)


def keep_attempts(store, attempts):
    """None if the number is stored and was read back, else why not."""
    return write_refusal(store) or text(store._save(KIND_ACCESS, bytes((attempts,)))) or None


def take_keys(store, pen, cartridge, release):
    """Keys for a pen that holds none, or only the published ones. None, or the refusal."""
    reason = store._pairs[KIND_KEYS].reason
    published = store.keys is not None if store._development else reason == OTHER_BUILD
    if not published and reason not in (MISSING, EMPTY, UNKNOWN_FORMAT):
        return "the pen holds keys: they are given once"
    if bytes(32) in (pen, cartridge, release):
        return "a key is missing"
    made = Keys(pen, cartridge, release)
    if made.development or pen == development_pair(store._unique_id)[0]:
        return "published keys protect nothing"
    refused = write_refusal(store) or text(store._save(KIND_KEYS, made.pack(), True))
    if refused:
        return refused
    store.read_keys()
    store._judge()
    store.log.add(KEYS_STORED)
    return None
