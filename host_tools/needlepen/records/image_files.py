"""The files in an image of the pen's file system, with the calls that the firmware's store makes."""

from __future__ import annotations

from typing import Any

from littlefs import LittleFS, LittleFSError, UserContext

from needlepen.board.model import Flash
from needlepen.errors import UsageError

LITTLEFS: dict[str, Any] = {
    "prog_size": 256,
    "read_size": 32,
    "cache_size": 1024,
    "lookahead_size": 32,
    "block_cycles": 100,
    "disk_version": 0x00020001,
}
"""As MicroPython 1.25's rp2 port mounts it. A pen takes an image of disk version 2.0 to 2.1 with its first write."""


class ImageFiles:
    """As pen.store.device.Device, over littlefs in memory. Raises OSError as these do.

    Never formats: an image that does not mount is a UsageError, so nothing in it is lost.
    """

    may_write = True
    blocked = 0

    def __init__(self, context: UserContext, flash: Flash) -> None:
        self._littlefs = LittleFS(
            context,
            mount=False,
            block_size=flash.block_bytes,
            block_count=flash.filesystem_blocks,
            **LITTLEFS,
        )
        try:
            self._littlefs.mount()
        except LittleFSError as error:
            raise UsageError(
                f"the image holds no file system of a pen ({error}); it is left as it is: give an image of "
                f"{flash.filesystem_bytes} bytes that was read from a pen or built with 'needlepen build'"
            ) from None

    def read(self, path: str, size: int = -1) -> bytes | None:
        try:
            with self._littlefs.open(path, "rb") as file:
                return bytes(file.read(size))
        except FileNotFoundError:
            return None
        except LittleFSError as error:
            raise _os_error(error, path) from None

    def write(self, path: str, data: bytes) -> None:
        self._store(path, "wb", data)

    def create(self, path: str) -> Any:
        try:
            return self._littlefs.open(path, "wb")
        except LittleFSError as error:
            raise _os_error(error, path) from None

    def append(self, path: str, data: bytes) -> None:
        there = self.read(path, 1) is not None
        self._store(path, "ab" if there else "wb", data)

    def _store(self, path: str, mode: str, data: bytes) -> None:
        try:
            with self._littlefs.open(path, mode) as file:
                file.write(data)
        except LittleFSError as error:
            raise _os_error(error, path) from None

    def rename(self, old: str, new: str) -> None:
        try:
            self._littlefs.rename(old, new)
        except LittleFSError as error:
            raise _os_error(error, old) from None

    def remove(self, path: str) -> None:
        try:
            self._littlefs.remove(path)
        except LittleFSError as error:
            raise _os_error(error, path) from None

    def names(self, folder: str) -> list[str]:
        try:
            return sorted(self._littlefs.listdir(folder))
        except LittleFSError as error:
            raise _os_error(error, folder) from None

    def make_folder(self, path: str) -> None:
        try:
            self._littlefs.makedirs(path, exist_ok=True)
        except LittleFSError as error:
            raise _os_error(error, path) from None

    def begin(self) -> None:
        """Nothing waits for an image."""

    def end(self) -> None:
        """Nothing waits for an image."""

    def recover(self) -> None:
        """Nothing is ever blocked in an image."""


def _os_error(error: LittleFSError, path: str) -> OSError:
    return OSError(-int(error.code), str(error), path)
