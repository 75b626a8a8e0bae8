"""A pen that a host restarts: what it has to show of SR-26, SR-28, SR-29 and PR-09 happens anew, and nothing is lost.

A restart finds the home of the depth axis, as each switching on does; nothing else moves. It needs the role of an
engineer, which a development build gives.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from support.link_session import pause, restarted, skip_if_in_use
from support.measuring import Measure
from support.targets.protocols import Link

from needlepen import requirements
from needlepen.link.client import messages
from needlepen.records import log

LEAST_HZ, DEFAULT_HZ = (
    int(requirements.load().limit("PR-01", f"rate_{name}_hz")) for name in ("min", "default")
)
KEPT_EVENTS = 40
STORED_MS = 2_000
"""Settings are stored 1 s after a change, and what is in the log soon after it was noted."""

KEPT: dict[str, Callable[[Link], Any]] = {
    "settings": lambda link: link.command(messages.GET_SETTINGS),
    "calibration": lambda link: link.read_calibration(),
    "what it says of it": lambda link: (link.about().calibration, link.about().calibration_reason),
    "black box": lambda link: link.read_black_box(),
    "cartridge": lambda link: link.command(messages.GET_CARTRIDGE),
    "counters": lambda link: link.counters() | {"boots": 0},
}


def _newest(link: Link) -> list[bytes]:
    return list(itertools.islice(reversed(list(link.events())), KEPT_EVENTS))[::-1]


def test_a_restart_is_passed_in_time_and_loses_nothing(link: Link, measure: Measure) -> None:
    """SR-26, SR-28, SR-29, PR-09, SR-05, SR-15"""
    skip_if_in_use(link)
    refused = link.request(messages.SET_DEPTH, 65_535).refused
    assert refused is not None, "noted in the log: evidence that has to outlast the restart"
    rate_hz = link.command(messages.GET_SETTINGS)["rate_hz"]
    link.command(
        messages.SET_RATE, LEAST_HZ if rate_hz != LEAST_HZ else DEFAULT_HZ
    )  # what is told is really kept
    try:
        _judge(link, measure)
    finally:
        link.command(messages.SET_RATE, rate_hz)


def _judge(link: Link, measure: Measure) -> None:
    pause(link, STORED_MS)
    before, events, boots = (
        {name: read(link) for name, read in KEPT.items()},
        _newest(link),
        link.counters()["boots"],
    )
    frame, status = restarted(link)

    assert (frame.state in ("idle", "armed"), frame.fault) == (True, "none"), frame
    assert not {"self_test", "not_proven", "depth_not_homed"} & {*status.blockers}
    assert link.counters()["boots"] == boots + 1
    ready_ms = link.statistics()["ready_ms"]
    assert ready_ms > 0, "it has not been ready yet"
    measure("PR-09", "ready_ms", ready_ms, "after a restart that a host asked for, by the pen's own clock")

    after = {name: read(link) for name, read in KEPT.items()}
    assert after == before
    newest = log.decode(list(link.events()), bytes.fromhex(link.identity.unique_id))
    raw = set(link.events(newest[0].sequence))
    lost = [event for event in events if event not in raw]
    since = [event for event in newest if event.boot == boots + 1]
    assert since and since[0].name == "BOOT", [event.text for event in since]
    gaps = [gap for gap in log.gaps(newest) if gap.first_sequence >= since[0].sequence - 1]
    assert all(gap.at_boot for gap in gaps)
    measure("SR-28", "lost_records", len(lost), f"of the {len(events)} newest events before the restart")


@pytest.mark.nightly
def test_restarts_one_after_another_each_come_to_ready(link: Link, measure: Measure) -> None:
    """PR-09, SR-26, SR-29"""
    skip_if_in_use(link)
    ready_ms = {}
    for number in range(5):
        frame, _ = restarted(link)
        assert frame.fault == "none" and frame.state in ("idle", "armed"), frame
        ready_ms[f"restart {number + 1}"] = link.statistics()["ready_ms"]
    measure.worst("PR-09", "ready_ms", ready_ms, "restarts one after another")
