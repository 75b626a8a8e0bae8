"""Requests, answers and telemetry over any byte stream.

The client does no input or output of its own: `send` is given, `feed` takes what arrives. So it serves an emulated
pen in the same process and a serial port alike, and waiting is the caller's business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from needlepen import supervision
from needlepen.firmware_modules import firmware_module

frames = firmware_module("pen.link.frames")
kinds = firmware_module("pen.link.kinds")
messages = firmware_module("pen.link.messages")
_supervision = supervision.load()

SEEN_EVERY = 2
"""Telemetry frames per credit message; the pen's window holds four."""


@dataclass(frozen=True)
class Reply:
    """The pen's answer to one request. `refused` is its reason, or None; `fields` are the values of a report."""

    refused: str | None
    fields: dict[str, Any]


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


class LinkClient:
    """One host talking to one pen. Not thread-safe; one request at a time."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._parser = frames.Parser()
        self._sequence = 0
        self._replies: dict[int, Reply] = {}
        self._reports: list[tuple[int, dict[str, Any]]] = []
        self._listeners: list[Callable[[Telemetry], None]] = []
        self._last_received: int | None = None
        self._unconfirmed = 0
        self.lost_frames = 0
        self.telemetry: Telemetry | None = None
        self.status: Status | None = None

    @property
    def dropped_frames(self) -> int:
        """Lines that looked like frames but were torn or failed their check."""
        return int(self._parser.dropped)

    def on_telemetry(self, listener: Callable[[Telemetry], None]) -> None:
        """Call listener for each telemetry frame, in order."""
        self._listeners.append(listener)

    def lost(self) -> None:
        """The pen was reset or unplugged: what it said before no longer holds."""
        self.telemetry = None
        self.status = None
        self._last_received = None
        self._unconfirmed = 0
        self._replies.clear()
        self._reports.clear()

    def feed(self, data: bytes) -> None:
        """Take bytes from the pen; anything that is not a frame is skipped."""
        for byte in data:
            frame = self._parser.feed(byte)
            if frame is not None:
                self._take(*frame)

    def request(self, kind: int, *values: Any) -> int:
        """Send a request; its sequence number finds the answer with `reply`."""
        sequence = self._sequence
        self._replies.pop(sequence, None)
        self._reports.clear()
        self._transmit(kind, messages.pack(kind, *values))
        return sequence

    def reply(self, sequence: int) -> Reply | None:
        """The answer to a request, or None while it has not come."""
        if self._reports:
            return Reply(None, self._reports[-1][1])
        return self._replies.get(sequence)

    def _transmit(self, kind: int, body: bytes) -> None:
        self._send(frames.encode(kind, self._sequence, body))
        self._sequence = (self._sequence + 1) & 0xFF

    def _take(self, kind: int, sequence: int, body: bytes) -> None:
        if self._last_received is not None:
            self.lost_frames += (sequence - self._last_received - 1) & 0xFF
        self._last_received = sequence
        fields = messages.unpack(kind, body)
        if fields is None:
            return
        self._unconfirmed += 1
        if kind == messages.TELEMETRY:
            self.telemetry = Telemetry.of(fields)
            for listener in self._listeners:
                listener(self.telemetry)
        elif kind == messages.STATUS:
            self.status = Status.of(fields)
        elif kind == messages.RESULT:
            reason = fields["reason"].rstrip(b"\0").decode(errors="replace")
            self._replies[fields["of_sequence"]] = Reply(reason if fields["refused"] else None, {})
        else:
            self._reports.append((kind, fields))
        if kind not in (messages.TELEMETRY, messages.STATUS) or self._unconfirmed >= SEEN_EVERY:
            self._unconfirmed = 0
            self._transmit(messages.SEEN, messages.pack(messages.SEEN, sequence))
