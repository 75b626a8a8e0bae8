"""The event log in a file that was read from a pen: an image of its file system, or of its whole flash."""

from __future__ import annotations

from pathlib import Path

from littlefs import UserContext

from needlepen import board
from needlepen.errors import UsageError
from needlepen.firmware_modules import firmware_module
from needlepen.records.image_files import ImageFiles
from needlepen.records.log import LoggedEvent, read_log

_ID = slice(12, 20)
"""Of the pen's unique ID in a record's envelope (pen.store.envelope)."""


def read_image(path: Path, pen_id: str | None = None) -> tuple[str, list[LoggedEvent]]:
    """(unique ID, events) of the pen whose image this is. The image is not changed.

    `pen_id`: 16 hexadecimal digits; by default the records in the image say whose they are. Raises UsageError if the
    file is no image, or does not say.
    """
    files = open_image(path)
    unique_id = _checked(pen_id) if pen_id else _owner(files, path)
    return unique_id.hex(), read_log(files, unique_id)


def open_image(path: Path) -> ImageFiles:
    """The files in an image of a pen's file system, or of its whole flash. Raises UsageError if the file is none."""
    flash = board.load().flash
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read ({error.strerror}); give an image of a pen's flash"
        ) from None
    if len(data) >= flash.filesystem_offset + flash.filesystem_bytes:
        data = data[flash.filesystem_offset :]
    if len(data) < flash.filesystem_bytes:
        raise UsageError(
            f"{path}: {len(data)} bytes are no image of a pen; its file system has {flash.filesystem_bytes}, with all "
            f"of the flash {flash.filesystem_offset + flash.filesystem_bytes}"
        )
    context = UserContext(buffer=bytearray(data[: flash.filesystem_bytes]))
    return ImageFiles(context, flash)


def _checked(text: str) -> bytes:
    try:
        unique_id = bytes.fromhex(text)
    except ValueError:
        unique_id = b""
    if len(unique_id) != 8:
        raise UsageError(
            f"{text!r} is no unique ID of a pen: 16 hexadecimal digits, as `needlepen devices` shows it"
        )
    return unique_id


def _owner(files: ImageFiles, path: Path) -> bytes:
    """Whose records these are. They all carry the ID of their pen, those that it refused perhaps that of another."""
    envelope = firmware_module("pen.store.envelope")
    found = set()
    try:
        names = files.names("/data")
    except OSError:
        names = []
    for name in (name for name in names if not name.endswith(".bad")):
        record = files.read(f"/data/{name}") or b""
        if record[:4] == envelope._MAGIC:
            found.add(record[_ID])
    if len(found) != 1:
        why = "records of several pens" if found else "no record that says whose it is"
        raise UsageError(f"{path}: holds {why}; give the pen's ID with --pen-id")
    return found.pop()
