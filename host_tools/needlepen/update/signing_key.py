"""The key that signs bundles: from a file that only the user can read, or the one that this computer keeps."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from needlepen.access import open_store
from needlepen.access.keystore import RELEASE, refuse_what_others_read, write_private
from needlepen.errors import Refused, UsageError

_PREFIX = "needlepen signing key "


def new_key(path: Path) -> Ed25519PrivateKey:
    """Make a key and write it to a file with mode 600. Raises Refused if the file is there already."""
    if path.exists():
        raise Refused(
            f"{path} is there already; nothing signs for pens that know it if it is lost: give another name"
        )
    key = Ed25519PrivateKey.generate()
    write_private(path, f"{_PREFIX}{key.private_bytes_raw().hex()}\n")
    return key


def read_key(path: Path) -> Ed25519PrivateKey:
    """The key in a file of `new_key`. Raises UsageError, and Refused if others can read it."""
    try:
        refuse_what_others_read(path, path.stat())
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        raise UsageError(
            f"{path}: cannot be read; make a key with 'needlepen bundle keygen {path}'"
        ) from None
    words = text.strip().removeprefix(_PREFIX)
    try:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(words))
    except ValueError:
        raise UsageError(
            f"{path}: no signing key of needlepen; 'needlepen bundle keygen' makes one"
        ) from None


def signing_key(path: Path | None) -> Ed25519PrivateKey:
    """The key in the file, or the one whose public half 'needlepen provision' gives to pens. Raises Refused without."""
    if path is not None:
        return read_key(path)
    kept = open_store().get(RELEASE)
    if kept is None:
        raise Refused(
            "this computer keeps no key that signs firmware; give --key FILE, run 'needlepen provision' once, or make "
            "an unsigned bundle for development pens with --unsigned"
        )
    return Ed25519PrivateKey.from_private_bytes(kept.reveal())
