"""Looks for devices: serial ports, UF2 volumes, emulated pens; identifies those that may be pens."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from needlepen.devices import locks, names, registry
from needlepen.devices.model import BOOTSEL, BUSY, FOREIGN, MICROPYTHON, PEN, SILENT, Device
from needlepen.devices.volumes import RP2040, find_volumes, read_volume
from needlepen.errors import NeedlepenError, Refused
from needlepen.link.client import messages
from needlepen.link.greeting import NotAPen
from needlepen.link.transport import InUse
from needlepen.link.values import About

MICROPYTHON_USB = (0x2E8A, 0x0005)  # an RP2040 with MicroPython
IDENTIFY_S = 3.0  # a pen that was just switched on answers after 2.5 s


def find_devices(identify: bool = True) -> list[Device]:
    """Everything that is connected: pens, emulated ones too, boards in BOOTSEL mode, boards that are something else.

    `identify=False` writes nothing to any port; then a board that may be a pen is "silent". Takes up to 3 s.
    """
    candidates = list(_candidates())
    if identify:
        with ThreadPoolExecutor(max_workers=8) as pool:
            candidates = list(pool.map(identified, candidates))
    return [_named(device) for device in candidates]


def _candidates() -> Iterator[Device]:
    emulated = [_emulated(entry) for entry in registry.entries()]
    yield from emulated
    for port in serial_ports():
        yield _serial(port)
    known = {device.volume for device in emulated}
    for volume in find_volumes():
        if volume.path not in known:
            note = "" if volume.board_id == RP2040 else f"{volume.model or 'unknown board'}: no RP2040"
            yield Device(BOOTSEL if not note else FOREIGN, volume=volume.path, note=note)


def serial_ports() -> list[Any]:
    """The ports of pyserial that belong to something on USB."""
    from serial.tools import list_ports

    return sorted(
        (port for port in list_ports.comports() if port.vid is not None), key=lambda p: str(p.device)
    )


def _serial(port: Any) -> Device:
    usb_id = f"{port.vid:04x}:{port.pid:04x}"
    if (port.vid, port.pid) != MICROPYTHON_USB:
        note = f"{port.description or 'unknown device'}: not addressed"
        return Device(FOREIGN, port.device, usb_id=usb_id, usb_serial=port.serial_number, note=note)
    serial = str(port.serial_number).lower() if port.serial_number else None
    return Device(SILENT, port.device, usb_id=usb_id, usb_serial=port.serial_number, unique_id=serial)


def _emulated(entry: registry.Entry) -> Device:
    device = Device(
        SILENT,
        entry.link,
        tcp_port=entry.tcp_port,
        unique_id=entry.unique_id,
        emulated=True,
        emulated_name=entry.name,
    )
    if entry.state == registry.BOOTSEL:
        volume = Path(entry.volume) if entry.volume else None
        note = "" if volume and read_volume(volume) else "its volume is not there yet"
        return replace(device, kind=BOOTSEL, volume=volume, note=note)
    return device


def _named(device: Device) -> Device:
    return replace(device, name=names.name_of(device.unique_id) or device.emulated_name)


def identified(device: Device) -> Device:
    """The device with what it says of itself. It gets one HELLO, and a pen is then asked about itself."""
    if device.kind != SILENT or device.port is None:
        return device
    user = locks.holder(device.lock_name)
    if user is not None:
        return replace(device, kind=BUSY, held_by=user, note="not asked: in use")
    try:
        with locks.held(device.lock_name, "devices"):
            return _ask(device)
    except Refused as error:
        return replace(device, kind=BUSY, held_by=locks.holder(device.lock_name), note=str(error))


def _ask(device: Device) -> Device:
    from needlepen.link.pen import Pen

    assert device.port is not None
    try:
        with Pen.open(device.port, IDENTIFY_S, reconnect_s=0, hellos=1) as pen:
            about = About.of(fields) if (fields := pen.request(messages.GET_ABOUT).fields) else None
            return replace(
                device, kind=PEN, unique_id=pen.identity.unique_id, identity=pen.identity, about=about
            )
    except NotAPen as error:
        return replace(device, kind=MICROPYTHON if error.is_prompt else FOREIGN, note=str(error))
    except InUse as error:
        return replace(device, kind=BUSY, note=str(error))
    except NeedlepenError as error:
        return replace(device, kind=SILENT, note=str(error))
