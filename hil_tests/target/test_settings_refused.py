"""PR-01, PR-05, SR-01: a setting outside its limits is refused with the reason, and changes nothing.

Only settings that are allowed in every case are carried out, and no test here moves the needles or the motor.
"""

from __future__ import annotations

import pytest
from support.link_session import now, settings_kept
from support.measuring import Measure
from support.targets.protocols import Link

from needlepen import requirements
from needlepen.link.client import messages

LIMIT = requirements.load().limit
LEAST_HZ, MOST_HZ, STEP_HZ = (int(LIMIT("PR-01", f"rate_{name}_hz")) for name in ("min", "max", "step"))
DEEPEST_UM, GRID_UM = (round(1e3 * float(LIMIT("PR-05", f"depth_{name}_mm"))) for name in ("max", "step"))
OUTSIDE = f"rate outside {LEAST_HZ}-{MOST_HZ} Hz"
GRID = f"rate not a multiple of {STEP_HZ} Hz"


@pytest.mark.parametrize(
    ("rate_hz", "refused"),
    [
        (0, OUTSIDE),
        (LEAST_HZ - STEP_HZ, OUTSIDE),
        (LEAST_HZ - 1, OUTSIDE),
        (LEAST_HZ, None),
        (LEAST_HZ + 1, GRID),
        (MOST_HZ - 1, GRID),
        (MOST_HZ, None),
        (MOST_HZ + 1, OUTSIDE),
        (MOST_HZ + STEP_HZ, OUTSIDE),
        (65_535, OUTSIDE),
    ],
)
def test_a_rate_counts_up_to_its_limits(link: Link, rate_hz: int, refused: str | None) -> None:
    """PR-01"""
    with settings_kept(link) as before:
        assert link.request(messages.SET_RATE, rate_hz).refused == refused
        after = link.command(messages.GET_SETTINGS)
        assert after == before | ({} if refused else {"rate_hz": rate_hz})
        set_hz = now(link)[0].set_hz
        assert set_hz == pytest.approx(after["rate_hz"])


def test_the_rate_is_again_what_it_was(link: Link) -> None:
    """What the tests here do must not outlast them."""
    before = link.command(messages.GET_SETTINGS)
    with settings_kept(link):
        link.command(messages.SET_RATE, LEAST_HZ if before["rate_hz"] != LEAST_HZ else MOST_HZ)
    assert link.command(messages.GET_SETTINGS) == before


@pytest.mark.parametrize("beyond", ["the cap of now", "the range of the pen", "all that can be said"])
def test_a_depth_above_its_limit_is_refused_and_nothing_moves(
    link: Link, measure: Measure, beyond: str
) -> None:
    """SR-01, by the pen's own depth sensor."""
    frame, status = now(link)
    cap_um = round(1e3 * status.depth_cap_mm)
    wanted_um = {
        "the cap of now": cap_um + GRID_UM,
        "the range of the pen": DEEPEST_UM + GRID_UM,
        "all that can be said": 65_535,
    }[beyond]
    before = link.command(messages.GET_SETTINGS)
    refused = link.request(messages.SET_DEPTH, wanted_um).refused
    assert refused is not None and "is above the" in refused and "limit" in refused
    assert link.command(messages.GET_SETTINGS) == before
    after = now(link)[0]
    assert after.depth_set_mm == frame.depth_set_mm
    measure(
        "SR-01",
        "movement_mm",
        abs(after.depth_mm - frame.depth_mm),
        f"{wanted_um / 1e3:.2f} mm refused: {beyond}",
    )


def test_a_depth_between_two_steps_is_refused(link: Link) -> None:
    """PR-05"""
    before = link.command(messages.GET_SETTINGS)
    assert "not a multiple of" in str(link.request(messages.SET_DEPTH, GRID_UM + 1).refused)
    assert link.command(messages.GET_SETTINGS) == before


def test_a_volume_and_a_profile_that_do_not_exist_are_refused(link: Link) -> None:
    before = link.command(messages.GET_SETTINGS)
    assert "volume outside" in str(link.request(messages.SET_VOLUME, 4).refused)
    assert "no profile 250" in str(link.request(messages.SELECT_PROFILE, 250).refused)
    assert link.command(messages.GET_SETTINGS) == before
