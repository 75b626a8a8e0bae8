"""Numbers of a display with a fixed count of digits."""

from __future__ import annotations

from decimal import Decimal

from needlepen.calibration.gauges.interface import GaugeError


def split(value: Decimal, most_digits: int, most_decimals: int, format_name: str) -> tuple[str, int]:
    """(digits without sign and leading zeros, decimal places). Raises GaugeError "range" if a format cannot hold it."""
    _, digits, exponent = value.as_tuple()
    if isinstance(exponent, int) and exponent <= most_digits:
        text = "".join(map(str, digits)).lstrip("0") + "0" * max(exponent, 0)
        decimals = max(-exponent, 0)
        if len(text) <= most_digits and decimals <= most_decimals:
            return text, decimals
    raise GaugeError(
        "range",
        f"{value} cannot be written as {format_name}: it holds up to {most_digits} digits and {most_decimals} "
        "decimal places.",
    )
