"""The records of the flash test: text of the runtime's, and of the list of the application's files. Pure."""

from binascii import crc32

from pen.board import FLASH_RUNTIME_BYTES


def reference_text(length, crc):
    """The record (bytes) of a runtime of `length` bytes with this CRC-32."""
    return b"runtime 1 %d %08x\n" % (length, crc)


def parse_reference(record):
    """(length, CRC) of a record, or None if it is none of this format."""
    words = record.split()
    try:
        length, crc = int(words[2]), int(words[3], 16)
    except (ValueError, IndexError):
        return None
    return (
        (length, crc) if 0 < length <= FLASH_RUNTIME_BYTES and record == reference_text(length, crc) else None
    )


def manifest_lines(data):
    """The lines of a manifest (bytes) without the last, or None if its CRC is not the one in the last line."""
    end = data.rfind(b"\n", 0, len(data) - 1) + 1
    if not end or data[end:] != b"%08x\n" % crc32(data[:end]):
        return None
    return data[: end - 1].split(b"\n")
