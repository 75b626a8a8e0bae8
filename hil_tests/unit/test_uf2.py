"""UF2: what is written is read back; what an RP2040 would not take whole is refused with its reason."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st
from rp2040py.device.load_flash import decode_block

from needlepen.build import uf2

PAGE = uf2.PAYLOAD_BYTES
FLASH_END = uf2.FLASH_BASE + uf2.FLASH_BYTES
IMAGE = uf2.encode([uf2.Segment(uf2.FLASH_BASE, bytes(range(256)) * 4)])

# Offsets of the fields of a block, bytes (UF2 specification).
FLAGS, ADDRESS, PAYLOAD_SIZE, NUMBER, COUNT, FAMILY, END_MAGIC = 8, 12, 16, 20, 24, 28, 508


def patched(offset: int, value: int, block: int = 1) -> bytes:
    data = bytearray(IMAGE)
    struct.pack_into("<I", data, block * uf2.BLOCK_BYTES + offset, value)
    return bytes(data)


@given(st.lists(st.binary(min_size=1, max_size=5 * PAGE), min_size=1, max_size=4))
def test_segments_are_read_back_filled_up_to_whole_pages(payloads: list[bytes]) -> None:
    step = 8 * PAGE  # leaves a gap behind each segment
    segments = [uf2.Segment(uf2.FLASH_BASE + i * step, data) for i, data in enumerate(payloads)]
    filled = [uf2.Segment(s.address, s.data + bytes(-len(s.data) % PAGE)) for s in segments]
    assert uf2.decode(uf2.encode(segments)) == filled


def test_an_independent_reader_sees_the_same_pages() -> None:
    blocks = [IMAGE[i : i + uf2.BLOCK_BYTES] for i in range(0, len(IMAGE), uf2.BLOCK_BYTES)]
    read = [decode_block(block) for block in blocks]
    assert [page.flash_address for page in read] == [uf2.FLASH_BASE + i * PAGE for i in range(4)]
    assert b"".join(page.payload for page in read) == bytes(range(256)) * 4


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        pytest.param(b"", "empty", id="empty file"),
        pytest.param(b"<html>" + bytes(600), "not a UF2 file", id="another kind of file"),
        pytest.param(IMAGE[:-1], "not a multiple of 512", id="one byte short"),
        pytest.param(IMAGE + b"\0", "not a multiple of 512", id="one byte more"),
        pytest.param(IMAGE[: -uf2.BLOCK_BYTES], "3 blocks where block 0 announces 4", id="one block short"),
        pytest.param(
            IMAGE + IMAGE[: uf2.BLOCK_BYTES], "5 blocks where block 0 announces 4", id="one block more"
        ),
        pytest.param(patched(0, 0), "block 1 lacks UF2's marks", id="first magic"),
        pytest.param(patched(4, 0), "block 1 lacks UF2's marks", id="second magic"),
        pytest.param(patched(END_MAGIC, 0), "block 1 lacks UF2's marks", id="last magic"),
        pytest.param(patched(FLAGS, 0), "names no chip family", id="no family"),
        pytest.param(
            patched(FAMILY, 0xE48BFF59), "RP2350 (Arm secure), family 0xe48bff59", id="image for a Pico 2"
        ),
        pytest.param(patched(FAMILY, 0x12345678), "another chip, family 0x12345678", id="unknown family"),
        pytest.param(patched(NUMBER, 2), "block 1 is numbered 2", id="missing block"),
        pytest.param(patched(COUNT, 5), "4 blocks where block 1 announces 5", id="count differs"),
        pytest.param(patched(PAYLOAD_SIZE, PAGE - 1), "not one 256-byte page", id="payload one byte short"),
        pytest.param(patched(PAYLOAD_SIZE, PAGE + 1), "not one 256-byte page", id="payload one byte long"),
        pytest.param(patched(FLAGS, 0x2001), "not one 256-byte page", id="not for the main flash"),
        pytest.param(patched(ADDRESS, uf2.FLASH_BASE + 1), "not one 256-byte page", id="address off by one"),
        pytest.param(patched(ADDRESS, uf2.FLASH_BASE), "doubled or out of order", id="page twice"),
        pytest.param(
            patched(ADDRESS, uf2.FLASH_BASE - PAGE, 0), "outside the 2 MiB flash", id="below the flash"
        ),
        pytest.param(patched(ADDRESS, FLASH_END, 3), "outside the 2 MiB flash", id="behind the flash"),
    ],
)
def test_a_file_that_an_rp2040_would_not_take_whole_is_refused(damaged: bytes, reason: str) -> None:
    with pytest.raises(uf2.Uf2Error) as refused:
        uf2.decode(damaged)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_last_page_of_the_flash_is_usable_and_the_next_is_not() -> None:
    last = uf2.Segment(FLASH_END - PAGE, b"x" * PAGE)
    assert uf2.decode(uf2.encode([last])) == [last]
    for beyond in (
        uf2.Segment(FLASH_END - PAGE, b"x" * (PAGE + 1)),
        uf2.Segment(uf2.FLASH_BASE - PAGE, b"x"),
    ):
        with pytest.raises(uf2.Uf2Error, match="not inside the flash"):
            uf2.encode([beyond])


def test_a_segment_off_the_page_grid_is_refused() -> None:
    with pytest.raises(uf2.Uf2Error, match="multiple of 256"):
        uf2.encode([uf2.Segment(uf2.FLASH_BASE + 1, b"x")])


@pytest.mark.parametrize(
    "make", [lambda p: p, lambda p: p.mkdir() or p, lambda p: p.write_bytes(b"no") and p]
)
def test_a_file_that_cannot_be_used_is_named(
    tmp_path_factory: pytest.TempPathFactory, make: Callable
) -> None:
    path = make(tmp_path_factory.mktemp("uf2") / "some.uf2")
    with pytest.raises(uf2.Uf2Error) as refused:
        uf2.read(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert refused.value.exit_code == 4
