"""BOOTSEL mode: how the emulated board gets there, what its drive does with UF2 files, how it comes back."""

from __future__ import annotations

import random
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from support.bench import MS, Pens, never_driven, start
from support.forks import in_fork

from needlepen import board
from needlepen.build import app_image, uf2
from needlepen.build.firmware_uf2 import application_hash, firmware_uf2
from needlepen.emulator.boot_rom import is_bootable
from needlepen.emulator.bootsel import BootselVolume, Uf2Download
from needlepen.emulator.chip import Chip
from needlepen.emulator.flash_file import FlashFile, read_flash
from needlepen.emulator.pen import EmulatedPen
from needlepen.errors import UsageError
from needlepen.link.client import messages

PEN = board.load()
SECTOR = 4096
BLOCK = uf2.BLOCK_BYTES


def blocks_of(file: bytes) -> list[bytes]:
    return [file[at : at + BLOCK] for at in range(0, len(file), BLOCK)]


def copy_in(volume: BootselVolume, data: bytes, name: str = "firmware.uf2") -> None:
    """Write a file and let the drive take all of it; ends when the board has restarted or has taken everything."""
    (volume.path / name).write_bytes(data)
    for _ in range(len(data) // BLOCK // 64 + 3):
        volume.poll()
    if volume._complete_s is not None:
        volume._complete_s -= 1.0  # the wait for the program that copies
        volume.poll()


@pytest.fixture
def blank() -> Chip:
    return Chip(None)


# ------------------------------------------------------------------------------------------------ ways in
def test_a_blank_board_is_in_bootsel_mode(blank: Chip) -> None:
    blank.run_for(1e9)
    assert blank.in_bootsel and blank.cpu_state == "in BOOTSEL mode"
    assert blank.stats.instructions == 0 and not blank.console.is_connected


def test_micropython_goes_there_and_the_port_goes(chip: Chip) -> None:
    chip.console.write(b"\r\x03import machine\rmachine.bootloader()\r")
    assert chip.run_until(lambda: chip.in_bootsel, 1e9)
    chip.run_for(0.5e9)
    assert chip.in_bootsel and not chip.console.is_connected


@pytest.mark.parametrize("cause", ["power_on", "run_pin", "watchdog"])
def test_the_button_counts_at_every_start(chip: Chip, cause: str) -> None:
    chip.bootsel_held = True
    assert not chip.in_bootsel
    chip.reset(cause)  # type: ignore[arg-type]
    assert chip.in_bootsel
    chip.bootsel_held = False
    chip.reset(cause)  # type: ignore[arg-type]
    chip.console.wait_connected()


def test_a_restart_by_the_program_is_no_way_in(chip: Chip) -> None:
    chip.console.write(b"\r\x03import machine\rmachine.reset()\r")
    assert chip.run_until(lambda: not chip.console.is_connected, 1e9)
    assert not chip.in_bootsel
    chip.console.wait_connected()


def test_a_damaged_first_page_leads_there_and_other_damage_does_not(runtime: Path) -> None:
    sound = Chip(runtime).flash
    assert is_bootable(sound)
    for place in (0, 100, 251, 255):
        damaged = bytearray(sound)
        damaged[place] ^= 0x10
        assert Chip(None, flash=bytes(damaged)).in_bootsel
    garbage = sound[:256] + random.Random(1).randbytes(len(sound) - 256)
    chip = Chip(None, flash=garbage)
    chip.run_for(0.5e9)
    assert not chip.in_bootsel and not chip.console.is_connected
    assert Chip(None, flash=garbage, bootsel_held=True).in_bootsel


def test_the_1200_baud_touch_reaches_the_chip_and_this_runtime_does_not_react(chip: Chip) -> None:
    """MicroPython 1.25 leaves the touch out on this board: the requests are taken, and everything goes on."""
    host = chip.console._host
    chip.console.close_port(1200)
    chip.run_for(1e9)
    assert host.line_coding.baud_rate == 1200 and not host.dtr
    assert not chip.in_bootsel
    chip.console.open_port()
    chip.run_for(0.1e9)
    assert host.dtr and host.line_coding.baud_rate == 115_200
    assert chip.console.exec("print(6 * 7)") == ("42\r\n", "")


# ------------------------------------------------------------------------------------------------ the drive
def test_a_copied_file_makes_a_pen_of_a_blank_board(runtime: Path, tmp_path: Path) -> None:
    pen = EmulatedPen(PEN, None, None)
    volume = BootselVolume(pen.chip, tmp_path / "RPI-RP2")
    assert "Board-ID: RPI-RP2" in (volume.path / "INFO_UF2.TXT").read_text()
    application = app_image(PEN)
    copy_in(volume, firmware_uf2(PEN, runtime, application))
    assert not volume.path.exists() and not pen.chip.in_bootsel
    identity = pen.connect()
    assert application_hash(application).startswith(identity["application_hash"].decode())
    pen.wait_state("idle")
    assert pen.run_until(lambda: pen.link.status is not None, 1e9)
    assert pen.link.status is not None and pen.telemetry is not None
    assert {"keys_missing", "calibration_missing"} <= set(pen.link.status.blockers)
    assert pen.telemetry.fault == "none", "the boot ROM's restart was taken for a watchdog fault"


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_blocks_come_in_any_order_each_for_itself(data: st.DataObject) -> None:
    """Whatever arrives, in whatever order and how often: those pages are new, touched sectors erased, all else old."""
    pages = data.draw(st.lists(st.integers(0, 8 * 16 - 1), min_size=1, max_size=30, unique=True))
    content = {page: bytes([page + 1]) * 256 for page in sorted(pages)}
    file = uf2.encode([uf2.Segment(uf2.FLASH_BASE + 256 * page, text) for page, text in content.items()])
    numbers = data.draw(st.lists(st.integers(0, len(pages) - 1), min_size=1, max_size=60))
    flash = bytearray(b"\x55" * 8 * SECTOR)
    download = Uf2Download(flash, len(flash))
    arrived = set()
    for number in numbers:
        download.take(blocks_of(file)[number])
        arrived.add(sorted(pages)[number])
    erased = {page // 16 for page in arrived}
    for page in range(8 * 16):
        old = b"\xff" * 256 if page // 16 in erased else b"\x55" * 256
        assert flash[256 * page : 256 * page + 256] == (content[page] if page in arrived else old)
    assert download.is_complete == (arrived == set(pages))


def patched(block: bytes, offset: int, value: int) -> bytes:
    changed = bytearray(block)
    struct.pack_into("<I", changed, offset, value)
    return bytes(changed)


@pytest.mark.parametrize(
    ("offset", "value"),
    [(0, 0), (508, 0), (28, 0xE48BFF59), (8, 0), (8, 0x2001), (12, uf2.FLASH_BASE + 1), (12, 0x2000_0000), (16, 128),
     (20, 9)],
)  # fmt: skip
def test_blocks_for_something_else_are_ignored(offset: int, value: int) -> None:
    file = uf2.encode([uf2.Segment(uf2.FLASH_BASE, bytes(range(256)) * 4)])
    flash = bytearray(b"\x55" * 4 * SECTOR)
    download = Uf2Download(flash, len(flash))
    download.take(patched(blocks_of(file)[1], offset, value))
    assert flash == b"\x55" * 4 * SECTOR and download.ignored == 1 and not download.blocks
    for block in blocks_of(file):
        download.take(block)
    assert download.is_complete


def test_a_copy_that_stops_half_way_has_programmed_what_arrived(runtime: Path, tmp_path: Path) -> None:
    sound = Chip(runtime).flash
    chip = Chip(runtime, bootsel_held=True)
    chip.mcu.flash[:100_000] = bytes(100_000)
    volume = BootselVolume(chip, tmp_path / "drive")
    half = runtime.read_bytes()[: 700 * BLOCK + 77]
    copy_in(volume, half)
    assert volume.blocks == 700 and chip.in_bootsel and volume.path.exists()
    assert chip.flash[: 700 * 256] == sound[: 700 * 256]
    chip.bootsel_held = False
    chip.reset("power_on")  # pulled out and plugged in again: its first page is sound, the rest is not
    assert not chip.in_bootsel
    chip.bootsel_held = True
    chip.reset("power_on")
    chip.bootsel_held = False
    again = BootselVolume(chip, tmp_path / "drive")
    copy_in(again, runtime.read_bytes())
    chip.console.wait_connected()


def test_a_file_may_come_in_pieces_under_any_name_beside_others(
    runtime: Path, tmp_path: Path, blank: Chip
) -> None:
    volume = BootselVolume(blank, tmp_path / "drive")
    (volume.path / "readme.txt").write_text("no UF2\n" * 1000)
    (volume.path / "pico2.uf2").write_bytes(
        b"".join(patched(b, 28, 0xE48BFF59) for b in blocks_of(runtime.read_bytes()))
    )
    data = runtime.read_bytes()
    with (volume.path / ".tmp-copy").open("wb") as file:
        for at in range(0, len(data), 100_001):
            file.write(data[at : at + 100_001])
            file.flush()
            for _ in range(10):
                volume.poll()
    copy_in(volume, b"", "empty.uf2")
    for _ in range(60):
        volume.poll()
    assert volume.is_gone or volume._complete_s is not None
    copy_in(volume, b"", "empty2.uf2") if not volume.is_gone else None
    blank.console.wait_connected()


def test_a_folder_with_something_else_is_not_taken_for_a_drive(tmp_path: Path, blank: Chip) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("precious")
    (tmp_path / "file").write_text("precious")
    for name in ("mine", "file"):
        with pytest.raises(UsageError, match="so it is not re"):
            BootselVolume(blank, tmp_path / name)
    assert (tmp_path / "mine" / "letter.txt").read_text() == "precious"
    left_over = BootselVolume(blank, tmp_path / "left")  # of an emulation that was killed
    (left_over.path / "half.uf2").write_bytes(b"x")
    BootselVolume(blank, tmp_path / "left")
    assert sorted(path.name for path in (tmp_path / "left").iterdir()) == ["INDEX.HTM", "INFO_UF2.TXT"]
    shutil.rmtree(tmp_path / "left")


# ------------------------------------------------------------------------------------------------ flash file
def test_the_flash_survives_in_a_file(runtime: Path, tmp_path: Path) -> None:
    path = tmp_path / "flash.bin"
    assert read_flash(path) is None
    chip = Chip(runtime)
    FlashFile(chip, path)
    chip.console.wait_connected()
    chip.console.exec("f = open('kept', 'w'); f.write('x' * 3000); f.close()")
    chip.run_for(1.1e9)  # written by itself once the change has settled
    content = read_flash(path)
    assert content == chip.flash
    again = Chip(None, flash=content or b"")
    again.console.wait_connected()
    assert again.console.exec("print(len(open('kept').read()))") == ("3000\r\n", "")
    assert [p.name for p in tmp_path.iterdir()] == ["flash.bin"]
    path.write_bytes(b"too short")
    with pytest.raises(UsageError, match="9 bytes"):
        read_flash(path)


# ------------------------------------------------------------------------------------------------ by command
def _enter(pen: EmulatedPen, prepare: Callable[[EmulatedPen], object]) -> tuple[str | None, bool, str]:
    prepare(pen)
    refused = pen.request(messages.ENTER_BOOTSEL).refused
    pen.run_until(lambda: pen.chip.in_bootsel, 1000 * MS)
    return refused, pen.chip.in_bootsel, pen.telemetry.state if pen.telemetry else ""


def _set_depth(pen: EmulatedPen) -> None:
    pen.command(messages.SET_DEPTH, 500)
    pen.run_for(1500 * MS)


def test_the_pen_enters_bootsel_at_rest_with_the_needles_in(pens: Pens) -> None:
    refused, entered, _ = in_fork(_enter, pens.ready(), lambda pen: None)
    assert refused is None and entered
    refused, entered, state = in_fork(_enter, pens.ready(), lambda pen: start(pen, 100))
    assert refused == "not at rest: end the run" and not entered and state == "running"
    refused, entered, _ = in_fork(_enter, pens.ready(), _set_depth)
    assert refused == "set the depth to 0.00 mm first" and not entered


def _leave_and_return(pen: EmulatedPen, kind: int) -> tuple[list[str], str, bool]:
    causes: list[str] = []
    asked_ns = float(pen.now_ns)
    pen.chip.on_reset(lambda _t, cause: causes.append(cause))
    pen.command(kind)
    assert pen.run_until(lambda: len(causes) > 0, 1000 * MS)
    pen.run_for(100 * MS)
    pen.chip.leave_bootsel()
    state = pen.wait_state("armed")
    return causes, state.fault, never_driven(pen, asked_ns)


def test_after_bootsel_or_a_restart_the_pen_is_ready_again_without_a_fault(pens: Pens) -> None:
    for kind in (messages.ENTER_BOOTSEL, messages.RESTART):
        causes, fault, undriven = in_fork(_leave_and_return, pens.ready(), kind)
        assert causes[0] == "watchdog" and fault == "none" and undriven


def test_a_production_build_wants_a_key_for_it(runtime: Path) -> None:
    pen = EmulatedPen(PEN, runtime, app_image(PEN, kind="production").image)
    pen.connect()
    for kind in (messages.ENTER_BOOTSEL, messages.RESTART):
        assert pen.request(kind).refused
    pen.run_for(500 * MS)
    assert not pen.chip.in_bootsel
