"""`needlepen config` on a pen in another process: all or nothing, checked before it is sent, undone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.commands import Commands
from support.served import ServedPen, Tap, served

from needlepen import Pen
from needlepen.config import read
from needlepen.config.apply import put_back
from needlepen.emulator import bench
from needlepen.firmware_modules import firmware_module

kinds = firmware_module("pen.link.kinds")
SETTING = {kinds.SET_RATE, kinds.SET_DEPTH, kinds.SET_VOLUME, kinds.SELECT_PROFILE}
FIRST = {"rate_hz": 100, "depth_um": 0, "volume": 2, "profile": 0}


@pytest.fixture
def pen(shared_pen: ServedPen) -> ServedPen:
    """One pen for all tests here, with the settings of a new one."""
    with Pen.open(shared_pen.link) as opened:
        put_back(opened, FIRST)
    return shared_pen


def _settings(device: str) -> dict[str, int]:
    """Read by this process: the commands are what is tested."""
    with Pen.open(device) as opened:
        return read(opened)


def test_settings_are_changed_shown_and_undone_step_by_step(pen: ServedPen, commands: Commands) -> None:
    device = ("--device", pen.link)
    done = commands.run("config", "get", "--json", *device)
    assert done.returncode == 0 and json.loads(done.stdout) == {"pen": "e660000000000000", "settings": FIRST}
    done = commands.run("config", "set", "rate_hz=120", "depth_um=500", *device)
    assert done.returncode == 0 and "100 Hz  ->  120 Hz" in done.stdout and "0.50 mm" in done.stdout
    done = commands.run("config", "set", "profile=scalp", "volume=0", "--json", *device)
    content = json.loads(done.stdout)
    assert content["before"] == {**FIRST, "rate_hz": 120, "depth_um": 500}
    assert content["after"] == {"rate_hz": 100, "depth_um": 500, "volume": 0, "profile": 3}
    assert "undone: set profile=scalp volume=0" in commands.run("config", "undo", *device).stdout
    assert _settings(pen.link) == {**FIRST, "rate_hz": 120, "depth_um": 500}
    assert commands.run("config", "undo", *device).returncode == 0
    assert _settings(pen.link) == FIRST
    done = commands.run("config", "undo", *device)
    assert done.returncode == 4 and "nothing to undo" in done.stderr


def test_undo_leaves_alone_what_the_change_did_not_touch(pen: ServedPen, commands: Commands) -> None:
    """A button press after the change stays: undo must not move the needles for a volume."""
    device = ("--device", pen.link)
    commands.run("config", "set", "volume=1", *device)
    pen.do(lambda p: p.press_button("DEPTH_UP_N"))
    pen.let_pass(200)
    pen.do(lambda p: p.release_button("DEPTH_UP_N"))
    pen.let_pass(500)
    assert _settings(pen.link) == {**FIRST, "volume": 1, "depth_um": 50}
    commands.run("config", "undo", *device)
    assert _settings(pen.link) == {**FIRST, "depth_um": 50}


def test_what_the_limits_forbid_is_never_sent(tap: Tap, commands: Commands) -> None:
    for wanted in ("rate_hz=151", "depth_um=1550", "profile=99"):  # the others: hil_tests/unit/test_config.py
        done = commands.run("config", "set", "volume=1", wanted, "--device", tap.url)
        assert done.returncode == 4 and done.stdout == "" and done.stderr.count("\n") == 1, wanted
        assert wanted.partition("=")[0] in done.stderr, done.stderr
    assert not SETTING & set(tap.kinds)
    assert _settings(tap.url) == FIRST


def test_a_refusal_of_the_pen_is_shown_and_nothing_stays_half_applied(
    pen: ServedPen, tap: Tap, commands: Commands
) -> None:
    """A running pen takes a volume but no other profile: the rate that is sent later is refused for this cartridge."""
    commands.run("config", "set", "depth_um=1000", "--device", tap.url)
    pen.let_pass(600)
    pen.do(lambda p: p.press())
    pen.let_pass(500)
    before = _settings(tap.url)
    done = commands.run("config", "set", "volume=0", "rate_hz=50", "--device", tap.url)
    assert done.returncode == 3 and "the pen refused rate_hz = 50 Hz: below" in done.stderr
    assert "as they were before" in done.stderr and tap.kinds.count(kinds.SET_VOLUME) >= 2
    pen.do(lambda p: p.release())
    assert _settings(tap.url) == before == {**FIRST, "depth_um": 1_000}
    done = commands.run("config", "undo", "--device", tap.url)
    assert "undone: set depth_um=1000" in done.stdout, "a change that was refused is none"


def test_a_link_that_breaks_in_between_can_be_undone(tap: Tap, commands: Commands) -> None:
    tap.cut_at = kinds.SET_DEPTH  # the last that is sent
    done = commands.run("config", "set", "rate_hz=140", "depth_um=500", "--device", tap.url)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "connection broke" in done.stderr
    assert _settings(tap.url)["rate_hz"] == 140
    assert commands.run("config", "undo", "--device", tap.url).returncode == 0
    assert _settings(tap.url) == FIRST


def test_files_carry_settings_to_the_same_pen_and_only_when_meant_to_another(
    pen: ServedPen, commands: Commands, tmp_path: Path
) -> None:
    device = ("--device", pen.link)
    file = str(tmp_path / "mine.toml")
    assert commands.run("config", "export", file, *device).returncode == 0
    commands.run("config", "set", "rate_hz=90", "volume=3", *device)
    assert commands.run("config", "diff", file, *device).stdout.count("->") == 2
    assert commands.run("config", "import", file, *device).returncode == 0
    assert _settings(pen.link) == FIRST
    other = tmp_path / "other.toml"
    other.write_text((tmp_path / "mine.toml").read_text().replace("e660000000000000", "e660000000000009"))
    other.write_text(other.read_text().replace("rate_hz = 100", "rate_hz = 145"))
    done = commands.run("config", "import", str(other), *device)
    assert done.returncode == 3 and "--other-pen" in done.stderr and _settings(pen.link) == FIRST
    done = commands.run("config", "diff", str(tmp_path / "mine.toml"), str(other), "--json")
    assert json.loads(done.stdout) == {"differences": {"rate_hz": [100, 145]}}
    assert commands.run("config", "import", str(other), "--other-pen", *device).returncode == 0
    assert _settings(pen.link)["rate_hz"] == 145


def test_a_production_pen_takes_settings_from_whoever_has_its_key(
    runtime: Path, commands: Commands, tmp_path: Path
) -> None:
    made = bench.prepare(kind="production", runtime=runtime).make()
    made.connect()
    with served(made, tmp_path) as pen:
        device = ("--device", pen.link)
        done = commands.run("config", "set", "volume=1", *device)
        assert (
            done.returncode == 3
            and done.stderr.count("\n") == 1
            and "no key for the role operator" in done.stderr
        )
        assert commands.run("config", "clock", *device).returncode == 3
        assert commands.run("provision", *device).returncode == 0
        done = commands.run("config", "set", "volume=1", *device)
        assert done.returncode == 0, done.stderr
        assert commands.run("config", "clock", *device).returncode == 0
        assert "undone: set volume=1" in commands.run("config", "undo", *device).stdout
        assert _settings(pen.link) == FIRST
