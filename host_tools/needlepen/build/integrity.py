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


def manifest(files: Mapping[str, bytes]) -> bytes:
    """Content of MANIFEST for files by path: "CRC size path" each, then the CRC of these lines."""
    lines = [f"{zlib.crc32(data):08x} {len(data)} /{name}\n" for name, data in sorted(files.items())]
    listed = "".join(lines).encode()
    return listed + b"%08x\n" % zlib.crc32(listed)


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
