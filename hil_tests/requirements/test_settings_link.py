"""PR-01, PR-05: settings as a host reads and changes them: as they are, all or nothing, kept over power cuts."""

from __future__ import annotations

from typing import Any

import pytest
from support.bench import MS, Pens, press
from support.forks import in_fork
from support.monitoring import state

from needlepen.cartridges.tables import load_profiles
from needlepen.config import apply, read
from needlepen.config.apply import put_back
from needlepen.emulator.pen import EmulatedPen
from needlepen.errors import Refused
from needlepen.firmware_modules import firmware_module
from needlepen.link.client import messages

VOLUME_MAX = firmware_module("pen.store.settings").VOLUME_MAX
SHALLOW = min(load_profiles().root.values(), key=lambda profile: profile.depth_cap_um)


def test_the_pen_reports_what_is_set(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> list[dict[str, int]]:
        seen = [read(pen)]
        pen.command(messages.SET_RATE, 125)
        pen.command(messages.SET_DEPTH, 750)
        pen.command(messages.SET_VOLUME, 1)
        seen.append(read(pen))
        pen.command(messages.SELECT_PROFILE, SHALLOW.number)
        seen.append(read(pen))
        return seen

    first, second, third = in_fork(run, pens.ready())
    assert first == {"rate_hz": 100, "depth_um": 0, "volume": 2, "profile": 0}
    assert second == {"rate_hz": 125, "depth_um": 750, "volume": 1, "profile": 0}
    assert third == {
        "rate_hz": SHALLOW.rate_hz, "depth_um": SHALLOW.depth_cap_um, "volume": 1, "profile": SHALLOW.number,
    }  # fmt: skip


def test_a_volume_that_does_not_exist_is_refused_and_changes_nothing(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> tuple[list[str | None], dict[str, int]]:
        refused = [pen.request(messages.SET_VOLUME, volume).refused for volume in (VOLUME_MAX + 1, 255)]
        return refused, read(pen)

    refused, after = in_fork(run, pens.ready())
    assert refused == [f"volume outside 0-{VOLUME_MAX}"] * 2 and after["volume"] == 2


def test_the_volume_is_heard_at_once_and_survives_a_loss_of_power(pens: Pens) -> None:
    """A key sounds when the depth is changed by a button: not at volume 0."""

    def sounds(pen: EmulatedPen) -> bool:
        pen.press_button("DEPTH_UP_N")
        heard = pen.run_until(lambda: pen.buzzer is not None, 300 * MS, 1 * MS)
        pen.release_button("DEPTH_UP_N")
        pen.run_for(600 * MS)
        return heard

    def run(pen: EmulatedPen) -> list[bool]:
        heard = [sounds(pen)]
        pen.command(messages.SET_VOLUME, 0)
        heard.append(sounds(pen))
        pen.run_for(2_500 * MS)  # stored within about a second at rest
        pen.cut_power()
        pen.run_for(300 * MS)
        pen.restore_power()
        pen.connect()
        pen.wait_state("armed")
        assert read(pen)["volume"] == 0
        heard.append(sounds(pen))
        pen.command(messages.SET_VOLUME, VOLUME_MAX)
        heard.append(sounds(pen))
        return heard

    assert in_fork(run, pens.ready()) == [True, False, False, True]


def test_all_settings_are_applied_in_an_order_that_works(pens: Pens) -> None:
    """The profile brings its own rate and depth: what is asked for besides comes after it."""
    wanted = {"depth_um": 300, "rate_hz": 85, "volume": 3, "profile": SHALLOW.number}

    def run(pen: EmulatedPen) -> Any:
        done = apply(pen, wanted, read(pen))
        return done.after, done.changed, put_back(pen, done.before), read(pen)

    after, changed, left, back = in_fork(run, pens.ready())
    assert after == wanted
    assert changed == {"rate_hz": 100, "depth_um": 0, "volume": 2, "profile": 0}
    assert left == [] and back == changed


def test_one_refusal_puts_the_others_back(pens: Pens) -> None:
    """While the motor runs the pen takes a volume, but no rate that is too low for the cartridge."""

    def run(pen: EmulatedPen) -> tuple[str, dict[str, int], str]:
        pen.command(messages.SET_DEPTH, 1_000)
        pen.run_for(600 * MS)
        press(pen, 100)
        pen.run_for(400 * MS)
        before = read(pen)
        with pytest.raises(Refused) as caught:
            apply(pen, {"volume": 0, "rate_hz": 50}, before)
        assert read(pen) == before
        return str(caught.value), before, state(pen)

    text, before, running = in_fork(run, pens.ready())
    assert running == "running" and before["volume"] == 2
    assert "refused rate_hz = 50 Hz: below" in text and "the others are as they were before" in text
