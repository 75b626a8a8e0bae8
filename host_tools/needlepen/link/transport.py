"""Bytes to and from a port by pyserial: a serial port, a pseudo-terminal, `socket://` or `rfc2217://HOST:PORT`, an
emulated pen.

Reading waits with `select` where the port has a file descriptor, so that nothing polls; an emulated pen in the same
process (`needlepen-emu://NAME`) lets device time pass instead, and its clock is the one that counts.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from typing import Any

import serial

from needlepen.errors import InfrastructureError

WRITE_TIMEOUT_S = 1.0
_CHUNK = 4096
_SLICE_S = 0.02


class Unplugged(InfrastructureError):
    """The port has gone: unplugged, reset, closed by the other end, or never there."""


class InUse(Unplugged):
    """The port is there, and another program has it."""


class Transport:
    """An open port. Raises Unplugged from each method once it has gone. `what` is at it, for messages: "pen"."""

    def __init__(self, url: str, what: str = "pen") -> None:
        self.url = url
        self._what = what
        is_device = "://" not in url
        self._is_rfc2217 = url.startswith("rfc2217://")
        options: dict[str, Any] = {"timeout": 0, "write_timeout": WRITE_TIMEOUT_S}
        if self._is_rfc2217:
            # Pyserial has no time-out of writing there, and negotiates every change of that of reading.
            options = {"timeout": _SLICE_S}
        if is_device and os.name == "posix":
            options["exclusive"] = True  # a second program that opens it would eat half of the bytes
        try:
            self._port: Any = serial.serial_for_url(url, **options)
        except (serial.SerialException, OSError, ValueError) as error:
            raise _why_not(url, what, error) from None
        self._fd = self._descriptor()

    def _descriptor(self) -> int | None:
        if os.name != "posix":
            return None
        with contextlib.suppress(Exception):  # every pyserial handler has its own way to have none
            return int(self._port.fileno())
        return None

    def now_s(self) -> float:
        """The clock that time-outs count on, in s: wall time, or the device time of an emulated pen in process."""
        own = getattr(self._port, "now_s", None)
        return time.monotonic() if own is None else float(own)

    def read(self, timeout_s: float) -> bytes:
        """What has arrived, waiting at most `timeout_s` for the first byte; empty if nothing came."""
        try:
            if self._fd is None:
                return self._read_waiting(timeout_s)
            if not select.select([self._fd], [], [], max(0.0, timeout_s))[0]:
                return b""
            return bytes(self._port.read(_CHUNK))
        except (serial.SerialException, OSError, ValueError, TypeError) as error:
            raise Unplugged(f"{self.url} has gone ({error}); plug the {self._what} in again.") from None

    def _read_waiting(self, timeout_s: float) -> bytes:
        if self._is_rfc2217:
            first, end_s = bytes(self._port.read(1)), time.monotonic() + timeout_s
            while not first and time.monotonic() < end_s:
                first = bytes(self._port.read(1))
        else:
            self._port.timeout = max(0.0, timeout_s)
            first = bytes(self._port.read(1))
        return first + bytes(self._port.read(self._port.in_waiting)) if first else b""

    def write(self, data: bytes) -> None:
        """Hand over bytes. Raises InfrastructureError if the other end takes none for 1 s."""
        try:
            self._port.write(data)
        except serial.SerialTimeoutException:
            raise InfrastructureError(
                f"{self.url} takes no bytes for {WRITE_TIMEOUT_S:.0f} s: what is connected hangs; reset it."
            ) from None
        except (serial.SerialException, OSError, TypeError) as error:
            raise Unplugged(f"{self.url} has gone ({error}); plug the {self._what} in again.") from None

    def close(self) -> None:
        """Close the port; a port that has gone is closed already."""
        with contextlib.suppress(serial.SerialException, OSError):
            self._port.close()


def _why_not(url: str, what: str, error: Exception) -> Unplugged:
    reason = str(error)
    if (
        "exclusively lock" in reason
        or "Access is denied" in reason
        or getattr(error, "errno", None) in (11, 16)
    ):
        return InUse(
            f"{url} is in use by another program, which would get half of the answers; end that program first."
        )
    if getattr(error, "errno", None) == 13 or "ermission" in reason:
        return Unplugged(
            f"{url} may not be opened by this user; `needlepen doctor` says how to get permission."
        )
    lists = "`needlepen devices`" if what == "pen" else f"`needlepen {what} list`"
    return Unplugged(f"{url} cannot be opened ({reason}); {lists} lists what is there.")
