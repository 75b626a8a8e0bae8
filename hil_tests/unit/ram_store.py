"""A Store on files in RAM, with the records of a pen from the bench, and what it tells."""

from __future__ import annotations

import dataclasses
import struct
from datetime import date
from typing import Any

from ram_files import RamFiles
from support.flash import UNIQUE_ID

from needlepen.firmware_modules import firmware_module
from needlepen.records import making

stores = firmware_module("pen.store.store")
calibrations = firmware_module("pen.store.calibration")
counters = firmware_module("pen.store.counters")
envelope = firmware_module("pen.store.envelope")
event = firmware_module("pen.store.event")
n = firmware_module("pen.store.numbers")

KEYS = making.development_keys(UNIQUE_ID)
SIGNING = making.technician_key(KEYS.pen)
DAY = date(2026, 1, 15)
DAY_NUMBER = (DAY - date(2000, 1, 1)).days


def packed(kind: int, version: int, payload: bytes, sequence: int = 1) -> bytes:
    data: bytes = envelope.pack(kind, version, sequence, UNIQUE_ID, payload)
    return data


def calibration(run_s: int = 0, status: int = calibrations.ACCEPTED) -> bytes:
    """A record made by the host."""
    made = making.calibration([(0, 20), (2500, 2450)], day=DAY, run_s=run_s)
    return making.calibration_record(dataclasses.replace(made, status=status), SIGNING, UNIQUE_ID)


def counted(**values: Any) -> bytes:
    made = counters.Counters(**{"boots": 4, "hours_unknown": False, **values})
    return packed(n.KIND_COUNTERS, n.COUNTERS_FORMAT, made.pack())


def check(day: int, worst_um: int, passed: int) -> bytes:
    return packed(n.KIND_CHECK, n.CHECK_FORMAT, struct.pack("<HhB", day, worst_um, passed))


def sound(**more: bytes) -> RamFiles:
    """The records of a pen from the bench. `more`: kind to the first copy of its record."""
    held = {
        "keys": packed(n.KIND_KEYS, n.KEYS_FORMAT, KEYS.pack()),
        "counters": counted(),
        "calibration": calibration(),
        **more,
    }
    return RamFiles(**{f"/data/{kind}.a": data for kind, data in held.items()})


def booted(files: RamFiles | None = None, development: bool = True) -> Any:
    """A store that has booted."""
    made = stores.Store(sound() if files is None else files, UNIQUE_ID, development)
    made.boot(1)
    return made


def quiet(pen: Any) -> Any:
    """After passes at rest, with nothing left to store; 10 s later."""
    for _ in range(100):
        pen.poll(pen._now_ms + 100, False)
    assert not pen.busy
    pen._files.calls.clear()
    return pen


def events(pen: Any) -> list[tuple[int, ...]]:
    """(code, values) of all events, stored or waiting."""
    stored = pen.log.read(0, 1_000) + pen.log._queue
    return [(found[4], *found[6:]) for found in (event.unpack(UNIQUE_ID, raw) for raw in stored)]


def news(pen: Any) -> list[tuple[int, ...]]:
    """Of the events that wait."""
    return [(found[4], *found[6:]) for found in (event.unpack(UNIQUE_ID, raw) for raw in pen.log._queue)]
