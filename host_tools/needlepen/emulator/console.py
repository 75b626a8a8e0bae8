"""The serial console of the emulated board: bytes in and out at exact device time, and the raw REPL on
top."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from needlepen.emulator.usb_host import CdcHost
from needlepen.errors import NotInTime

if TYPE_CHECKING:
    from needlepen.emulator.chip import Chip

_RAW_PROMPT = b"raw REPL; CTRL-B to exit\r\n>"
_FLOOD_PERIOD_NS = 1_000_000
_SLICE_NS = 50_000


class Console:
    """What a program on the host sees of the chip's USB serial port. Reading and writing never move device
    time, except where a method has a time-out."""

    def __init__(self, chip: Chip, host: CdcHost) -> None:
        self._chip = chip
        self._host = host
        self._received = bytearray()
        self._listeners: list[Callable[[bytes], object]] = []
        self._flood_bytes_per_period = 0
        self._flood_pattern = b""
        self._flood_alarm = chip.create_alarm(self._flood_more)
        host.on_serial_data = self._on_data

    def _on_data(self, data: bytes | bytearray) -> None:
        self._received += data
        for listener in tuple(self._listeners):
            listener(bytes(data))

    @property
    def is_connected(self) -> bool:
        """True while the chip is enumerated and the port open; false after a reset until it has come back."""
        return self._host.is_connected

    @property
    def in_waiting(self) -> int:
        """Number of received bytes that nobody has taken."""
        return len(self._received)

    def on_received(self, fn: Callable[[bytes], object]) -> Callable[[], None]:
        """Call fn(bytes) for everything that arrives, besides keeping it for the reader.

        Returns a function that ends it.
        """
        self._listeners.append(fn)
        return lambda: self._listeners.remove(fn)

    def write(self, data: bytes) -> None:
        """Queue bytes for the chip; they arrive as the firmware takes them."""
        self._host.send(data)

    @property
    def waiting_to_be_taken(self) -> int:
        """Number of written bytes that the chip has not taken yet."""
        return len(self._host.outgoing)

    def read_available(self) -> bytes:
        """Take all bytes received so far."""
        data = bytes(self._received)
        self._received.clear()
        return data

    def read(self, size: int) -> bytes:
        """Take at most `size` of the bytes received so far."""
        data = bytes(self._received[:size])
        del self._received[:size]
        return data

    def wait_for(self, ending: bytes, timeout_ns: float) -> bytes:
        """Run the chip until `ending` has been received and take everything up to its end.

        Raises NotInTime with what did arrive when timeout_ns of device time pass without it.
        """
        if not self._chip.run_until(lambda: ending in self._received, timeout_ns, _SLICE_NS):
            raise NotInTime(
                f"The emulated board did not send {ending!r} within {timeout_ns / 1e6:.0f} ms of device time "
                f"({self._chip.situation}); it sent {bytes(self._received[-200:])!r}."
            )
        return self.read(self._received.index(ending) + len(ending))

    def wait_connected(self, timeout_ns: float = 5e9) -> None:
        """Run the chip until its serial port is open. Raises NotInTime after timeout_ns of device
        time."""
        if not self._chip.run_until(lambda: self.is_connected, timeout_ns, 100_000):
            raise NotInTime(
                f"The emulated board did not appear on USB within {timeout_ns / 1e9:.1f} s of device time; "
                "its image may not be MicroPython for RP2040."
            )

    def exec(self, code: str, timeout_ns: float = 60e9) -> tuple[str, str]:
        """Run code through the raw REPL and return what it printed and its traceback (empty if it had
        none)."""
        self.write(b"\r\x03\x03\r\x01")
        self.wait_for(_RAW_PROMPT, 2e9)
        self.write(code.encode() + b"\x04")
        self.wait_for(b"OK", 2e9)
        out = self.wait_for(b"\x04", timeout_ns)[:-1]
        error = self.wait_for(b"\x04", 2e9)[:-1]
        self.write(b"\x02")
        self.wait_for(b">>> ", 2e9)
        return out.decode(), error.decode()

    def close_port(self, baud: int) -> None:
        """What the chip hears when a program closes the port that it had set to `baud`. 1200 is the touch that sends
        MicroPython to BOOTSEL mode."""
        self._host.set_port(baud, False)

    def open_port(self, baud: int = 115_200) -> None:
        """What the chip hears when a program opens the port again."""
        self._host.set_port(baud, True)

    def pause_reading(self) -> None:
        """Stop taking data from the chip, as a host program that hangs; its buffers fill up."""
        self._host.controller.set_host_reading(False)

    def resume_reading(self) -> None:
        """Take data again."""
        self._host.controller.set_host_reading(True)

    def flood(self, rate_bytes_s: float, pattern: bytes = b"\x00\xff needlepen flood ") -> None:
        """Keep sending `pattern` over and over at rate_bytes_s, or stop with 0. What the chip does not take
        waits; at most 64 kB are kept waiting."""
        self._flood_bytes_per_period = round(rate_bytes_s * _FLOOD_PERIOD_NS / 1e9)
        self._flood_pattern = pattern
        self._flood_alarm.cancel()
        if self._flood_bytes_per_period > 0:
            self._flood_more()

    def _flood_more(self) -> None:
        if len(self._host.outgoing) < 65536:
            count = self._flood_bytes_per_period
            repeated = self._flood_pattern * (count // len(self._flood_pattern) + 1)
            self._host.send(repeated[:count])
        self._flood_alarm.schedule(_FLOOD_PERIOD_NS)
