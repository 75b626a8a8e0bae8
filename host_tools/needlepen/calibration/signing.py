"""The record of a calibration for one pen: made and signed by the technician's key, and read again."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from needlepen.access.keys import Key, Role, role_key
from needlepen.access.keystore import KeyStore, open_store
from needlepen.calibration import plan
from needlepen.calibration.model import FitResult, PenIdentity
from needlepen.errors import Refused
from needlepen.firmware_modules import firmware_module
from needlepen.link.values import Identity
from needlepen.records import making


def signing_key(identity: Identity, store: KeyStore | None = None) -> bytes:
    """The technician's key of a pen, 32 bytes. Raises Refused if this computer keeps none."""
    if identity.development:
        pen = Key(making.development_keys(bytes.fromhex(identity.unique_id)).pen)
        return role_key(pen, Role.TECHNICIAN).reveal()
    held, key = (store or open_store()).key_for(identity.unique_id, Role.TECHNICIAN)
    if held is not Role.TECHNICIAN:
        raise Refused(
            f"this computer keeps the {held.name.lower()}'s key of pen {identity.unique_id}, but records are signed "
            "with the technician's: import that one with 'needlepen keys import'"
        )
    return key.reveal()


def record(
    fit: FitResult,
    pen: PenIdentity,
    key: bytes,
    *,
    number: str,
    day: date,
    status: Literal["accepted", "withdrawn"],
    nose_c: float,
    uncertainty_um: float,
    as_found: list[tuple[int, int]],
    gauge: str,
    operator: str,
) -> bytes:
    """The signed record of a calibration, or with `status` "withdrawn" the one that takes the old away.

    `as_found`: (set, found) in um. Raises UsageError if no pen can have it.
    """
    made = making.calibration(
        fit.points_um,
        hall_uv_per_mm=fit.hall_uv_per_mm,
        day=day,
        run_s=pen.run_s,
        temperature_dc=round(10 * nose_c),
        uncertainty_um=round(uncertainty_um),
        as_found=tuple(as_found),
        firmware=pen.application_hash.encode()[:8],
        gauge=gauge,
        operator=operator,
        certificate=number,
        status=status,
    )
    return making.calibration_record(made, key, bytes.fromhex(pen.unique_id))


def straight(
    pen: PenIdentity,
    key: bytes,
    number: str,
    day: date,
    status: Literal["accepted", "withdrawn"] = "accepted",
) -> bytes:
    """A record in which protrusion is travel: to try on a pen whose own record ends before the deepest setting.

    With `status` "withdrawn": for a pen that is to move by no record.
    """
    from needlepen.calibration.fit import nominal_hall_uv_per_mm

    fit = FitResult(
        points_um=[(0, 0), (plan.DEPTH_MAX_UM, plan.DEPTH_MAX_UM)],
        residual_um=0.0,
        repeatability_um=0.0,
        reversal_um=0.0,
        hall_uv_per_mm=nominal_hall_uv_per_mm(),
    )
    return record(fit, pen, key, number=number, day=day, status=status, nose_c=0.0, uncertainty_um=0.0,
                  as_found=[], gauge="none", operator="")  # fmt: skip


class DepthMap:
    """How a pen with a record moves: by the firmware's own code."""

    def __init__(self, record: bytes, key: bytes, unique_id: str) -> None:
        """`record`: b"" for a pen that moves without one. Raises Refused if the pen could not read it either."""
        self.calibration = making.read_calibration(record, key, bytes.fromhex(unique_id)) if record else None
        """The firmware's Calibration, None without a record."""
        self._map: Any = firmware_module("pen.depth").DepthMap(self.calibration)
        self._step_um = int(firmware_module("pen.board").DEPTH_STEP_UM)

    @property
    def cap_um(self) -> int:
        """The deepest setting that it allows."""
        return int(self._map.cap_um)

    def travel_um(self, set_um: int) -> int:
        """Travel of the axis at a setting: whole steps from home."""
        return int(self._map.steps(set_um)) * self._step_um
