"""What a pen says, as typed values with units in their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from needlepen import supervision

_supervision = supervision.load()
ROLES = ("none", "operator", "technician", "engineer")
STARTING = ("boot", "self_test")
"""States in which a pen that was just switched on tests itself, and does nothing else."""
_PASSING = {"depth_moving", "depth_not_homed", "cartridge_reading", "self_test", "not_proven"}
CALIBRATIONS = ("none", "valid", "due", "expired", "refused")


@dataclass(frozen=True)
class Reply:
    """The pen's answer to one request. `refused` is its reason, or None; `fields` are the values of a report."""

    refused: str | None
    fields: dict[str, Any]


@dataclass(frozen=True)
class Identity:
    """Who answers. `unique_id`: 16 hex digits; `application_hash`: the first 12 digits of the running build's."""

    unique_id: str
    board: str
    version: str
    application_hash: str
    development: bool
    protocol_version: int

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Identity:
        return cls(
            unique_id=fields["unique_id"].hex(),
            board=text(fields["board"]),
            version=text(fields["version"]),
            application_hash=text(fields["application_hash"]),
            development=bool(fields["development"]),
            protocol_version=fields["protocol_version"],
        )


@dataclass(frozen=True)
class About:
    """What runs on the pen and what it is allowed to do.

    `role`: the access that is open, one of ROLES. `calibration`: one of CALIBRATIONS, with the pen's reason.
    """

    micropython: str
    revision: str
    role: str
    calibration: str
    calibration_reason: str
    provisioned: bool
    development: bool
    uptime_s: int
    boots: int

    @classmethod
    def of(cls, fields: dict[str, Any]) -> About:
        return cls(
            micropython=text(fields["micropython"]),
            revision=text(fields["revision"]),
            role=_named(ROLES, fields["role"]),
            calibration=_named(CALIBRATIONS, fields["calibration"]),
            calibration_reason=text(fields["reason"]),
            provisioned=bool(fields["provisioned"]),
            development=bool(fields["development"]),
            uptime_s=fields["uptime_s"],
            boots=fields["boots"],
        )


@dataclass(frozen=True)
class Telemetry:
    """One telemetry frame. `rate_hz` is the mean of the last revolution, `estimate_hz` the controller's estimate."""

    time_ms: int
    state: str
    fault: str
    stop_reason: int
    set_hz: float
    rate_hz: float
    estimate_hz: float
    current_a: float
    cell_v: float
    duty: float
    depth_set_mm: float
    depth_mm: float

    @classmethod
    def of(cls, fields: dict[str, int]) -> Telemetry:
        return cls(
            time_ms=fields["time_ms"],
            state=_supervision.state_name(fields["state"]),
            fault=_supervision.fault_name(fields["fault"]),
            stop_reason=fields["stop_reason"],
            set_hz=fields["set_mhz"] / 1e3,
            rate_hz=fields["rate_mhz"] / 1e3,
            estimate_hz=fields["estimate_mhz"] / 1e3,
            current_a=fields["current_ma"] / 1e3,
            cell_v=fields["cell_mv"] / 1e3,
            duty=fields["duty_pm"] / 1e3,
            depth_set_mm=fields["depth_set_um"] / 1e3,
            depth_mm=fields["depth_um"] / 1e3,
        )


@dataclass(frozen=True)
class Status:
    """What changes slowly: why the pen may not start, what it warns of, temperatures, limits and times left."""

    time_ms: int
    blockers: tuple[str, ...]
    warnings: tuple[str, ...]
    note: str
    profile: int
    nose_c: float
    winding_c: float
    depth_cap_mm: float
    needles: int
    cartridge_left_s: int
    session_left_s: int
    service: bool

    @classmethod
    def of(cls, fields: dict[str, int]) -> Status:
        return cls(
            time_ms=fields["time_ms"],
            blockers=_supervision.blocker_names(fields["blockers"]),
            warnings=_supervision.warning_names(fields["warnings"]),
            note=_supervision.note_text(fields["note"]),
            profile=fields["profile"],
            nose_c=fields["nose_dc"] / 10,
            winding_c=fields["winding_dc"] / 10,
            depth_cap_mm=fields["depth_cap_um"] / 1e3,
            needles=fields["needles"],
            cartridge_left_s=fields["cartridge_left_s"],
            session_left_s=fields["session_left_s"],
            service=bool(fields["service"]),
        )


def starting_up(latest: Telemetry, status: Status) -> bool:
    """True while something of the start-up goes on: tests, the way of the depth axis to its home, a cartridge that is
    being read; and in the moment in which nothing stands against a start any more, and the pen is about to be armed.
    """
    if latest.state in STARTING or _PASSING & set(status.blockers):
        return True
    return latest.state == "idle" and not status.blockers


def text(raw: bytes) -> str:
    """A text field of a frame without its filling; what is no UTF-8 is replaced."""
    return raw.rstrip(b"\0").decode(errors="replace")


def _named(names: tuple[str, ...], number: int) -> str:
    return names[number] if number < len(names) else f"unknown ({number})"
