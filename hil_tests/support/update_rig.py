"""Programs for a pen under test, and the pure part of the update on a file system in memory."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator, Iterator
from typing import Any

from needlepen import board, provision
from needlepen.build import code_set
from needlepen.build.code_set import CodeSet
from needlepen.build.image import pen_image
from needlepen.firmware_modules import firmware_module
from support.flash import UNIQUE_ID, RecordedFlash, files

BOARD = board.load()
loader = firmware_module("pen_loader")
update = firmware_module("pen.update")
settle = firmware_module("pen.settle")
BASE = {"boot.py": b"import pen_loader\n", "main.py": b"from pen import app\n"}
PART_BYTES = 768


def program(version: str, modules: int = 6, counter: int = 1, **about: str) -> CodeSet:
    """A small program: the modules of a version differ in every second file."""
    words = [f"M module {k} {version if k % 2 else 'common'} ".encode() for k in range(modules)]
    contents = {f"pen/m{k}.mpy": text * (30 + 40 * k) for k, text in enumerate(words)}
    application = f"{zlib.crc32(version.encode()):064x}"
    values = {"board": "pico_pen", "kind": "development", "application": application}
    return code_set.make(contents, **{**values, **about}, version=version, counter=counter)


def flash_with(installed: CodeSet) -> RecordedFlash:
    """The file system of a pen that runs this program, with its records."""
    image, _ = pen_image(BASE, installed, BOARD.flash)
    return RecordedFlash(provision.provisioned(image, BOARD, UNIQUE_ID))


class FlashView:
    """What the pen reads straight from its flash."""

    def __init__(self, flash: RecordedFlash) -> None:
        self._flash = flash
        self._files = files(flash)

    def part(self, place: int, size: int) -> bytes:
        return bytes(self._flash.buffer[place : place + size])

    def find(self, head: bytes, length: int, crc: int) -> int:
        size = BOARD.flash.block_bytes
        for place in range(0, len(self._flash.buffer), size):
            data = self.part(place, length)
            if length <= size and data.startswith(head) and zlib.crc32(data) == crc:
                return place
        return int(update.NOWHERE)

    def lines(self, path: str) -> Iterator[list[bytes]]:
        data = self._files.read(path) or b""
        return (line.split() for line in data.split(b"\n") if len(line.split()) == 5)

    def check(self, path: str) -> tuple[int, int] | None:
        data = self._files.read(path)
        return None if data is None else (len(data), zlib.crc32(data))


def value(steps: Generator[None, None, Any]) -> Any:
    """Run a generator of the firmware to its end."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def stage(
    flash: RecordedFlash, new: CodeSet, counter: int = 0, manifest: bytes | None = None, thorough: bool = True
) -> tuple[Any, str | None]:
    """Judge a program as the pen does; the staging and the refusal."""
    running = loader.choose(files(flash))[0]
    staging = update.Staging(files(flash), FlashView(flash), running)
    listed = new.manifest if manifest is None else manifest
    refused = value(
        staging.begin(bytearray(listed), len(listed), b"pico_pen", b"development", b"1.25", counter)
    )
    if not refused:
        value(staging.look(thorough))
    return staging, refused


def send(staging: Any, new: CodeSet, change: Callable[[bytes], bytes] = bytes) -> str | None:
    """Send what is lacking and commit; the refusal."""
    lacking = int.from_bytes(staging.lacking, "little")
    wanted = [name for k, (_, _, _, name, _) in enumerate(code_set.entries(new.manifest)) if lacking >> k & 1]
    data = change(b"".join(new.files[name] for name in wanted))
    for at in range(0, len(data), PART_BYTES):
        refused = staging.take(data[at : at + PART_BYTES])
        if refused:
            return str(refused)
    refused = staging.commit()
    return None if refused is None else str(refused)


class Log:
    """Collects the events."""

    def __init__(self) -> None:
        self.events: list[tuple[int, ...]] = []

    def add(self, *event: int) -> None:
        self.events.append(event)


def boot(flash: RecordedFlash, ready: bool = True) -> tuple[str, int, Log]:
    """Start as the pen does: the set that runs, how it came, the events. `ready=False`: it never gets so far."""
    target = files(flash)
    name, _, came = loader.choose(target)
    log = Log()
    if ready and came:
        value(settle.settle(target, UNIQUE_ID, name, came, log, lambda: None))
    return name, came, log


def code_names(flash: RecordedFlash) -> set[str]:
    """Names of the files under /code."""
    return set(files(flash).names("/code"))


def names_of(*programs: CodeSet) -> set[str]:
    """The names that their files have there."""
    return {code_set.code_path(name).removeprefix("code/") for one in programs for name in one.files}


def is_whole(flash: RecordedFlash, name: str) -> bool:
    """Whether a set and all its files are there and sound."""
    target = files(flash)
    listed = target.read(f"/sets/{name}")
    if not loader.is_sound(listed):
        return False
    for crc, size, place, file, _ in code_set.entries(listed):
        data = target.read(f"/{code_set.code_path(file)}")
        if data is None or len(data) != size or zlib.crc32(data) != crc:
            return False
        if place != code_set.NOWHERE and flash.buffer[place : place + size] != data:
            return False
    return True
