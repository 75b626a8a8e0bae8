"""Records for a pen, made on the host with the firmware's own code: keys, calibration, counters, settings."""

from __future__ import annotations

import hashlib
from datetime import date
from functools import lru_cache
from typing import Any

from needlepen.errors import UsageError
from needlepen.firmware_modules import firmware_module

_FIRST_DAY = date(2000, 1, 1)


def development_keys(unique_id: bytes) -> Any:
    """The published development keys of a pen: its own, the one that signs cartridges, the one that verifies firmware.

    Everybody has them. A production build of the firmware refuses them.
    """
    pair = firmware_module("pen.access_records").development_pair(unique_id)
    return firmware_module("pen.store.keys").Keys(*pair, public_key(development_release_key()))


def development_cartridge_key() -> bytes:
    """The published key that signs development cartridges, the same for all pens."""
    cartridge: bytes = firmware_module("pen.access_records").development_pair(bytes(8))[1]
    return cartridge


def development_release_key() -> bytes:
    """The published private key (Ed25519, 32 bytes) that signs firmware for development pens."""
    return hashlib.sha256(firmware_module("pen.access_records").DEVELOPMENT_SECRET + b"release").digest()


@lru_cache
def public_key(private_key: bytes) -> bytes:
    """The public half of an Ed25519 key, 32 bytes each."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()


def day_number(day: date) -> int:
    """Days since 2000-01-01, as in the records."""
    return (day - _FIRST_DAY).days


def calibration(
    points_um: list[tuple[int, int]],
    *,
    hall_uv_per_mm: int = 640_000,
    day: date,
    run_s: int = 0,
    **details: Any,
) -> Any:
    """A calibration of the firmware's kind: `points_um` are (set, true) protrusions, rising; due after 12 months.

    `details`: temperature_dc, uncertainty_um, as_found, firmware, gauge, operator. Raises UsageError with the reason
    if no pen can have such a calibration.
    """
    calibrations = firmware_module("pen.store.calibration")
    dates = firmware_module("pen.store.dates")
    number = day_number(day)
    made = calibrations.Calibration(
        points_um, hall_uv_per_mm, number, dates.months_later(number, 12), run_s, **details
    )
    reason = made.check()
    if reason:
        text = firmware_module("pen.store.reason_texts").text(reason)
        raise UsageError(
            f"calibration with {len(points_um)} points from {points_um[:1]} to {points_um[-1:]}: {text}; no pen would "
            "accept it: measure again"
        )
    return made


def calibration_record(made: Any, keys: Any, unique_id: bytes) -> bytes:
    """The signed record as the pen takes it over the link (`Store.accept_calibration`)."""
    numbers, envelope = firmware_module("pen.store.numbers"), firmware_module("pen.store.envelope")
    payload = made.pack(keys.pen, unique_id)
    packed: bytes = envelope.pack(numbers.KIND_CALIBRATION, numbers.CALIBRATION_FORMAT, 0, unique_id, payload)
    return packed
