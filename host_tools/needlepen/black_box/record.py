"""What a pen stores after a fault (firmware/pen/black_box_keep.py), in units and words."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from needlepen import board, supervision
from needlepen.errors import UsageError
from needlepen.firmware_modules import firmware_module

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_TICKS_MS = 1 << 30
"""The pen's milliseconds wrap around there."""
_SUM_A2 = 1 << 30
_LONGEST_MS = 10 * 60_000
"""Records that are further apart are not of the same event."""
_ID = slice(12, 20)
LINES = {"trigger": "TRIGGER_N", "cartridge": "CARTRIDGE_N", "external_power": "VBUS_SENSE",
         "permission": "RUN_N", "latch": "TRIP_N"}  # fmt: skip
"""Lines of the pen that a sample tells of, with their names in the board file; they end in N where low says yes."""


@dataclass(frozen=True)
class Sample:
    """The pen at one pass of its main loop, about every 40 ms while the drive is awake.

    `time_s`: before the last sample, which is that of the fault; 0 or negative. `current_a`: mean of 1.3 ms.
    `current_sum`: (mA)^2 / 1024 summed over the ticks of 1 ms, modulo 2^30. `lines`: those of LINES that say yes.
    """

    time_s: float
    state: str
    stop_reason: int
    set_hz: float
    rate_hz: float
    current_a: float
    cell_v: float
    duty: float
    depth_mm: float
    current_sum: int
    lines: frozenset[str]

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {**vars(self), "lines": sorted(self.lines)}


@dataclass(frozen=True)
class BlackBox:
    """One black box. `cell_v`, `nose_c`, `winding_c`, blockers and warnings are of the moment when it was stored."""

    unique_id: str
    fault: str
    note: str
    boot: int
    log_sequence: int
    uptime_s: float
    date: datetime | None
    rate_hz: int
    depth_mm: float
    needles: int
    profile: int
    cell_v: float
    nose_c: float
    winding_c: float
    blockers: tuple[str, ...]
    warnings: tuple[str, ...]
    application_hash: str
    samples: tuple[Sample, ...]

    @property
    def seconds(self) -> float:
        """How far it reaches back."""
        return -self.samples[0].time_s if self.samples else 0.0

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        plain = {**vars(self), "date": self.date.isoformat() if self.date else None}
        return {**plain, "samples": [sample.as_dict() for sample in self.samples]}


def decode(record: bytes, shown: str = "the black box") -> BlackBox:
    """The black box in a record as the pen stores and sends it. `shown` names it in errors.

    Raises UsageError for anything else, and for a format that this version does not know.
    """
    envelope, numbers = firmware_module("pen.store.envelope"), firmware_module("pen.store.numbers")
    keep = firmware_module("pen.black_box_keep")
    unique_id = bytes(record[_ID])
    kind, version = numbers.KIND_BLACK_BOX, numbers.BLACK_BOX_FORMAT
    reason, _, payload = envelope.parse(record, kind, version, unique_id)
    if payload is None:
        why = firmware_module("pen.store.reason_texts").text(reason)
        raise UsageError(f"{shown} is no record of a black box: {why}")
    size = struct.calcsize(keep.HEAD)
    if len(payload) < size or (len(payload) - size) % numbers.BLACK_BOX_RECORD_BYTES:
        raise UsageError(f"{shown} is no record of a black box: {len(payload)} bytes do not fit its format")
    head = dict(zip(keep.HEAD_NAMES.split(), struct.unpack(keep.HEAD, payload[:size]), strict=True))
    rows = [
        dict(zip(keep.RECORD_NAMES.split(), values, strict=True))
        for values in struct.iter_unpack(numbers.BLACK_BOX_RECORD, payload[size:])
    ]
    tables = supervision.load()
    return BlackBox(
        unique_id=unique_id.hex(),
        fault=tables.fault_name(head["fault"]),
        note=tables.note_text(head["note"]),
        boot=head["boot"],
        log_sequence=head["log_sequence"],
        uptime_s=head["uptime_ms"] / 1000,
        date=EPOCH + timedelta(seconds=head["date_s"]) if head["date_s"] else None,
        rate_hz=head["rate_hz"],
        depth_mm=head["depth_um"] / 1000,
        needles=head["needles"],
        profile=head["profile"],
        cell_v=head["cell_mv"] / 1000,
        nose_c=head["nose_dc"] / 10,
        winding_c=head["winding_dc"] / 10,
        blockers=tables.blocker_names(head["blockers"]),
        warnings=tables.warning_names(head["warnings"]),
        application_hash=head["application_hash"].rstrip(b"\0").decode("ascii", "replace"),
        samples=_samples(rows),
    )


def _samples(rows: list[dict[str, int]]) -> tuple[Sample, ...]:
    """The ring has its oldest record anywhere, and its milliseconds may wrap around: the last one is that after which
    the longest time passes.
    """
    rows = sorted(rows, key=lambda row: row["time_ms"])
    if not rows:
        return ()
    following = rows[1:] + rows[:1]
    gaps = [(b["time_ms"] - a["time_ms"]) % _TICKS_MS for a, b in zip(rows, following, strict=True)]
    last = gaps.index(max(gaps)) if len(rows) > 1 else 0
    rows = rows[last + 1 :] + rows[: last + 1]
    end_ms = rows[-1]["time_ms"]
    described = board.load()
    near = [row for row in rows if (end_ms - row["time_ms"]) % _TICKS_MS <= _LONGEST_MS]
    return tuple(_sample(row, -((end_ms - row["time_ms"]) % _TICKS_MS) / 1000, described) for row in near)


def _sample(row: dict[str, int], time_s: float, described: board.Board) -> Sample:
    levels = row["levels"]
    lines = {
        name
        for name, pin in LINES.items()
        if (levels >> described.gpio(pin) & 1) == (0 if pin.endswith("_N") else 1)
    }
    period_counts = firmware_module("pen.board").PWM_N_PERIOD_CLOCKS
    driven = row["set_4mhz"] > 0 and row["on_counts"] > 0
    return Sample(
        time_s=time_s,
        state=supervision.load().state_name(row["state"]),
        stop_reason=row["stop_reason"],
        set_hz=row["set_4mhz"] * 0.004,
        rate_hz=row["rate_4mhz"] * 0.004,
        current_a=row["current_ma"] / 1000,
        cell_v=row["cell_mv"] / 1000,
        duty=row["on_counts"] / period_counts if driven else 0.0,
        depth_mm=row["depth_um"] / 1000,
        current_sum=row["i2_sum"] % _SUM_A2,
        lines=frozenset(lines),
    )
