"""An emulated pen as it leaves the factory: development keys, and a calibration against its own true protrusion."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from needlepen.board import Board
from needlepen.emulator.axis_geometry import AxisGeometry
from needlepen.emulator.parameters import PenParameters
from needlepen.provision import NOMINAL_DAY, provisioned
from needlepen.records import making

CALIBRATED_UM = tuple(range(0, 2501, 250))


def unique_id(seed: int) -> bytes:
    """The unique ID of the emulated pen of a seed."""
    return (0xE660_0000_0000_0000 + seed).to_bytes(8, "big")


@lru_cache(maxsize=64)
def calibration(parameters: PenParameters, seed: int) -> Any:
    """What a perfect gauge finds on this pen, cold: true protrusion at 11 settings, and the gain of its hall sensor."""
    geometry = AxisGeometry(parameters, seed)
    true_um = [round(um) for um in geometry.static_curve(CALIBRATED_UM)]
    ends_um = [geometry.nut_um(geometry.zero_steps()), geometry.front_um]
    volts = [geometry.hall_v(um, parameters.reference_c) for um in ends_um]
    tips_um = [geometry.tip_um(um) for um in ends_um]
    uv_per_mm = round(1e9 * (volts[1] - volts[0]) / (tips_um[1] - tips_um[0]))
    return making.calibration(
        list(zip(CALIBRATED_UM, true_um, strict=True)),
        hall_uv_per_mm=uv_per_mm,
        day=NOMINAL_DAY,
        gauge="model",
        operator="factory",
    )


def image(built: bytes, board: Board, parameters: PenParameters, seed: int, **records: Any) -> bytes:
    """The image of the pen of a seed; `records` as of `provision.provisioned` replace the usual ones."""
    return provisioned(
        built, board, unique_id(seed), **{"calibration": calibration(parameters, seed), **records}
    )
