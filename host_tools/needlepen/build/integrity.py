"""What the pen's flash test (SR-26) compares with: CRC-32 of the files that start the program, and of the runtime.

The modules of the program have theirs in the list of their set (code_set).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

from needlepen.board.model import Flash
from needlepen.build import uf2
from needlepen.build.code_set import NOWHERE
from needlepen.errors import UsageError

MANIFEST = "manifest.crc"
REFERENCE = "flash.ref"
_FLASH_BASE = 0x10000000
_BEGINNING_BYTES = 16


def manifest(files: Mapping[str, bytes], placed: Mapping[str, int] | None = None) -> bytes:
    """Content of MANIFEST for files by path: "CRC size place path" each, then the CRC of these lines.

    `placed`: offset of the content in the file system's area, so that the pen can test it without littlefs at boot.
    """
    lines = [
        f"{zlib.crc32(data):08x} {len(data)} {(placed or {}).get(name, NOWHERE):08x} /{name}\n"
        for name, data in sorted(files.items())
    ]
    listed = "".join(lines).encode()
    return listed + b"%08x\n" % zlib.crc32(listed)


def without_places(content: bytes) -> bytes:
    """Content of MANIFEST for a pen on which the files lie elsewhere: it tests them by their path."""
    lines = []
    for line in content.decode("ascii").split("\n")[:-2]:
        crc, size, _, path = line.split(" ")
        lines.append(f"{crc} {size} {NOWHERE:08x} {path}\n")
    listed = "".join(lines).encode()
    return listed + b"%08x\n" % zlib.crc32(listed)


def loader_crc(files: Mapping[str, bytes]) -> int:
    """What a pen with these files beside its sets says of them: one CRC over contents and paths."""
    crc = 0
    for name, data in sorted(files.items()):
        crc = zlib.crc32(f"{zlib.crc32(data):08x}/{name}".encode(), crc)
    return crc


def places(image: bytes, files: Mapping[str, bytes], block_bytes: int) -> dict[str, int]:
    """Offsets in the file system's area of the files that lie in one piece: in a block of their own.

    A longer file is in several blocks, the later ones begin with pointers.
    """
    blocks: dict[bytes, list[int]] = {}
    for place in range(0, len(image), block_bytes):
        blocks.setdefault(image[place : place + _BEGINNING_BYTES], []).append(place)
    found = {}
    for name, data in files.items():
        if _BEGINNING_BYTES <= len(data) <= block_bytes:
            for place in blocks.get(data[:_BEGINNING_BYTES], ()):
                if image[place : place + len(data)] == data:
                    found[name] = place
    return found


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
