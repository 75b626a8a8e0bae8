"""The records that the pen's flash test compares with: made by the host, read by the firmware's own functions."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from needlepen import board
from needlepen.build import AppImage, app_image, code_set, integrity, uf2
from needlepen.errors import UsageError
from needlepen.firmware_modules import firmware_module

FLASH = board.load().flash
records = firmware_module("pen.integrity")
loader = firmware_module("pen_loader")


def test_every_image_lists_all_its_files() -> None:
    image = app_image(board.load())
    base = {
        line.split()[3].decode()[1:]: int(line.split()[1])
        for line in _lines(_file(image.image, "manifest.crc"))
    }
    assert base.keys() == {"boot.py", "main.py", "pen_loader.mpy", "pen_shelf.mpy"}
    listed = _set_of(image)
    assert {path: code_set.code_path(name) for _, _, _, name, path in listed} == dict(image.modules)
    sizes = base | {code_set.code_path(name): size for _, size, _, name, _ in listed}
    others = {"boot", "manifest.crc", next(name for name in image.files if name.startswith("sets/"))}
    assert sizes == {name: size for name, size in image.files.items() if name not in others}


def test_files_lie_where_the_lists_say() -> None:
    built = app_image(board.load())
    image = built.image
    listed = [(crc, size, place, code_set.code_path(name)) for crc, size, place, name, _ in _set_of(built)]
    for line in _lines(_file(image, integrity.MANIFEST)):
        crc, size, place, path = line.split()
        listed.append((int(crc, 16), int(size), int(place, 16), path.decode()[1:]))
    placed = [entry for entry in listed if entry[2] != code_set.NOWHERE]
    for crc, size, place, name in placed:
        content = image[place:][:size]
        assert zlib.crc32(content) == crc and content == _file(image, name)
    assert len(placed) >= len(listed) - 10


def _set_of(image: AppImage) -> list[tuple[int, int, int, str, str]]:
    name = next(name for name in image.files if name.startswith("sets/"))
    data = _file(image.image, name)
    assert loader.is_sound(data)
    return code_set.entries(data)


def _lines(data: bytes) -> list[bytes]:
    end = data.rfind(b"\n", 0, len(data) - 1) + 1
    assert data[end:] == b"%08x\n" % zlib.crc32(data[:end])
    return data[:end].splitlines()


def _file(image: bytes, name: str) -> bytes:
    from littlefs import LittleFS
    from littlefs.context import UserContext

    from needlepen.build.image import LITTLEFS

    context = UserContext(buffsize=len(image))
    context.buffer[:] = image
    count = FLASH.filesystem_blocks
    filesystem = LittleFS(context=context, block_size=FLASH.block_bytes, block_count=count, **LITTLEFS)
    with filesystem.open(name, "rb") as file:
        return bytes(file.read())


SET = code_set.make({"pen/app.mpy": b"code", "pen/link/a.mpy": b"more"}, "b", "development", "1", "ab", 1)
RECORDS = {
    "runtime": (records.parse_reference, records.reference_text(1234, 0xDEADBEEF)),
    "boot": (loader.parse, loader.pack("0123456789abcdef", "-", "-")),
    "set": (lambda data: loader.is_sound(data) or None, SET.manifest),
}


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_with_any_bit_turned_over_or_any_byte_missing_is_none(record: str) -> None:
    parse, whole = RECORDS[record]
    sound = parse(whole)
    assert sound is not None
    for place in range(len(whole)):
        assert parse(whole[:place]) is None
        for bit in range(8):
            bent = bytearray(whole)
            bent[place] ^= 1 << bit
            assert parse(bytes(bent)) != sound, f"byte {place}, bit {bit}"


@pytest.mark.parametrize(
    ("length", "sound"), [(0, False), (1, True), (FLASH.filesystem_offset, True), (-1, False)]
)
def test_a_reference_is_of_a_runtime_that_fits_before_the_file_system(length: int, sound: bool) -> None:
    assert records.parse_reference(records.reference_text(length, 7)) == ((length, 7) if sound else None)
    assert records.parse_reference(records.reference_text(FLASH.filesystem_offset + 1, 7)) is None


def test_the_runtime_reference_is_length_and_crc_of_what_lies_in_the_flash(runtime: Path) -> None:
    length, crc = records.parse_reference(integrity.reference(runtime, FLASH))
    flash = bytearray(b"\xff" * FLASH.filesystem_offset)
    for segment in uf2.read(runtime):
        start = segment.address - 0x10000000
        flash[start : start + len(segment.data)] = segment.data
    assert crc == zlib.crc32(flash[:length]) and set(flash[length:]) <= {0xFF}


def test_a_runtime_that_reaches_into_the_file_system_is_refused(runtime: Path) -> None:
    small = FLASH.model_copy(update={"filesystem_offset": 0x10000})
    with pytest.raises(UsageError, match="file system"):
        integrity.reference(runtime, small)
