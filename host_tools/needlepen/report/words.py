"""Numbers and verdicts as people read them; used by the page and by the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping

from needlepen.evidence import Measurement, RunRecord

_WRITTEN_UNITS: Mapping[str, str] = {"us": "µs", "um": "µm", "ohm": "Ω", "C": "°C", "strokes": "strokes"}
_RELATIONS: Mapping[str, str] = {"<=": "≤", ">=": "≥", "==": "="}


def unit(name: str) -> str:
    """A unit with its proper sign."""
    return _WRITTEN_UNITS.get(name, name)


def number(value: float, digits: int = 3) -> str:
    """A number with at least `digits` significant digits, without an exponent, integers in full."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else ("∞" if value > 0 else "−∞")
    decimals = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    text = f"{value:.{min(decimals, 9)}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace("-", "−")


def amount(value: float | None, name: str) -> str:
    """A value with its unit; what was never seen or not measured in words."""
    if value is None or math.isnan(value):
        return "not measured"
    if math.isinf(value):
        return "never"
    shown, name = _readable_time(value, name)
    return f"{number(shown)} {unit(name)}".rstrip()


def _readable_time(value: float, name: str) -> tuple[float, str]:
    """A time below 0.1 of its unit in the next smaller one: 0.000043 ms is 43 ns."""
    smaller = {"s": "ms", "ms": "us", "us": "ns"}
    while 0 < abs(value) < 0.1 and name in smaller:
        value, name = value * 1000, smaller[name]
    return value, name


def value(measurement: Measurement) -> str:
    """The measured value with its unit; yes or no where that was the question."""
    if _is_yes_no(measurement) and measurement.value in (0, 1):
        return "yes" if measurement.value else "no"
    return amount(measurement.value, measurement.unit)


def limit(measurement: Measurement) -> str:
    """The comparison a value has to satisfy, for example "≤ 10 ms"."""
    if _is_yes_no(measurement):
        return "yes"
    if measurement.lower is not None:
        return f"{number(measurement.lower)} to {amount(measurement.limit, measurement.unit)}"
    return f"{_RELATIONS[measurement.relation]} {amount(measurement.limit, measurement.unit)}"


def _is_yes_no(measurement: Measurement) -> bool:
    return measurement.relation == "==" and not measurement.unit and measurement.limit == 1


def margin(measurement: Measurement) -> str:
    """What is left to the limit, in percent of it; "" where that has no meaning."""
    fraction = measurement.margin_fraction
    if fraction is None or not math.isfinite(fraction):
        return ""
    return f"{number(100 * fraction, 2)} %"


def use_of_limit(measurement: Measurement) -> float | None:
    """How much of the allowed room a value takes: 1 is at the limit. None where that has no meaning.

    For ">=" it is limit / value, so that 1 is at the limit and more is worse, as for "<=".
    """
    found = measurement.value
    if found is None or not measurement.is_set or measurement.relation == "==":
        return None
    if math.isinf(found):
        return math.inf if measurement.verdict == "fail" else 0.0
    if measurement.relation == ">=":
        return measurement.limit / found if found > 0 and measurement.limit > 0 else None
    fraction = measurement.margin_fraction
    return None if fraction is None else max(1.0 - fraction, 0.0)


def run_verdict(record: RunRecord) -> str:
    """One word for the whole run: a partial run is called so, whatever it measured until then."""
    if not record.complete:
        return "partial, failed" if record.verdict == "fail" else "partial"
    return {"pass": "pass", "fail": "fail", "unset": "incomplete"}[record.verdict]


def tally(record: RunRecord) -> str:
    """How many measurements passed, failed and were not made."""
    verdicts = [m.verdict for m in record.measurements]
    parts = [f"{verdicts.count('pass')} of {len(verdicts)} measurements pass"]
    if failed := verdicts.count("fail"):
        parts.append(f"{failed} fail")
    if unset := verdicts.count("unset"):
        parts.append(f"{unset} not measured")
    return ", ".join(parts)


def partial_reason(record: RunRecord) -> str:
    """Why and when an incomplete run ended, and what that means. "" for a complete one."""
    if record.complete:
        return ""
    why = record.stopped_because or "it did not reach the scenario's end"
    return (
        f"Stopped after {record.device_s:.3f} s of device time: {why}. "
        "Nothing after that moment was measured, so this run is no evidence of a pass."
    )
