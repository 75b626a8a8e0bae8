"""The image of one emulated pen: the application with the records that a pen leaves the factory with."""

from __future__ import annotations

from typing import Any

from needlepen.board import Board
from needlepen.emulator.factory import factory_calibration
from needlepen.emulator.parameters import PenParameters
from needlepen.provision import provisioned


def unique_id(seed: int) -> bytes:
    """ID of the flash chip of the emulated pen of a seed, 8 bytes."""
    return (0xE660_0000_0000_0000 + seed).to_bytes(8, "big")


def factory_image(image: bytes, board: Board, parameters: PenParameters, seed: int, **records: Any) -> bytes:
    """`image` with keys, counters, and the calibration that fits the depth axis of the pen of this seed.

    `records` are passed to `provisioned` instead: calibration=None gives a pen that was never calibrated.
    """
    records.setdefault("calibration", factory_calibration(parameters, seed))
    return provisioned(image, board, unique_id(seed), **records)
