"""The UF2 with runtime and application: read back it is both, and nothing of what was in the flash before shows."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from click.testing import CliRunner

from needlepen import board
from needlepen.build import app_image, integrity, uf2
from needlepen.build.firmware_uf2 import (
    SECTOR_BYTES,
    files_of,
    filesystem_segments,
    firmware_uf2,
    needed_blocks,
    prepared_filesystem,
    runtime_segments,
)
from needlepen.build.image import littlefs_image
from needlepen.cli.build import build as build_command
from needlepen.emulator.bootsel import Uf2Download
from needlepen.errors import UsageError

PEN = board.load()
FLASH = PEN.flash
BLOCK = FLASH.block_bytes


@pytest.fixture(scope="module")
def application() -> bytes:
    return app_image(PEN).image


@pytest.fixture(scope="module")
def built(runtime: Path, application: bytes) -> bytes:
    return firmware_uf2(PEN, runtime, application)


def programmed(file: bytes, flash: bytes | bytearray) -> bytearray:
    """What a flash holds after the boot ROM has taken a file."""
    content = bytearray(flash)
    download = Uf2Download(content, len(content))
    for start in range(0, len(file), uf2.BLOCK_BYTES):
        download.take(file[start : start + uf2.BLOCK_BYTES])
    assert download.is_complete and not download.ignored
    return content


def filesystem(content: bytes | bytearray) -> bytes:
    return bytes(content[FLASH.filesystem_offset : FLASH.filesystem_offset + FLASH.filesystem_bytes])


def test_the_file_read_back_is_the_runtime_and_the_application(
    runtime: Path, application: bytes, built: bytes
) -> None:
    segments = uf2.decode(built)  # refuses wrong numbers, totals, families and places
    pages = {
        segment.address + at: segment.data[at : at + 256]
        for segment in segments
        for at in range(0, len(segment.data), 256)
    }
    for segment in uf2.read(runtime):
        for at in range(0, len(segment.data), 256):
            assert pages[segment.address + at] == segment.data[at : at + 256]
    there = files_of(filesystem(programmed(built, b"\xff" * uf2.FLASH_BYTES)), FLASH)
    expected = {**files_of(application, FLASH), "/flash.ref": integrity.reference(runtime, FLASH)}
    assert there == expected


def test_only_what_is_needed_is_in_the_file(runtime: Path, application: bytes, built: bytes) -> None:
    image = prepared_filesystem(application, FLASH, runtime)
    held = sum(image[at : at + 256] != b"\xff" * 256 for at in range(0, len(image), 256))
    of_runtime = sum(len(s.data) // 256 for s in runtime_segments(runtime, FLASH))
    blocks = len(built) // uf2.BLOCK_BYTES
    empty_halves = blocks - of_runtime - held
    print(
        f"{blocks} blocks: runtime {of_runtime}, application {held}, erased halves of directories {empty_halves}"
    )
    assert 0 <= empty_halves <= 20


@pytest.mark.parametrize("seed", range(6))
def test_nothing_of_an_old_file_system_shows_through(built: bytes, seed: int) -> None:
    """Old content that littlefs would prefer: newer revisions of directories wherever a half of a pair may lie, another
    file system of the same kind, noise."""
    rng = random.Random(seed)
    blank = programmed(built, b"\xff" * uf2.FLASH_BYTES)
    old = littlefs_image(
        {f"old{n}/{m}": rng.randbytes(rng.choice((30, 700, 5000))) for n in range(9) for m in range(3)}, FLASH
    )
    revisions = bytearray(old)
    for block in range(FLASH.filesystem_blocks):  # each block a directory that is newer than anything else
        source = rng.choice((0, 1, block))
        start = block * BLOCK
        revisions[start : start + BLOCK] = old[source * BLOCK : (source + 1) * BLOCK]
    kinds = (old, bytes(revisions), rng.randbytes(len(old)))
    before = rng.randbytes(FLASH.filesystem_offset) + kinds[seed % 3]
    content = programmed(built, before.ljust(uf2.FLASH_BYTES, b"\0"))
    assert files_of(filesystem(content), FLASH) == files_of(filesystem(blank), FLASH)
    assert integrity.reference  # the runtime's reference holds over the old one, too:
    length = max(
        segment.end
        for segment in uf2.decode(built)
        if segment.address < 0x1000_0000 + FLASH.filesystem_offset
    )
    runtime_bytes = length - uf2.FLASH_BASE
    assert content[:runtime_bytes] == blank[:runtime_bytes]


def test_a_directory_half_that_is_left_out_would_show_through(runtime: Path, application: bytes) -> None:
    """Why erased halves are in the file: without them an old directory comes back."""
    image = prepared_filesystem(application, FLASH, runtime)
    needed = needed_blocks(image, FLASH)
    empty = [b for b in needed if image[b * BLOCK : (b + 1) * BLOCK] == b"\xff" * BLOCK]
    assert empty, "the image has no erased half now: nothing to show"
    there = {
        (s.address - uf2.FLASH_BASE - FLASH.filesystem_offset) // SECTOR_BYTES
        for s in filesystem_segments(image, FLASH)
    }
    assert there == needed
    files = files_of(image, FLASH)

    def shows(block: int, partner: int) -> bool:
        content = bytearray(image)
        content[block * BLOCK : (block + 1) * BLOCK] = image[partner * BLOCK : (partner + 1) * BLOCK]
        try:
            return files_of(bytes(content), FLASH) != files
        except UsageError:
            return True

    assert any(shows(block, partner) for block in empty for partner in needed - set(empty))


def test_a_runtime_with_a_gap_gets_the_gap_erased(tmp_path: Path) -> None:
    sectors = [uf2.Segment(uf2.FLASH_BASE + n * SECTOR_BYTES, b"x" * 256) for n in (0, 3)]
    path = tmp_path / "gap.uf2"
    path.write_bytes(uf2.encode(sectors))
    whole = uf2.encode(runtime_segments(path, FLASH))
    content = programmed(whole, b"\0" * uf2.FLASH_BYTES)
    assert content[SECTOR_BYTES : 3 * SECTOR_BYTES] == b"\xff" * 2 * SECTOR_BYTES


def test_a_runtime_that_reaches_into_the_file_system_is_refused(tmp_path: Path, application: bytes) -> None:
    path = tmp_path / "long.uf2"
    place = uf2.FLASH_BASE + FLASH.filesystem_offset
    path.write_bytes(uf2.encode([uf2.Segment(place, b"x" * 256)]))
    with pytest.raises(UsageError, match="behind the start of the file system"):
        firmware_uf2(PEN, path, application)


def test_the_command_writes_the_file(
    tmp_path: Path, built: bytes, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEEDLEPEN_RUNTIME", str(runtime))
    out = tmp_path / "pen.uf2"
    done = CliRunner().invoke(build_command, ["--uf2", str(out)])
    assert done.exit_code == 0, done.output
    assert out.read_bytes() == built
    assert f"{len(built) // uf2.BLOCK_BYTES} blocks" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["pen.uf2"]
