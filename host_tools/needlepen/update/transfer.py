"""Brings a program onto a pen over the link: the list first, then the files that the pen says it lacks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from needlepen.build import code_set
from needlepen.errors import InfrastructureError, Refused
from needlepen.link.client import messages
from needlepen.update.bundle import Bundle

PART_BYTES = 768
STAGES = ("closed", "list", "checking", "files")
CAME = ("ordinary", "on trial", "rolled back", "damage")
_CHECK_TIMEOUT_S = 30.0
_BUSY_S = 10.0
_PAUSE_S = 0.05


class UpdatablePen(Protocol):
    """What the transfer needs of a pen: `needlepen.Pen` and the emulated one have it."""

    def request(self, kind: int, /, *values: Any) -> Any:
        """Send a request and return its Reply (`refused`, `fields`)."""


Progress = Callable[[str, int, int], None]
"""progress(what, bytes done, bytes in all)"""


@dataclass(frozen=True)
class Report:
    """What a pen says about its program. `program`: name of the set that runs; `came`: one of CAME."""

    stage: str
    came: str
    program: str
    counter: int
    loader_crc: int
    verify_ms: int
    received_bytes: int
    wanted_bytes: int
    lacking: int

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Report:
        return cls(
            stage=STAGES[fields["stage"]],
            came=CAME[fields["came"]],
            program=fields["program"].hex(),
            counter=fields["counter"],
            loader_crc=fields["loader_crc"],
            verify_ms=fields["verify_ms"],
            received_bytes=fields["received_bytes"],
            wanted_bytes=fields["wanted_bytes"],
            lacking=int.from_bytes(fields["lacking"], "little"),
        )


@dataclass(frozen=True)
class Sent:
    """What a transfer did: modules that were sent, bytes of list and files, time the pen took for the signature."""

    program: str
    modules: tuple[str, ...]
    bytes: int
    verify_ms: int


def report(pen: UpdatablePen) -> Report:
    """Ask the pen what it runs. Raises Refused with the reason of an update that it has just refused."""
    reply = pen.request(messages.GET_UPDATE)
    if reply.refused:
        raise Refused(f"The pen refused the program: {reply.refused}; nothing was changed.")
    return Report.of(reply.fields)


def transfer(
    pen: UpdatablePen,
    bundle: Bundle,
    progress: Progress = lambda _what, _done, _total: None,
    pause: Callable[[], None] = lambda: time.sleep(_PAUSE_S),
    commit: bool = True,
) -> Sent:
    """Send list and missing files of a bundle and have the pen switch; it restarts then. The service has to be open.

    `pause()` is called while the pen checks; `commit=False` leaves the program staged. Raises Refused with the pen's
    reason, after which it runs what it ran, and InfrastructureError if it does not answer.
    """
    manifest, signature = bundle.program.manifest, bundle.signature
    _begin(pen, len(manifest), len(signature), pause)
    _stream(pen, "list", manifest + signature, progress)
    state = _checked(pen, pause)
    listed = code_set.entries(manifest)
    missing = [entry for number, entry in enumerate(listed) if state.lacking >> number & 1]
    data = b"".join(bundle.program.files[name] for _, _, _, name, _ in missing)
    if len(data) != state.wanted_bytes:
        raise InfrastructureError(
            f"The pen wants {state.wanted_bytes} bytes, the missing modules have {len(data)}: they disagree about "
            "the list; use the needlepen that fits the pen."
        )
    _stream(pen, "modules", data, progress)
    if commit:
        _must(pen, "the switch", messages.COMMIT_UPDATE)
    modules = tuple(entry[4] for entry in missing)
    return Sent(bundle.program.name, modules, len(manifest) + len(signature) + len(data), state.verify_ms)


def _begin(pen: UpdatablePen, list_bytes: int, signature_bytes: int, pause: Callable[[], None]) -> None:
    """Open the session; waits while the pen still tidies up after another one."""
    deadline_s = time.monotonic() + _BUSY_S
    while True:
        reply = pen.request(messages.BEGIN_UPDATE, list_bytes, signature_bytes)
        if not reply.refused:
            return
        if "busy" not in reply.refused or time.monotonic() > deadline_s:
            raise Refused(f"The pen refused the program: {reply.refused}; it runs what it ran.")
        pause()


def _must(pen: UpdatablePen, what: str, kind: int, *values: Any) -> None:
    reply = pen.request(kind, *values)
    if reply.refused:
        raise Refused(f"The pen refused {what}: {reply.refused}; it runs what it ran.")


def _stream(pen: UpdatablePen, what: str, data: bytes, progress: Progress) -> None:
    progress(what, 0, len(data))
    for offset in range(0, len(data), PART_BYTES):
        part = data[offset : offset + PART_BYTES]
        _must(pen, what, messages.PUT_DATA, offset, part)
        progress(what, offset + len(part), len(data))


def _checked(pen: UpdatablePen, pause: Callable[[], None]) -> Report:
    """Wait until the pen has checked list and signature."""
    deadline_s = time.monotonic() + _CHECK_TIMEOUT_S
    while True:
        state = report(pen)
        if state.stage == "files":
            return state
        if time.monotonic() > deadline_s:
            raise InfrastructureError(
                f"The pen has not checked the program after {_CHECK_TIMEOUT_S:.0f} s; switch it off and on, try again."
            )
        pause()
