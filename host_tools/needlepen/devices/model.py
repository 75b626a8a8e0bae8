"""What is known about one device."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from needlepen.link.values import About, Identity

PEN, BOOTSEL, MICROPYTHON, FOREIGN, SILENT, BUSY = (
    "pen",
    "bootsel",
    "micropython",
    "foreign",
    "silent",
    "busy",
)


@dataclass(frozen=True)
class Holder:
    """A program that uses a device; `since`, and `until` where it holds a lease: local time in ISO 8601.

    A program that is well renews its lease before it ends. One whose lease is over and that still lives hangs.
    """

    pid: int
    program: str
    user: str
    since: str
    until: str | None = None

    def __str__(self) -> str:
        return f"{self.program} (process {self.pid} of {self.user}, since {self.since}{self._lease()})"

    def _lease(self) -> str:
        if self.until is None:
            return ""
        over = datetime.fromisoformat(self.until) < datetime.now().astimezone()
        return f"; its lease ended at {self.until}, so it may hang" if over else f", until {self.until}"


@dataclass(frozen=True)
class Device:
    """One device. `kind`:

    "pen": answered as one; "bootsel": a blank or bootable board whose UF2 volume is mounted; "micropython": a prompt
    answers; "foreign": something else; "silent": may be a pen, did not answer; "busy": another program has it.
    `port` is what a pen is opened by, `name` what the user calls it, or else `emulated_name`; `note` says what is odd.
    """

    kind: str
    port: str | None = None
    volume: Path | None = None
    tcp_port: int | None = None
    usb_id: str | None = None
    usb_serial: str | None = None
    unique_id: str | None = None
    name: str | None = None
    emulated: bool = False
    emulated_name: str | None = None
    identity: Identity | None = None
    about: About | None = None
    held_by: Holder | None = field(default=None, compare=False)
    note: str = ""

    @property
    def lock_name(self) -> str:
        """What its lock file is called: its unique ID where that is known, else its port or volume."""
        return self.unique_id or str(self.port or self.volume)

    def __str__(self) -> str:
        """As it is called in messages and lists."""
        who = " ".join(part for part in (self.name, self.unique_id) if part) or self.usb_serial or "?"
        where = self.port or self.volume
        return f"{self.kind} {who} at {where}"

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        values = asdict(self)
        values["volume"] = str(self.volume) if self.volume else None
        return values
