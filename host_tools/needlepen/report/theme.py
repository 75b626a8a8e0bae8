"""Colours and the meaning of recorded names, in one place for page and plots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

INK, MUTED, FAINT, GRID, PANEL = "#1c2733", "#5b6876", "#98a4b0", "#e8ecf0", "#ffffff"
ACCENT, ACCENT_SOFT = "#0f6a7c", "rgba(15,106,124,0.13)"
PASS, FAIL, UNSET = "#23794a", "#b5302a", "#9a6700"
SKIN = "rgba(214,138,110,0.13)"
FONT = 'Inter, "Segoe UI", system-ui, -apple-system, "Helvetica Neue", Arial, sans-serif'

STATE_COLOURS: Mapping[str, str] = {
    "off": "#eceff2",
    "boot": "#dfe4ea",
    "self_test": "#cdd6df",
    "idle": "#e3e9ec",
    "armed": "#cfe3ec",
    "running": "#8cc3cd",
    "stopping": "#bfdde2",
    "safe": "#efc1bb",
    "locked_out": "#e39d94",
    "service": "#ddd0e6",
}
"""Of the firmware's states; others get the colour of "boot"."""


@dataclass(frozen=True)
class Look:
    """How one recorded quantity is drawn."""

    label: str
    colour: str
    panel: str
    step: bool = False
    dash: str = "solid"
    width: float = 1.4


SERIES: Mapping[str, Look] = {
    "set_rate_hz": Look("set rate", MUTED, "Stroke rate", step=True, dash="dot"),
    "rate_hz": Look("true rate", ACCENT, "Stroke rate", width=1.6),
    "shaft_hz": Look("shaft speed at each instant", ACCENT, "Shaft speed", width=1.2),
    "reported_rate_hz": Look("reported by the firmware", "#c77b1e", "Stroke rate", width=1.0),
    "current_a": Look("motor current", "#4b5fa8", "Motor current"),
    "current_peak_a": Look("highest in a PWM period", "#7282c4", "Motor current", width=1.2),
    "needle_mm": Look("needle protrusion", "#8a4f7d", "Needle protrusion", width=0.9),
    "duty": Look("driven part of the PWM period", "#5b6876", "Driven part of the PWM period", step=True),
    "supply_v": Look("bridge supply", "#5d7a3a", "Voltages"),
    "cell_v": Look("cell", "#a5842c", "Cell voltage"),
    "duty_pct": Look("driven part", "#5b6876", "Driven part of the PWM period"),
    "depth_set_mm": Look("set", MUTED, "Depth", step=True, dash="dot"),
    "depth_mm": Look("measured", "#8a4f7d", "Depth", width=1.6),
    "depth_cap_mm": Look("deepest allowed", FAINT, "Depth", step=True, dash="dash", width=1.0),
    "nose_c": Look("nose", "#b4552d", "Temperatures"),
    "winding_c": Look("motor winding", "#7a3b69", "Temperatures"),
}
"""Well-known names; any other series gets a panel of its own."""

SIGNALS: Mapping[str, str] = {
    "TRIGGER_N": "trigger, low = pressed",
    "PWM_N": "PWM, low drives",
    "RUN_N": "drive permission, low permits",
    "SUPPLY_EN": "supply switch, high closes",
    "TRIP_N": "overcurrent latch, low = tripped",
    "LATCH": "overcurrent latch",
    "LATCH_CLR": "clears the latch",
    "WDT_KICK": "external watchdog kick",
    "WDT_EXPIRED": "external watchdog expired",
    "INDEX": "rotation, 4 per stroke",
    "INDEX_CLEAN": "rotation, debounced",
    "TICK": "control tick at work",
    "TDC": "top dead centre, 1 per stroke",
    "OVERCURRENT": "comparator",
    "LATCH_BRAKE": "brake term of the latch",
    "BRAKE": "gate brakes, whatever the PWM says",
    "SUPPLY": "supply switch closed",
    "SHOOT_THROUGH": "brake on a live supply: damage",
    "RESET": "chip in reset",
}


def look(name: str) -> Look:
    """The look of a series, with a neutral one for names that are not known."""
    return SERIES.get(name) or Look(name.replace("_", " "), MUTED, name.replace("_", " "))


def lane_colour(name: str) -> str:
    """Inputs from the mechanics are calm, everything that cuts the drive stands out."""
    if name in ("TRIP_N", "LATCH", "WDT_EXPIRED", "OVERCURRENT", "SHOOT_THROUGH", "RESET"):
        return FAIL
    if name in ("RUN_N", "SUPPLY_EN", "SUPPLY", "BRAKE", "PWM_N", "IN2"):
        return ACCENT
    return MUTED
