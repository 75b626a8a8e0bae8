"""Settings over the link: read, and applied as a whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from needlepen.config.model import NAMES, Settings, described
from needlepen.errors import Refused
from needlepen.link.client import Reply, messages

_KINDS = {
    "profile": messages.SELECT_PROFILE,
    "volume": messages.SET_VOLUME,
    "rate_hz": messages.SET_RATE,
    "depth_um": messages.SET_DEPTH,
}
"""In the order in which they are sent: a profile brings a rate and may take the needles in, so it goes first."""


class Talks(Protocol):
    """What this needs of a pen: needlepen.Pen has it, and an emulated pen in the same process."""

    def request(self, kind: int, *values: Any) -> Reply: ...
    def command(self, kind: int, *values: Any) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Applied:
    """What a change did: the settings before and after, all of them."""

    before: Settings
    after: Settings

    @property
    def changed(self) -> Settings:
        """The former values of those settings that are different now."""
        return {name: value for name, value in self.before.items() if self.after[name] != value}


def read(pen: Talks) -> Settings:
    """The settings that a pen has now. Raises Refused or InfrastructureError."""
    fields = pen.command(messages.GET_SETTINGS)
    return {name: int(fields[name]) for name in NAMES}


def affected(wanted: Mapping[str, int]) -> tuple[str, ...]:
    """The settings that a change may touch: a profile brings its rate and limits the depth."""
    return tuple(name for name in NAMES if name in wanted or ("profile" in wanted and name != "volume"))


def apply(pen: Talks, wanted: Mapping[str, int], before: Settings) -> Applied:
    """Set `wanted` on a pen that has `before`; if the pen refuses one of them, those already set are put back.

    Raises Refused with the pen's reason, and with what could not be put back.
    """
    for name in _in_order(wanted):
        refused = pen.request(_KINDS[name], wanted[name]).refused
        if refused:
            left = put_back(pen, before)
            outcome = (
                "the others are as they were before"
                if not left
                else f"NOT put back: {', '.join(left)}; look at `needlepen config get`"
            )
            raise Refused(f"the pen refused {name} = {described(name, wanted[name])}: {refused}; {outcome}")
    return Applied(before, read(pen))


def put_back(pen: Talks, before: Mapping[str, int]) -> list[str]:
    """Restore settings where they differ now; returns what the pen refused to take back, in words."""
    left = []
    for name in _in_order(before):
        if read(pen)[name] != before[name]:
            refused = pen.request(_KINDS[name], before[name]).refused
            if refused:
                left.append(f"{name} = {described(name, before[name])} ({refused})")
    return left


def _in_order(settings: Mapping[str, int]) -> list[str]:
    return [name for name in _KINDS if name in settings]
