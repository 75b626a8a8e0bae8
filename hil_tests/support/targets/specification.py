"""What `--target` says: which kind of target, and where. And what each kind offers, which needs no board to know."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from needlepen.errors import UsageError
from support.targets.protocols import CAPABILITIES, IN_PROCESS

EMULATED, SERIAL, TCP, LABGRID = "emulated", "serial", "tcp", "labgrid"
FORMS: Mapping[str, str] = {
    EMULATED: "emulated",
    SERIAL: "serial:ID",
    TCP: "tcp:HOST:PORT",
    LABGRID: "labgrid:PLACE",
}
_NO_BENCH: Mapping[str, str] = {
    "power": "nothing here switches the supply of a pen on a port",
    "pins": "no instrument is at the pins of a pen on a port",
    "plant": "nobody presses the trigger of a pen on a port or holds skin to it",
    "faults": "nothing can be broken in a pen on a port",
    "probe": "no debug probe is at a pen on a port",
    IN_PROCESS: "it is no pen that this process emulates",
}


@dataclass(frozen=True)
class Specification:
    """A target as it was asked for. `where`: ID or name, HOST:PORT, place; "" for the emulated one."""

    kind: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.where}" if self.where else self.kind

    @property
    def is_emulated(self) -> bool:
        """Whether it is the emulated pen of this process."""
        return self.kind == EMULATED

    @property
    def missing(self) -> Mapping[str, str]:
        """What this kind of target does not offer, each with the reason."""
        return {} if self.is_emulated else _NO_BENCH

    @property
    def offers(self) -> frozenset[str]:
        """What it offers."""
        return frozenset({*CAPABILITIES, IN_PROCESS} - self.missing.keys())


def parse(text: str) -> Specification:
    """The target that a text means. Raises UsageError with the forms that there are."""
    kind, colon, where = text.strip().partition(":")
    if kind not in FORMS:
        raise UsageError(f"--target {text!r}: there is no such target; use {_forms()}.")
    if kind == EMULATED:
        if colon:
            raise UsageError(
                f"--target {text!r}: the emulated pen takes nothing after its name; use {FORMS[kind]}."
            )
    elif not where:
        raise UsageError(f"--target {text!r}: which one is not said; use {FORMS[kind]}.")
    elif kind == TCP:
        _check_address(text, where)
    elif not re.fullmatch(r"[\w./@:+-]+", where):
        raise UsageError(f"--target {text!r}: {where!r} names nothing; use {FORMS[kind]}.")
    return Specification(kind, where)


def _check_address(text: str, where: str) -> None:
    host, _, port = where.rpartition(":")
    if (
        not re.fullmatch(r"[\w.-]+|\[[0-9a-fA-F:.]+\]", host)
        or not port.isdecimal()
        or not 0 < int(port) < 65536
    ):
        raise UsageError(
            f"--target {text!r}: {where!r} is no host with a port from 1 to 65535; use {FORMS[TCP]}, for example "
            "tcp:127.0.0.1:5000."
        )


def _forms() -> str:
    *first, last = FORMS.values()
    return f"{', '.join(first)} or {last}"
