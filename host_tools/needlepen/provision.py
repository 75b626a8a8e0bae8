"""What makes a built image the image of one pen: its keys, its calibration, its counters, and further files.

An emulated pen gets the published development keys and a calibration, so that it runs as a pen from the bench does.
The records are written by the firmware's own code into the image's file system.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import Any

from littlefs import UserContext

from needlepen.board import Board
from needlepen.board.model import Flash
from needlepen.firmware_modules import firmware_module
from needlepen.records import making
from needlepen.records.image_files import ImageFiles

NOMINAL_DAY = date(2026, 1, 15)
"""Day of the calibration that an emulated pen comes with; it matters once a host gives the pen a date."""
IDENTITY_POINTS_UM = tuple((set_um, set_um) for set_um in range(0, 2501, 250))


def provisioned(
    image: bytes,
    board: Board,
    unique_id: bytes,
    *,
    calibration: Any = "nominal",
    keys: Any = "development",
    counters: Any = "new",
    files: Mapping[str, bytes] | None = None,
) -> bytes:
    """`image` with the records of the pen `unique_id` (8 bytes).

    calibration: a Calibration (`making.calibration`), None for none, "nominal" for one in which every setting is true;
    keys: Keys, None for none, "development" for the published ones; counters: Counters, None, or "new" for a pen that
    has never run; files: further files, by path.
    """
    return _provisioned(
        image,
        board.flash,
        unique_id,
        making.development_keys(unique_id) if keys == "development" else keys,
        nominal_calibration() if calibration == "nominal" else calibration,
        firmware_module("pen.store.counters").Counters(hours_unknown=False)
        if counters == "new"
        else counters,
        tuple(sorted((files or {}).items())),
    )


@lru_cache
def nominal_calibration() -> Any:
    """A calibration in which every setting is true."""
    return making.calibration(list(IDENTITY_POINTS_UM), day=NOMINAL_DAY, gauge="none", operator="nominal")


def _provisioned(
    image: bytes,
    flash: Flash,
    unique_id: bytes,
    keys: Any,
    calibration: Any,
    counters: Any,
    files: tuple[tuple[str, bytes], ...],
) -> bytes:
    key = making.technician_key(keys.pen) if keys else None
    payloads = {
        "KEYS": keys.pack() if keys else None,
        "CALIBRATION": calibration.pack(key or bytes(32), unique_id) if calibration else None,
        "COUNTERS": counters.pack() if counters else None,
    }
    return _written(image, flash, unique_id, tuple(payloads.items()), files)


@lru_cache(maxsize=32)
def _written(
    image: bytes,
    flash: Flash,
    unique_id: bytes,
    payloads: tuple[tuple[str, bytes | None], ...],
    files: tuple[tuple[str, bytes], ...],
) -> bytes:
    """The same pen again costs nothing: tests make many pens of few kinds."""
    numbers, pair = firmware_module("pen.store.numbers"), firmware_module("pen.store.pair")
    context = UserContext(buffer=bytearray(image))
    target = ImageFiles(context, flash)
    for folder in ("/data", "/log"):  # made here, since each costs the pen an erase at its first boot
        target.make_folder(folder)
    for name, payload in payloads:
        if payload is not None:
            kind, version = getattr(numbers, f"KIND_{name}"), getattr(numbers, f"{name}_FORMAT")
            reason = pair.Pair(target, kind, version, unique_id).save_both(payload)
            assert reason == numbers.OK, f"{name}: {reason}"
    for path, data in files:
        target.write(path, data)
    return bytes(context.buffer)
