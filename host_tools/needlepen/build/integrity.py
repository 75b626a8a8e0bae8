"""What the pen's flash test (SR-26) compares with: a CRC-32 of each file of the application, and of the runtime."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

from needlepen.board.model import Flash
from needlepen.build import uf2
from needlepen.errors import UsageError

MANIFEST = "manifest.crc"
REFERENCE = "flash.ref"
_FLASH_BASE = 0x10000000


NOWHERE = 0xFFFFFFFF
"""Place of a file that does not lie in one piece."""


def manifest(files: Mapping[str, bytes], places: Mapping[str, int] | None = None) -> bytes:
    """Content of MANIFEST for files by path: "CRC size place path" each, then the CRC of these lines.

    `places`: offset of the content in the file system's area, so that the pen can test it without littlefs at boot.
    """
    lines = [
        f"{zlib.crc32(data):08x} {len(data)} {(places or {}).get(name, NOWHERE):08x} /{name}\n"
        for name, data in sorted(files.items())
    ]
    listed = "".join(lines).encode()
    return listed + b"%08x\n" % zlib.crc32(listed)


def with_places(image: bytes, files: Mapping[str, bytes]) -> bytes:
    """The file system image with the places of the files in its manifest. `files`: all of them, the manifest too.

    littlefs keeps the data of a file beside its directories and without a check of its own, so that bytes can be
    exchanged in place. A small file lies inside its directory: it has no place.
    """
    old = files[MANIFEST]
    at = image.find(old)
    if at < 0:
        return image
    listed = {name: data for name, data in files.items() if name != MANIFEST}
    found = {name: image.find(data) for name, data in listed.items() if len(data) > 512}
    new = manifest(listed, {name: place for name, place in found.items() if place >= 0})
    assert len(new) == len(old)
    return image[:at] + new + image[at + len(new) :]


def reference(runtime: Path, flash: Flash) -> bytes:
    """Content of REFERENCE for a MicroPython UF2: length in bytes and CRC of what it puts before the file system.

    Gaps between its segments read as erased flash. Raises UsageError if the UF2 reaches into the file system.
    """
    segments = uf2.read(runtime)
    length = max(segment.address + len(segment.data) for segment in segments) - _FLASH_BASE
    if length > flash.filesystem_offset:
        raise UsageError(
            f"{runtime}: the runtime ends at {length:#x}, behind the start of the file system at "
            f"{flash.filesystem_offset:#x}; use the runtime of this board"
        )
    content = bytearray(b"\xff" * length)
    for segment in segments:
        start = segment.address - _FLASH_BASE
        content[start : start + len(segment.data)] = segment.data
    return b"runtime 1 %d %08x\n" % (length, zlib.crc32(content))
