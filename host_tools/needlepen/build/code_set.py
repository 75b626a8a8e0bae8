"""A set: the modules of one program by their contents, and the list (manifest) that makes a program of them.

    needlepen-set 1 BOARD KIND VERSION MICROPYTHON LOADER COUNTER APPLICATION FOLDERS
    CRC SIZE PLACE HASH MODULE        for each module
    CRC of the lines before

HASH is the first half of the module's SHA-256, and half of that its name under /code. PLACE is where it lies in this
very pen; in the form that is hashed and signed it says "nowhere". The set's name is the hash of that form.
"""

from __future__ import annotations

import hashlib
import tomllib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from needlepen import paths
from needlepen.errors import UsageError

MICROPYTHON = "1.25"
LOADER = 1
"""Version of the way in which the pen's loader finds and starts a set; a pen with an older loader refuses it."""
NOWHERE = 0xFFFFFFFF
"""Place of a file that does not lie in one piece."""
CODE, SETS, RECORD = "code", "sets", "boot"
FILE_BYTES_MAX = 16_384
FILES_MAX = 256
_FORMAT = "needlepen-set 1"


@dataclass(frozen=True)
class About:
    """The first line of a list. `counter`: the pen accepts none lower than the highest it has confirmed."""

    board: str
    kind: str
    version: str
    micropython: str
    loader: int
    counter: int
    application: str
    folders: tuple[str, ...]

    def line(self) -> str:
        return (
            f"{_FORMAT} {self.board} {self.kind} {self.version} {self.micropython} {self.loader} {self.counter} "
            f"{self.application} {','.join(self.folders)}\n"
        )


@dataclass(frozen=True)
class CodeSet:
    """`manifest`: the list without places; `files`: content by hash."""

    manifest: bytes
    files: Mapping[str, bytes]

    @cached_property
    def name(self) -> str:
        """What the pen calls the set: 16 hex digits."""
        return set_name(self.manifest)

    @cached_property
    def about(self) -> About:
        return about(self.manifest)

    @cached_property
    def modules(self) -> dict[str, str]:
        """Hash of each module by its path."""
        return {path: name for _, _, _, name, path in entries(self.manifest)}

    def on_pen(self, places: Mapping[str, int] | None = None) -> dict[str, bytes]:
        """The files of a pen that runs this set, by path. `places`: offset of each /code file by hash."""
        record = f"boot 1 {self.name} - -\n".encode()
        return {
            **{code_path(name): data for name, data in self.files.items()},
            f"{SETS}/{self.name}": with_places(self.manifest, places or {}),
            RECORD: record + b"%08x\n" % zlib.crc32(record),
        }


def make(
    modules: Mapping[str, bytes], board: str, kind: str, version: str, application: str, counter: int
) -> CodeSet:
    """The set of compiled modules by path. Raises UsageError if the pen could not take it."""
    if len(modules) > FILES_MAX:
        raise UsageError(f"{len(modules)} modules: a pen takes {FILES_MAX}; put some together")
    for path, data in modules.items():
        if len(data) > FILE_BYTES_MAX:
            raise UsageError(
                f"{path}: {len(data)} bytes compiled; a pen takes modules of up to {FILE_BYTES_MAX}: split it"
            )
    folders = sorted({str(folder) for path in modules for folder in PurePosixPath(path).parents} - {"."})
    first = About(board, kind, version, MICROPYTHON, LOADER, counter, application, tuple(folders))
    lines = [
        f"{zlib.crc32(data):08x} {len(data)} {NOWHERE:08x} {content_name(data)} {path}\n"
        for path, data in sorted(modules.items())
    ]
    listed = (first.line() + "".join(lines)).encode()
    files = {content_name(data): data for data in modules.values()}
    return CodeSet(listed + b"%08x\n" % zlib.crc32(listed), files)


def content_name(data: bytes) -> str:
    """Name under /code of a file: the first half of its SHA-256 as hex."""
    return hashlib.sha256(data).hexdigest()[:32]


def code_path(name: str) -> str:
    """Path on a pen of the file of this hash: half of it, since littlefs looks through all names of a folder."""
    return f"{CODE}/{name[:16]}"


def set_name(manifest: bytes) -> str:
    """Name of the set with this list, which has no places: 16 hex digits."""
    return hashlib.sha256(manifest).hexdigest()[:16]


def is_sound(manifest: bytes) -> bool:
    """Whether the bytes are a list: format and the CRC in the last line."""
    end = manifest.rfind(b"\n", 0, len(manifest) - 1) + 1
    return manifest.startswith(_FORMAT.encode() + b" ") and manifest[end:] == b"%08x\n" % zlib.crc32(
        manifest[:end]
    )


def about(manifest: bytes) -> About:
    """What the first line says. Raises ValueError if it is not one of this format."""
    words = manifest[: manifest.find(b"\n")].decode("ascii").split(" ")
    if len(words) != 10 or " ".join(words[:2]) != _FORMAT:
        raise ValueError("not the list of a needlepen set")
    board, kind, version, micropython, loader, counter, application, folders = words[2:]
    return About(
        board, kind, version, micropython, int(loader), int(counter), application, tuple(folders.split(","))
    )


def entries(manifest: bytes) -> list[tuple[int, int, int, str, str]]:
    """(CRC, size, place, hash, module) of each line of a sound list."""
    found = []
    for line in manifest.decode("ascii").split("\n")[1:-2]:
        crc, size, place, name, path = line.split(" ")
        found.append((int(crc, 16), int(size), int(place, 16), name, path))
    return found


def with_places(manifest: bytes, places: Mapping[str, int]) -> bytes:
    """The list as it lies in a pen whose /code files have these offsets in the file system, by hash."""
    first, *_ = manifest.split(b"\n", 1)
    lines = [
        f"{crc:08x} {size} {places.get(name, NOWHERE):08x} {name} {path}\n"
        for crc, size, _, name, path in entries(manifest)
    ]
    listed = first + b"\n" + "".join(lines).encode()
    return listed + b"%08x\n" % zlib.crc32(listed)


def security_counter(firmware: Path | None = None) -> int:
    """The number in release.toml. Raises UsageError if there is no whole number from 1 to 2**32 - 1."""
    path = paths.firmware_file("release.toml", firmware)
    try:
        number = tomllib.loads(path.read_text()).get("security_counter")
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: {error}; it has to give the security_counter") from None
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 1 << 32:
        raise UsageError(f"{path}: security_counter is {number!r}; give a whole number from 1 to 4294967295")
    return number
