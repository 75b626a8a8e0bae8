"""Which port or drive belongs to the board that was just sent off the bus: by its unique ID, or as the only new one."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from needlepen.devices import registry
from needlepen.devices.model import Device
from needlepen.devices.search import MICROPYTHON_USB, serial_ports
from needlepen.errors import InfrastructureError, Refused
from needlepen.flashing import drive
from needlepen.link.greeting import NotAPen
from needlepen.link.pen import Pen

PORT_S = 30.0
ANSWER_S = 15.0
_RECOVERY = "host_tools/docs/recovery.md"


class Arrival:
    """Knows what was there before the board left. `unique_id` is None until it is known."""

    def __init__(self, device: Device | None) -> None:
        self.unique_id = device.unique_id if device else None
        self._is_emulated = device.emulated if device else False
        self._drives = {volume.path for volume in drive.mounted()}
        self._ports = {str(port.device) for port in _boards()}
        if device is not None and device.port is not None:
            self._ports.discard(device.port)

    def recognise(self, device: Device) -> None:
        """The board is this one, as turned out later."""
        self.unique_id, self._is_emulated = device.unique_id, device.emulated

    def find_drive(self) -> Path | None:
        """The drive of the board, None while there is none. Raises Refused if several could be it."""
        if self._is_emulated and self.unique_id:
            return drive.emulated_drive(self.unique_id)
        volume = drive.appeared(self._drives, drive.mounted())
        return volume.path if volume else None

    def drive(self, timeout_s: float, hint: Callable[[str], None]) -> Path:
        """The drive of the board as soon as it is there. Raises InfrastructureError after `timeout_s`."""
        path = drive.wait_for(self.find_drive, timeout_s, hint)
        if path is None:
            raise InfrastructureError(
                f"No drive of a board in BOOTSEL mode appeared within {timeout_s:.0f} s: "
                f"{drive.waiting_hint()}; then run this again."
            )
        return path

    def find_port(self) -> str | None:
        """The port of the board, None while it has none. Raises Refused if several could be it."""
        if self._is_emulated:
            entries = [e for e in registry.entries() if e.unique_id == self.unique_id]
            return next((entry.link for entry in entries if entry.state == registry.RUNNING), None)
        there = _boards()
        if self.unique_id:
            known = [port for port in there if str(port.serial_number).lower() == self.unique_id]
            return str(known[0].device) if known else None
        new = [str(port.device) for port in there if str(port.device) not in self._ports]
        if len(new) > 1:
            raise Refused(
                f"Several boards have appeared ({', '.join(new)}), and nothing says which is the one that was flashed; "
                "unplug the others, and run this again."
            )
        return new[0] if new else None

    def wait(self) -> tuple[str, bool]:
        """(port, whether a pen's firmware answers; else MicroPython's prompt does).

        Raises InfrastructureError if the board does not come back, or says nothing.
        """
        end_s = time.monotonic() + PORT_S
        while (port := self.find_port()) is None:
            if time.monotonic() >= end_s:
                raise InfrastructureError(
                    f"The board did not come back within {PORT_S:.0f} s after its UF2 was written; see {_RECOVERY} "
                    "(hold BOOTSEL, plug it in, run this again)."
                )
            time.sleep(0.1)
        end_s = time.monotonic() + ANSWER_S
        while True:
            try:
                with Pen.open(port, 3.0, reconnect_s=0) as pen:
                    self.unique_id = pen.identity.unique_id
                    return port, True
            except NotAPen:
                return port, False  # it has MicroPython by now, so what answers is its prompt
            except InfrastructureError:
                if time.monotonic() >= end_s:
                    raise InfrastructureError(
                        f"{port}: the board is back but says nothing; its file system may be broken: see {_RECOVERY} "
                        "(hold BOOTSEL, plug it in, run this again with --erase-records)."
                    ) from None
                time.sleep(0.3)


def _boards() -> list[Any]:
    return [port for port in serial_ports() if (port.vid, port.pid) == MICROPYTHON_USB]
