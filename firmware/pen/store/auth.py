"""Authentication codes: HMAC-SHA256 (RFC 2104), which MicroPython's hashlib leaves to us; keys that follow from one."""

import hashlib

from pen.roles import ROLES

KEY_BYTES = 32
TAG_BYTES = 32
_BLOCK_BYTES = 64


def hmac_sha256(key, message):
    """The 32 byte tag of a message under a key of any length."""
    if len(key) > _BLOCK_BYTES:
        key = hashlib.sha256(key).digest()
    key = key + bytes(_BLOCK_BYTES - len(key))
    inner = hashlib.sha256(bytes([b ^ 0x36 for b in key]))
    inner.update(message)
    outer = hashlib.sha256(bytes([b ^ 0x5C for b in key]))
    outer.update(inner.digest())
    return outer.digest()


def role_key(pen_key, role):
    """The key of a role (1 to 3): who has it cannot tell the keys of the others, nor the pen's."""
    return hmac_sha256(pen_key, b"role:" + ROLES[role].encode())


def same(a, b):
    """Whether two tags are equal, in a time that does not say where they differ."""
    if len(a) != len(b):
        return False
    difference = 0
    for x, y in zip(a, b):
        difference |= x ^ y
    return difference == 0
