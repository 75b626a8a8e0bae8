"""Names, locks, registry, UF2 volumes and serial ports, without any device."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from needlepen.devices import locks, names, registry, search
from needlepen.devices.model import FOREIGN, SILENT
from needlepen.devices.opening import port_of
from needlepen.devices.volumes import find_volumes, mounts, read_volume
from needlepen.errors import Refused, UsageError

ID = "e660000000000001"


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEEDLEPEN_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("NEEDLEPEN_CONFIG", str(tmp_path / "config"))
    return tmp_path


# ---------------------------------------------------------------------- names
def test_a_name_is_given_changed_and_forgotten() -> None:
    names.give(ID.upper(), "bench")
    assert names.names() == {"bench": ID} and names.name_of(ID) == "bench"
    names.give(ID, "lab")
    assert names.names() == {"lab": ID}
    with pytest.raises(UsageError, match="is pen e660000000000001 already"):
        names.give("e660000000000002", "lab")
    names.forget("lab")
    assert names.names() == {}
    with pytest.raises(UsageError, match="No pen is called"):
        names.forget("lab")


@pytest.mark.parametrize("name", ["", "1st", "a b", "abcd", "beef12", "x" * 33, "../x"])
def test_a_name_that_could_mean_something_else_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="no name"):
        names.give(ID, name)


@pytest.mark.parametrize("unique_id", ["", "e66", "g" * 16, ID + "0"])
def test_an_impossible_id_is_refused(unique_id: str) -> None:
    with pytest.raises(UsageError, match="no unique ID"):
        names.give(unique_id, "bench")


def test_a_damaged_file_of_names_is_named(folders: Path) -> None:
    names.give(ID, "bench")
    (folders / "config" / "names.json").write_text("[1")
    with pytest.raises(UsageError, match=r"names\.json"):
        names.names()


# ---------------------------------------------------------------------- locks
def test_a_lock_names_its_holder_and_is_free_afterwards() -> None:
    with locks.held("/dev/tty ACM0", "deploy"):
        holder = locks.holder("/dev/tty ACM0")
        assert holder is not None and holder.pid == os.getpid() and holder.program.endswith("deploy")
        with pytest.raises(Refused, match=f"process {os.getpid()} of "), locks.held("/dev/tty ACM0", "flash"):
            pass
    assert locks.holder("/dev/tty ACM0") is None
    with locks.held("/dev/tty ACM0", "flash"):
        pass


def test_an_unreadable_note_of_the_holder_does_not_free_the_lock(folders: Path) -> None:
    with locks.held(ID, "deploy"):
        (folders / "state" / "locks" / f"{ID}.json").write_text("{")
        assert locks.holder(ID) is not None
        with pytest.raises(Refused, match="another program"), locks.held(ID, "flash"):
            pass


# ---------------------------------------------------------------------- registry
def _entry(name: str = "pen", pid: int | None = None) -> registry.Entry:
    return registry.Entry(name, "/tmp/x", os.getpid() if pid is None else pid, ID)


def _dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_only_living_pens_are_listed_and_dead_ones_are_cleared_away() -> None:
    registry.write(_entry())
    dead = registry.folder() / "dead.json"
    dead.write_text(json.dumps({"name": "dead", "link": "/x", "pid": _dead_pid(), "unique_id": ID}))
    (registry.folder() / "torn.json").write_text('{"name": "to')
    assert [entry.name for entry in registry.entries()] == ["pen"] and not dead.exists()
    assert port_of(ID) == "/tmp/x" and port_of("0" * 16) is None
    registry.remove("pen")
    assert registry.entries() == []


def test_a_name_that_a_living_pen_has_is_refused() -> None:
    registry.write(_entry(pid=os.getppid()))
    with pytest.raises(UsageError, match="runs already"):
        registry.write(_entry())
    registry.remove("pen")
    assert len(registry.entries()) == 1, "another process's entry stays"


def test_a_name_of_an_emulated_pen_is_a_plain_word() -> None:
    assert registry.check_name("pen-1_a") == "pen-1_a"
    for name in ("", "../x", "a/b", "-x", "a" * 33):
        with pytest.raises(UsageError):
            registry.check_name(name)


# ---------------------------------------------------------------------- volumes
def _uf2(folder: Path, board_id: str = "RPI-RP2") -> Path:
    folder.mkdir(parents=True)
    (folder / "INFO_UF2.TXT").write_bytes(
        b"UF2 Bootloader v3.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: %s\r\n" % board_id.encode()
    )
    return folder


@pytest.mark.parametrize(
    ("platform", "place"),
    [("linux", "media/tester/RPI-RP2"), ("linux", "run/media/tester/RPI-RP2"), ("linux", "media/RPI-RP2"),
     ("darwin", "Volumes/RPI-RP2")],
)  # fmt: skip
def test_a_volume_is_found_where_the_system_mounts_it(tmp_path: Path, platform: str, place: str) -> None:
    volume = _uf2(tmp_path / place)
    (tmp_path / place).with_name("STICK").mkdir()
    (found,) = find_volumes(mounts(platform, tmp_path))
    assert (found.path, found.board_id, found.model) == (volume, "RPI-RP2", "Raspberry Pi RP2")


def test_a_folder_without_its_info_is_no_volume(tmp_path: Path) -> None:
    assert read_volume(tmp_path) is None and read_volume(tmp_path / "nowhere") is None


# ---------------------------------------------------------------------- serial ports
def _port(vid: int | None, pid: int | None, serial: str | None, device: str) -> Any:
    return SimpleNamespace(vid=vid, pid=pid, serial_number=serial, device=device, description="a thing")


def test_serial_ports_are_judged_by_their_usb_id(monkeypatch: pytest.MonkeyPatch) -> None:
    from serial.tools import list_ports

    ports = [
        _port(0x2E8A, 0x0005, "E660000000000001", "/dev/ttyACM1"),
        _port(0x2E8A, 0x000C, "E6614103E7", "/dev/ttyACM0"),
        _port(0x1A86, 0x7523, None, "/dev/ttyUSB0"),
        _port(None, None, None, "/dev/ttyS0"),
    ]
    monkeypatch.setattr(list_ports, "comports", lambda: ports)
    found = search.find_devices(identify=False)
    assert [(d.port, d.kind, d.unique_id, d.usb_id) for d in found if not d.volume] == [
        ("/dev/ttyACM0", FOREIGN, None, "2e8a:000c"),
        ("/dev/ttyACM1", SILENT, ID, "2e8a:0005"),
        ("/dev/ttyUSB0", FOREIGN, None, "1a86:7523"),
    ]
    assert port_of(ID) == "/dev/ttyACM1"


def test_a_foreign_board_is_not_even_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    from needlepen.link.pen import Pen

    monkeypatch.setattr(Pen, "open", lambda *_: pytest.fail("it was opened"))
    monkeypatch.setattr(search, "serial_ports", lambda: [_port(0x1A86, 0x7523, None, "/dev/ttyUSB0")])
    found = [device for device in search.find_devices() if not device.volume]
    assert [device.kind for device in found] == [FOREIGN] and "not addressed" in found[0].note
