"""The firmware's store on the emulated chip without the pen's program: driven through the REPL, with a power switch."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from needlepen import board, paths, provision
from needlepen.build import app_image
from needlepen.emulator.chip import Chip
from needlepen.emulator.flash_timing import FlashTiming
from needlepen.emulator.power import Power
from needlepen.records import ImageFiles
from needlepen.records.log import LoggedEvent, read_log
from support.flash import UNIQUE_ID, RecordedFlash

BOARD = board.load()
RUN_N = BOARD.gpio("RUN_N")
WATCHDOG_MS = 200
START = f"""
import gc, os, time, machine
from pen import events
from pen.store.device import open_store
machine.Pin({RUN_N}, machine.Pin.IN, machine.Pin.PULL_UP)
allowed = [True]
store = open_store(lambda: allowed[0], {WATCHDOG_MS})
store.boot(1, time.ticks_ms())
def rest(passes=30):
    for k in range(passes):
        store.poll(store._now_ms + 100, False)
    return store.busy
"""
SLOWEST = FlashTiming(sector_erase_ns=400_000_000, block_erase_ns=2_000_000_000, page_program_ns=3_000_000)
"""The data sheet's maxima."""


class _NoElectronics:
    def power_up(self, t_ns: float) -> None:
        """The rig has none."""


class StoreRig:
    """A chip at the REPL with the firmware's modules; `start` opens and boots the store there as `store`."""

    def __init__(self, runtime: Path, scratch: Path, timing: FlashTiming | None = None) -> None:
        firmware = scratch / "store_rig"
        if not firmware.exists():
            shutil.copytree(paths.firmware_dir(), firmware)
            (firmware / "main.py").write_text("pass\n")
        image = provision.provisioned(app_image(BOARD, firmware=firmware).image, BOARD, UNIQUE_ID)
        self.chip = Chip(
            runtime,
            filesystem=image,
            unique_id=UNIQUE_ID,
            filesystem_offset=BOARD.flash.filesystem_offset,
            flash_timing=timing,
        )
        electronics: Any = _NoElectronics()
        self.power = Power(self.chip, electronics, 7)
        self.operations: list[tuple[int, str, int, int]] = []
        self.chip.on_flash_write(lambda *operation: self.operations.append(operation))
        self.permit(False)
        self.chip.console.wait_connected()

    def permit(self, yes: bool) -> None:
        """The level of RUN_N, which nothing else drives here: low permits to drive."""
        self.chip.drive(RUN_N, 0 if yes else 1)

    def run(self, code: str) -> str:
        """What the code prints. Fails if it raises."""
        out, error = self.chip.console.exec(code, 60e9)
        assert not error, error
        return out.strip()

    def start(self) -> None:
        """Open the store and let it come to rest."""
        self.run(START)
        assert self.run("print(rest())") == "False"

    def cut_during(self, code: str) -> None:
        """Send the code and let the chip run until the planned power cut has come."""
        self.chip.console.write(b"\x05" + code.encode() + b"\x04")
        assert self.chip.run_until(lambda: not self.power.on, 20e9), "the power cut did not come"

    def again(self) -> None:
        """The power returns, the chip boots to the REPL."""
        self.power.restore()
        self.chip.console.wait_connected()

    @property
    def files(self) -> ImageFiles:
        """A copy of the file system as it is now."""
        offset, size = BOARD.flash.filesystem_offset, BOARD.flash.filesystem_bytes
        return ImageFiles(RecordedFlash(self.chip.mcu.flash[offset : offset + size]), BOARD.flash)

    def log(self) -> list[LoggedEvent]:
        """The events in flash."""
        return read_log(self.files, UNIQUE_ID)
