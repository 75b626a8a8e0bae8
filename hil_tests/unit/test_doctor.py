"""`needlepen doctor`: each cause is provoked, and has to be found with its remedy; a sound computer has none."""

from __future__ import annotations

import importlib.metadata
import json
import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from click.testing import CliRunner

from needlepen import paths
from needlepen.build import compiler
from needlepen.cli.doctor import doctor as doctor_command
from needlepen.devices.search import MICROPYTHON_USB
from needlepen.doctor import NOTE, OK, PROBLEM, WARNING, Computer, Finding, exit_code, ports, run, software
from needlepen.doctor.model import Port
from needlepen.emulator import native_build
from needlepen.errors import InfrastructureError

BOARD = Port("/dev/ttyACM0", MICROPYTHON_USB)


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CACHE", "STATE", "CONFIG"):
        monkeypatch.setenv(f"NEEDLEPEN_{name}", str(tmp_path / name))
    monkeypatch.setenv("NEEDLEPEN_KEYS", str(tmp_path / "keys.json"))
    monkeypatch.delenv("NEEDLEPEN_RUNTIME", raising=False)
    return tmp_path


def computer(
    root: Path, platform: str = "linux", boards: Iterable[Port] = (), opens: bool = True
) -> Computer:
    return Computer(
        platform=platform, python=(3, 12, 1), user="kim", root=root, ports=lambda: list(boards),
        may_open=lambda _path: opens,
    )  # fmt: skip


def only(findings: Iterable[Finding], level: str) -> Finding:
    """The one finding with a level other than OK."""
    bad = [finding for finding in findings if finding.level != OK]
    assert len(bad) == 1 and bad[0].level == level, bad
    return bad[0]


def on_usb(root: Path, product: str) -> None:
    device = root / "sys/bus/usb/devices/1-1"
    device.mkdir(parents=True)
    (device / "idVendor").write_text("2e8a\n")
    (device / "idProduct").write_text(f"{product}\n")


# ------------------------------------------------------------------------------------------------ software
def test_an_old_python(tmp_path: Path) -> None:
    old = Computer(platform="linux", python=(3, 10, 9), user="kim", root=tmp_path)
    found = only(software.python(old), PROBLEM)
    assert "3.10.9" in found.cause and "3.11" in found.actions[0]
    assert all(f.level == OK for f in software.python(computer(tmp_path)))


def test_a_missing_and_an_old_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    click = importlib.metadata.version("click")
    required = [
        "click>=99.1",
        "no-such-library>=1",
        f"click=={click}",
        "click",
        "numpy>=1.26; extra == 'test'",
    ]
    assert list(software.unfit(required[:4])) == [
        f"click is {click}, but >=99.1 is needed", "no-such-library is not installed",
    ]  # fmt: skip
    monkeypatch.setattr(importlib.metadata, "requires", lambda _name: required)
    findings = list(software.libraries(computer(tmp_path)))
    assert [f.level for f in findings] == [PROBLEM, PROBLEM] and "pip install" in findings[0].actions[0]


def test_a_compiler_of_another_release_or_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert all(f.level == OK for f in software.mpy_cross(computer(tmp_path)))
    monkeypatch.setattr(compiler, "compiler_version", lambda: "MicroPython v1.19.1")
    assert "1.19.1" in only(software.mpy_cross(computer(tmp_path)), PROBLEM).cause

    def broken() -> str:
        raise InfrastructureError("mpy-cross: cannot be run")

    monkeypatch.setattr(compiler, "compiler_version", broken)
    assert "does not run" in only(software.mpy_cross(computer(tmp_path)), PROBLEM).cause


def test_no_runtime_in_the_cache_and_a_wrong_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    missing = only(software.runtime(computer(tmp_path)), WARNING)
    assert missing.actions == ("needlepen runtime",)
    monkeypatch.setenv("NEEDLEPEN_RUNTIME", str(tmp_path / "nowhere.uf2"))
    assert "unset" in only(software.runtime(computer(tmp_path)), PROBLEM).actions[0]


def test_an_engine_that_is_not_built_and_no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(native_build, "built", lambda: None)
    monkeypatch.setattr(native_build, "compiler", lambda: "cc")
    assert only(software.engine(computer(tmp_path)), WARNING).actions == ("needlepen engine",)
    monkeypatch.setattr(native_build, "compiler", lambda: None)
    assert "gcc" in only(software.engine(computer(tmp_path)), WARNING).actions[0]


def test_a_configuration_that_others_may_write(tmp_path: Path) -> None:
    folder = paths.config_dir()
    folder.chmod(0o777)
    found = only(software.folders(computer(tmp_path)), PROBLEM)
    assert "777" in found.cause and found.actions == (f"chmod 700 {folder}",)
    folder.chmod(0o700)
    assert [f.level for f in software.folders(computer(tmp_path))] == [OK]


def test_a_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NEEDLEPEN_CACHE", str(tmp_path / "file" / "below"))
    assert "cannot be made" in only(software.folders(computer(tmp_path)), PROBLEM).cause


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX")
def test_keys_that_others_may_read(tmp_path: Path) -> None:
    from needlepen.access import Key, open_store

    store = open_store()
    store.set("pen/e660000000000001", Key(bytes([7]) * 32))
    assert [f.level for f in software.keys(computer(tmp_path))] == [OK]
    (tmp_path / "keys.json").chmod(0o644)
    found = only(software.keys(computer(tmp_path)), PROBLEM)
    assert "may read it" in found.cause and "chmod 600" in found.actions[0]
    assert (bytes([7]) * 32).hex() not in found.cause


