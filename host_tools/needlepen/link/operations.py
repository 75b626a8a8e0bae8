"""The frequent requests by name, with their units; both `Pen` and `AsyncPen` offer them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

from needlepen.link.client import Reply, messages
from needlepen.link.values import About

_FIRST_DAY = date(2000, 1, 1)
EPOCH_S = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())
_EVENT_BYTES = 32
_PART_BYTES = 64
_CHECK_MOST_UM = 0x7FFF


class Operations:
    """Requests with names. Each raises Refused with the pen's reason, InfrastructureError without an answer."""

    def request(self, kind: int, *values: Any, timeout_s: float | None = None) -> Reply:
        raise NotImplementedError

    def command(self, kind: int, *values: Any, timeout_s: float | None = None) -> dict[str, Any]:
        raise NotImplementedError

    # ------------------------------------------------------------------ operating
    def set_rate(self, rate_hz: int) -> None:
        """Set the stroke rate in Hz."""
        self.command(messages.SET_RATE, rate_hz)

    def set_depth(self, depth_mm: float) -> None:
        """Set the needle protrusion in mm."""
        self.command(messages.SET_DEPTH, round(1000 * depth_mm))

    def select_profile(self, number: int) -> None:
        """Take a treatment profile by its number."""
        self.command(messages.SELECT_PROFILE, number)

    def stop(self) -> None:
        """End the run; the operator starts the next one."""
        self.command(messages.STOP)

    def acknowledge(self) -> None:
        """Acknowledge a fault whose cause has gone."""
        self.command(messages.ACKNOWLEDGE)

    def set_time(self, when: datetime | None = None) -> None:
        """Give the pen the date, by default the present one; a naive time is local."""
        moment = (when or datetime.now()).astimezone(UTC)
        self.command(messages.SET_TIME, int(moment.timestamp()) - EPOCH_S)

    def open_service(self) -> None:
        """Open the pen for service; the motor cannot be started then."""
        self.command(messages.OPEN_SERVICE)

    def close_service(self) -> None:
        """End the service; the pen restarts."""
        self.command(messages.CLOSE_SERVICE)

    # ------------------------------------------------------------------ calibration
    def read_calibration(self) -> bytes | None:
        """The stored calibration record, whole as it was put, or None if the pen has none. The axis has to be at rest.

        What it says the pen may refuse (`about` tells why), and it may be a withdrawal: see
        `needlepen.records.making.read_calibration`.
        """
        return _read_record(self, messages.GET_CALIBRATION)

    def put_calibration(self, record: bytes) -> None:
        """Have the pen store a signed calibration record, or a withdrawal; in service, with the axis at rest."""
        _put_record(self, record)
        self.command(messages.COMMIT_CALIBRATION, len(record))

    def try_calibration(self, record: bytes) -> None:
        """Have the pen go by a signed calibration record until it restarts; nothing is stored. In service, at rest.

        The pen finds home anew, at 0.00 mm; its motor does not start meanwhile.
        """
        _put_record(self, record)
        self.command(messages.TRY_CALIBRATION, len(record))

    def note_check(self, day: date, worst_error_um: int, passed: bool) -> None:
        """Have the pen keep the result of a daily check: from then on it warns when the next one is due."""
        worst_um = max(-_CHECK_MOST_UM, min(worst_error_um, _CHECK_MOST_UM))
        number = (day - _FIRST_DAY).days
        self.command(messages.NOTE_CHECK, number, worst_um, int(passed))

    # ------------------------------------------------------------------ reading
    def read_black_box(self) -> bytes | None:
        """The record of the last seconds before the last fault, or None if the pen has none; see needlepen.black_box.

        The axis has to be at rest.
        """
        return _read_record(self, messages.GET_BLACK_BOX)

    def about(self) -> About:
        """What runs on the pen, which access is open, and how it stands with its calibration."""
        return About.of(self.command(messages.GET_ABOUT))

    def statistics(self) -> dict[str, int]:
        """Cost of the control tick, free heap, longest pass of the main loop, by field name."""
        return self.command(messages.GET_STATISTICS)

    def counters(self) -> dict[str, int]:
        """Boots, strokes, running time and sessions of the pen's life, by field name."""
        return self.command(messages.GET_COUNTERS)

    def cartridge(self) -> dict[str, Any]:
        """The seated cartridge, by field name; all zero without a readable one."""
        return self.command(messages.GET_CARTRIDGE)

    def events(self, since: int = 0) -> Iterator[bytes]:
        """The event log from a sequence number on, as raw events of 32 bytes (see needlepen.records.log)."""
        while True:
            fields = self.command(messages.READ_LOG, since)
            for place in range(fields["count"]):
                yield fields["events"][_EVENT_BYTES * place : _EVENT_BYTES * (place + 1)]
            if not fields["count"]:
                return
            since = fields["next_sequence"]


def _read_record(pen: Operations, request: int) -> bytes | None:
    record = b""
    while True:
        fields = pen.command(request, len(record))
        record += fields["part"][: fields["bytes"]]
        if not fields["bytes"] or len(record) >= fields["total"]:
            return record or None


def _put_record(pen: Operations, record: bytes) -> None:
    for offset in range(0, len(record), _PART_BYTES):
        pen.command(messages.PUT_CALIBRATION, offset, record[offset : offset + _PART_BYTES])
