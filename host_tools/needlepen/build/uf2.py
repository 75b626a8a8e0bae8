"""UF2 files (the format of the RP2040's BOOTSEL drive): write, read, refuse what the boot ROM would refuse.

Format: Microsoft UF2 specification; RP2040 datasheet 2.8.4.2 for what the boot ROM accepts (one family,
256-byte payloads at multiples of 256 bytes; it ignores other blocks without a word, so they are errors here).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from needlepen.errors import UsageError

RP2040_FAMILY = 0xE48BFF56
FLASH_BASE = 0x1000_0000
FLASH_BYTES = 2 * 1024 * 1024
"""Flash of a Raspberry Pi Pico, bytes."""

BLOCK_BYTES = 512
PAYLOAD_BYTES = 256
_MAGIC_START = (0x0A324655, 0x9E5D5157)
_MAGIC_END = 0x0AB16F30
_FLAG_NOT_MAIN_FLASH = 0x0001
_FLAG_FAMILY_PRESENT = 0x2000
_HEADER = struct.Struct("<8I")
_BLOCK = struct.Struct("<8I476sI")

_OTHER_FAMILIES = {
    0xE48BFF57: "an RP2350 (absolute)",
    0xE48BFF58: "an RP2350 (data)",
    0xE48BFF59: "an RP2350 (Arm secure)",
    0xE48BFF5A: "an RP2350 (RISC-V)",
    0xE48BFF5B: "an RP2350 (Arm non-secure)",
}


class Uf2Error(UsageError):
    """The bytes are not a UF2 that an RP2040 would take; the text says in which block and why."""


@dataclass(frozen=True)
class Segment:
    """A run of flash without gaps."""

    address: int
    """Absolute address of the first byte (flash starts at 0x1000_0000)."""
    data: bytes

    @property
    def end(self) -> int:
        """Absolute address of the first byte behind the segment."""
        return self.address + len(self.data)


def encode(segments: Iterable[Segment]) -> bytes:
    """The UF2 file that writes `segments`; the last block of each is filled up with zeros.

    Raises Uf2Error for a segment that does not start at a multiple of 256 bytes or leaves the flash.
    """
    pages: list[tuple[int, bytes]] = []
    for segment in segments:
        if segment.address % PAYLOAD_BYTES:
            raise Uf2Error(
                f"segment at {segment.address:#x} does not start at a multiple of {PAYLOAD_BYTES} bytes"
            )
        if segment.address < FLASH_BASE or segment.end > FLASH_BASE + FLASH_BYTES:
            raise Uf2Error(f"segment {segment.address:#x} to {segment.end:#x} is not inside the flash")
        for offset in range(0, len(segment.data), PAYLOAD_BYTES):
            pages.append((segment.address + offset, segment.data[offset : offset + PAYLOAD_BYTES]))
    return b"".join(
        _BLOCK.pack(
            *_MAGIC_START, _FLAG_FAMILY_PRESENT, address, PAYLOAD_BYTES, number, len(pages), RP2040_FAMILY,
            payload, _MAGIC_END,
        )
        for number, (address, payload) in enumerate(pages)
    )  # fmt: skip


def decode(data: bytes) -> list[Segment]:
    """What a UF2 file writes to flash, as segments in ascending order.

    Raises Uf2Error for anything an RP2040 would not take completely: wrong size or magic, another chip's
    family, missing or doubled blocks, payloads outside the flash or not one 256-byte page each.
    """
    if not data:
        raise Uf2Error("the file is empty")
    if _HEADER.size <= len(data) and _HEADER.unpack_from(data)[:2] != _MAGIC_START:
        raise Uf2Error("it is not a UF2 file (the first bytes are not UF2's)")
    if len(data) % BLOCK_BYTES:
        raise Uf2Error(
            f"its size, {len(data)} bytes, is not a multiple of {BLOCK_BYTES}: it is truncated or damaged"
        )
    count = len(data) // BLOCK_BYTES
    pages = [_decode_block(data[i * BLOCK_BYTES : (i + 1) * BLOCK_BYTES], i, count) for i in range(count)]
    segments: list[Segment] = []
    run: list[bytes] = []
    start = previous = -PAYLOAD_BYTES
    for number, (address, payload) in enumerate(pages):
        if run and address <= previous:
            raise Uf2Error(f"block {number} writes {address:#x} after {previous:#x}: doubled or out of order")
        if run and address != previous + PAYLOAD_BYTES:
            segments.append(Segment(start, b"".join(run)))
            run = []
        if not run:
            start = address
        run.append(payload)
        previous = address
    segments.append(Segment(start, b"".join(run)))
    return segments


def _decode_block(block: bytes, number: int, count: int) -> tuple[int, bytes]:
    magic0, magic1, flags, address, size, block_number, block_count, family, body, magic_end = _BLOCK.unpack(
        block
    )
    if (magic0, magic1) != _MAGIC_START or magic_end != _MAGIC_END:
        raise Uf2Error(f"block {number} lacks UF2's marks: the file is damaged")
    if not flags & _FLAG_FAMILY_PRESENT:
        raise Uf2Error(f"block {number} names no chip family; the RP2040 takes only {RP2040_FAMILY:#x}")
    if family != RP2040_FAMILY:
        chip = _OTHER_FAMILIES.get(family, "another chip")
        raise Uf2Error(f"block {number} is for {chip}, family {family:#x}; the RP2040 is {RP2040_FAMILY:#x}")
    if block_count != count:
        raise Uf2Error(
            f"it has {count} blocks where block {number} announces {block_count}: truncated or joined"
        )
    if block_number != number:
        raise Uf2Error(
            f"block {number} is numbered {block_number}: a block is missing, doubled or out of order"
        )
    if flags & _FLAG_NOT_MAIN_FLASH or size != PAYLOAD_BYTES or address % PAYLOAD_BYTES:
        raise Uf2Error(
            f"block {number} is not one {PAYLOAD_BYTES}-byte page of flash: the boot ROM would ignore it"
        )
    if not FLASH_BASE <= address <= FLASH_BASE + FLASH_BYTES - PAYLOAD_BYTES:
        raise Uf2Error(f"block {number} writes {address:#x}, outside the {FLASH_BYTES // 2**20} MiB flash")
    return address, body[:PAYLOAD_BYTES]


def read(path: Path) -> list[Segment]:
    """`decode` of a file. Raises Uf2Error naming the file."""
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise Uf2Error(f"{path}: cannot be read ({error.strerror})") from error
    except Uf2Error as error:
        raise Uf2Error(f"{path}: {error}") from error
