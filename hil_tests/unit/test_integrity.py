"""The records that the pen's flash test compares with: made by the host, read by the firmware's own functions."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from needlepen import board
from needlepen.build import app_image, integrity, uf2
from needlepen.errors import UsageError
from needlepen.firmware_modules import firmware_module

FLASH = board.load().flash
records = firmware_module("pen.integrity")
FILES = {"main.py": b"from pen import app\n", "pen/app.mpy": bytes(range(256))}


def test_the_pen_reads_the_manifest_that_the_build_makes() -> None:
    lines = records.manifest_lines(integrity.manifest(FILES))
    assert [line.split() for line in lines] == [
        [b"%08x" % zlib.crc32(data), b"%d" % len(data), b"ffffffff", b"/" + name.encode()]
        for name, data in FILES.items()
    ]


def test_every_image_holds_a_manifest_of_all_its_other_files() -> None:
    image = app_image(board.load())
    listed = records.manifest_lines(_file(image.image, integrity.MANIFEST))
    sizes = {line.split()[3].decode()[1:]: int(line.split()[1]) for line in listed}
    assert sizes == {name: size for name, size in image.files.items() if name != integrity.MANIFEST}


def test_files_lie_where_the_manifest_says() -> None:
    image = app_image(board.load()).image
    placed = 0
    for line in records.manifest_lines(_file(image, integrity.MANIFEST)):
        crc, size, place, path = line.split()
        if int(place, 16) != integrity.NOWHERE:
            placed += 1
            content = image[int(place, 16) :][: int(size)]
            assert zlib.crc32(content) == int(crc, 16) and content == _file(image, path.decode()[1:])
    assert placed > 40


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


@pytest.mark.parametrize("whole", [integrity.manifest(FILES), records.reference_text(1234, 0xDEADBEEF)])
def test_a_record_with_any_bit_turned_over_or_any_byte_missing_is_none(whole: bytes) -> None:
    parse = records.parse_reference if whole.startswith(b"runtime") else records.manifest_lines
    sound = parse(whole)
    assert sound is not None
    for place in range(len(whole)):
        assert parse(whole[:place]) is None
        for bit in range(8):
            bent = bytearray(whole)
            bent[place] ^= 1 << bit
            assert parse(bytes(bent)) != sound, f"byte {place}, bit {bit}"


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
