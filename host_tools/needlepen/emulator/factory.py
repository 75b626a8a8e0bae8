"""The calibration that an emulated pen leaves the factory with: what a gauge without error finds on its depth axis."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np

from needlepen import requirements
from needlepen.emulator.axis_geometry import AxisGeometry
from needlepen.emulator.axis_parameters import AxisParameters
from needlepen.records import making

FACTORY_DAY = date(2026, 1, 15)
"""Day of the calibration; it matters once a host gives the pen a date."""
POINTS = int(requirements.load().limit("CR-01", "points"))
DEPTH_MAX_UM = round(1e3 * float(requirements.load().limit("PR-05", "depth_max_mm")))


@lru_cache(maxsize=256)
def factory_calibration(parameters: AxisParameters, seed: int, day: date = FACTORY_DAY) -> Any:
    """The calibration of the pen of a seed: 11 points from 0.00 to 2.50 mm, cold; the hall gain is fitted to them.

    `parameters` may be all of PenParameters. The result is a `pen.store.calibration.Calibration`.
    """
    geometry = AxisGeometry(parameters, seed)
    set_um = [round(um) for um in np.linspace(0, DEPTH_MAX_UM, POINTS)]
    true_um = geometry.static_curve([float(um) for um in set_um])
    carriage_um = [_carriage_um(geometry, um) for um in true_um]
    volts = [geometry.hall_v(um, geometry.pen.reference_c) for um in carriage_um]
    uv_per_mm = round(1e9 * float(np.polyfit(true_um, volts, 1)[0]))
    points = [(s, round(t)) for s, t in zip(set_um, true_um, strict=True)]
    return making.calibration(points, day=day, hall_uv_per_mm=uv_per_mm, gauge="none", operator="factory")


def _carriage_um(geometry: AxisGeometry, tip_um: float) -> float:
    """Carriage that gives a protrusion: `AxisGeometry.tip_um` backwards, which is nearly a straight line."""
    um = tip_um
    for _ in range(30):
        um += tip_um - geometry.tip_um(um)
    return um
