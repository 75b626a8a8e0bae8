"""Treatment profiles on the whole pen: depth cap (SR-01), rate (PR-01) and the time of a session."""

from __future__ import annotations

from typing import Any

import pytest
from support.bench import LIMIT, MS, Pens, press, start
from support.forks import in_fork
from support.measuring import Measure
from support.monitoring import fault, state, status, until

from needlepen import supervision
from needlepen.cartridges.tables import load_profiles
from needlepen.emulator.pen import EmulatedPen
from needlepen.link.client import messages

S = 1e9
PROFILES = {profile.number: profile for profile in load_profiles().root.values()}
SHORT_MINUTE_MS = 250
SESSION_MIN = min(profile.session_min for profile in PROFILES.values())
SHORTEST = next(n for n, profile in PROFILES.items() if profile.session_min == SESSION_MIN)
STEP_UM = round(1e3 * float(LIMIT("PR-05", "depth_step_mm")))


def _look(pen: EmulatedPen, number: int) -> dict[str, Any]:
    """What a profile sets, and the deepest setting that it then accepts."""
    pen.command(messages.SELECT_PROFILE, number)
    pen.run_for(600 * MS)
    shown = status(pen)
    accepted = [um for um in range(0, 2_501, STEP_UM) if not pen.request(messages.SET_DEPTH, um).refused]
    assert pen.telemetry is not None
    return {
        "profile": shown.profile,
        "cap_um": round(1e3 * shown.depth_cap_mm),
        "rate_hz": pen.telemetry.set_hz,
        "session_s": shown.session_left_s,
        "deepest_um": max(accepted),
        "all_below": accepted == list(range(0, max(accepted) + 1, STEP_UM)),
    }


def test_selecting_a_profile_sets_cap_rate_and_session_limit(pens: Pens, measure: Measure) -> None:
    for number, profile in PROFILES.items():
        seen = in_fork(_look, pens.ready(), number)
        assert seen == {
            "profile": number,
            "cap_um": profile.depth_cap_um,
            "rate_hz": profile.rate_hz,
            "session_s": 60 * profile.session_min,
            "deepest_um": profile.depth_cap_um,
            "all_below": True,
        }, profile
        if number == 0:
            what = "deepest that the pen accepts as it comes"
            measure("SR-01", "default_cap_mm", seen["deepest_um"] / 1e3, what, relation="==")


