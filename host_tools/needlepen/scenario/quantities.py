"""What a scenario can wait for and what it can assert, with units. The runner measures each by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from needlepen import requirements

Kind = Literal["number", "yes_no", "word"]

UNITS: Mapping[str, str] = {
    "hz": "Hz", "pct": "%", "a": "A", "v": "V", "mm": "mm", "s": "s", "ms": "ms", "us": "us", "ns": "ns",
    "c": "C", "ohm": "ohm", "strokes": "strokes", "mm_s": "mm/s", "hz_s": "Hz/s",
}  # fmt: skip
"""Unit suffixes of names, with how the unit is written."""

_TIME_S: Mapping[str, float] = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


@dataclass(frozen=True)
class Quantity:
    """Something an assert can compare: a number with a unit, a yes or no, or a word the firmware reports."""

    name: str
    kind: Kind
    unit: str
    meaning: str


def _table(kind: Kind, rows: Mapping[str, str]) -> dict[str, Quantity]:
    return {
        name: Quantity(name, kind, UNITS[unit_suffix(name)] if kind == "number" else "", meaning)
        for name, meaning in rows.items()
    }


def unit_suffix(name: str) -> str:
    """The unit in a name, for example "mm" of "protrusion_mm"; "" when it has none."""
    parts = name.split("_")
    return next((unit for unit in ("_".join(parts[-2:]), parts[-1]) if unit in UNITS), "")


QUANTITIES: Mapping[str, Quantity] = {
    **_table("number", {
        "rate_hz": "true stroke rate of the shaft, mean of the last revolution",
        "reported_rate_hz": "stroke rate that the firmware reports",
        "rate_error_pct": "distance of the true from the set rate, in percent of the set rate, never below 0",
        "report_error_pct": "distance of the reported from the true rate, in percent of the true rate",
        "rate_peak_hz": "highest stroke rate since the last stimulus",
        "overshoot_pct": "how far the rate went above the set rate since the last stimulus",
        "dip_pct": "how far the rate fell below the set rate since the last stimulus",
        "settling_ms": "from the last stimulus until the rate stays within PR-02.loaded_error_pct",
        "current_a": "motor current, mean over one PWM period",
        "current_peak_a": "the highest current_a since the last stimulus",
        "cell_v": "voltage at the cell's terminals",
        "supply_v": "voltage at the bridge, behind the supply switch",
        "needle_mm": "needle protrusion at this moment; negative while the tips are inside the nose",
        "protrusion_mm": "true needle protrusion at bottom dead centre, where the depth axis stands now",
        "depth_mm": "needle protrusion that the firmware measures",
        "nose_c": "nose temperature that the firmware reports",
        "reaction_us": "from the cause of the last cut-off to the drive removed",
        "reaction_ms": "the same in milliseconds",
        "supply_off_ms": "from the cause of the last cut-off to the supply switch open",
        "standstill_ms": "from the cause of the last cut-off to the first stop of the shaft",
        "standstill_strokes": "revolutions from the cause of the last cut-off to standstill",
        "tips_out_ms": "from the cause of the last cut-off until the tips are out of the skin for good",
        "reset_ms": "from the cause of the last cut-off to the chip's reset",
        "ready_ms": "from the last power-on or reset to ready",
    }),
    **_table("yes_no", {
        "braked": "the bridge brakes the motor, whoever asked for it",
        "supply_on": "the bridge's supply switch is closed",
        "run_permitted": "drive permission RUN_N is low",
        "latched": "the hardware overcurrent latch is set (TRIP_N low)",
        "standstill": "the shaft stands still",
        "retracted": "the needles stand at top dead centre, fully retracted",
    }),
    **_table("word", {
        "state": "state the firmware reports, in lower case",
        "fault": "fault the firmware reports, in lower case; \"none\" without one",
    }),
}  # fmt: skip
"""A stimulus is an action that changes something: not a wait, a mark or an assert. The cause of a cut-off is
what the requirement counts from: for a stuck bridge the rate crossing its threshold, for a jam the index edge
that was due, for a short the current crossing its limit, else the stimulus itself.
Releasing the trigger is a cut-off too."""

CONDITIONS: Mapping[str, str] = {
    "ready": "the firmware reports that it may run",
    "running": "the firmware reports that it drives the motor",
    "rate_reached": "the mean rate of a revolution is within PR-02.loaded_error_pct of the set rate",
    "standstill": "the shaft stands still",
    "retracted": "the shaft stands still with the needles at top dead centre",
    "top_dead_centre": "the cam passes the point where the needles are fully retracted",
    "bottom_dead_centre": "the cam passes the point where the needles stand out most",
    "braked": "the bridge brakes the motor",
    "fault": "the firmware reports a fault: it is in its safe state",
    "no_fault": "the firmware reports that no fault is left",
    "reset": "the chip was reset after the previous step",
}
"""What `when` can name."""


def known(name: str, choices: Iterable[str], what: str) -> str:
    """`name` if it is one of the choices. Raises ValueError that offers the nearest ones, or all."""
    choices = list(choices)
    if name in choices:
        return name
    near = difflib.get_close_matches(name, choices, n=2)
    offer = f"did you mean {' or '.join(near)}?" if near else f"possible: {', '.join(choices)}"
    raise ValueError(f"{name!r} is no {what}; {offer}")


def limit(reference: str, suffix: str) -> float:
    """The value of a limit such as "PR-04.start_ms", in the time unit `suffix` where both are times.

    Raises ValueError when the requirement, the limit, or a fitting unit is missing.
    """
    table = requirements.load()
    requirement_id, _, name = reference.partition(".")
    if requirement_id not in table:
        raise ValueError(f"{reference!r} names no requirement; write a number or for example PR-04.start_ms")
    limits = table[requirement_id].limits
    if name not in limits:
        raise ValueError(f"{requirement_id} has no limit {name!r}; it has {', '.join(limits)}")
    found = unit_suffix(name)
    value = float(limits[name])
    if found == suffix:
        return value
    if found in _TIME_S and suffix in _TIME_S:
        return value * _TIME_S[found] / _TIME_S[suffix]
    raise ValueError(
        f"{reference} is in {UNITS.get(found, 'no unit')}, but {UNITS.get(suffix, 'no unit')} is needed"
    )
