"""How values are written on a certificate, and the sentences that every one of them has."""

from __future__ import annotations

from datetime import date, datetime

from needlepen.calibration.certificate.blocks import Mark, Text
from needlepen.calibration.decision import accept_um
from needlepen.calibration.model import Budget, GaugeIdentity
from needlepen.calibration.tolerances import TOLERANCE_UM

SIMULATED = "simulated"
"""Kind of the gauge that reads an emulated pen."""
MINUS = "\N{MINUS SIGN}"
SCOPE = (
    "What was measured is needle protrusion: how far the needle tips stand out beyond the nose plane of the pen at "
    "bottom dead centre. It is not how deep needles go into skin."
)
STANDING = (
    "This is an in-house calibration. It was not done under an accreditation, and this document claims none. It is no "
    "clearance or approval of a medical device; the pen is an engineering reference. It holds for the pen, the "
    "firmware and the conditions named here, at the time of the measurement."
)
REFUSAL = (
    "This is a report on a calibration that was refused. It is not a certificate and must not be used as one."
)


def mm(um: float, digits: int = 3, *, sign: bool = False) -> str:
    """A length given in um, in mm, with a real minus sign."""
    text = f"{um / 1e3:{'+' if sign else ''}.{digits}f}"
    if float(text) == 0:
        text = f"{'±' if sign else ''}{0:.{digits}f}"
    return text.replace("-", MINUS)


def moment(at: datetime) -> str:
    """A time to the second."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def software(version: str) -> str:
    """Which program it was."""
    return version if version.startswith("needlepen") else f"needlepen {version}"


def degrees(celsius: float) -> str:
    """A temperature."""
    return f"{celsius:.1f} °C".replace("-", MINUS)


def number(value: float, unit: str) -> str:
    """The value of a check: lengths in mm, others as they are."""
    if unit == "um":
        return f"{mm(value)} mm"
    return f"{value:.3g} {unit}".strip().replace("-", MINUS)


def judged(error_um: float, budget: Budget) -> tuple[str, Mark]:
    """What an error is, seen from the tolerance and its guard band."""
    if abs(error_um) <= accept_um(budget):
        return "within", "pass"
    return ("in guard band", "note") if abs(error_um) <= TOLERANCE_UM else ("outside", "fail")


def coverage(budget: Budget) -> str:
    """k, in one piece."""
    return f"k = {budget.coverage_factor:.3g}".replace(" ", "\N{NO-BREAK SPACE}")


def uncertainty(budget: Budget) -> str:
    """The sentence that belongs to every U."""
    return (
        f"U = {mm(budget.expanded)} mm is the expanded uncertainty of a reading: the combined standard uncertainty "
        f"times the coverage factor {coverage(budget)}, which for a normal distribution covers about 95 %."
    )


def traceability(gauge: GaugeIdentity, day: date) -> Text:
    """What the results lean on."""
    if gauge.kind == SIMULATED:
        return Text(
            "The gauge is simulated, on an emulated pen: nothing was measured, this only shows the procedure.",
            "fail",
        )
    if not gauge.certificate:
        return Text(
            "The gauge has no certificate of its own here: the results are not traceable to a standard.",
            "note",
        )
    if gauge.due is not None and gauge.due < day:
        return Text(f"The calibration of the gauge ({gauge.certificate}) had expired on {gauge.due}.", "fail")
    until = f", due {gauge.due}" if gauge.due else ""
    return Text(f"The results rest on the calibration of the gauge: certificate {gauge.certificate}{until}.")
