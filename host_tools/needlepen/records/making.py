"""Records for a pen, made on the host with the firmware's own code: keys, calibration, counters, settings."""

from __future__ import annotations

import hashlib
from datetime import date
from functools import lru_cache
from typing import Any, Literal

from needlepen.access_table import ROLES
from needlepen.errors import Refused, UsageError
from needlepen.firmware_modules import firmware_module
from needlepen.records.calibration import ACCEPTED, WITHDRAWN, Calibration, unpack

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
    status: Literal["accepted", "withdrawn"] = "accepted",
    **details: Any,
) -> Calibration:
    """A calibration: `points_um` are (travel of the axis, true protrusion), rising; due after 12 months.

    `details`: temperature_dc, uncertainty_um, as_found ((set, true), ...), firmware, gauge, operator, certificate (at
    most 16 characters). `status`: "withdrawn" for a pen that failed, whose points are not judged and may be left out.
    Raises UsageError with the reason if no pen can have such a calibration.
    """
    dates = firmware_module("pen.store.dates")
    number = day_number(day)
    made = Calibration(
        tuple(points_um),
        hall_uv_per_mm,
        number,
        dates.months_later(number, 12),
        run_s,
        WITHDRAWN if status == "withdrawn" else ACCEPTED,
        **details,
    )
    reason = made.check()
    if reason:
        text = firmware_module("pen.store.reason_texts").text(reason)
        raise UsageError(
            f"calibration with {len(points_um)} points from {points_um[:1]} to {points_um[-1:]}: {text}; no pen would "
            "accept it: measure again"
        )
    return made


def technician_key(pen_key: bytes) -> bytes:
    """The key that signs the calibrations of the pen with this key: that of its technicians, 32 bytes."""
    key: bytes = firmware_module("pen.store.auth").role_key(pen_key, ROLES.index("technician"))
    return key


def calibration_record(made: Calibration, key: bytes, unique_id: bytes) -> bytes:
    """The signed record as the pen takes it over the link. `key`: of the pen's technicians (`technician_key`)."""
    numbers, envelope = firmware_module("pen.store.numbers"), firmware_module("pen.store.envelope")
    payload = made.pack(key, unique_id)
    packed: bytes = envelope.pack(numbers.KIND_CALIBRATION, numbers.CALIBRATION_FORMAT, 0, unique_id, payload)
    return packed


def read_calibration(record: bytes, key: bytes, unique_id: bytes) -> Calibration:
    """The calibration in a signed record, judged as the pen judges it.

    A withdrawal is one too: look at its `status`. Raises Refused with the reason.
    """
    numbers, envelope = firmware_module("pen.store.numbers"), firmware_module("pen.store.envelope")
    reason, _, payload = envelope.parse(
        record, numbers.KIND_CALIBRATION, numbers.CALIBRATION_FORMAT, unique_id
    )
    made: Calibration | None = None
    if reason == numbers.OK:
        reason, made = unpack(payload, key, unique_id)
    if made is None:
        text = firmware_module("pen.store.reason_texts").text(reason)
        raise Refused(
            f"calibration record of {len(record)} bytes for pen {unique_id.hex()}: {text}; nobody may go by it: "
            "read it anew, or calibrate the pen"
        )
    return made
