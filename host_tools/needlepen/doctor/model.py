"""A finding of a check, and what the checks know of the computer that they run on."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

OK, NOTE, WARNING, PROBLEM = "ok", "note", "warning", "problem"


@dataclass(frozen=True)
class Finding:
    """What one check found. `level`: OK; NOTE: good to know; WARNING: works, but less well; PROBLEM: does not.

    `cause` says it in one line, `actions` what to do, one action each. `pen`: the unique ID of the pen that it is
    about, "" for this computer.
    """

    check: str
    level: str
    cause: str
    actions: tuple[str, ...] = ()
    pen: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {**asdict(self), "actions": list(self.actions)}


@dataclass(frozen=True)
class Port:
    """A serial port of a USB device; `usb`: vendor and product."""

    path: str
    usb: tuple[int, int]


def _ports() -> list[Port]:
    from needlepen.devices.search import serial_ports

    return [Port(str(port.device), (port.vid, port.pid)) for port in serial_ports()]


@dataclass(frozen=True)
class Computer:
    """Facts about the computer; a test gives others. `root`: where /dev, /sys and /etc are."""

    platform: str = sys.platform
    python: tuple[int, ...] = sys.version_info[:3]
    user: str = field(default_factory=lambda: _user())
    root: Path = Path("/")
    ports: Callable[[], Sequence[Port]] = _ports
    may_open: Callable[[str], bool] = lambda path: os.access(path, os.R_OK | os.W_OK)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "?"
