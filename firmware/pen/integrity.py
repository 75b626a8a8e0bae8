"""The record of the flash test: text of the runtime's. Pure."""

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
