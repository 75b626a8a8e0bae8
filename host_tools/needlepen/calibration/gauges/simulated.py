"""A gauge that does not exist, with the errors of one that does: it reads the truth of an emulated pen.

Its error of indication is a line and a wave (rack and dial are periodic) that stay within the stated half width over
the pen's range, zero where it is zeroed; its readings scatter, and the display rounds.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from decimal import Decimal

from needlepen.calibration.gauges import mitutoyo
from needlepen.calibration.gauges.interface import READ_TIMEOUT_S, Place, Shown, reading
from needlepen.calibration.model import GaugeIdentity, Reading

ERROR_UM, REPEATABILITY_UM, RESOLUTION_UM = 3.0, 1.0, 1.0
"""Half width of the error of indication, standard deviation of a reading, last digit: a good 0.001 mm indicator."""
RANGE_MM = 2.6
"""Up to here from its zero the error keeps within its half width: the pen's hard stop."""
WAVE_MM = (0.4, 2.0)
"""Period of the wave, drawn per gauge."""
PARTS_OF_LINE = (0.2, 0.8)
"""Part of the half width that the line uses up at the end of the range, drawn per gauge; the wave may use the rest."""


def simulated_identity(
    seed: int = 0,
    error_um: float = ERROR_UM,
    repeatability_um: float = REPEATABILITY_UM,
    resolution_um: float = RESOLUTION_UM,
) -> GaugeIdentity:
    """What the certificate of the simulated gauge of a seed would say."""
    return GaugeIdentity(
        kind="simulated",
        model="simulated indicator",
        serial=f"SIM-{seed}",
        resolution_um=resolution_um,
        error_um=error_um,
        repeatability_um=repeatability_um,
        certificate="none: simulated",
    )


class SimulatedGauge:
    """A gauge in this process. The same seed gives the same error curve and the same scatter, reading by reading.

    Args:
        truth_mm: what an ideal gauge would show now on the pen, e.g. `lambda: pen.axis.protrusion_mm`.
        seed: which gauge.
        error_um: half width of its error of indication, 0 or more.
        repeatability_um: standard deviation of a reading, 0 or more.
        resolution_um: last digit of the display; whole or a half, fifth or tenth of 1 um.
        identity: what its papers say, if they are to say something else than the truth.
    """

    automatic = True

    def __init__(
        self,
        truth_mm: Callable[[], float],
        seed: int = 0,
        error_um: float = ERROR_UM,
        repeatability_um: float = REPEATABILITY_UM,
        resolution_um: float = RESOLUTION_UM,
        identity: GaugeIdentity | None = None,
    ) -> None:
        self.identity = identity or simulated_identity(seed, error_um, repeatability_um, resolution_um)
        self._truth_mm = truth_mm
        self._repeatability_um = repeatability_um
        self._resolution_um = Decimal(str(resolution_um)).normalize()
        self._where: Place = "pen"
        self._scatter = random.Random(f"gauge scatter {seed}")
        draw = random.Random(f"gauge curve {seed}")
        self._phase_rad = draw.uniform(0.0, 2.0 * math.pi)
        self._wave_mm = draw.uniform(*WAVE_MM)
        line = draw.uniform(*PARTS_OF_LINE)
        self._line_um = draw.choice((-1.0, 1.0)) * line * error_um
        self._wave_um = (1.0 - line) * error_um / (1.0 + abs(math.sin(self._phase_rad)))

    def error_um(self, true_mm: float) -> float:
        """Its error of indication there, without scatter and rounding."""
        turn_rad = 2.0 * math.pi * true_mm / self._wave_mm + self._phase_rad
        wave_um = self._wave_um * (math.sin(turn_rad) - math.sin(self._phase_rad))
        return wave_um + self._line_um * min(max(true_mm / RANGE_MM, -1.0), 1.0)

    def shown(self) -> Shown:
        """What its display shows now."""
        true_mm = 0.0 if self._where == "plate" else self._truth_mm()
        um = 1e3 * true_mm + self.error_um(true_mm) + self._scatter.gauss(0.0, self._repeatability_um)
        steps = round(Decimal(repr(um)) / self._resolution_um)
        return Shown((steps * self._resolution_um).scaleb(-3))

    def read(self, timeout_s: float = READ_TIMEOUT_S) -> Reading:
        """A reading, as by its serial output."""
        return self.parse(mitutoyo.encode(self.shown()))

    def parse(self, raw: str) -> Reading:
        """The reading of a Mitutoyo text. Raises GaugeError."""
        return reading(raw, mitutoyo.decode(raw))

    def place(self, where: Place) -> None:
        """Put it onto the plate, where it shows its zero, or onto the pen."""
        self._where = where

    def close(self) -> None:
        """Nothing to let go."""