def test_a_profile_that_does_not_exist_is_refused_and_changes_nothing(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> list[tuple[str | None, int]]:
        pen.command(messages.SELECT_PROFILE, SHORTEST)
        seen = []
        for number in (max(PROFILES) + 1, 255):
            refused = pen.request(messages.SELECT_PROFILE, number).refused
            pen.run_for(600 * MS)
            seen.append((refused, status(pen).profile))
        return seen

    for refused, profile in in_fork(run, pens.ready()):
        assert refused is not None and "no profile" in refused and profile == SHORTEST


@pytest.mark.parametrize("number", [n for n, p in PROFILES.items() if p.depth_cap_um < 1_500])
def test_a_depth_above_the_new_cap_comes_in_as_far_as_the_cap(pens: Pens, number: int) -> None:
    def run(pen: EmulatedPen) -> tuple[float, float, float, str]:
        pen.command(messages.SET_DEPTH, 1_500)
        pen.run_for(1 * S)
        before_mm = pen.axis.protrusion_mm
        pen.command(messages.SELECT_PROFILE, number)
        pen.run_for(1 * S)
        assert pen.telemetry is not None
        return before_mm, pen.axis.protrusion_mm, pen.telemetry.depth_set_mm, state(pen)

    error_mm = float(LIMIT("PR-06", "error_mm"))
    cap_mm = PROFILES[number].depth_cap_um / 1e3
    before_mm, after_mm, set_mm, then = in_fork(run, pens.ready())
    assert before_mm == pytest.approx(1.5, abs=error_mm)
    assert after_mm == pytest.approx(cap_mm, abs=error_mm)
    assert (set_mm, then) == (cap_mm, "armed")


def test_a_shallower_depth_stays_where_it_is(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> tuple[float, float]:
        pen.command(messages.SET_DEPTH, 300)
        pen.run_for(1 * S)
        before_mm = pen.axis.protrusion_mm
        pen.command(messages.SELECT_PROFILE, SHORTEST)
        pen.run_for(1 * S)
        return before_mm, pen.axis.protrusion_mm

    before_mm, after_mm = in_fork(run, pens.ready())
    assert after_mm == pytest.approx(before_mm, abs=1e-3)


@pytest.mark.parametrize("wanted", ["running", "safe"])
def test_no_profile_is_selected_while_running_or_after_a_fault(pens: Pens, wanted: str) -> None:
    def run(pen: EmulatedPen) -> tuple[str | None, int, float, str]:
        start(pen, 120)
        if wanted == "safe":
            pen.set_vbus(True)
        pen.wait_state(wanted)
        refused = pen.request(messages.SELECT_PROFILE, SHORTEST).refused
        pen.run_for(600 * MS)
        assert pen.telemetry is not None
        return refused, status(pen).profile, pen.telemetry.set_hz, state(pen)

    assert in_fork(run, pens.ready()) == ("not in this state", 0, 120.0, wanted)


def test_the_profile_is_kept_over_a_power_cut_and_the_depth_is_not(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> tuple[int, float, float]:
        pen.command(messages.SELECT_PROFILE, 2)
        pen.command(messages.SET_DEPTH, 500)
        pen.run_for(5 * S)
        pen.cut_power()
        pen.run_for(500 * MS)
        pen.restore_power()
        pen.power_up()
        pen.run_for(600 * MS)
        assert pen.telemetry is not None
        return status(pen).profile, pen.telemetry.set_hz, pen.telemetry.depth_set_mm

    assert in_fork(run, pens.ready()) == (2, PROFILES[2].rate_hz, 0.0)


# ---------------------------------------------------------------------- session limit
def _short_minutes(pens: Pens) -> Any:
    """Firmware whose session minutes last 0.25 s."""
    changes = {"pen/app.py": ("60_000 * session_min", f"{SHORT_MINUTE_MS} * session_min")}
    return pens.variant("short_sessions", changes)


def test_the_session_limit_ends_the_run_with_a_note_and_blocks_until_another_cartridge(pens: Pens) -> None:
    """From the first stroke, with a pause in it: 7.5 s for 30 min. A new cartridge is for another person."""

    def run(pen: EmulatedPen) -> dict[str, Any]:
        pen.command(messages.SELECT_PROFILE, SHORTEST)
        pen.command(messages.SET_DEPTH, 300)
        pen.run_for(9 * S)  # before the first stroke no time counts
        start(pen, 100, settle_ms=0)
        begun_ns = pen.now_ns
        pen.touch_skin()
        pen.run_for(2 * S)
        pen.lift()
        pen.release()
        pen.run_for(2 * S)
        press(pen, 100)
        pen.wait_state("running")
        pen.touch_skin()
        until(pen, lambda: state(pen) != "running", 15e3)
        ended_s = (pen.now_ns - begun_ns) / S
        pen.lift()
        pen.run_for(700 * MS)
        seen = {"ended_s": ended_s, "note": status(pen).note, "fault": fault(pen), "held": state(pen)}
        pen.release()
        pen.run_for(1 * S)
        seen["blockers"] = status(pen).blockers
        pen.press()
        pen.run_for(500 * MS)
        seen["pressed"] = state(pen), fault(pen)
        pen.release()
        pen.unseat_cartridge()
        pen.run_for(1 * S)
        pen.seat_cartridge()
        pen.wait_state("armed")
        start(pen, 100)
        seen["another"] = state(pen)
        return seen

    seen = in_fork(run, pens.ready(firmware=_short_minutes(pens)))
    limit_s = SESSION_MIN * SHORT_MINUTE_MS / 1e3
    assert abs(seen["ended_s"] - limit_s) < 0.5, "from the first stroke, not from the press or the boot"
    assert seen["note"] == supervision.load().note_text(_note("SESSION_OVER"))
    assert (seen["fault"], seen["held"]) == ("none", "idle")
    assert "session_over" in seen["blockers"] and seen["pressed"] == ("idle", "none")
    assert seen["another"] == "running"


def _note(name: str) -> int:
    return supervision.load().notes[name].number


@pytest.mark.nightly
def test_a_longer_profile_does_not_end_the_session_that_early(pens: Pens) -> None:
    """A test of the test: the same time in the profile of 60 min."""

    def run(pen: EmulatedPen) -> tuple[str, str]:
        pen.command(messages.SET_DEPTH, 300)
        pen.run_for(1 * S)
        start(pen, 100, settle_ms=0)
        pen.touch_skin()
        pen.run_for((SESSION_MIN * SHORT_MINUTE_MS / 1e3 + 1.5) * S)
        return state(pen), fault(pen)

    assert in_fork(run, pens.ready(firmware=_short_minutes(pens))) == ("running", "none")
