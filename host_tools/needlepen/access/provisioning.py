"""Giving a pen its keys, once. They are kept on this computer before the pen gets them: no pen is ever lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from needlepen.access.keys import Key, PenKeys, Role, role_key
from needlepen.access.keystore import CARTRIDGE, RELEASE, KeyStore, pen_entry
from needlepen.access.unlocking import Asked, identify, prove
from needlepen.errors import Refused
from needlepen.link.client import messages
from needlepen.records.making import public_key

_NOT_NOW = ("not in this state", "the motor may turn: not now")  # as while it boots, which takes 2.5 s
_PATIENCE_S = 10


@dataclass(frozen=True)
class Provisioned:
    """What came of it. `fresh`: the pen took the keys now; else it had them from an earlier time.

    `proven`: the pen answered to its key. A development build does not use such keys and cannot prove them.
    """

    unique_id: str
    fresh: bool
    proven: bool
    where: str


def provision(pen: Asked, store: KeyStore, sleep: Callable[[float], None] = time.sleep) -> Provisioned:
    """Give the pen the keys that this computer keeps for it, made now if there are none.

    Can be run again after an interruption at any moment. `sleep` lets so many seconds pass. Raises Refused if the pen
    holds keys that this computer does not keep, or cannot take keys; then nothing is kept here that was not before.
    """
    unique_id, development = identify(pen)
    known = store.get(pen_entry(unique_id)) is not None
    keys = PenKeys(
        store.get_or_make(pen_entry(unique_id)),
        store.get_or_make(CARTRIDGE),
        public_key(store.get_or_make(RELEASE).reveal()),
    )
    told = _give(pen, keys)
    for _ in range(_PATIENCE_S):
        if told not in _NOT_NOW:
            break
        sleep(1.0)
        told = _give(pen, keys)
    if told and not known:
        store.forget(pen_entry(unique_id))
        raise Refused(
            f"pen {unique_id} takes no keys: {told}; if another computer provisioned it, export a key there and "
            "import it here"
        )
    proven = not development
    if proven:
        _prove(pen, unique_id, keys.pen, told)
    elif told:
        raise Refused(
            f"pen {unique_id} takes no keys: {told}; install a production build to use those it has"
        )
    return Provisioned(unique_id, told is None, proven, store.where)


def _give(pen: Asked, keys: PenKeys) -> str | None:
    return pen.request(messages.PROVISION, keys.pen.reveal(), keys.cartridge.reveal(), keys.release).refused


def _prove(pen: Asked, unique_id: str, key: Key, told: str | None) -> None:
    """The pen has to answer to its key; `told`: why it took none now, which is right if it has them already."""
    try:
        prove(pen, unique_id, Role.ENGINEER, role_key(key, Role.ENGINEER))
    except Refused as error:
        before = f"it took no keys now ({told}), and " if told else ""
        raise Refused(f"{before}{error}") from None
    pen.request(messages.LOCK)
