"""Opens the pen that is meant: chosen, locked, identified."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from needlepen.devices import locks, registry
from needlepen.devices.choice import choose_device
from needlepen.devices.model import Device
from needlepen.devices.search import serial_ports
from needlepen.link.pen import RECONNECT_S, TIMEOUT_S, Pen


@contextlib.contextmanager
def open_pen(
    device: str | Device | None = None,
    purpose: str = "",
    timeout_s: float = TIMEOUT_S,
    reconnect_s: float = RECONNECT_S,
) -> Iterator[Pen]:
    """The pen that `device` means (see `choose_device`), held for this program and open inside the block.

    `purpose` tells others what holds it, e.g. "deploy". Raises what `choose_device` and `Pen.open` raise, and
    Refused with the name of the program that holds it.
    """
    chosen = device if isinstance(device, Device) else choose_device(device)
    assert chosen.port is not None, "a pen has a port"
    find_again = None if "://" in chosen.port else port_of
    with (
        locks.held(chosen.lock_name, purpose),
        Pen.open(chosen.port, timeout_s, reconnect_s, chosen.unique_id, find_again) as pen,
    ):
        yield pen


def port_of(unique_id: str) -> str | None:
    """The port at which a pen with this ID is now, by its USB serial number or the registry; writes nothing."""
    for entry in registry.entries():
        if entry.unique_id == unique_id:
            return entry.link
    for port in serial_ports():
        if str(port.serial_number).lower() == unique_id:
            return str(port.device)
    return None
