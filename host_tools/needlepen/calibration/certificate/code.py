"""The verification code of a certificate, and the key that it is made with.

HMAC-SHA256 with the key of the pen's technicians over the JSON of the whole calibration (see `lasting`); its first 80
bits in base32. Who does not have that key cannot make a code for other numbers; a code that was guessed fits with a
chance of 1e-24.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass

from needlepen.access.keys import Role
from needlepen.access.keystore import KeyStore, open_store
from needlepen.calibration.database.content import lasting
from needlepen.calibration.model import Calibration
from needlepen.errors import Refused
from needlepen.records import making

_DOMAIN = b"needlepen certificate 1\n"
_CHARACTERS, _GROUP = 16, 4
DEVELOPMENT_NOTE = (
    "Made with the published key of a development pen: anybody can make such a code, it protects nothing."
)
NO_KEY_NOTE = "None: the computer that printed this keeps no technicians' key of the pen."


@dataclass(frozen=True)
class CodeKey:
    """A technicians' key. `published`: the one of a development pen, which everybody has."""

    secret: bytes
    published: bool


@dataclass(frozen=True)
class Code:
    """A code, empty without a key, and what is to be said about it."""

    text: str
    note: str


def code(made: Calibration, key: bytes) -> str:
    """The verification code, e.g. "K7QF-2M5X-PA4D-ZQ3B". `key`: of the pen's technicians, 32 bytes."""
    mac = hmac.digest(key, _DOMAIN + lasting(made).encode(), hashlib.sha256)
    text = base64.b32encode(mac)[:_CHARACTERS].decode()
    return "-".join(text[at : at + _GROUP] for at in range(0, _CHARACTERS, _GROUP))


def same(left: str, right: str) -> bool:
    """Whether two codes are the same, as people type them."""
    return hmac.compare_digest(_plain(left), _plain(right))


def _plain(text: str) -> bytes:
    letters = (
        text.upper().replace("0", "O").replace("1", "I").replace("8", "B")
    )  # base32 has none of these digits
    return "".join(letter for letter in letters if letter.isalnum()).encode()


def printed(made: Calibration, key: CodeKey | None) -> Code:
    """What the certificate says."""
    return _noted(made, code(made, key.secret) if key else "", key)


def expected(made: Calibration, given: str, key: CodeKey | None) -> Code:
    """What a paper with the code `given` has to say: where it was printed, or here, the key may have been missing."""
    return printed(made, key) if given and key else _noted(made, given, key)


def _noted(made: Calibration, text: str, key: CodeKey | None) -> Code:
    if not text:
        return Code("", NO_KEY_NOTE)
    command = f"needlepen certificate verify {made.number} {text}"
    return Code(
        text,
        DEVELOPMENT_NOTE if key and key.published else f"To be checked against database and pen: {command}",
    )


def find_key(made: Calibration, store: KeyStore | None = None) -> CodeKey | None:
    """The technicians' key of the pen: that by which its record is authentic. None if this computer does not keep it.

    A calibration that wrote no record says nothing about its key: the one that this computer keeps is taken then, and
    for a pen without one the published one.
    """
    try:
        unique_id = bytes.fromhex(made.pen.unique_id)
    except ValueError:
        return None  # a database that somebody changed: no pen has such an ID
    published = CodeKey(making.technician_key(making.development_keys(unique_id).pen), True)
    candidates = [*_kept(made.pen.unique_id, store or open_store()), published]
    if not made.record_hex:
        return candidates[0]
    return next((key for key in candidates if _is_authentic(made, key, unique_id)), None)


def _kept(unique_id: str, store: KeyStore) -> list[CodeKey]:
    try:
        held, key = store.key_for(unique_id, Role.TECHNICIAN)
    except Refused:
        return []
    return [CodeKey(key.reveal(), False)] if held is Role.TECHNICIAN else []


def _is_authentic(made: Calibration, key: CodeKey, unique_id: bytes) -> bool:
    try:
        making.read_calibration(bytes.fromhex(made.record_hex), key.secret, unique_id)
    except (Refused, ValueError):
        return False
    return True
