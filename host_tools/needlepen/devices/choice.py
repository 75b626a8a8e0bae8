"""Which device is meant: by unique ID, name, port or path of an emulated pen; never by guessing between several."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from needlepen.devices import names
from needlepen.devices.model import BUSY, PEN, SILENT, Device
from needlepen.devices.search import find_devices, identified
from needlepen.errors import InfrastructureError, Refused, UsageError

_ID_PREFIX = re.compile(r"[0-9a-fA-F]{4,16}")


def choose_device(text: str | None = None, kinds: Collection[str] = (PEN,)) -> Device:
    """The device that `text` means, identified; with None the only one of these kinds.

    Args:
        text: unique ID or a unique beginning of it (4 digits or more), a name given by the user or that of an
            emulated pen, a port, a URL of pyserial, the path of an emulated pen or of a UF2 volume.
        kinds: what the caller can use, e.g. ("pen", "bootsel").

    Raises Refused with the list if several fit or if it is of another kind, InfrastructureError if none is there,
    UsageError if the text means nothing.
    """
    if text is None:
        return _only_one(
            [device for device in find_devices() if device.kind in kinds or device.kind == BUSY], kinds
        )
    device = identified(_meant(text))
    if device.kind == BUSY:
        raise Refused(f"{device} is in use by {device.held_by or 'another program'}; end that program first.")
    if device.kind not in kinds:
        wanted = " or ".join(kinds)
        error = InfrastructureError if device.kind == SILENT else Refused
        raise error(f"{device} cannot be used as {wanted}. {device.note}".strip())
    return device


def _only_one(found: list[Device], kinds: Collection[str]) -> Device:
    if not found:
        raise InfrastructureError(
            f"No {' or '.join(kinds)} is connected; plug one in and switch it on, or start an emulated one "
            "(`needlepen emulate`). `needlepen devices` lists what is there."
        )
    if len(found) > 1:
        raise Refused(f"Several devices are connected, say which with --device: {_listed(found)}.")
    if found[0].kind == BUSY:
        raise Refused(
            f"{found[0]} is in use by {found[0].held_by or 'another program'}; end that program first."
        )
    return found[0]


def _meant(text: str) -> Device:
    """The device of a text, not yet asked who it is."""
    there = find_devices(identify=False)
    wanted = names.names().get(text, text)
    for device in there:
        if wanted in (device.port, device.emulated_name, device.unique_id) or _same_path(wanted, device):
            return device
        if device.tcp_port is not None and wanted == f"socket://127.0.0.1:{device.tcp_port}":
            return replace(device, port=wanted)
    if _ID_PREFIX.fullmatch(wanted):
        fitting = [device for device in there if (device.unique_id or "").startswith(wanted.lower())]
        if len(fitting) > 1:
            raise Refused(f"{text!r} begins the ID of several devices, give more digits: {_listed(fitting)}.")
        if fitting:
            return fitting[0]
    if "://" in wanted or _is_port(wanted):
        return Device(SILENT, wanted)
    if text in names.names() or _ID_PREFIX.fullmatch(text):
        raise InfrastructureError(f"Pen {text!r} is not connected; `needlepen devices` lists what is there.")
    raise UsageError(
        f"{text!r} is no unique ID, name, port or path of a device; `needlepen devices` lists what is there."
    )


def _is_port(text: str) -> bool:
    return re.fullmatch(r"(?i)com\d+", text) is not None or (os.sep in text and Path(text).exists())


def _same_path(text: str, device: Device) -> bool:
    if os.sep not in text:
        return False
    places = [
        Path(place) for place in (device.port, device.volume) if place is not None and os.sep in str(place)
    ]
    return any(os.path.realpath(text) == os.path.realpath(place) for place in places)


def _listed(devices: list[Device]) -> str:
    return "; ".join(str(device) for device in devices)
