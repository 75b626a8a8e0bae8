"""Settings on the host: what is accepted, files of settings, and the history that undo lives from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from needlepen import requirements
from needlepen.cartridges.tables import load_profiles
from needlepen.config import files, history, model
from needlepen.errors import InfrastructureError, UsageError
from needlepen.firmware_modules import firmware_module

settings = firmware_module("pen.store.settings")
NOW = {"rate_hz": 100, "depth_um": 0, "volume": 2, "profile": 0}


@pytest.mark.parametrize("name", ["rate_hz", "depth_um", "volume"])
def test_the_host_takes_what_the_pen_takes(name: str) -> None:
    """Every number from 0 to 3000 against the firmware's own check; the depth cap of the profile is not part of it."""
    for value in range(3_001):
        pen_takes = settings.Settings(**{name: value}).check() == 0
        try:
            model.validated({name: value}, {**NOW, "profile": 0})
            host_takes = True
        except UsageError as error:
            host_takes = "the profile" in str(error)
        assert host_takes == pen_takes, f"{name}={value}"


def test_a_refusal_names_the_allowed_range() -> None:
    limit = requirements.load().limit
    with pytest.raises(UsageError, match="rate_hz=151: a pen takes 50 to 150 Hz in steps of 5") as caught:
        model.validated({"rate_hz": limit("PR-01", "rate_max_hz") + 1}, NOW)
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="volume=9: a pen takes 0 to 3"):
        model.validated({"volume": 9}, NOW)


def test_a_depth_is_judged_by_the_profile_that_will_be_selected() -> None:
    shallow, deep = (
        choose(load_profiles().root.values(), key=lambda p: p.depth_cap_um) for choose in (min, max)
    )
    depth_um = deep.depth_cap_um
    assert model.validated({"depth_um": depth_um, "profile": deep.number}, {**NOW, "profile": shallow.number})
    with pytest.raises(UsageError, match=f"at most {shallow.depth_cap_um} um"):
        model.validated({"depth_um": depth_um}, {**NOW, "profile": shallow.number})


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "nothing to set"),
        (["rate_hz"], "write NAME=VALUE"),
        (["speed=3"], "'speed' is no setting of a pen; possible: rate_hz, depth_um, volume, profile"),
        (["rate_hz=fast"], "not a whole number; a pen takes 50 to 150 Hz"),
        (["rate_hz=100", "rate_hz=120"], "given twice"),
        (["profile=elbow"], "no such treatment profile; possible: 0 \\(general\\)"),
    ],
)
def test_what_cannot_be_read_says_what_can(texts: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        model.parse_assignments(texts)


def test_a_profile_may_be_given_by_its_name() -> None:
    assert model.parse_assignments(["profile=Scalp", "rate_hz = 90"]) == {"profile": 3, "rate_hz": 90}


# ---------------------------------------------------------------------- files
@pytest.mark.parametrize("name", ["settings.toml", "settings.json"])
def test_a_file_comes_back_as_it_was_written(tmp_path: Path, name: str) -> None:
    written = files.save(tmp_path / name, NOW, "e660000000000001", '0.1.0 "x"')
    assert files.load(tmp_path / name) == written
    assert written.settings == NOW and written.exported
    assert [path.name for path in tmp_path.iterdir()] == [name], "nothing else is left"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a file of settings"),
        ("format = 2", "of format 1"),
        ("format = 1\n[settings]", "holds no settings"),
        ("format = 1\n[settings]\nspeed = 1", "'speed' is no setting"),
        ("format = 1\n[settings]\nrate_hz = 100.5", "is not a whole number"),
        ("format = 1\n[settings]\nvolume = true", "is not a whole number"),
        ("format = ", "cannot be read"),
        ("\x00\xff", "cannot be read"),
    ],
)
def test_a_file_that_is_none_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(UsageError, match=message) as caught:
        files.load(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.toml: cannot be read"):
        files.load(tmp_path / "none.toml")


# ---------------------------------------------------------------------- history
def test_changes_are_remembered_for_each_pen(tmp_path: Path) -> None:
    history.History("a", tmp_path).add("set", {"rate_hz": 90})
    history.History("a", tmp_path).add("import", NOW)
    again = history.History("a", tmp_path)
    assert again.last is not None and (again.last.command, again.last.former) == ("import", NOW)
    again.drop_last()
    again = history.History("a", tmp_path)
    assert again.last is not None and again.last.former == {"rate_hz": 90}
    assert history.History("b", tmp_path).last is None


def test_a_change_that_changed_nothing_is_none(tmp_path: Path) -> None:
    found = history.History("a", tmp_path)
    found.add("set", NOW)
    found.shrink_last({"volume": 2})
    found.add("set", NOW)
    found.shrink_last({})
    assert len(found) == 1 and found.last is not None and found.last.former == {"volume": 2}


def test_the_history_does_not_grow_for_ever(tmp_path: Path) -> None:
    found = history.History("a", tmp_path)
    for rate_hz in range(history.MOST_KEPT + 5):
        found.add("set", {"rate_hz": rate_hz})
    kept = json.loads(found.path.read_text())["changes"]
    assert len(kept) == history.MOST_KEPT and kept[-1]["former"] == {"rate_hz": history.MOST_KEPT + 4}


def test_a_history_that_cannot_be_read_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"changes": [{"former"')
    with pytest.raises(UsageError, match="history of settings cannot be read"):
        history.History("a", tmp_path)
    assert path.read_text() == '{"changes": [{"former"'


def test_a_place_that_cannot_be_written_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InfrastructureError, match="cannot be written"):
        files.save(tmp_path / "file" / "settings.toml", NOW, "", "")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(InfrastructureError, match="cannot be written"):
        files.save(tmp_path / "folder.toml", NOW, "", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.toml"]
