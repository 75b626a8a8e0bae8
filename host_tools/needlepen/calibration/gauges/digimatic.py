"""Mitutoyo's Digimatic frames: 13 digits of 4 bit, as an adapter between gauge and serial port passes them on.

    d1-d4    F
    d5       sign: 0 or 8 (minus)
    d6-d11   six BCD digits, the highest first
    d12      decimal places, 0 to 5
    d13      unit: 0 mm, 1 inch

Two forms are understood. Text: the 13 digits in hexadecimal, in their order, with blanks between them or without, then
CR, LF or silence. Bits: the 52 bits as they come from the gauge, the least significant bit of each digit first, packed
into 7 bytes with the earlier bit at the lower place, so that a byte holds two digits, the earlier one in its lower
half; the last half byte is 0.
"""

from __future__ import annotations

import re
from decimal import Decimal

from needlepen.calibration.gauges.digits import split
from needlepen.calibration.gauges.interface import GaugeError, Shown
from needlepen.calibration.gauges.port_gauge import PortGauge, take_line

DIGITS, BYTES = 13, 7
HEADER = "FFFF"
VALUE_DIGITS, MOST_DECIMALS = 6, 5
_SIGNS = {"0": "+", "8": "-"}
_FIRST_BYTE = b"\xff"
_BITS_MARK = "0x"


def encode(shown: Shown) -> str:
    """The frame as 13 hexadecimal digits. Raises GaugeError "range" if a frame cannot hold it."""
    digits, decimals = split(shown.value, VALUE_DIGITS, MOST_DECIMALS, "a Digimatic frame")
    sign, unit = "8" if shown.value.is_signed() else "0", "1" if shown.unit == "inch" else "0"
    return f"{HEADER}{sign}{digits.rjust(VALUE_DIGITS, '0')}{decimals}{unit}"


def decode(text: str) -> Shown:
    """What 13 hexadecimal digits say. Raises GaugeError that names what is wrong with them."""
    frame, said = text.replace(" ", "").upper(), repr(text[: 2 * DIGITS])
    if not re.fullmatch(r"[0-9A-F]*", frame):
        raise GaugeError(
            "garbage", f"The gauge's adapter sent {said}, which is no Digimatic frame: check its baud rate."
        )
    if len(frame) != DIGITS:
        fault = "short" if len(frame) < DIGITS else "long"
        raise GaugeError(
            fault, f"The Digimatic frame {said} has {len(frame)} digits instead of {DIGITS}: read again."
        )
    sign, digits, decimals, unit = frame[4], frame[5:11], frame[11], frame[12]
    for fault, good, problem in (
        ("header", frame.startswith(HEADER), f"it does not begin with {HEADER}"),
        ("sign", sign in _SIGNS, f"its sign is {sign}, neither 0 nor 8"),
        ("digit", digits.isdecimal(), f"its value {digits} is not decimal"),
        ("decimal places", decimals <= str(MOST_DECIMALS), f"it has {decimals} decimal places"),
        ("unit", unit in "01", f"its unit is {unit}, neither 0 (mm) nor 1 (inch)"),
    ):
        if not good:
            raise GaugeError(fault, f"The Digimatic frame {said} is wrong: {problem}; read again.")
    value = Decimal(f"{_SIGNS[sign]}{digits}").scaleb(-int(decimals))
    return Shown(value, "inch" if unit == "1" else "mm")


def to_bits(text: str) -> bytes:
    """13 hexadecimal digits as the 7 bytes of the bit stream."""
    digits = [int(digit, 16) for digit in text] + [0]
    return bytes(low | high << 4 for low, high in zip(digits[::2], digits[1::2], strict=True))


def from_bits(data: bytes) -> str:
    """The 13 digits of the bit stream. Raises GaugeError for another length, or bits after the last digit."""
    if len(data) != BYTES:
        fault = "short" if len(data) < BYTES else "long"
        raise GaugeError(
            fault, f"A Digimatic frame of {len(data)} bytes instead of {BYTES} came: read again."
        )
    digits = "".join(f"{byte & 15:X}{byte >> 4:X}" for byte in data)
    if digits[DIGITS] != "0":
        raise GaugeError("long", f"The Digimatic frame {data.hex()} goes on after 52 bits: read again.")
    return digits[:DIGITS]


class DigimaticGauge(PortGauge):
    """A gauge behind a Digimatic adapter, which sends a frame when DATA is pressed, or by itself again and again.

    The frame says its unit. `raw` of a reading is the text, or 0x and the 7 bytes in hexadecimal.
    """

    def decode(self, raw: str) -> Shown:
        if not raw.startswith(_BITS_MARK):
            return decode(raw)
        try:
            return decode(from_bits(bytes.fromhex(raw[len(_BITS_MARK) :])))
        except ValueError:
            raise GaugeError("garbage", f"{raw!r} is no Digimatic frame: 13 digits, or 0x and 14.") from None

    def take(self, data: bytes) -> str | None:
        return None if data.startswith(_FIRST_BYTE) else take_line(data)  # silence ends a bit stream

    def rest(self, data: bytes) -> str:
        if data.startswith(_FIRST_BYTE):
            return _BITS_MARK + data.hex()
        return super().rest(data)
