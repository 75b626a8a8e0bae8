"""The whole way of a program onto a pen: service, transfer, restart, and a look whether it stays."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from needlepen.errors import InfrastructureError, NeedlepenError, ProductFailure, Refused
from needlepen.link.client import messages
from needlepen.link.values import STARTING, Telemetry
from needlepen.update.bundle import Bundle
from needlepen.update.transfer import Progress, Report, Sent, UpdatablePen, report, transfer

_SETTLE_S = 30.0  # a trial ends after 10 s at most, then the old program starts
_START_S = 4.0
_TELL_MS = 100
_LOOKS = 200  # times _TELL_MS by the pen's own clock, however slow an emulated one is
_FULL = "out of memory"
_LOOK_S = 0.2


class Reconnecting(UpdatablePen, Protocol):
    """A pen whose connection comes back after a reset that was asked for."""

    def counters(self) -> dict[str, int]:
        """Among them "boots"."""

    def reconnect(self, timeout_s: float = ..., boots: int | None = None) -> None:
        """Get the connection back, once the pen has counted another boot than these."""

    def subscribe(self, period_ms: int = ...) -> None:
        """Have telemetry sent, or no more of it (0)."""

    def telemetry(self) -> Iterator[Telemetry]:
        """Frames as they come."""


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

    A pen that was just switched on is waited for. Raises Refused with the pen's reason, after which it runs what it
    ran; ProductFailure if the pen took the program back because it did not reach ready; InfrastructureError if the pen
    does not come back.
    """
    begun_s = time.monotonic()
    before = first_report(pen)
    name = bundle.program.name
    if before.program == name:
        return Installed(name, name, (), 0, 0, time.monotonic() - begun_s)
    closed = open_service(pen, progress)
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
    open_service(pen, progress)
    return transfer(pen, bundle, progress)


def open_service(pen: Reconnecting, progress: Progress = lambda _what, _done, _total: None) -> str | None:
    """Open the service access; returns the pen's refusal, or None.

    A pen in its self-tests opens it only after them, so it is waited for; one that runs or shows a fault is not. Raises
    InfrastructureError if the tests do not end within 20 s.
    """
    refused = pen.request(messages.OPEN_SERVICE).refused
    if refused is None:
        return None
    pen.subscribe(_TELL_MS)
    try:
        for frame in itertools.islice(pen.telemetry(), _LOOKS):
            if frame.state not in STARTING:
                break
            progress("start", 0, 0)
        else:
            raise InfrastructureError(
                f"The pen has not come out of its self-tests within {_LOOKS * _TELL_MS / 1e3:.0f} s; nothing was sent. "
                "Let go of its trigger, switch it off and on, and run this again."
            )
    finally:
        pen.subscribe(0)
    return pen.request(messages.OPEN_SERVICE).refused


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
