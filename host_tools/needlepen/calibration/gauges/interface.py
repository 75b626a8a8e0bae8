"""What a gauge is to the rest of the tools: an identity, and readings. Everything a plug-in has to do is here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, Protocol

from needlepen.calibration.model import GaugeIdentity, Reading, now
from needlepen.errors import InfrastructureError, Refused

READ_TIMEOUT_S = 5.0
"""How long a gauge may take to answer, or a person to press its DATA key."""
LONGEST_STROKE_MM = Decimal("25.4")
"""Spindle travel of the longest indicators that fit a calibration stand; a value beyond it is no reading."""
MM_PER_INCH = Decimal("25.4")
"""Exact, by definition."""

Unit = Literal["mm", "inch"]
Place = Literal["plate", "pen"]
"""Where the gauge's contact stands: on the flat plate (its zero), or on the pin of the pen's dummy cartridge."""


class GaugeError(Refused):
    """A gauge sent something that is no reading. `fault` is its name, e.g. "short", "header", "error reply"."""

    def __init__(self, fault: str, text: str) -> None:
        super().__init__(text)
        self.fault = fault


class GaugeSilent(InfrastructureError):
    """Nothing came from the gauge in time."""


class Gauge(Protocol):
    """A gauge that is open. Its plug-in makes one from a port and an identity."""

    @property
    def identity(self) -> GaugeIdentity:
        """Which gauge it is, as the user's gauges.toml says."""

    @property
    def automatic(self) -> bool:
        """Whether `read` gets a reading; otherwise a person types it, or the gauge does, and `parse` takes the text."""

    def read(self, timeout_s: float = READ_TIMEOUT_S) -> Reading:
        """A reading that was taken after this call: asked for, or waited for where only the gauge can send.

        Raises GaugeSilent if none comes in time, InfrastructureError if the port has gone, GaugeError for anything
        that is no plausible reading, and UsageError if the gauge is not `automatic`.
        """

    def parse(self, raw: str) -> Reading:
        """The reading of a text: typed by a person, or as the gauge sends it. Raises UsageError or GaugeError."""

    def place(self, where: Place) -> None:
        """The gauge is to stand there. For all but simulated gauges a person has to do that: nothing happens."""

    def close(self) -> None:
        """Let the port go."""


@dataclass(frozen=True)
class Plugin:
    """A kind of gauge. `open(port, identity, unit)` makes a Gauge; `unit` is what its display shows if it sends none.

    Third parties name one as an entry point of the group `needlepen.gauges`.
    """

    kind: str
    description: str
    """One line for lists."""
    open: Callable[[str | None, GaugeIdentity, Unit], Gauge]
    needs_port: bool = False


@dataclass(frozen=True)
class Shown:
    """What a display shows: the number with all of its digits, and its unit."""

    value: Decimal
    unit: Unit = "mm"

    @property
    def mm(self) -> Decimal:
        """In mm, exact to the last digit: an inch is 25.4 mm."""
        return self.value * MM_PER_INCH if self.unit == "inch" else self.value


def reading(raw: str, shown: Shown) -> Reading:
    """The reading of now. Raises GaugeError "range" for a value that no indicator on the stand can show."""
    if abs(shown.mm) > LONGEST_STROKE_MM:
        raise GaugeError(
            "range",
            f"The gauge shows {shown.value} {shown.unit}, which is beyond the stroke of an indicator "
            f"({LONGEST_STROKE_MM} mm): it is no reading of a pen; look at its unit and zero it on the plate.",
        )
    return Reading(raw=raw, value_mm=float(shown.mm), unit=shown.unit, at=now())
