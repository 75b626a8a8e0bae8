"""Readings as lines of text: typed by a person, or by a gauge whose adapter behaves as a keyboard (HID wedge).

A line is a number with a decimal point or a decimal comma, with or without a sign and a unit: `1.234`, `-0,005 mm`,
`+0.0492 in`. Thousands are not separated, so that a comma is always decimal.
"""

from __future__ import annotations

import re
from decimal import Decimal

from needlepen.calibration.gauges.interface import READ_TIMEOUT_S, GaugeError, Place, Shown, Unit, reading
from needlepen.calibration.model import GaugeIdentity, Reading
from needlepen.errors import UsageError

MOST_DIGITS = 10
_LINE = re.compile(
    r"(?P<sign>[+-]?)(?P<number>[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+) ?(?P<unit>mm|inch|in|\")?", re.IGNORECASE
)
_WRITE = "write it as 1.234 or 1,234, if need be with mm or inch"


def encode(shown: Shown, comma: bool = False, with_unit: bool = False) -> str:
    """The line without its Enter."""
    number = f"{shown.value:f}"
    return (number.replace(".", ",") if comma else number) + (f" {shown.unit}" if with_unit else "")


def decode(line: str, unit: Unit = "mm") -> Shown:
    """What a line says; `unit` if it names none. Raises UsageError that says what is wrong with it."""
    text = " ".join(line.replace("\N{MINUS SIGN}", "-").split())
    if not text:
        raise UsageError(f"There is no reading in an empty line; {_WRITE}.")
    if len(re.findall(r"[.,]", text)) > 1:
        raise UsageError(f"{line.strip()!r} has more than one decimal mark; {_WRITE}.")
    found = _LINE.fullmatch(text) if text.isascii() else None
    if found is None:
        raise UsageError(f"{line.strip()[:40]!r} is no reading; {_WRITE}.")
    number = found["number"].replace(",", ".")
    if len(number) > MOST_DIGITS:
        raise UsageError(f"{line.strip()[:40]!r} has more digits than a gauge; {_WRITE}.")
    said = (found["unit"] or unit).lower()
    return Shown(Decimal(found["sign"] + number), "mm" if said == "mm" else "inch")


class TypedGauge:
    """A gauge whose readings a person types, or the gauge itself into the field where a person would."""

    automatic = False

    def __init__(self, port: str | None, identity: GaugeIdentity, unit: Unit = "mm") -> None:
        if port:
            raise UsageError(
                f"A gauge of kind {identity.kind!r} has no port; leave it out, or choose another kind."
            )
        self.identity = identity
        self.unit = unit

    def read(self, timeout_s: float = READ_TIMEOUT_S) -> Reading:
        """Not possible: what it shows comes as typed text."""
        raise UsageError(
            f"A gauge of kind {self.identity.kind!r} cannot be asked: type what it shows, or press its DATA key."
        )

    def parse(self, raw: str) -> Reading:
        """The reading of a line. Raises UsageError."""
        try:
            return reading(raw, decode(raw, self.unit))
        except GaugeError as error:
            raise UsageError(str(error)) from None

    def place(self, where: Place) -> None:
        """A person does that."""

    def close(self) -> None:
        """Nothing to let go."""
