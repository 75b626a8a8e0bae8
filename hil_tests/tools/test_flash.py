"""`needlepen flash` and the drive of BOOTSEL mode, against emulated boards in other processes."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from littlefs import UserContext
from support.board_process import BoardProcess, environment, needlepen
from support.nights import mostly_nightly

from needlepen import board, paths
from needlepen.build import Kind, app_image, integrity, uf2
from needlepen.build.firmware_uf2 import application_hash
from needlepen.emulator import bench
from needlepen.emulator.factory_image import factory_image
from needlepen.emulator.parameters import PenParameters
from needlepen.emulator.pen import EmulatedPen
from needlepen.errors import Refused
from needlepen.flashing import drive
from needlepen.records.image_files import ImageFiles

PEN = board.load()
FILES = slice(PEN.flash.filesystem_offset, PEN.flash.size_bytes)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture(scope="module")
def pen_flash(runtime: Path) -> bytes:
    """The whole flash of a calibrated pen with keys, as it leaves the factory."""
    return bench.prepare(runtime=runtime).make(seed=3).chip.flash


def without_application(flash: bytes) -> bytes:
    """The same pen with its records, and with a main program that cannot start."""
    context = UserContext(buffer=bytearray(flash[FILES]))
    files = ImageFiles(context, PEN.flash)
    for name in ("/boot.py", "/main.py"):
        if files.read(name) is not None:
            files.remove(name)
    return flash[: PEN.flash.filesystem_offset] + bytes(context.buffer)


def flash(place: Path, *arguments: str, kind: Kind = "development") -> dict[str, Any]:
    """Run `needlepen flash`; what it says it has done. It has to succeed."""
    done = needlepen("flash", "--json", "--kind", kind, *arguments, state=place)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    assert result["application_hash"] == application_hash(app_image(PEN, kind=kind))[:12]
    assert result["micropython"] == PEN.micropython.version
    return result


# ------------------------------------------------------------------------------------------------ boards
def test_a_blank_board_becomes_a_pen(place: Path) -> None:
    with BoardProcess(place, "blank", "--bootsel", "--seed", "4") as blank:
        assert (
            blank.state == "bootsel" and (blank.volume / "INFO_UF2.TXT").exists() and not blank.link.exists()
        )
        result = flash(place)
        assert blank.state == "running" and blank.link.is_symlink()
    assert result["unique_id"] == "e660000000000004" and result["port"] == str(blank.link)
    assert result["records"] == "none there" and result["state"] == "idle"
    assert {"keys_missing", "calibration_missing"} <= set(result["blockers"])
    assert len(blank.flash_file.read_bytes()) == PEN.flash.size_bytes


@pytest.mark.nightly
def test_a_dropped_file_makes_a_pen(place: Path) -> None:
    """One file from `needlepen build --uf2`, copied by hand; then it lasts over switching off and on."""
    built = needlepen("build", "--uf2", str(place / "pen.uf2"), state=place)
    assert built.returncode == 0, built.stderr
    with BoardProcess(place, "dropped", "--bootsel") as dropped:
        (dropped.volume / "pen.uf2").write_bytes((place / "pen.uf2").read_bytes())
        dropped.wait_state("running")
    with BoardProcess(place, "dropped"):
        result = flash(place, "--device", "dropped")
    assert result["files_written"] == 0, "the application was not there already"


def test_an_older_pen_gets_the_new_build_and_keeps_its_records(
    place: Path, runtime: Path, tmp_path: Path
) -> None:
    old = older_pen(runtime, tmp_path / "firmware")
    with BoardProcess(place, "older", "--seed", "3", flash=old) as older:
        result = flash(place)
        assert result["records"] == "kept" and result["state"] == "armed", result
        assert 0 < result["files_written"] < 40, "more was written than what differs"
        assert older.state == "running"


def older_pen(runtime: Path, folder: Path) -> bytes:
    """The flash of a calibrated pen whose firmware differs in one place."""
    shutil.copytree(paths.firmware_dir(), folder)
    app = folder / "pen" / "panel.py"
    app.write_text(app.read_text() + "\nOLDER = 1\n")
    image = app_image(PEN, firmware=folder).image
    files = {integrity.REFERENCE: integrity.reference(runtime, PEN.flash)}
    return EmulatedPen(
        PEN, runtime, factory_image(image, PEN, PenParameters(), 3, files=files), seed=3
    ).chip.flash


@pytest.mark.nightly
def test_a_pen_can_be_begun_anew(place: Path, pen_flash: bytes) -> None:
    with BoardProcess(place, "anew", "--seed", "3", flash=pen_flash) as anew:
        refused = needlepen("flash", "--erase-records", state=place)
        assert refused.returncode == Refused.exit_code and "--yes" in refused.stderr
        assert anew.state == "running"
        result = flash(place, "--erase-records", "--yes")
    assert result["records"] == "erased" and "keys_missing" in result["blockers"]


@pytest.mark.nightly
def test_a_production_pen_is_flashed_by_an_engineer_alone(place: Path) -> None:
    with BoardProcess(place, "made", "--bootsel", "--seed", "6") as made:
        assert flash(place, kind="production")["records"] == "none there"
        refused = needlepen("flash", "--kind", "production", state=place)
        assert refused.returncode == Refused.exit_code and "key" in refused.stderr, refused.stderr
        assert made.state == "running"
        provisioned = needlepen("provision", state=place)
        assert provisioned.returncode == 0, provisioned.stderr
        same = flash(place, kind="production")
        assert (
            same["records"] == "kept"
            and same["files_written"] == 0
            and "keys_missing" not in same["blockers"]
        )
        other = flash(place, kind="development")
        assert other["records"] == "kept" and other["files_written"] > 0


# ------------------------------------------------------------------------------------------------ interruptions
def killed_at(place: Path, step: str, after_s: float = 0.0) -> None:
    """Begin to flash, and kill that process as soon as it says that it is at this step."""
    command = [sys.executable, "-m", "needlepen", "flash"]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment(place)
    ) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if step in line:
                time.sleep(after_s)
                process.kill()
                return
    raise AssertionError(f"it ended before {step!r}: {said}")


def wrote_all(board: BoardProcess) -> bool:
    """Whether the copying of the UF2 had come to its end."""
    try:
        written = (board.volume / drive.FILE_NAME).read_bytes()
    except OSError:
        return board.state != "bootsel" or not board.volume.exists()
    blocks = int.from_bytes(written[24:28], "little")  # the header of each block tells how many there are
    return len(written) == max(1, blocks) * uf2.BLOCK_BYTES


def test_killed_while_it_installs_it_can_be_run_again(place: Path, pen_flash: bytes) -> None:
    """The step that takes longest; every night each of the others too."""
    with BoardProcess(place, "board", "--seed", "3", flash=without_application(pen_flash)) as interrupted:
        killed_at(place, "installing", 0.8)
        result = flash(place)
        assert interrupted.state == "running"
    assert result["state"] == "armed" and result["records"] == "kept", result


@pytest.mark.nightly
def test_killed_at_any_step_it_can_be_run_again(place: Path, pen_flash: bytes) -> None:
    """Each run begins with what the one before left, and is killed one step later; the last one is let through."""
    with BoardProcess(place, "board", "--seed", "3", flash=without_application(pen_flash)) as interrupted:
        killed_at(place, "entering")
        interrupted.wait(lambda: interrupted.state in ("running", "bootsel"))
        killed_at(place, "writing the runtime")
        if wrote_all(interrupted):  # before it was killed: the board restarts
            interrupted.wait_state("running")
        killed_at(place, "waiting")
        interrupted.wait_state("running")
        killed_at(place, "installing", 0.8)
        killed_at(place, "installing", 2.0)
        killed_at(place, "checking")
        result = flash(place)
    assert result["state"] == "armed" and result["records"] == "kept", result


@pytest.mark.nightly
def test_a_half_written_file_and_a_second_try(place: Path, runtime: Path, pen_flash: bytes) -> None:
    """The computer stopped in the middle of the UF2, and the board was switched off: it does not start any more."""
    begin = PEN.flash.filesystem_offset
    other_runtime = pen_flash[:256] + bytes(byte ^ 0x5A for byte in pen_flash[256:begin])
    with BoardProcess(place, "half", "--seed", "3", flash=other_runtime + pen_flash[begin:]) as half:
        half.power_on_with_bootsel()
        half.wait_state("bootsel")
        (half.volume / "half.uf2").write_bytes(runtime.read_bytes()[: 400 * uf2.BLOCK_BYTES])
        time.sleep(0.5)
    there = half.flash_file.read_bytes()
    written = 400 * 256
    assert there[:written] == pen_flash[:written] and there[written:begin] != pen_flash[written:begin]
    with BoardProcess(place, "half", "--seed", "3") as half:
        recovered = recover_by_hand(place, half)
    assert recovered["state"] == "armed" and recovered["records"] == "kept"


def recover_by_hand(place: Path, broken: BoardProcess) -> dict[str, Any]:
    """Run flash on a board that says nothing; press BOOTSEL when it asks for that."""
    command = [sys.executable, "-m", "needlepen", "flash", "--json", "--device", broken.name]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(place)
    ) as process:
        assert process.stderr is not None and process.stdout is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if "hold the BOOTSEL button" in line:
                broken.power_on_with_bootsel()
        out = process.stdout.read()
    assert process.returncode == 0 and any("hold the BOOTSEL" in line for line in said), said
    result: dict[str, Any] = json.loads(out)
    return result


# ------------------------------------------------------------------------------------------------ bricked boards
@pytest.mark.parametrize("damage", mostly_nightly(["runtime", "file system", "everything"], "runtime"))
def test_a_bricked_board_has_a_way_back(place: Path, pen_flash: bytes, damage: str) -> None:
    """As host_tools/docs/recovery.md says: BOOTSEL, flash, and if that is not enough, with a new file system."""
    noise = random.Random(damage).randbytes(len(pen_flash))
    begin = PEN.flash.filesystem_offset
    content = {
        "runtime": pen_flash[:256] + noise[256:begin] + pen_flash[begin:],
        "file system": pen_flash[:begin] + noise[begin:],
        "everything": noise,
    }[damage]
    with BoardProcess(place, "brick", "--seed", "3", "--bootsel", flash=content) as brick:
        brick.wait_state("bootsel")
        result = flash(place)
        assert result["state"] == ("armed" if damage == "runtime" else "idle")
        assert result["records"] == ("kept" if damage == "runtime" else "none there")
        assert brick.state == "running"


# ------------------------------------------------------------------------------------------------ which board
def test_several_boards_in_bootsel_mode_are_listed_and_none_is_written(place: Path) -> None:
    with (
        BoardProcess(place, "one", "--bootsel", "--seed", "1") as one,
        BoardProcess(place, "two", "--bootsel", "--seed", "2") as two,
    ):
        refused = needlepen("flash", state=place)
        assert refused.returncode == Refused.exit_code
        assert "one" in refused.stderr and "two" in refused.stderr and "--device" in refused.stderr
        assert one.state == two.state == "bootsel"
        chosen = flash(place, "--device", str(two.volume))
        assert chosen["unique_id"] == "e660000000000002" and one.state == "bootsel"
        assert sorted(path.name for path in one.volume.iterdir()) == ["INDEX.HTM", "INFO_UF2.TXT"]


def test_the_drive_of_another_board_is_refused(place: Path) -> None:
    drive = place / "RP2350"
    drive.mkdir()
    (drive / "INFO_UF2.TXT").write_text(
        "UF2 Bootloader v1.0\r\nModel: Raspberry Pi RP2350\r\nBoard-ID: RP2350\r\n"
    )
    refused = needlepen("flash", "--device", str(drive), state=place)
    assert refused.returncode == Refused.exit_code and "RP2350" in refused.stderr
    assert [path.name for path in drive.iterdir()] == ["INFO_UF2.TXT"]


def test_without_a_board_it_says_what_to_press_and_waits(place: Path) -> None:
    nothing = needlepen("flash", "--wait", "1", state=place)
    assert nothing.returncode == 2 and "BOOTSEL" in nothing.stderr
    command = [sys.executable, "-m", "needlepen", "flash", "--json", "--wait", "60"]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(place)
    ) as waiting:
        assert waiting.stderr is not None
        for line in waiting.stderr:
            if "hold the BOOTSEL" in line:
                break
        with BoardProcess(place, "late", "--bootsel"):
            out, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 0 and json.loads(out)["state"] == "idle"


def test_a_build_for_another_board_is_not_written(place: Path, pen_flash: bytes) -> None:
    with BoardProcess(place, "pen", "--seed", "3", flash=pen_flash) as pen:
        text = (
            (paths.boards_dir() / "pico_pen.toml").read_text().replace('name = "pico_pen"', 'name = "other"')
        )
        other = place / "other.toml"
        other.write_text(text)
        refused = needlepen("flash", "--board", str(other), state=place)
        assert refused.returncode == Refused.exit_code and "this build is for other" in refused.stderr
        assert pen.state == "running"
