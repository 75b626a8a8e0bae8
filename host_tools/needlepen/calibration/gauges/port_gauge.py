"""Gauges at a serial port: one request, one frame, a clear end to waiting."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from needlepen.calibration.gauges.interface import (
    READ_TIMEOUT_S,
    GaugeError,
    GaugeSilent,
    Place,
    Shown,
    Unit,
    reading,
)
from needlepen.calibration.model import GaugeIdentity, Reading
from needlepen.errors import UsageError
from needlepen.link.transport import Transport, Unplugged

GAP_S = 0.1
"""What has no end mark ends with a silence of this; at 9600 baud a byte takes 1 ms, USB adapters wait for up to 16."""
LONGEST_BYTES = 64
"""No frame is longer; more without an end is noise."""


def take_line(data: bytes) -> str | None:
    """The first line of some bytes without its CR or LF; None as long as it has no end."""
    text = data.decode("latin-1").lstrip("\r\n")
    ends = [place for place in (text.find("\r"), text.find("\n")) if place >= 0]
    return text[: min(ends)] if ends else None


class PortGauge:
    """A gauge at a port of pyserial: a device, or a URL such as `socket://HOST:PORT`. 9600 baud, 8N1.

    Raises UsageError without a port, and Unplugged (an InfrastructureError) if it cannot be opened.
    """

    automatic = True
    request = b""
    """What asks for a reading; empty if only the gauge can begin."""
    longest_bytes = LONGEST_BYTES

    def __init__(self, port: str | None, identity: GaugeIdentity, unit: Unit = "mm") -> None:
        if not port:
            raise UsageError(
                f"A gauge of kind {identity.kind!r} is at a serial port: say which with --port, or in gauges.toml."
            )
        self.identity = identity
        self.unit = unit
        self._url = port
        self._lock = threading.RLock()  # a live display and a procedure may read the same gauge
        self._port: Transport | None = Transport(port, "gauge")

    # ------------------------------------------------------------------ what a format has to say
    def decode(self, raw: str) -> Shown:
        """What a frame says. Raises GaugeError."""
        raise NotImplementedError

    def take(self, data: bytes) -> str | None:
        """The frame that these bytes hold, or None if its end mark has not come: here the first line."""
        return take_line(data)

    def rest(self, data: bytes) -> str:
        """The frame of bytes that ended with silence; `decode` says if something is wrong with it."""
        return data.decode("latin-1").strip("\r\n")

    # ------------------------------------------------------------------ Gauge
    def read(self, timeout_s: float = READ_TIMEOUT_S) -> Reading:
        """A reading of now: what had arrived before is dropped, for it may belong to another depth.

        Of an adapter that sends all the time that may have been the first part of a frame. Its rest is no frame, and
        the one after it counts.
        """
        end_s = time.monotonic() + GAP_S
        with self._lock:
            dropped = b""
            with self._open_port() as port:
                while (came := port.read(0)) and time.monotonic() < end_s:
                    dropped = came
            raw = self.exchange(self.request, timeout_s)
            try:
                return self.parse(raw)
            except GaugeError as error:
                if self.request or not dropped or error.fault == "noise":
                    raise
            return self.parse(self.exchange(b"", timeout_s))

    def parse(self, raw: str) -> Reading:
        """The reading of a frame. Raises GaugeError."""
        return reading(raw, self.decode(raw))

    def place(self, where: Place) -> None:
        """A person does that."""

    def close(self) -> None:
        """Let the port go."""
        if self._port is not None:
            self._port.close()
            self._port = None

    def exchange(self, request: bytes, timeout_s: float) -> str:
        """Send a request, if any; returns the frame that comes. Raises GaugeSilent, Unplugged or GaugeError."""
        with self._lock, self._open_port() as port:
            return self._exchange(port, request, timeout_s)

    def reopened(self) -> None:
        """The port has been opened again after it had gone. Raises GaugeError if something else is there now."""

    # ------------------------------------------------------------------ inside
    @contextlib.contextmanager
    def _open_port(self) -> Iterator[Transport]:
        """The port; one that has gone is opened again, so that a gauge can be plugged out and in."""
        if self._port is None:
            self._port = Transport(self._url, "gauge")
            self.reopened()
        try:
            yield self._port
        except Unplugged:
            self.close()
            raise

    def _exchange(self, port: Transport, request: bytes, timeout_s: float) -> str:
        if request:
            port.write(request)
        end_s = time.monotonic() + timeout_s
        data = port.read(timeout_s)
        while data:
            frame = self.take(data)
            if frame is not None:
                return frame
            if len(data) > self.longest_bytes or time.monotonic() > end_s + GAP_S:
                raise GaugeError(
                    "noise",
                    f"{self._url} sends without an end ({data[:8].hex()}...): this is no gauge, or another baud "
                    "rate; check port and cable.",
                )
            more = port.read(GAP_S)
            if not more:
                return self.rest(data)
            data += more
        asked = "did not answer" if request else "sent nothing"
        raise GaugeSilent(
            f"The gauge at {self._url} {asked} within {timeout_s:g} s, so there is no reading: is it switched on, "
            "its cable plugged in, its DATA key pressed?"
        )
