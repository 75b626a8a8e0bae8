"""Uncertainty of a depth reading: a budget after the GUM (JCGM 100:2008), each contribution by name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from needlepen.calibration.model import Budget, Contribution, GaugeIdentity

RECTANGULAR: Final = math.sqrt(3.0)
"""Divisor of a half width with a rectangular distribution, JCGM 100:2008, 4.3.7."""
K: Final = 2.0
"""Coverage factor of the certificate (about 95 %)."""

DEFLECTION_UM = 5.0
"""Half width: contact and needles give way under the force of the gauge, differently each time it is set up."""
TILT_DEG = 2.0
"""Half width: the gauge's axis against that of the needles."""
LONGEST_UM = 2500.0
"""Protrusion at which the tilt matters most."""
GROWTH_UM_K = 0.8
"""Growth of the protrusion with the temperature of the nose."""
STEADY_K = 1.5
"""Half width: how far the nose may be from the temperature of the zero."""


def budget(
    contributions: Sequence[Contribution],
    *,
    unit: str = "um",
    k: float | None = K,
    confidence: float = 0.9545,
) -> Budget:
    """Combine independent contributions.

    u_c^2 = sum of u_i^2 (JCGM 100:2008, 5.1.2) and U = k u_c (6.2.1). The effective degrees of freedom are those of
    Welch and Satterthwaite, u_c^4 / sum of u_i^4 / nu_i (G.4.1), None if they are infinite. `k`: the coverage factor,
    or None to take it from the t distribution with the degrees of freedom rounded down (G.4.1) for a `confidence`.
    """
    u = math.sqrt(math.fsum(c.u**2 for c in contributions))
    limited = math.fsum(
        c.u**4 / c.degrees_of_freedom for c in contributions if c.degrees_of_freedom is not None
    )
    freedom = u**4 / limited if limited else None
    factor = coverage_factor(freedom, confidence) if k is None else k
    return Budget(
        unit=unit,
        contributions=list(contributions),
        combined=u,
        effective_dof=freedom,
        coverage_factor=factor,
        expanded=factor * u,
    )


def coverage_factor(degrees_of_freedom: float | None, confidence: float) -> float:
    """k of the t distribution, two-sided, with the degrees rounded down (JCGM 100:2008, G.3 and G.4.1).

    None is the normal distribution.
    """
    from scipy import stats

    both_sides = 0.5 + 0.5 * confidence
    if degrees_of_freedom is None:
        return float(stats.norm.ppf(both_sides))
    return float(stats.t.ppf(both_sides, max(1, math.floor(degrees_of_freedom))))


def tur(tolerance_um: float, result: Budget) -> float:
    """Test uncertainty ratio: half width of the tolerance by the expanded uncertainty (ANSI/NCSL Z540.3, 3.11)."""
    return tolerance_um / result.expanded


def depth_budget(gauge: GaugeIdentity, repeatability_um: float = 0.0, *, readings: int = 0) -> Budget:
    """Of one depth reading with a gauge, in um, k = 2.

    Args:
        gauge: what its own calibration says of it.
        repeatability_um: standard deviation of a reading that this calibration found (half of "2 s"): it counts if it
            is larger than the gauge's own, since it holds the pen's as well.
        readings: of how many degrees of freedom that one is; 0 is not known.

    A gauge with an error of 3 um, 1 um resolution and 3 um repeatability gives u = 5.5 um, U = 11 um.
    """
    measured = repeatability_um > gauge.repeatability_um
    scatter = Contribution(
        name="repeatability",
        source="readings of this calibration" if measured else "certificate of the gauge",
        value=repeatability_um if measured else gauge.repeatability_um,
        distribution="normal",
        divisor=1.0,
        degrees_of_freedom=float(readings) if measured and readings else None,
    )
    return budget(
        [
            _rectangular("indication", "certificate of the gauge", gauge.error_um),
            _rectangular("resolution", "half of the last digit of the gauge", gauge.resolution_um / 2),
            scatter,
            Contribution(
                name="zero",
                source="one reading on the flat plate: repeatability of the gauge",
                value=gauge.repeatability_um,
                distribution="normal",
                divisor=1.0,
            ),
            _rectangular("contact deflection", "assumed: needles and contact give way", DEFLECTION_UM),
            _rectangular("tilt", f"cosine of {TILT_DEG:g} degrees over 2.50 mm", tilt_um()),
            _rectangular("temperature", f"growth of the nose over {STEADY_K:g} K", GROWTH_UM_K, STEADY_K),
        ]
    )


def tilt_um(degrees: float = TILT_DEG, length_um: float = LONGEST_UM) -> float:
    """What a gauge reads too much if it stands askew: L (1 / cos a - 1)."""
    return length_um * (1.0 / math.cos(math.radians(degrees)) - 1.0)


def _rectangular(name: str, source: str, half_width: float, sensitivity: float = 1.0) -> Contribution:
    return Contribution(
        name=name,
        source=source,
        value=half_width,
        distribution="rectangular",
        divisor=RECTANGULAR,
        sensitivity=sensitivity,
    )
