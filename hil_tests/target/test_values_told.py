"""What a pen tells of itself agrees with itself and with the limits: voltages, temperatures, cartridge, calibration,
and what of it keeps it from starting.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from support.link_session import frames_of, now, pause, settings_kept, skip_unless_needles_in
from support.measuring import Measure
from support.targets.protocols import Link

from needlepen import requirements
from needlepen.cartridges.tables import load_profiles, load_types
from needlepen.link.client import messages
from needlepen.link.values import text

LIMIT = requirements.load().limit
LEAST_HZ, MOST_HZ = (int(LIMIT("PR-01", f"rate_{name}_hz")) for name in ("min", "max"))
PROFILES = {profile.number: profile for profile in load_profiles()}
GENERAL = 0
NEEDLES = {made.needles for made in load_types().types.values()}
FRAMES = 30
CELL_SPREAD_V = 0.05
"""At rest a pen draws 30 mA: more scatter is a loose divider, not a cell."""
CARTRIDGE = ("cartridge_absent", "cartridge_reading", "cartridge_unreadable", "cartridge_foreign", "cartridge_used",
             "cartridge_expired")  # fmt: skip


def test_only_a_pen_that_nothing_blocks_is_armed(link: Link) -> None:
    """SR-14, SR-20, SR-22, SR-05: each of them is a blocker."""
    frame, status = now(link)
    assert frame.state in ("idle", "armed")
    assert (frame.state == "armed") == (not status.blockers), status.blockers


def test_at_rest_no_drive_is_told(link: Link) -> None:
    """SR-11: no duty, no current, no strokes; nothing moves by itself."""
    before = link.counters()["strokes"]
    found = frames_of(link, 20, FRAMES)
    assert {(frame.duty, frame.current_a, frame.rate_hz) for frame in found} == {(0.0, 0.0, 0.0)}
    assert link.counters()["strokes"] == before
    assert max(frame.depth_mm for frame in found) - min(frame.depth_mm for frame in found) <= LIMIT(
        "PR-05", "actuator_step_mm"
    )


def test_the_cell_is_plausible_and_judged_by_its_limits(link: Link, measure: Measure) -> None:
    """SR-20: the bench check lets no pen pass that would not start by its cell, so it must not say so of itself."""
    cells_v = [frame.cell_v for frame in frames_of(link, 20, FRAMES)]
    status = now(link)[1]
    print(f"cell from {min(cells_v):.3f} to {max(cells_v):.3f} V at rest, spread limit {CELL_SPREAD_V} V")
    assert max(cells_v) - min(cells_v) <= CELL_SPREAD_V
    assert not {"battery_low", "battery_sensor"} & {*status.blockers, *status.warnings}
    measure("SR-20", "start_v", min(cells_v), "neither blocked nor warned of", relation=">=")


def test_temperatures_are_plausible_and_judged_by_their_limits(link: Link, measure: Measure) -> None:
    """SR-18, SR-19"""
    status = now(link)[1]
    told = {*status.blockers, *status.warnings}
    assert not {"nose_temperature", "nose_warm", "winding_hot", "winding_warm"} & told
    measure("SR-18", "warn_c", status.nose_c, "the nose, not warned of")
    measure("SR-19", "warn_c", status.winding_c, "the winding, not warned of")


def test_the_cartridge_is_accepted_or_keeps_the_pen_from_starting(link: Link, measure: Measure) -> None:
    """SR-14, SR-15, SR-16: never in between; what is left of it fits its limits."""
    status, seated = now(link)[1], link.command(messages.GET_CARTRIDGE)
    against = [name for name in CARTRIDGE if name in status.blockers]
    assert bool(seated["accepted"]) == (not against), (seated, status.blockers)
    if not seated["accepted"]:
        assert text(seated["reason"]) or not any(seated["rom"])
        pytest.skip(f"no cartridge is accepted: {', '.join(against)}; seat a new one")
    assert seated["needles"] == status.needles and seated["needles"] in NEEDLES
    assert 0 < seated["depth_limit_um"] <= 1e3 * float(LIMIT("PR-05", "depth_max_mm"))
    measure("SR-15", "use_min", (seated["used_s"] + seated["left_s"]) / 60, "used, and left")
    measure("SR-15", "window_h", seated["left_s"] / 3600, "left")


def test_the_cap_of_the_depth_is_the_smallest_that_is_known(link: Link, measure: Measure) -> None:
    """SR-01"""
    status, seated = now(link)[1], link.command(messages.GET_CARTRIDGE)
    caps_um = [PROFILES[status.profile].depth_cap_um, *[seated["depth_limit_um"]] * bool(seated["accepted"])]
    assert 1e3 * status.depth_cap_mm <= min(caps_um) + 0.5, caps_um
    measure("SR-01", "default_cap_mm", status.depth_cap_mm, f"with profile {status.profile}")


@pytest.mark.parametrize("rate_hz", [LEAST_HZ, MOST_HZ])
def test_only_a_rate_that_is_too_slow_for_the_cartridge_blocks_a_start(link: Link, rate_hz: int) -> None:
    """SR-24, by needles and depth of now: the limits are those of 1.50 mm, and go with the root of the depth."""
    needles = now(link)[1].needles
    if not needles:
        pytest.skip("no cartridge is seated, so that no rate is too slow for it; seat one")
    with settings_kept(link):
        link.command(messages.SET_RATE, rate_hz)
        pause(link, 100)
        frame, status = now(link)
        share = frame.depth_set_mm / float(LIMIT("SR-01", "default_cap_mm"))
        least_hz = float(LIMIT("SR-24", f"rate_{needles}_needles_hz")) * math.sqrt(share)
    print(
        f"{needles} needles at {frame.depth_set_mm:.2f} mm: at least {least_hz:.0f} Hz, set to {rate_hz} Hz"
    )
    assert abs(rate_hz - least_hz) < 1 or ("rate_too_low" in status.blockers) == (rate_hz < least_hz)


def test_the_running_hours_since_the_calibration_are_judged_by_their_limits(
    link: Link, measure: Measure
) -> None:
    """SR-05"""
    about, status, counters = link.about(), now(link)[1], link.counters()
    assert counters["calibration_run_s"] <= counters["run_s"]
    assert (about.calibration == "expired") == ("calibration_expired" in status.blockers)
    assert (about.calibration == "due") == ("calibration_due" in status.warnings)
    if about.calibration != "valid":
        pytest.skip(f"the calibration is not valid: {about.calibration} {about.calibration_reason}")
    measure("SR-05", "warn_h", counters["calibration_run_s"] / 3600, "neither due nor expired")


@pytest.fixture
def needles_in(link: Link) -> Iterator[Link]:
    """With the depth at 0.00 mm, so that no profile moves the needles; profile and rate are set back afterwards."""
    before = link.command(messages.GET_SETTINGS)
    skip_unless_needles_in(link, "a profile with a smaller cap would take them in")
    yield link
    link.command(messages.SELECT_PROFILE, before["profile"])
    link.command(messages.SET_RATE, before["rate_hz"])
    assert link.command(messages.GET_SETTINGS) == before


@pytest.mark.parametrize("number", PROFILES)
def test_a_profile_sets_its_rate_and_its_cap(needles_in: Link, measure: Measure, number: int) -> None:
    """SR-01, PR-01: and what is deeper than its cap is refused by its name."""
    profile = PROFILES[number]
    needles_in.command(messages.SELECT_PROFILE, number)
    found = needles_in.command(messages.GET_SETTINGS)
    assert (found["profile"], found["rate_hz"]) == (number, profile.rate_hz)
    pause(needles_in, 100)
    frame, status = now(needles_in)
    assert frame.set_hz == pytest.approx(profile.rate_hz) and status.profile == number
    assert status.session_left_s <= 60 * profile.session_min
    refused = needles_in.request(messages.SET_DEPTH, profile.depth_cap_um + 50).refused
    assert refused is not None and "is above the" in refused, refused
    measure("SR-01", "default_cap_mm", status.depth_cap_mm, f"profile {profile.name}")
    assert status.depth_cap_mm <= profile.depth_cap_um / 1e3
    if number == GENERAL:
        measure(
            "PR-01",
            "rate_default_hz",
            found["rate_hz"],
            "of the profile that a pen starts with",
            relation="==",
        )
