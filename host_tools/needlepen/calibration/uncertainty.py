"""Uncertainty of a depth reading: a budget after the GUM (JCGM 100:2008), each contribution by name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from needlepen.calibration.model import Budget, Contribution, GaugeIdentity
from needlepen.calibration.plan import DEPTH_MAX_UM, NOSE_CHANGE_K

RECTANGULAR: Final = math.sqrt(3.0)
"""Divisor of a half width with a rectangular distribution, JCGM 100:2008, 4.3.7."""
K: Final = 2.0
"""Coverage factor of the certificate (about 95 %)."""

PEN_SCATTER: Final = "scatter of the pen"
"""Name of the one contribution that is the pen's and not the gauge's."""

DEFLECTION_UM = 5.0
"""Half width: contact and needles give way under the force of the gauge, differently each time it is set up."""
TILT_DEG = 2.0
"""Half width: the gauge's axis against that of the needles."""
LONGEST_UM = float(DEPTH_MAX_UM)
"""Protrusion at which the tilt matters most."""
GROWTH_UM_K = 0.8
"""Growth of the protrusion with the temperature of the nose."""


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
    """Test uncertainty ratio: the tolerance by the expanded uncertainty of the process that measures, both half widths
    (ANSI/NCSL Z540.3-2006, 3.11).

    The scatter of the pen is what is judged and not part of that process: it is in U, and so in the guard band, and
    has a limit of its own.
    """
    u = math.sqrt(math.fsum(c.u**2 for c in result.contributions if c.name != PEN_SCATTER))
    return tolerance_um / (result.coverage_factor * u)


def depth_budget(gauge: GaugeIdentity, repeatability_um: float = 0.0, *, readings: int = 0) -> Budget:
    """Of one depth reading with a gauge, in um, k = 2.

    Args:
        gauge: what its own calibration says of it.
        repeatability_um: standard deviation of a reading that this calibration found (half of "2 s"). As far as it is
            larger than the gauge's own, the pen scatters: s^2 - s_gauge^2 is its share.
        readings: degrees of freedom of that standard deviation; 0 is not known.

    A gauge with an error of 3 um, 1 um resolution and 3 um repeatability gives u = 5.5 um, U = 11 um.
    """
    contributions = [
        _rectangular("indication", "certificate of the gauge", gauge.error_um),
        _rectangular("resolution", "half of the last digit of the gauge", gauge.resolution_um / 2),
        _normal("repeatability", "certificate of the gauge", gauge.repeatability_um),
        _normal("zero", "one reading on the flat plate: repeatability of the gauge", gauge.repeatability_um),
        _rectangular("contact deflection", "assumed: needles and contact give way", DEFLECTION_UM),
        _rectangular("tilt", f"cosine of {TILT_DEG:g} degrees over 2.50 mm", tilt_um()),
        _rectangular(
            "temperature", f"growth of the nose over {NOSE_CHANGE_K:g} K", NOSE_CHANGE_K, GROWTH_UM_K
        ),
    ]
    if repeatability_um > gauge.repeatability_um:
        share_um = math.sqrt(repeatability_um**2 - gauge.repeatability_um**2)
        source = "readings of this calibration, less the gauge's repeatability"
        contributions.append(_normal(PEN_SCATTER, source, share_um, readings or None))
    return budget(contributions)


def tilt_um(degrees: float = TILT_DEG, length_um: float = LONGEST_UM) -> float:
    """What a gauge reads too much if it stands askew: L (1 / cos a - 1)."""
    return length_um * (1.0 / math.cos(math.radians(degrees)) - 1.0)


def _normal(name: str, source: str, value: float, degrees_of_freedom: float | None = None) -> Contribution:
    return Contribution(
        name=name,
        source=source,
        value=value,
        distribution="normal",
        divisor=1.0,
        degrees_of_freedom=degrees_of_freedom,
    )


def _rectangular(name: str, source: str, half_width: float, sensitivity: float = 1.0) -> Contribution:
    return Contribution(
        name=name,
        source=source,
        value=half_width,
        distribution="rectangular",
        divisor=RECTANGULAR,
        sensitivity=sensitivity,
    )