# ------------------------------------------------------------------------------------------------ ports
def test_a_port_that_may_not_be_opened_on_each_system(tmp_path: Path) -> None:
    actions = {}
    for platform in ("linux", "darwin", "win32"):
        shut = computer(tmp_path, platform, [BOARD], opens=False)
        found = only(ports.permissions(shut), PROBLEM)
        assert "kim may not open /dev/ttyACM0" in found.cause
        actions[platform] = found.actions
        assert [f.level for f in ports.permissions(computer(tmp_path, platform, [BOARD]))] == [OK]
    assert "udevadm" in " ".join(actions["linux"]) and "usermod -aG dialout kim" in actions["linux"][-1]
    assert "/dev/cu" in actions["darwin"][-1] and "udev" not in " ".join(actions["darwin"] + actions["win32"])


def test_the_rule_is_offered_until_it_is_there(tmp_path: Path) -> None:
    assert only(ports.permissions(computer(tmp_path)), NOTE).actions
    folder = tmp_path / "etc/udev/rules.d"
    folder.mkdir(parents=True)
    (folder / "50-other.rules").write_text("# something else\n")
    assert not ports.rule_is_installed(computer(tmp_path))
    (folder / ports.RULE_NAME).write_text(ports.RULE)
    assert ports.rule_is_installed(computer(tmp_path))
    assert not only(ports.permissions(computer(tmp_path)), NOTE).actions


def test_the_rule_names_both_modes_of_the_board() -> None:
    lines = [line for line in ports.RULE.splitlines() if not line.startswith("#")]
    assert len(lines) == 2 and all('ATTRS{idVendor}=="2e8a"' in line and "uaccess" in line for line in lines)
    assert f'"{MICROPYTHON_USB[1]:04x}"' in lines[0] and f'"{ports.BOOTSEL_USB[1]:04x}"' in lines[1]
    assert ports.RULE_NAME < "73-seat-late.rules"


def test_a_board_without_a_port_and_one_without_its_drive(tmp_path: Path) -> None:
    assert [f.level for f in ports.drivers(computer(tmp_path))] == [OK]
    on_usb(tmp_path / "a", "0005")
    assert "cdc_acm" in only(ports.drivers(computer(tmp_path / "a")), PROBLEM).cause
    assert [f.level for f in ports.drivers(computer(tmp_path / "a", boards=[BOARD]))] == [OK]
    on_usb(tmp_path / "b", "0003")
    assert "udisksctl" in only(ports.drivers(computer(tmp_path / "b")), WARNING).actions[0]
    drive = tmp_path / "b" / "media" / "kim" / "RPI-RP2"
    drive.mkdir(parents=True)
    (drive / "INFO_UF2.TXT").write_text("Board-ID: RPI-RP2\n")
    assert [f.level for f in ports.drivers(computer(tmp_path / "b"))] == [OK]


def test_other_systems_get_their_own_words_about_drivers(tmp_path: Path) -> None:
    words = {
        p: only(ports.drivers(computer(tmp_path, p)), NOTE).cause for p in ("win32", "darwin", "freebsd14")
    }
    assert "usbser" in words["win32"] and "usbmodem" in words["darwin"] and "freebsd14" in words["freebsd14"]


# ------------------------------------------------------------------------------------------------ as a whole
@pytest.mark.parametrize(
    ("levels", "code"),
    [
        ([], 0),
        ([(OK, ""), (NOTE, ""), (WARNING, "x")], 0),
        ([(PROBLEM, "x")], 1),
        ([(PROBLEM, "x"), (PROBLEM, "")], 2),
    ],
)
def test_the_exit_code_says_whose_fault_it_is(levels: list[tuple[str, str]], code: int) -> None:
    assert exit_code([Finding("c", level, "cause", (), pen) for level, pen in levels]) == code


def test_a_check_that_breaks_is_a_finding_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(_computer: Computer) -> Iterable[Finding]:
        raise OSError("the disk is on fire")

    monkeypatch.setattr(run, "CHECKS", {"disk": broken, "Python": software.python})
    monkeypatch.setattr(run.pens, "pens", lambda _device: [])
    findings = list(run.examine(computer(tmp_path)))
    assert [(f.check, f.level) for f in findings] == [("disk", PROBLEM), ("python", OK)]


def test_the_command_prints_one_action_per_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = [Finding("ports", PROBLEM, "shut", ("do this", "then that"), ""), Finding("python", OK, "fine")]
    monkeypatch.setattr("needlepen.doctor.examine", lambda *_: iter(made))
    done = CliRunner().invoke(doctor_command, [], standalone_mode=False)
    assert done.return_value == 2
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert lines[:3] == ["problem ports: shut", "-> do this", "-> then that"] and "\x1b" not in done.stdout
    as_json = CliRunner().invoke(doctor_command, ["--json"], standalone_mode=False)
    assert json.loads(as_json.stdout)[0]["actions"] == ["do this", "then that"]
    CliRunner().invoke(doctor_command, ["--udev-rule", str(tmp_path / "rule")], standalone_mode=False)
    assert (tmp_path / "rule").read_text() == ports.RULE
