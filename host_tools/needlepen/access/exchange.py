"""A key in a file of its own, to carry it to another computer: of one role of a pen, or all of a pen."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from needlepen.access.keys import Key, Role, role_key
from needlepen.access.keystore import (
    KeyStore,
    pen_entry,
    refuse_what_others_read,
    role_entry,
    write_private,
)
from needlepen.errors import Refused, UsageError

_FORMAT = 1


@dataclass(frozen=True)
class Carried:
    """One exported key. `role` None: the pen's own key, from which those of its roles follow."""

    unique_id: str
    role: Role | None
    key: Key

    @property
    def entry(self) -> str:
        """Its name in a KeyStore."""
        return role_entry(self.unique_id, self.role) if self.role else pen_entry(self.unique_id)


def export(store: KeyStore, unique_id: str, role: Role | None, path: Path) -> Carried:
    """Write a key to a new file with mode 600. Raises Refused without the key, UsageError if the file is there."""
    if path.exists():
        raise UsageError(f"{path}: is there already and may be another key; give a new file")
    pen = store.get(pen_entry(unique_id))
    key = role_key(pen, role) if pen and role else pen
    if key is None and role is not None:
        key = store.get(role_entry(unique_id, role))
    if key is None:
        raise Refused(
            f"this computer keeps no such key of pen {unique_id}; 'needlepen keys list' says which it keeps"
        )
    name = role.name.lower() if role else None
    content = {"format": _FORMAT, "pen": unique_id, "role": name, "key": key.reveal().hex()}
    write_private(path, json.dumps(content, indent=1) + "\n")
    return Carried(unique_id, role, key)


def read(path: Path) -> Carried:
    """Read an exported key. Raises UsageError that does not show it, Refused if others may read the file."""
    try:
        with path.open(encoding="utf-8") as file:
            refuse_what_others_read(path, os.fstat(file.fileno()))
            data = json.load(file)
        if data["format"] != _FORMAT or len(bytes.fromhex(data["pen"])) != 8:
            raise ValueError
        role = None if data["role"] is None else Role.named(data["role"])
        return Carried(str(data["pen"]).lower(), role, Key.parse(data["key"]))
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read ({error.strerror}); give a file of 'needlepen keys export'"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, UsageError):
        raise UsageError(
            f"{path}: not a key that 'needlepen keys export' wrote; give the right file"
        ) from None
