"""One UF2 file that makes a working pen of a blank board: the runtime and the application's file system.

Only what is needed of the file system goes in, because every block costs a person's time. Needed is every block that
littlefs looks at when it mounts this image and reads all of it: the data, and both halves of each pair of directory
blocks, since the half with the higher revision counts, and an old one could be that. An erased half goes in as one
page of 0xFF, for which the boot ROM erases its sector. All other blocks are free for littlefs, and it erases a block
before it uses it: what an old file system left there is never looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from littlefs import LFSConfig, LittleFS, LittleFSError, UserContext

from needlepen.board import Board
from needlepen.board.model import Flash
from needlepen.build import integrity, uf2
from needlepen.build.uf2 import FLASH_BASE, PAYLOAD_BYTES, Segment
from needlepen.errors import UsageError
from needlepen.records.image_files import LITTLEFS, ImageFiles

if TYPE_CHECKING:
    from needlepen.build.image import AppImage

SECTOR_BYTES = 4096
_ERASED_PAGE = b"\xff" * PAYLOAD_BYTES
RECORD_FOLDERS = ("/data", "/log")
"""Folders of a pen's records. Made here already, since each costs the pen an erase at its first boot."""


def firmware_uf2(board: Board, runtime: Path, application: AppImage | bytes) -> bytes:
    """The UF2 with MicroPython and the application, and the flash reference that belongs to both (SR-26).

    `application` is a built image or the bytes of a file system. Raises UsageError if one of them does not fit.
    """
    image = application if isinstance(application, bytes) else application.image
    filesystem = prepared_filesystem(image, board.flash, runtime)
    segments = [*runtime_segments(runtime, board.flash), *filesystem_segments(filesystem, board.flash)]
    return uf2.encode(segments)


def application_hash(application: AppImage) -> str:
    """The hash that a pen with this build reports (of which its identity has the first 12 digits)."""
    text = (application.staged_dir / "pen" / "build_info.py").read_text(encoding="utf-8")
    found = re.search(r"^APPLICATION_HASH = '([0-9a-f]{64})'$", text, re.MULTILINE)
    if found is None:
        raise UsageError(f"{application.staged_dir}: no application hash in it; build it anew")
    return found[1]


def prepared_filesystem(image: bytes, flash: Flash, runtime: Path) -> bytes:
    """`image` with the flash reference of this runtime and the empty folders for records."""
    context = UserContext(buffer=bytearray(image))
    files = ImageFiles(context, flash)
    for folder in RECORD_FOLDERS:
        files.make_folder(folder)
    files.write(f"/{integrity.REFERENCE}", integrity.reference(runtime, flash))
    return bytes(context.buffer)


def runtime_segments(runtime: Path, flash: Flash) -> list[Segment]:
    """What the runtime writes, and an erased page for each sector between that it leaves out: the flash reference
    takes gaps as erased. Raises UsageError if it reaches into the file system."""
    integrity.reference(runtime, flash)
    segments = uf2.read(runtime)
    touched = {
        sector
        for segment in segments
        for sector in range(segment.address // SECTOR_BYTES, (segment.end - 1) // SECTOR_BYTES + 1)
    }
    gaps = set(range(FLASH_BASE // SECTOR_BYTES, max(touched))) - touched
    erased = [Segment(sector * SECTOR_BYTES, _ERASED_PAGE) for sector in gaps]
    return sorted([*segments, *erased], key=lambda segment: segment.address)


def filesystem_segments(image: bytes, flash: Flash) -> list[Segment]:
    """The pages of the needed blocks that hold anything, and one erased page of each needed block that is empty."""
    segments = []
    for block in sorted(needed_blocks(image, flash)):
        start = block * flash.block_bytes
        pages = [
            (at, page)
            for at in range(start, start + flash.block_bytes, PAYLOAD_BYTES)
            if (page := image[at : at + PAYLOAD_BYTES]) != _ERASED_PAGE
        ]
        for at, page in pages or [(start, _ERASED_PAGE)]:
            segments.append(Segment(FLASH_BASE + flash.filesystem_offset + at, page))
    return segments


class _Watched(UserContext):
    """Remembers which blocks were looked at."""

    def __init__(self, image: bytes) -> None:
        super().__init__(buffer=bytearray(image))
        self.seen: set[int] = set()

    def read(self, cfg: LFSConfig, block: int, off: int, size: int) -> bytearray:
        self.seen.add(block)
        return super().read(cfg, block, off, size)


def needed_blocks(image: bytes, flash: Flash) -> set[int]:
    """The blocks that littlefs reads to mount an image and to read everything in it. Raises UsageError if it cannot."""
    context = _Watched(image)
    for _path, _content in _contents(context, flash):
        pass
    return context.seen


def files_of(image: bytes, flash: Flash) -> dict[str, bytes]:
    """The files in an image of a file system, by path. Raises UsageError if it cannot be read."""
    return dict(_contents(UserContext(buffer=bytearray(image)), flash))


def _contents(context: UserContext, flash: Flash) -> Iterable[tuple[str, bytes]]:
    try:
        filesystem = LittleFS(
            context,
            mount=False,
            block_size=flash.block_bytes,
            block_count=flash.filesystem_blocks,
            **LITTLEFS,
        )
        filesystem.mount()
        for folder, _folders, names in filesystem.walk("/"):
            for name in names:
                path = str(PurePosixPath(folder) / name)
                with filesystem.open(path, "rb") as file:
                    yield path, bytes(file.read())
    except LittleFSError as error:
        raise UsageError(
            f"the file system of the application cannot be read ({error}); build it anew"
        ) from None
