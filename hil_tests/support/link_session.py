"""What tests do with a pen over its link, whichever target it is on: look at it at rest, and leave it as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from needlepen.cartridges.tables import load_profiles
from needlepen.errors import NotInTime
from needlepen.link.client import messages
from needlepen.link.operations import EPOCH_S
from needlepen.link.values import Status, Telemetry, starting_up
from support.targets.protocols import Link

_FRESH_FRAMES = 60
_SLICE_S = 0.05


def now(link: Link, period_ms: int = 20) -> tuple[Telemetry, Status]:
    """The next telemetry frame, with a status that is at most 500 ms older."""
    link.subscribe(period_ms)
    link.take_frames()
    frames = link.telemetry()
    for _ in range(_FRESH_FRAMES):
        frame = next(frames)
        if link.status is not None:
            return frame, link.status
    raise NotInTime("the pen sends telemetry and no status; reset it, and try again")


def pause(link: Link, ms: float) -> Telemetry:
    """Let so much of the pen's time pass; the last frame."""
    link.subscribe(20)
    link.take_frames()
    frames = link.telemetry()
    begun = last = next(frames)
    while last.time_ms - begun.time_ms < ms:
        last = next(frames)
    return last


def frames_of(link: Link, period_ms: int, count: int) -> list[Telemetry]:
    """So many telemetry frames in a row. Begun anew: a pen owes a host that was away some frames, and sends them."""
    link.subscribe(0)
    link.subscribe(period_ms)
    link.take_frames()
    frames = link.telemetry()
    for _ in range(3):
        next(frames)
    return [next(frames) for _ in range(count)]


def until(link: Link, state: str, frames: int = 500) -> Telemetry:
    """The first frame in a state; raises NotInTime that names what is reported instead."""
    link.subscribe(20)
    for _, frame in zip(range(frames), link.telemetry(), strict=False):
        if frame.state == state:
            return frame
    raise NotInTime(f"the pen did not come to {state!r}: {link.latest}")


@contextlib.contextmanager
def settings_kept(link: Link) -> Iterator[dict[str, int]]:
    """The rate that was set before is set again afterwards; gives the settings as the pen reports them."""
    before = link.command(messages.GET_SETTINGS)
    try:
        yield before
    finally:
        if link.command(messages.GET_SETTINGS)["rate_hz"] != before["rate_hz"]:
            link.command(messages.SET_RATE, before["rate_hz"])


def settled(link: Link, frames: int = 1_000) -> tuple[Telemetry, Status]:
    """The first frame after the self-tests, and the status with it; raises NotInTime that names what is reported."""
    link.subscribe(20)
    for _, frame in zip(range(frames), link.telemetry(), strict=False):
        rests = frame.state in ("safe", "locked_out")  # its blockers stand for as long as it does
        if link.status is not None and (rests or not starting_up(frame, link.status)):
            return frame, link.status
    raise NotInTime(f"the pen does not come out of its self-tests: {link.latest}")


def skip_if_in_use(link: Link) -> None:
    """A restart takes the needles in, and ends the session of a cartridge: the pen would refuse that one for good."""
    status, seated = now(link)[1], link.command(messages.GET_CARTRIDGE)
    skip_unless_needles_in(link, "a restart would take them in")
    whole_s = 60 * load_profiles().numbered(status.profile).session_min
    if seated["accepted"] and (seated["used_s"] or status.session_left_s < whole_s):
        pytest.skip(
            "a treatment has begun with the seated cartridge, and a restart would end it: take it out first"
        )


def skip_unless_needles_in(link: Link, otherwise: str) -> None:
    """Tests of a link do not move the needles; `otherwise`: what this one would do to them."""
    if depth_um := link.command(messages.GET_SETTINGS)["depth_um"]:
        pytest.skip(
            f"the needles are set to {depth_um / 1e3:.2f} mm, and {otherwise}: set 0.00 mm first "
            "(`needlepen config set depth_um=0`)"
        )


def restarted(link: Link, request: int = messages.RESTART) -> tuple[Telemetry, Status]:
    """Have the pen restart, by this request or CLOSE_SERVICE, and wait until its tests are over.

    A pen that knew the date is given it again. Call `skip_if_in_use` before anything is done for it.
    """
    boots, dated = link.counters()["boots"], "clock_unknown" not in now(link)[1].warnings
    link.subscribe(0)
    link.command(request)
    link.reconnect(boots=boots)
    settled(link)
    if dated:
        link.command(messages.SET_TIME, int(datetime.now(UTC).timestamp()) - EPOCH_S)
    return now(link)
