"""The whole way of a program onto a pen: service, transfer, restart, and a look whether it stays."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Protocol

from needlepen.errors import InfrastructureError, NeedlepenError, ProductFailure, Refused
from needlepen.link.client import messages
from needlepen.update.bundle import Bundle
from needlepen.update.transfer import Progress, Report, Sent, UpdatablePen, report, transfer

_SETTLE_S = 30.0  # a trial ends after 10 s at most, then the old program starts
_START_S = 4.0
_FULL = "out of memory"
_LOOK_S = 0.2


class Reconnecting(UpdatablePen, Protocol):
    """A pen whose connection comes back after a reset that was asked for."""

    def counters(self) -> dict[str, int]:
        """Among them "boots"."""

    def reconnect(self, timeout_s: float = ..., boots: int | None = None) -> None:
        """Get the connection back, once the pen has counted another boot than these."""


@dataclass(frozen=True)
class Installed:
    """What was done. `modules`: those sent; `bytes` with the list; `verify_ms`: device time for the signature."""

    program: str
    before: str
    modules: tuple[str, ...]
    bytes: int
    verify_ms: int
    seconds: float

    @property
    def changed(self) -> bool:
        """Whether anything had to be done."""
        return self.program != self.before


def install(
    pen: Reconnecting, bundle: Bundle, progress: Progress = lambda _what, _done, _total: None
) -> Installed:
    """Bring the program of a bundle onto a pen and see it confirmed.

    Raises Refused with the pen's reason, after which it runs what it ran; ProductFailure if the pen took the program
    back because it did not reach ready; InfrastructureError if the pen does not come back.
    """
    begun_s = time.monotonic()
    before = first_report(pen)
    name = bundle.program.name
    if before.program == name:
        return Installed(name, name, (), 0, 0, time.monotonic() - begun_s)
    closed = pen.request(messages.OPEN_SERVICE).refused
    try:
        boots = pen.counters()["boots"]
        try:
            sent = transfer(pen, bundle, progress)
        except Refused as error:
            if _FULL not in str(error) or closed:
                raise
            sent = _after_restart(pen, boots, bundle, progress)
            boots += 1
    except BaseException as error:
        if not closed:  # opened here: the pen starts again as it was; what has come stays for the next try
            with contextlib.suppress(NeedlepenError):
                pen.request(messages.CLOSE_SERVICE)
        elif isinstance(error, Refused) and "service" in str(error):
            raise Refused(f"The pen does not open its service access: {closed}.") from None
        raise
    progress("restart", 0, 0)
    after = _settled(pen, boots)
    if after.program != name:
        raise ProductFailure(
            f"The pen took the program {name} back because it did not reach ready within 10 s; it runs {after.program} "
            "again. Its event log and a run of the new firmware on the emulated pen say why."
        )
    return Installed(
        name, before.program, sent.modules, sent.bytes, sent.verify_ms, time.monotonic() - begun_s
    )


def _after_restart(pen: Reconnecting, boots: int, bundle: Bundle, progress: Progress) -> Sent:
    """A pen that has been on for long may have its free memory in pieces; after a restart it is in one."""
    pen.request(messages.CLOSE_SERVICE)
    pen.reconnect(_SETTLE_S, boots)
    deadline_s = time.monotonic() + _START_S
    while pen.request(messages.OPEN_SERVICE).refused and time.monotonic() < deadline_s:
        time.sleep(_LOOK_S)
    return transfer(pen, bundle, progress)


def first_report(pen: UpdatablePen) -> Report:
    """What the pen runs; waits while a pen that has just started is busy. Raises as `report`."""
    deadline_s = time.monotonic() + _START_S
    while True:
        try:
            return report(pen)
        except Refused:
            if time.monotonic() > deadline_s:
                raise
        time.sleep(_LOOK_S)


def _settled(pen: Reconnecting, boots: int) -> Report:
    """Wait until the pen has started again, after so many `boots`, and has confirmed or taken back its program."""
    deadline_s = time.monotonic() + _SETTLE_S
    connected = False
    while True:
        try:
            if not connected:
                pen.reconnect(_SETTLE_S, boots)
                connected = True
            told = report(pen)
            if told.came == "ordinary":
                return told
        except (InfrastructureError, Refused):
            # It says what went wrong, restarts once more to take the program back, or moves its depth axis.
            if time.monotonic() > deadline_s:
                raise
            time.sleep(_LOOK_S)
            continue
        if time.monotonic() > deadline_s:
            raise InfrastructureError(
                f"The pen has not settled after {_SETTLE_S:.0f} s (its program came {told.came}); acknowledge its "
                "fault if it shows one, switch it off and on."
            )
        time.sleep(_LOOK_S)
