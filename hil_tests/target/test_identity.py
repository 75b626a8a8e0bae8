"""Who the board is: the link, the target and this checkout say the same."""

from __future__ import annotations

import re

from support.targets.protocols import Link, Target

from needlepen import board
from needlepen.link.client import kinds, messages
from needlepen.link.values import CALIBRATIONS, ROLES


def test_the_pen_says_who_it_is(link: Link, target: Target) -> None:
    found, expected = link.identity, target.identity
    assert re.fullmatch(r"[0-9a-f]{16}", found.unique_id) and found.unique_id == expected.unique_id
    assert (found.board, found.version) == (expected.board, expected.version)
    assert found.board == board.load().name and found.protocol_version == kinds.PROTOCOL_VERSION


def test_it_runs_the_build_of_this_checkout(link: Link, target: Target) -> None:
    from support.targets.bench_check import wanted

    meant = wanted()
    assert link.identity.application_hash and meant.application_hash.startswith(
        link.identity.application_hash
    )
    assert target.identity.build == meant.build and link.about().micropython == meant.micropython


def test_it_says_the_same_each_time_it_is_asked(link: Link) -> None:
    asked = [link.command(messages.HELLO, kinds.PROTOCOL_VERSION) for _ in range(3)]
    assert asked[0] == asked[1] == asked[2] and asked[0]["unique_id"].hex() == link.identity.unique_id


def test_what_it_says_of_itself_has_names(link: Link) -> None:
    about = link.about()
    assert about.role in ROLES and about.calibration in CALIBRATIONS
    assert about.boots >= 1 and about.boots == link.counters()["boots"]
    assert about.uptime_s <= link.about().uptime_s
