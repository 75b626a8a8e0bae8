"""A pen at the end of a port: found, held for this session, identified, checked, and given up at the end.

A board gives its link and its console and nothing else; nothing in either starts the motor, which takes a finger on
the trigger.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from needlepen.devices import locks
from needlepen.devices.choice import choose_device
from needlepen.devices.model import Device
from needlepen.devices.opening import port_of
from needlepen.errors import NeedlepenError, Refused, UsageError
from needlepen.link.pen import Pen
from needlepen.link.transport import Transport
from support.targets import bench_check
from support.targets.protocols import BoardIdentity, Lost, Missing
from support.targets.specification import SERIAL, Specification

TIMEOUT_S = 8.0
RECONNECT_S = 8.0
LEASE_S = 900.0
"""A session renews its lease before each test; the longest test of a board takes minutes."""
_LOOK_S = 3.0
_PURPOSE = "HIL tests"


class LinkTarget:
    """A pen on a port, held under its unique ID until `close`. `url`: where it is, if not where `specification` says.

    Raises UsageError, InfrastructureError (not there), Refused (somebody else has it, or it is not what is meant).
    """

    def __init__(
        self, specification: Specification, meant: bench_check.Wanted | None = None, url: str | None = None
    ) -> None:
        self.name = str(specification)
        self.lost: str | None = None
        self._specification = specification
        self._pen: Pen | None = None
        self._in_use = ""
        self._device = _device(url or _url(specification))
        assert self._device.port is not None, "a pen has a port"
        self._port = self._device.port
        self._end = contextlib.ExitStack()
        with contextlib.ExitStack() as stack:
            stack.enter_context(locks.held(self._device.lock_name, _PURPOSE, LEASE_S))
            stack.callback(self._hang_up)
            seen = bench_check.look(self._open())
            bench_check.check(seen, meant or bench_check.wanted(), self._device.unique_id)
            self.identity = _identity(self.name, seen, self._device.emulated)
            self._end = stack.pop_all()

    @property
    def offers(self) -> frozenset[str]:
        """Link and console."""
        return self._specification.offers

    @contextlib.contextmanager
    def use(self, capability: str) -> Iterator[Any]:
        """The link or the console, one at a time: they share the port. Raises Missing, Lost."""
        if capability not in self.offers:
            raise Missing(f"{self.name} has no {capability}: {self._specification.missing[capability]}")
        if self.lost is not None:
            raise Lost(self.lost)
        if self._in_use:
            raise UsageError(f"{self.name} has one port: a test asks for {self._in_use} or for {capability}.")
        locks.renew(self._device.lock_name, LEASE_S)
        self._in_use = capability
        try:
            if capability == "link":
                yield self._open()
            else:
                self._hang_up()
                with contextlib.closing(Transport(self._port)) as transport:
                    yield transport
        finally:
            self._in_use = ""

    def is_there(self) -> bool:
        """Whether it still answers, as the pen that it was."""
        self._hang_up()
        try:
            self._open(_LOOK_S)
        except NeedlepenError:
            return False
        return True

    def noticed(self) -> str | None:
        """Nothing watches a port but who reads from it: a pen that came back says what it runs."""
        now = self.identity.application_hash if self._pen is None else self._pen.identity.application_hash
        if now == self.identity.application_hash:
            return None
        return f"It was flashed meanwhile: it runs {now}, and began with {self.identity.application_hash}"

    def close(self) -> None:
        """Hang up, and let others have it."""
        self._end.close()

    def _open(self, timeout_s: float = TIMEOUT_S) -> Pen:
        if self._pen is None:
            find_again = None if "://" in self._port else port_of
            self._pen = Pen.open(self._port, timeout_s, RECONNECT_S, self._device.unique_id, find_again)
        self._port = self._pen.url
        return self._pen

    def _hang_up(self) -> None:
        if self._pen is not None:
            self._pen.close()
            self._pen = None


def _url(specification: Specification) -> str:
    return specification.where if specification.kind == SERIAL else f"socket://{specification.where}"


def _device(text: str) -> Device:
    device = choose_device(text)
    if device.unique_id is None:
        raise Refused(
            f"{device} does not say which pen it is, so it is not tested; `needlepen devices` looks again."
        )
    return device


def _identity(name: str, seen: bench_check.Seen, emulated: bool) -> BoardIdentity:
    found = seen.identity
    return BoardIdentity(
        target=name,
        unique_id=found.unique_id,
        board=found.board,
        version=found.version,
        build="development" if found.development else "production",
        application_hash=found.application_hash,
        runtime=f"MicroPython {seen.about.micropython}",
        emulator="emulated in another process" if emulated else "",
    )
