"""Keys that never show themselves, and the roles that they open."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from enum import IntEnum

from needlepen.errors import UsageError
from needlepen.firmware_modules import firmware_module

KEY_BYTES = 32


class Role(IntEnum):
    """Who may do what: each may do what those before it may; firmware/access.toml says what that is."""

    NONE = 0
    OPERATOR = 1
    TECHNICIAN = 2
    ENGINEER = 3

    @classmethod
    def named(cls, name: str) -> Role:
        """The role of that name. Raises UsageError for another, or for "none", which nobody has to unlock."""
        if name.upper() not in cls.__members__ or name == "none":
            raise UsageError(f"{name!r} is no role: choose operator, technician or engineer")
        return cls[name.upper()]


class Key:
    """32 secret bytes. Shown it is a fingerprint; only `reveal` gives the bytes, to what sends or stores them."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_BYTES or not any(secret):
            raise UsageError("not a key: a key is 32 bytes, not all of them zero")
        self._secret = bytes(secret)

    @classmethod
    def new(cls) -> Key:
        """A random one, from the operating system."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @classmethod
    def parse(cls, text: str) -> Key:
        """From 64 hexadecimal digits. Raises UsageError that does not show them."""
        try:
            return cls(bytes.fromhex(text.strip()))
        except ValueError:
            raise UsageError("not a key: a key is 64 hexadecimal digits") from None

    def reveal(self) -> bytes:
        """The bytes."""
        return self._secret

    @property
    def fingerprint(self) -> str:
        """8 digits by which people tell keys apart; nothing about the key follows from them."""
        return hashlib.sha256(b"needlepen fingerprint" + self._secret).hexdigest()[:8]

    def __repr__(self) -> str:
        return f"<key {self.fingerprint}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and secrets.compare_digest(self._secret, other._secret)

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __reduce__(self) -> str:
        raise TypeError("a key is not pickled: it would leave its place unseen")


@dataclass(frozen=True)
class PenKeys:
    """What a pen is provisioned with. `release`: the public half, 32 bytes, of the key that signs firmware."""

    pen: Key
    cartridge: Key
    release: bytes


def role_key(pen: Key, role: Role) -> Key:
    """The key that opens one role of one pen: whoever has it cannot tell the pen's key or that of another role."""
    return Key(firmware_module("pen.store.auth").role_key(pen.reveal(), int(role)))
