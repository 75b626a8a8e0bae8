"""A pyserial port of an emulated board in the same process: `serial.serial_for_url("needlepen-emu://NAME")`.

So mpremote's SerialTransport and any other pyserial program work without threads or sockets. Time-outs
count device time, and device time moves only while the program waits for data.
"""

from __future__ import annotations

import sys
from typing import Any

import serial
from serial.serialutil import PortNotOpenError, SerialBase, SerialException

from needlepen.emulator.chip import Chip

SCHEME = "needlepen-emu"
# A program that polls sleeps about this long between its looks; the chip gets the same time.
_POLL_NS = 10e6
_READ_SLICE_NS = 50_000
_FOREVER_NS = 3600e9

_chips: dict[str, Chip] = {}


def publish(name: str, chip: Chip) -> str:
    """Make a chip's console reachable as a pyserial port; returns the URL."""
    if __package__ not in serial.protocol_handler_packages:
        serial.protocol_handler_packages.append(__package__)
        sys.modules[f"{__package__}.protocol_{SCHEME}"] = sys.modules[__name__]  # where pyserial looks
    _chips[name.lower()] = chip
    return f"{SCHEME}://{name}"


def withdraw(name: str) -> None:
    """Make the port unknown again; open ones stay open."""
    _chips.pop(name.lower(), None)


class Serial(SerialBase):
    """The port object that pyserial returns."""

    def open(self) -> None:
        """Connect to the chip. Raises SerialException if no chip has this name."""
        name = str(self.portstr).split("://", 1)[-1].strip("/").lower()
        if name not in _chips:
            known = ", ".join(sorted(_chips)) or "none"
            raise SerialException(f"No emulated board is called {name!r} (there are: {known}).")
        self._chip = _chips[name]
        self._buffer = bytearray()
        self._detach = self._chip.console.on_received(self._buffer.extend)
        self._buffer += self._chip.console.read_available()
        self.is_open = True

    def close(self) -> None:
        """Disconnect."""
        if self.is_open:
            self._detach()
            self.is_open = False

    def _reconfigure_port(self) -> None:
        pass  # USB has no baud rate

    def _run_until_received(self, size: int, timeout_ns: float) -> None:
        if not self.is_open:
            raise PortNotOpenError
        self._chip.run_until(lambda: len(self._buffer) >= size, timeout_ns, _READ_SLICE_NS)

    @property
    def now_s(self) -> float:
        """Device time in s, on which its time-outs count."""
        return float(self._chip.now_ns) / 1e9

    @property
    def in_waiting(self) -> int:
        """Number of received bytes; lets the chip work a little if there are none."""
        if not self._buffer:
            self._run_until_received(1, _POLL_NS)
        return len(self._buffer)

    def inWaiting(self) -> int:  # noqa: N802 - pyserial's old name, which mpremote uses
        """The same as `in_waiting`."""
        return self.in_waiting

    def read(self, size: int = 1) -> bytes:
        """Up to `size` bytes; fewer after the time-out, which counts device time."""
        self._run_until_received(size, _FOREVER_NS if self._timeout is None else self._timeout * 1e9)
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def write(self, b: Any, /) -> int:
        """Queue bytes for the chip; returns their number."""
        if not self.is_open:
            raise PortNotOpenError
        data = bytes(b)
        self._chip.console.write(data)
        return len(data)

    def reset_input_buffer(self) -> None:
        """Forget what has been received."""
        self._buffer.clear()

    def reset_output_buffer(self) -> None:
        """Nothing to forget: written bytes are with the host already."""

    def __getattr__(self, name: str) -> Any:
        if name in ("cts", "dsr", "cd"):
            return True
        if name == "ri":
            return False
        if name in ("_update_dtr_state", "_update_rts_state", "_update_break_state"):
            return lambda: None
        raise AttributeError(name)
