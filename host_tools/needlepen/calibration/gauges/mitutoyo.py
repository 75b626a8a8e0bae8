"""The text that Mitutoyo's serial outputs send (RS-232 multiplexers, USB virtual COM ports): 9600 baud, 8N1.

    01A+0000.123<CR>    0: a value, 1: channel, A: measured item, sign, 8 characters with a floating point
    911<CR>             9: an error, 1: channel, 1: which

The text names no unit: the user's gauges.toml says what the display shows, mm unless it says inch.
"""

from __future__ import annotations

import re
from decimal import Decimal

from needlepen.calibration.gauges.digits import split
from needlepen.calibration.gauges.interface import GaugeError, Shown, Unit
from needlepen.calibration.gauges.port_gauge import PortGauge

END = b"\r"
REQUEST = b"1\r"
"""Asks for the value of channel 1; an output without requests ignores it and sends when its DATA key is pressed."""
FIELD = 8
"""Characters of the number after its sign, the point among them."""
MOST_DECIMALS = 5
LONGEST = 4 + FIELD
_VALUE_START = "01A"
ERRORS = {
    "1": "it gets no data: the gauge is off, or its cable is not plugged in",
    "2": "what it got from the gauge is no value: the gauge shows an error, or it is of another kind",
}
"""By the last digit of an error reply; outputs differ in further ones."""


def encode(shown: Shown) -> str:
    """The text without its <CR>; the unit is not part of it. Raises GaugeError "range" if the field cannot hold it."""
    digits, decimals = split(shown.value, FIELD - 1, MOST_DECIMALS, "Mitutoyo text")
    number = digits.rjust(FIELD - 1, "0")
    whole, fraction = number[: FIELD - 1 - decimals], number[FIELD - 1 - decimals :]
    return f"{_VALUE_START}{'-' if shown.value.is_signed() else '+'}{whole}.{fraction}"


def decode(text: str, unit: Unit = "mm") -> Shown:
    """What a line without its <CR> says. Raises GaugeError that names what is wrong with it."""
    said = repr(text[: 2 * LONGEST])
    if not text.isascii() or not text.isprintable():
        raise GaugeError("garbage", f"The gauge sent {said}, which is no text: check baud rate and cable.")
    if text.startswith("9"):
        raise _error_reply(text)
    if len(text) < LONGEST:
        raise GaugeError("short", f"The gauge sent {said}, {len(text)} of {LONGEST} characters: read again.")
    if len(text) > LONGEST:
        raise GaugeError("long", f"The gauge sent {said}, more than {LONGEST} characters: read again.")
    if not text.startswith(_VALUE_START):
        raise GaugeError("header", f"The gauge sent {said}, which does not begin with {_VALUE_START}.")
    sign, number = text[3], text[4:]
    if sign not in "+-":
        raise GaugeError("sign", f"The gauge sent {said}: {sign!r} is no sign, + or -.")
    if not re.fullmatch(r"[0-9]+\.[0-9]*", number):
        raise GaugeError("digit", f"The gauge sent {said}: {number!r} is no decimal number.")
    if len(number.partition(".")[2]) > MOST_DECIMALS:
        raise GaugeError(
            "decimal places", f"The gauge sent {said}: more than {MOST_DECIMALS} decimal places."
        )
    return Shown(Decimal(sign + number), unit)


def _error_reply(text: str) -> GaugeError:
    if not re.fullmatch(r"9[0-9]{2}", text):
        return GaugeError(
            "garbage", f"The gauge sent {text[:20]!r}, neither a value nor an error: read again."
        )
    why = ERRORS.get(text[2], "its manual says what this number means")
    return GaugeError("error reply", f"The gauge's output reports error {text}: {why}.")


class MitutoyoGauge(PortGauge):
    """A gauge behind a Mitutoyo serial output: it is asked, or sends when its DATA key is pressed."""

    request = REQUEST

    def decode(self, raw: str) -> Shown:
        return decode(raw, self.unit)
