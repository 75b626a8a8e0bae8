"""Where this computer keeps keys: the keyring of the operating system, or a file that only the user can read.

Entries: "cartridge" and "release" of the maker, "pen/ID" of each pen, "role/ID/NAME" of one role of a pen that another
computer provisioned. "release" is the private key that signs firmware (Ed25519).
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from needlepen import paths
from needlepen.access.keys import Key, Role, role_key
from needlepen.errors import InfrastructureError, Refused, UsageError

SERVICE = "needlepen"
CARTRIDGE, RELEASE = "cartridge", "release"
_FORMAT = 1


def pen_entry(unique_id: str) -> str:
    """Name of the entry of a pen's own key."""
    return f"pen/{unique_id}"


def role_entry(unique_id: str, role: Role) -> str:
    """Name of the entry of one role of a pen."""
    return f"role/{unique_id}/{role.name.lower()}"


class Place(Protocol):
    """Where entries are kept. `where` says it to people."""

    where: str

    def get(self, name: str) -> str | None:
        """The text of an entry, None if there is none."""
        ...

    def set(self, name: str, text: str) -> None:
        """Keep an entry."""
        ...

    def delete(self, name: str) -> None:
        """Forget an entry that is there."""
        ...

    def names(self) -> list[str]:
        """Names of all entries."""
        ...


class KeyFile:
    """A file with mode 600. Raises Refused if others may read it, UsageError if it is no key file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.where = f"the file {path}"

    def _read(self) -> dict[str, str]:
        try:
            handle = os.open(self._path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise InfrastructureError(f"{self._path}: keys cannot be read ({error.strerror})") from None
        with os.fdopen(handle, encoding="utf-8") as file:
            refuse_what_others_read(self._path, os.fstat(file.fileno()))
            try:
                data = json.load(file)
                if data["format"] != _FORMAT:
                    raise ValueError
                return {str(name): str(text) for name, text in data["keys"].items()}
            except (ValueError, KeyError, TypeError, AttributeError):
                raise UsageError(
                    f"{self._path}: not a file of keys of this version; move it away, then import the keys again"
                ) from None

    def _write(self, entries: dict[str, str]) -> None:
        write_private(self._path, json.dumps({"format": _FORMAT, "keys": entries}, indent=1) + "\n")

    def get(self, name: str) -> str | None:
        return self._read().get(name)

    def set(self, name: str, text: str) -> None:
        self._write({**self._read(), name: text})

    def delete(self, name: str) -> None:
        self._write({key: text for key, text in self._read().items() if key != name})

    def names(self) -> list[str]:
        return list(self._read())


class Keyring:
    """The keyring of the operating system. It cannot list its entries: their names, no secret, are in a file."""

    def __init__(self, backend: Any, index: Path) -> None:
        self._backend = backend
        self._index = index
        self.where = f"the keyring of the operating system ({backend.name})"

    def _call(self, name: str, *values: str) -> Any:
        from keyring.errors import KeyringError

        try:
            return getattr(self._backend, name)(SERVICE, *values)
        except KeyringError as error:
            raise InfrastructureError(
                f"{self.where} does not answer ({type(error).__name__}); unlock it, or set NEEDLEPEN_KEYS to a file"
            ) from None

    def get(self, name: str) -> str | None:
        text = self._call("get_password", name)
        return None if text is None else str(text)

    def set(self, name: str, text: str) -> None:
        self._call("set_password", name, text)
        self._note(sorted({*self.names(), name}))

    def delete(self, name: str) -> None:
        if self.get(name) is not None:
            self._call("delete_password", name)
        self._note([known for known in self.names() if known != name])

    def names(self) -> list[str]:
        with suppress(OSError, ValueError):
            return [str(name) for name in json.loads(self._index.read_text(encoding="utf-8"))]
        return []

    def _note(self, names: list[str]) -> None:
        write_private(self._index, json.dumps(names) + "\n")


class KeyStore:
    """The keys of this computer, by name; see the module."""

    def __init__(self, place: Place) -> None:
        self._place = place

    @property
    def where(self) -> str:
        """Where they are kept, in words."""
        return self._place.where

    def names(self) -> list[str]:
        """Names of all entries, sorted."""
        return sorted(self._place.names())

    def get(self, name: str) -> Key | None:
        """An entry, None if there is none."""
        text = self._place.get(name)
        return None if text is None else Key.parse(text)

    def set(self, name: str, key: Key) -> None:
        """Keep an entry, and read it back. Raises Refused if another key is there: nothing is ever overwritten."""
        there = self.get(name)
        if there == key:
            return
        if there is not None:
            raise Refused(
                f"{name}: another key ({there.fingerprint}) is kept in {self.where}; it may be the only one: "
                "export it first, then 'needlepen keys forget' it"
            )
        self._place.set(name, key.reveal().hex())
        if self.get(name) != key:
            raise InfrastructureError(
                f"{name}: could not be read back from {self.where}; nothing was given to a pen"
            )

    def forget(self, name: str) -> None:
        """Delete an entry. Raises UsageError if there is none."""
        if self.get(name) is None:
            raise UsageError(
                f"{name}: no such key in {self.where}; 'needlepen keys list' says which there are"
            )
        self._place.delete(name)

    def get_or_make(self, name: str) -> Key:
        """An entry, made and kept if there is none."""
        key = self.get(name)
        if key is None:
            key = Key.new()
            self.set(name, key)
        return key

    def key_for(self, unique_id: str, wanted: Role) -> tuple[Role, Key]:
        """The key of a role of a pen, else of a higher one. Raises Refused if none is kept here."""
        pen = self.get(pen_entry(unique_id))
        if pen is not None:
            return wanted, role_key(pen, wanted)
        for role in Role:
            key = self.get(role_entry(unique_id, role)) if role >= wanted else None
            if key is not None:
                return role, key
        raise Refused(
            f"this computer keeps no key for the role {wanted.name.lower()} of pen {unique_id}; import one that was "
            "exported where the pen was provisioned: needlepen keys import FILE"
        )


def write_private(path: Path, text: str) -> None:
    """Write a file that only the user can read, whole or not at all. Raises InfrastructureError."""
    temporary: str | None = None
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # has mode 600
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise InfrastructureError(
            f"{path}: keys cannot be written ({error.strerror}); give another place"
        ) from None


def refuse_what_others_read(path: Path, status: os.stat_result) -> None:
    """Raise Refused for a file with keys that is not the user's alone. Windows has no such modes: not judged there."""
    if os.name == "posix" and stat.S_IMODE(status.st_mode) & 0o077:
        raise Refused(
            f"{path}: others may read it (mode {stat.S_IMODE(status.st_mode):o}), so that its keys may be known; "
            f"if they are not, chmod 600 it"
        )


def open_store() -> KeyStore:
    """The keys of this computer.

    NEEDLEPEN_KEYS names a file; else the file of the user's configuration folder if it is there already; else the
    keyring of the operating system where there is one; else that file.
    """
    given = os.environ.get("NEEDLEPEN_KEYS")
    if given:
        return KeyStore(KeyFile(Path(given)))
    path = paths.config_dir() / "keys.json"
    backend = None if path.exists() else _usable_backend()
    if backend is None:
        return KeyStore(KeyFile(path))
    return KeyStore(Keyring(backend, paths.config_dir() / "keyring_names.json"))


def _usable_backend() -> Any:
    """The keyring, None where there is none that stores anything."""
    import keyring
    from keyring.backends import fail, null

    backend = keyring.get_keyring()
    useless = isinstance(backend, fail.Keyring | null.Keyring) or backend.priority <= 0
    return None if useless else backend
