"""A pen's file system in memory that remembers each flash operation: what a power cut in any of them leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from littlefs import LittleFS, UserContext

from needlepen import board
from needlepen.emulator.factory_image import unique_id as serial_id
from needlepen.emulator.flash_timing import interrupted
from needlepen.firmware_modules import firmware_module
from needlepen.records.image_files import LITTLEFS, ImageFiles
from needlepen.records.log import LoggedEvent, read_log

PAGE = 256
FLASH = board.load().flash
UNIQUE_ID = bytes.fromhex("e660000000000001")


@dataclass(frozen=True)
class Operation:
    """One erase or page program: where, and what the flash holds there before and after."""

    kind: str
    start: int
    before: bytes
    after: bytes


class RecordedFlash(UserContext):
    """`operations`: every erase and page program since `record`. Without content: an empty, formatted file system."""

    def __init__(self, content: bytes | bytearray | None = None) -> None:
        self.operations: list[Operation] = []
        self._begin = b""
        if content is not None:
            super().__init__(buffer=bytearray(content))
            return
        super().__init__(FLASH.filesystem_bytes)
        geometry = {"block_size": FLASH.block_bytes, "block_count": FLASH.filesystem_blocks}
        LittleFS(self, mount=False, **geometry, **LITTLEFS).format()
        for folder in ("/data", "/log"):
            ImageFiles(self, FLASH).make_folder(folder)
        self.record()

    def record(self) -> None:
        """Forget the operations so far."""
        self._begin = bytes(self.buffer)
        self.operations = []

    def cuts(self, done: float, seed: int = 0) -> Iterator[tuple[Operation, RecordedFlash]]:
        """For each operation since `record`: what the flash holds if the power goes when it is `done` (0 to 1)."""
        image = bytearray(self._begin)
        for k, operation in enumerate(self.operations):
            rng = np.random.default_rng([seed, k])
            torn = RecordedFlash(image)
            place = slice(operation.start, operation.start + len(operation.after))
            torn.buffer[place] = interrupted(operation.kind, operation.before, operation.after, done, rng)
            yield operation, torn
            image[place] = operation.after

    def read(self, cfg: Any, block: int, off: int, size: int) -> bytearray:
        start = block * FLASH.block_bytes + off
        return self.buffer[start : start + size]

    def prog(self, cfg: Any, block: int, off: int, data: bytes) -> int:
        start = block * FLASH.block_bytes + off
        for at in range(0, len(data), PAGE):
            page = data[at : at + PAGE]
            before = self.buffer[start + at : start + at + len(page)]
            # programming only clears bits
            self._change("program", start + at, bytes(a & b for a, b in zip(before, page, strict=True)))
        return 0

    def erase(self, cfg: Any, block: int) -> int:
        self._change("erase", block * FLASH.block_bytes, b"\xff" * FLASH.block_bytes)
        return 0

    def sync(self, cfg: Any) -> int:
        return 0

    def _change(self, kind: str, start: int, after: bytes) -> None:
        place = slice(start, start + len(after))
        self.operations.append(Operation(kind, start, bytes(self.buffer[place]), after))
        self.buffer[place] = after


def files(flash: UserContext) -> ImageFiles:
    """The files in it, mounted anew: what a pen finds after power-on."""
    return ImageFiles(flash, FLASH)


def store(flash: UserContext, unique_id: bytes = UNIQUE_ID) -> Any:
    """The pen's Store on it, booted at uptime 0."""
    made = firmware_module("pen.store.store").Store(files(flash), unique_id)
    made.boot(1)
    return made


def settle(made: Any, passes: int = 30, period_ms: int = 100) -> None:
    """Main loop passes at rest, until everything is stored."""
    start_ms = made._now_ms
    for k in range(1, passes + 1):
        made.poll(start_ms + k * period_ms, False)
    assert not made.busy, "the store does not come to rest"


def pen_log(pen: Any) -> list[LoggedEvent]:
    """The events in the flash of an emulated pen, as it is now."""
    begin = pen.board.flash.filesystem_offset
    content = pen.chip.mcu.flash[begin : begin + pen.board.flash.filesystem_bytes]
    return read_log(ImageFiles(RecordedFlash(content), pen.board.flash), serial_id(pen.seed))
