"""The whole calibration record of a pen, as a host makes and reads it; the pen itself keeps only what it runs by.

What makes a calibration one that a pen takes, and the layout of its payload, are in pen.store.calibration.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, fields
from typing import Any

from needlepen.firmware_modules import firmware_module

_calibrations = firmware_module("pen.store.calibration")
ACCEPTED: int = _calibrations.ACCEPTED
WITHDRAWN: int = _calibrations.WITHDRAWN
Points = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Calibration:
    """`points`: (travel_um, true_um), rising; `as_found`: (set_um, true_um); `uncertainty_um` (k = 2).

    `day`, `due_day`: days since 2000-01-01; `run_s`: the pen's running time when it was calibrated; `status`: ACCEPTED,
    or WITHDRAWN for a pen that failed; `certificate`: its number; `firmware`: the begin of its hash, 8 bytes.
    """

    points: Points
    hall_uv_per_mm: int
    day: int
    due_day: int
    run_s: int = 0
    status: int = ACCEPTED
    temperature_dc: int = 230
    uncertainty_um: int = 0
    as_found: Points = ()
    firmware: bytes = b""
    gauge: str = ""
    operator: str = ""
    certificate: str = ""

    def check(self) -> int:
        """Why no pen can have such a calibration, as in pen.store.numbers; OK if one can."""
        kept = (
            getattr(self, name) for name in ("points", "hall_uv_per_mm", "day", "due_day", "run_s", "status")
        )
        reason: int = _calibrations.Calibration(*kept).check(len(self.as_found))
        return reason

    def pack(self, key: bytes, unique_id: bytes) -> bytes:
        """The payload, signed with the key of the pen's technicians."""
        body = struct.pack(
            _calibrations.HEAD,
            self.status,
            self.day,
            self.due_day,
            self.run_s,
            self.temperature_dc,
            self.uncertainty_um,
            self.hall_uv_per_mm,
            len(self.points),
            len(self.as_found),
            self.firmware[:8],
            _field(self.gauge),
            _field(self.operator),
            _field(self.certificate),
        ) + b"".join(struct.pack("<hh", *point) for point in self.points + self.as_found)
        return body + bytes(_calibrations.tag(key, unique_id, body))


def unpack(payload: bytes, key: bytes, unique_id: bytes) -> tuple[int, Calibration | None]:
    """(reason, Calibration or None) of a signed payload, judged by the firmware."""
    reason, kept = _calibrations.unpack(payload, key, unique_id)
    if kept is None:
        return reason, None
    head = struct.unpack_from(_calibrations.HEAD, payload)
    first = struct.calcsize(_calibrations.HEAD) + 4 * head[7]
    as_found = tuple(struct.iter_unpack("<hh", payload[first : first + 4 * head[8]]))
    details: dict[str, Any] = dict(
        zip(_DETAILS, (head[4], head[5], as_found, head[9], *map(_text, head[10:])), strict=True)
    )
    return reason, Calibration(
        kept.points, kept.hall_uv_per_mm, kept.day, kept.due_day, kept.run_s, kept.status, **details
    )


_DETAILS = [field.name for field in fields(Calibration)][6:]


def _field(text: str) -> bytes:
    """ASCII, since others see it as bytes; whatever else somebody is called becomes "?"."""
    return text.encode("ascii", "replace")


def _text(field: bytes) -> str:
    """Printable ASCII up to the padding, anything else as "?": it is shown, not judged."""
    return "".join(chr(b) if 0x20 <= b < 0x7F else "?" for b in field.rstrip(b"\0"))
