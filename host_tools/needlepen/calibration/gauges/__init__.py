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
from needlepen.calibration.gauges.kinds import KINDS, kinds, open_gauge
from needlepen.calibration.gauges.shelf import OwnGauge, load_gauges, load_identity, open_named
from needlepen.calibration.gauges.simulated import SimulatedGauge, simulated_identity

__all__ = [
    "KINDS",
    "Gauge",
    "GaugeError",
    "GaugeSilent",
    "OwnGauge",
    "Place",
    "Plugin",
    "Shown",
    "SimulatedGauge",
    "Unit",
    "kinds",
    "load_gauges",
    "load_identity",
    "open_gauge",
    "open_named",
    "reading",
    "simulated_identity",
]
