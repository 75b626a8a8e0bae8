# mypy: disable-error-code="name-defined"
# `ptr8` is a type of viper; the type checker does not know it.
"""The check sums of 1-Wire chips. Pure logic; the host checks its records with the same code."""

import micropython


def crc8(data):
    """CRC-8 over a 64-bit ID without its last byte, which it has to equal (x^8 + x^5 + x^4 + 1)."""
    crc = 0
    for value in data:
        crc ^= value
        for _ in range(8):
            crc = crc >> 1 ^ 0x8C if crc & 1 else crc >> 1
    return crc


@micropython.viper
def crc16(data: ptr8, count: int, crc: int) -> int:
    """CRC-16 of the first `count` bytes, started from `crc` (x^16 + x^15 + x^2 + 1). The chip sends it inverted."""
    for place in range(count):
        crc ^= data[place]
        for _ in range(8):
            if crc & 1:
                crc = (crc >> 1) ^ 0xA001
            else:
                crc >>= 1
    return crc
