"""Cartridge types and treatment profiles as data, and the command line on top of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from needlepen import requirements
from needlepen.cartridges import load_profiles, load_types
from needlepen.cartridges.records import minimum_rate_hz
from needlepen.cartridges.tables import TYPES_FILE, parse_profiles, parse_types
from needlepen.cli.cartridge import cartridge as cartridge_command
from needlepen.errors import UsageError
from needlepen.firmware_modules import firmware_module
from needlepen.paths import firmware_dir

LIMIT = requirements.load().limit
TYPES_TEXT = (firmware_dir() / TYPES_FILE).read_text()
PROFILE = """
[A]
number = 0
name = "example"
text = "Example."
depth_cap_um = 1500
rate_hz = 100
session_min = 60
"""


# ---------------------------------------------------------------------- shipped data
def test_there_are_types_of_12_24_and_36_needles_inside_the_pen_s_range() -> None:
    kinds = load_types().types.values()
    assert sorted(kind.needles for kind in kinds) == [12, 24, 36]
    for kind in kinds:
        assert 1000 * LIMIT("SR-01", "default_cap_mm") <= kind.depth_limit_um <= 2500
        assert minimum_rate_hz(kind.needles, kind.depth_limit_um) <= LIMIT("PR-01", "rate_max_hz")


def test_each_shipped_profile_is_an_example_that_every_cartridge_can_run() -> None:
    for profile in load_profiles():
        assert profile.text.startswith("Example")
        assert profile.depth_cap_um <= 1500 and 30 <= profile.session_min <= 60
        for kind in load_types().types.values():
            assert (
                minimum_rate_hz(kind.needles, min(profile.depth_cap_um, kind.depth_limit_um))
                <= profile.rate_hz
            )


def test_the_firmware_has_the_tables_of_the_host() -> None:
    assert {
        kind.number: (kind.needles, kind.depth_limit_um) for kind in load_types().types.values()
    } == firmware_module("pen.cartridge_types").TYPES
    assert {p.number: (p.depth_cap_um, p.rate_hz, p.session_min) for p in load_profiles()} == firmware_module(
        "pen.profiles"
    ).PROFILES


def test_an_unknown_number_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no treatment profile 77; known: 0 \(general\), 1"):
        load_profiles().numbered(77)
    with pytest.raises(UsageError, match=r"no cartridge type 9; known: 1 \(12 needles\)"):
        load_types().numbered(9)
    with pytest.raises(UsageError, match="with 13 needles; known: 12, 24, 36"):
        load_types().with_needles(13)
    assert load_profiles().numbered(0).number == 0 and load_types().numbered(2).needles == 24


# ---------------------------------------------------------------------- bad tables
@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("depth_cap_um = 1500", "depth_cap_um = 1550", "above 1500"),
        ("depth_cap_um = 1500", "depth_cap_um = 1490", "multiple of 50"),
        ("rate_hz = 100", "rate_hz = 45", "50 to 150 in steps of 5"),
        ("rate_hz = 100", "rate_hz = 101", "50 to 150 in steps of 5"),
        ("session_min = 60", "session_min = 61", "60"),
        ("session_min = 60", "session_min = 29", "30"),
        ("number = 0", "number = 1", "no profile has number 0"),
        ("number = 0", "number = 0\nadvice = 1", "Extra inputs"),
        ('text = "Example."', "", "required"),
        ("[A]", "[A", "not valid TOML"),
        (PROFILE, PROFILE + PROFILE.replace("[A]", "[B]"), "two profiles have the number 0"),
    ],
)
def test_a_wrong_profile_is_refused_in_one_line(old: str, new: str, text: str) -> None:
    parse_profiles(PROFILE)
    assert old in PROFILE
    with pytest.raises(UsageError, match=text) as refused:
        parse_profiles(PROFILE.replace(old, new), "my.toml")
    assert str(refused.value).startswith("my.toml: ") and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("depth_limit_um = 2500", "depth_limit_um = 2501", "2500"),
        ("needles = 24", "needles = 0", "greater than or equal to 1"),
        ("number = 2", "number = 1", "two types have the number 1"),
        ("margin = 1.5", "margin = 0.9", "margin"),
        ("force_per_needle_n = 0.15", "force_per_needle_n = 0.0", "force_per_needle_n"),
    ],
)
def test_a_wrong_type_is_refused_in_one_line(old: str, new: str, text: str) -> None:
    assert TYPES_TEXT.count(old) == 1
    with pytest.raises(UsageError, match=text) as refused:
        parse_types(TYPES_TEXT.replace(old, new), "my.toml")
    assert "\n" not in str(refused.value)


# ---------------------------------------------------------------------- command line
def _call(*arguments: str) -> Result:
    return CliRunner().invoke(cartridge_command, list(arguments))


def test_the_lists_say_the_same_as_text_and_as_json() -> None:
    for what, name in (("types", "36 needles"), ("profiles", "general")):
        assert name in _call(what).output
        assert name in {row["name"] for row in json.loads(_call(what, "--json").output)}
    assert "no clinical advice" in _call("profiles").output


def test_a_made_chip_is_shown_as_fresh_and_as_foreign_with_another_key(tmp_path: Path) -> None:
    file, key = tmp_path / "chip.json", tmp_path / "key"
    made = _call("make", str(file), "--expiry", "2030-05-01", "--needles", "36", "--lot", "L7", "--json")
    assert made.exit_code == 0
    shown = json.loads(_call("show", str(file), "--json").output)
    assert (shown["verdict"], shown["needles"], shown["expiry"]) == ("fresh", 36, "2030-05-01")
    key.write_text("0f" * 32)
    other = _call("show", str(file), "--key", str(key))
    assert other.exit_code == 3 and "refused (counterfeit, or copied from another)" in other.output


def test_a_used_chip_is_shown_as_used(tmp_path: Path) -> None:
    file = tmp_path / "chip.json"
    _call("make", str(file), "--expiry", "2030-05-01")
    data = json.loads(file.read_text())
    data["memory"] = data["memory"][:128] + "00" * 8 + "fc" + data["memory"][146:]
    file.write_text(json.dumps(data))
    shown = _call("show", str(file))
    assert shown.exit_code == 3 and "used" in shown.output and "minutes_of_use = 2" in shown.output


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        ("[1]", "not a cartridge file"),
        ('{"format": 2}', "not a cartridge file"),
        ('{"format": 1, "rom": "2d"}', "rom has to be 16 hexadecimal digits"),
        ('{"format": 1, "rom": "2db92b081e963b9b", "memory": "zz"}', "memory has to be 288"),
        ('{"format": 1, "rom": "2db92b081e963b9b", "memory": 7}', "memory has to be 288"),
    ],
)
def test_a_file_that_is_no_chip_is_refused_in_one_line(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "chip.json"
    file.write_text(text)
    error = _call("show", str(file)).exception
    assert isinstance(error, UsageError) and reason in str(error) and "\n" not in str(error)


def test_nothing_is_overwritten_and_no_key_is_shown(tmp_path: Path) -> None:
    file, key = tmp_path / "chip.json", tmp_path / "key"
    _call("make", str(file), "--expiry", "2030-05-01")
    before = file.read_text()
    again = _call("make", str(file), "--expiry", "2030-05-01").exception
    assert isinstance(again, UsageError) and "exists already" in str(again) and file.read_text() == before
    key.write_text("0123456789abcdef")
    wrong = _call("show", str(file), "--key", str(key)).exception
    assert isinstance(wrong, UsageError) and "0123" not in str(wrong)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["chip.json", "key"]
