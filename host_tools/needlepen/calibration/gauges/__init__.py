"""Gauges: one small interface, and a plug-in for each way in which a gauge says what it shows. See README.md."""

from needlepen.calibration.gauges.interface import (
    Gauge,
    GaugeError,
    GaugeSilent,
    Place,
    Plugin,
    Shown,
    Unit,
    reading,
)
from needlepen.calibration.gauges.simulated import SimulatedGauge, simulated_identity

__all__ = [
    "Gauge",
    "GaugeError",
    "GaugeSilent",
    "Place",
    "Plugin",
    "Shown",
    "SimulatedGauge",
    "Unit",
    "reading",
    "simulated_identity",
]
