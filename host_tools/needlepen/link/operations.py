"""The frequent requests by name, with their units; both `Pen` and `AsyncPen` offer them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from needlepen.link.client import Reply, messages
from needlepen.link.values import About

EPOCH_S = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())
_EVENT_BYTES = 32


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

    # ------------------------------------------------------------------ reading
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
