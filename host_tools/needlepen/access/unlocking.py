"""Getting a role on a pen: the answer to its challenge, by a key that this computer keeps."""

from __future__ import annotations

from typing import Any, Protocol

from needlepen.access.keys import Key, Role
from needlepen.access.keystore import KeyStore, open_store
from needlepen.errors import Refused
from needlepen.firmware_modules import firmware_module
from needlepen.link.client import Reply, kinds, messages


class Asked(Protocol):
    """What a pen has to offer: `needlepen.Pen`, or an emulated one in the same process."""

    def request(self, kind: int, *values: Any) -> Reply:
        """Send a request and return the answer, which may be a refusal."""
        ...


def answer(key: Key, unique_id: str, role: Role, nonce: bytes) -> bytes:
    """The answer to a challenge, by the key of the role; worked out with the firmware's own code."""
    made: bytes = firmware_module("pen.unlocking").answer(
        key.reveal(), bytes.fromhex(unique_id), int(role), nonce
    )
    return made


def identify(pen: Asked) -> tuple[str, bool]:
    """(unique ID, whether it is a development build). A pen that does not know itself yet is asked."""
    identity = getattr(pen, "identity", None)
    if identity is not None:
        return str(identity.unique_id), bool(identity.development)
    fields = pen.request(messages.HELLO, kinds.PROTOCOL_VERSION).fields
    return bytes(fields["unique_id"]).hex(), bool(fields["development"])


def unlock(pen: Asked, role: Role | str, store: KeyStore | None = None) -> Role:
    """Get a role on the pen; returns the one that is held then, which may be a higher one.

    A development build gives every role to whoever says hello; nothing is asked then. Raises Refused, with the reason
    and what to do, if this computer keeps no key for it, or the pen does not take the answer.
    """
    wanted = Role.named(role) if isinstance(role, str) else role
    unique_id, development = identify(pen)
    if development:
        return Role.ENGINEER
    held, key = (store or open_store()).key_for(unique_id, wanted)
    prove(pen, unique_id, held, key)
    return held


def prove(pen: Asked, unique_id: str, role: Role, key: Key) -> None:
    """Answer the pen's challenge for a role. Raises Refused with the pen's reason."""
    asked = pen.request(messages.GET_CHALLENGE, int(role))
    if asked.refused:
        raise Refused(f"pen {unique_id} gives no challenge for the role {role.name.lower()}: {asked.refused}")
    wait_s = asked.fields["wait_s"]
    if wait_s:
        raise Refused(
            f"pen {unique_id} is locked after too many wrong answers, for another {wait_s} s; then try again"
        )
    told = pen.request(
        messages.UNLOCK, int(role), answer(key, unique_id, role, bytes(asked.fields["nonce"]))
    ).refused
    if told:
        raise Refused(
            f"pen {unique_id} did not unlock the role {role.name.lower()}: {told}; if the key on this computer is not "
            "the pen's, import the right one with 'needlepen keys import'"
        )
