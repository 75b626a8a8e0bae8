"""The USB host beside the emulated chip: a CDC serial host that is silent when it has nothing to say.

Differences from rp2040py's own host: an OUT transfer completes only when there are bytes for it (the
upstream host completes an empty one every 10 us, which keeps the chip from sleeping); IN packets take bus
time and are accepted only while the host reads; device-mode start-of-frame interrupts exist.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from rp2040py.peripherals import usb as registers
from rp2040py.peripherals.usb import RPUSBController
from rp2040py.usb.cdc import USBCDC

SOF_RD = 0x48
DEVICE_SOF = 1 << 17
FRAME_NS = 1_000_000
# A full-speed bulk packet of 64 bytes occupies the bus for about 50 us (19 fit in a frame).
PACKET_NS = 50_000
OUT_DELAY_NS = 10_000
CONTROL_GAP_NS = 2_000_000  # between two control transfers: the first one is over by then


class UsbController(RPUSBController):
    """The chip's USB block with bulk packets that wait for the host, and start-of-frame interrupts."""

    def __init__(self, mcu: Any, name: str) -> None:
        super().__init__(mcu, name)
        self.is_host_reading = True
        self.is_bus_alive = True
        """False: the computer sleeps or the cable is out. Frames stop; everything else is as if nothing happened."""
        self._waiting_in: dict[int, None] = {}  # IN endpoints with a packet, in the order in which they came
        self._in_alarm = mcu.clock.create_alarm(self._in_done)
        self._sof_alarm = mcu.clock.create_alarm(self._start_of_frame)

    def dpram_updated(self, offset: int, value: int) -> None:
        endpoint = (offset - registers.EP0_IN_BUFFER_CONTROL) >> 3
        is_bulk_in = 1 <= endpoint <= 15 and not offset & 4
        if is_bulk_in and value & registers.USB_BUF_CTRL_AVAILABLE and not self._host_mode:
            self._waiting_in[endpoint] = None
            self._poll_in()
        else:
            super().dpram_updated(offset, value)

    def set_host_reading(self, is_reading: bool) -> None:
        """Let the host take IN packets, or make it ignore them, as a computer whose program does not read."""
        self.is_host_reading = is_reading
        self._poll_in()

    def _poll_in(self) -> None:
        if self._waiting_in and self.is_host_reading and not self._in_alarm.is_scheduled:
            self._in_alarm.schedule(PACKET_NS)

    def _in_done(self) -> None:
        if not self._waiting_in or not self.is_host_reading:
            return
        endpoint = next(iter(self._waiting_in))
        del self._waiting_in[endpoint]
        offset = registers.EP0_IN_BUFFER_CONTROL + 8 * endpoint
        super().dpram_updated(offset, registers._get_uint32_le(self.rp2040.usb_dpram, offset))
        self._poll_in()

    def read_uint32(self, offset: int) -> int:
        if offset == SOF_RD and self._int_raw & DEVICE_SOF:  # reading the frame number acknowledges the frame
            self._int_raw &= ~DEVICE_SOF
            self.check_interrupts()
        if offset == SOF_RD and self.is_bus_alive and self._connected:
            self._sof_frame_number = self._frame_number()
        return super().read_uint32(offset)

    def write_uint32(self, offset: int, value: int) -> None:
        super().write_uint32(offset, value)
        if self._int_enable & DEVICE_SOF and not self._sof_alarm.is_scheduled:
            now_ns = self.rp2040.clock.nanos
            self._sof_alarm.schedule_at((now_ns // FRAME_NS + 1) * FRAME_NS)

    def _frame_number(self) -> int:
        return int(self.rp2040.clock.nanos // FRAME_NS) & 0x7FF

    def _start_of_frame(self) -> None:
        # Frames are simulated only while the firmware listens: a thousand alarms a second are not free.
        if not self.is_bus_alive:
            return
        self._sof_frame_number = self._frame_number()
        if self._int_enable & DEVICE_SOF and self._connected:
            self._int_raw |= DEVICE_SOF
            self.check_interrupts()
            self._sof_alarm.schedule(FRAME_NS)

    def reset(self) -> None:
        super().reset()
        if hasattr(self, "_waiting_in"):  # the base class resets itself while it is being built
            self._waiting_in.clear()
            self._in_alarm.cancel()
            self._sof_alarm.cancel()


class CdcHost(USBCDC):
    """Enumerates the chip's serial port and moves bytes; nothing is lost, and nothing is sent when there is
    nothing."""

    def __init__(self, usb: UsbController) -> None:
        super().__init__(usb)
        self.controller = usb
        self.outgoing: deque[int] = deque()
        self._armed_sizes: deque[int] = deque()  # OUT buffers that the firmware has offered
        self._out_alarm: Any = usb.rp2040.clock.create_alarm(self._out_done)
        self._lines_alarm: Any = usb.rp2040.clock.create_alarm(self._send_lines)
        self._lines_wanted = True
        self._upstream_read: Callable[[int, int], None] = usb.on_endpoint_read  # type: ignore[assignment]
        usb.on_endpoint_read = self._on_endpoint_read

    @property
    def is_connected(self) -> bool:
        """True once the chip is enumerated and its port is open (DTR set)."""
        return self._initialized

    def send(self, data: bytes) -> None:
        """Queue bytes for the chip; they leave as the firmware offers buffers."""
        self.outgoing.extend(data)
        self._poll_out()

    def set_port(self, baud: int, is_open: bool) -> None:
        """What opening, setting up and closing the port sends: SET_LINE_CODING, then DTR and RTS in a transfer of
        its own. Without effect before the chip is enumerated."""
        if not self.is_connected:
            return
        self.set_line_coding(baud)
        self._lines_wanted = is_open
        self._lines_alarm.schedule(CONTROL_GAP_NS)

    def _send_lines(self) -> None:
        if self.is_connected:
            self.set_control_lines(dtr=self._lines_wanted, rts=self._lines_wanted)

    def _on_endpoint_read(self, endpoint: int, size: int) -> None:
        if endpoint != 0 and endpoint == self._out_endpoint:
            self._armed_sizes.append(size)
            self._poll_out()
        else:
            self._upstream_read(endpoint, size)

    def _poll_out(self) -> None:
        if self._armed_sizes and self.outgoing and not self._out_alarm.is_scheduled:
            self._out_alarm.schedule(OUT_DELAY_NS)

    def _out_done(self) -> None:
        if not self._armed_sizes or not self.outgoing:
            return
        size = min(self._armed_sizes.popleft(), len(self.outgoing))
        self.controller._finish_read(
            self._out_endpoint, bytearray(self.outgoing.popleft() for _ in range(size))
        )
        self._poll_out()

    def _on_controller_reset(self) -> None:
        self.outgoing.clear()
        self._armed_sizes.clear()
        self._out_alarm.cancel()
        self._lines_alarm.cancel()
        super()._on_controller_reset()
