"""BOOTSEL mode of the emulated board: the drive of the boot ROM as a folder, and what it does with UF2 blocks.

As the ROM does, each block counts for itself: whoever stops half-way has programmed what arrived. A file may have any
name and come in any pieces. Short-cuts: a program operation takes no device time here, and the drive is a folder, so
files in it stay readable until it goes.
"""

from __future__ import annotations

import os
import shutil
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING

from needlepen.build.uf2 import BLOCK_BYTES, FLASH_BASE, PAYLOAD_BYTES, RP2040_FAMILY
from needlepen.errors import UsageError

if TYPE_CHECKING:
    from needlepen.emulator.chip import Chip

SECTOR_BYTES = 4096
VOLUME_LABEL = "RPI-RP2"
INFO = "UF2 Bootloader v3.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: RPI-RP2\r\n"
INDEX = (
    "<html><head><title>RP2 Boot</title></head><body>Emulated RP2040 in BOOTSEL mode: copy a UF2 file here."
    "</body></html>\r\n"
)
OWN_FILES = {"INFO_UF2.TXT": INFO, "INDEX.HTM": INDEX}
REBOOT_DELAY_S = 0.3
"""Wall time from the last block to the restart, so that the program that copies can close its file."""
_BLOCKS_A_POLL = 64
_HEADER = struct.Struct("<8I")
_MAGICS = (0x0A324655, 0x9E5D5157, 0x0AB16F30)
_NOT_MAIN_FLASH, _FAMILY_PRESENT = 0x0001, 0x2000


class Uf2Download:
    """Programs the blocks of one UF2 file as they come: in any order, each once, each touched sector erased first."""

    def __init__(self, flash: bytearray, flash_bytes: int) -> None:
        self._flash = flash
        self._flash_bytes = flash_bytes
        self._expected = 0
        self._done: set[int] = set()
        self._erased: set[int] = set()
        self.ignored = 0

    @property
    def blocks(self) -> int:
        """Number of blocks programmed."""
        return len(self._done)

    @property
    def is_complete(self) -> bool:
        """True when as many blocks are in the flash as the file announced."""
        return self._expected > 0 and len(self._done) == self._expected

    def take(self, block: bytes) -> None:
        """One block of 512 bytes. What is not for this chip's flash is ignored and counted, as the ROM ignores it."""
        magic0, magic1, flags, address, size, number, count, family = _HEADER.unpack_from(block)
        magics = (magic0, magic1, int.from_bytes(block[-4:], "little"))
        place = address - FLASH_BASE
        fits = (
            magics == _MAGICS
            and flags & _FAMILY_PRESENT
            and family == RP2040_FAMILY
            and not flags & _NOT_MAIN_FLASH
            and size == PAYLOAD_BYTES
            and place % PAYLOAD_BYTES == 0
            and 0 <= place <= self._flash_bytes - PAYLOAD_BYTES
            and number < count
        )
        if not fits:
            self.ignored += 1
            return
        if count != self._expected:  # another file begins
            self._expected = count
            self._done.clear()
            self._erased.clear()
        if number not in self._done:
            self._program(place, block[_HEADER.size : _HEADER.size + PAYLOAD_BYTES])
            self._done.add(number)

    def _program(self, place: int, payload: bytes) -> None:
        sector = place // SECTOR_BYTES
        if sector not in self._erased:
            self._erased.add(sector)
            start = sector * SECTOR_BYTES
            self._flash[start : start + SECTOR_BYTES] = b"\xff" * SECTOR_BYTES
        old = self._flash[place : place + PAYLOAD_BYTES]  # programming takes bits from 1 to 0, nothing else
        self._flash[place : place + PAYLOAD_BYTES] = bytes(a & b for a, b in zip(old, payload, strict=True))


class BootselVolume:
    """The drive of a board in BOOTSEL mode as a folder; `poll` programs what has been written into it.

    Raises UsageError if there is something at `path` that is not such a folder.
    """

    def __init__(self, chip: Chip, path: Path) -> None:
        self._chip = chip
        self.path = path
        self._download = Uf2Download(chip.mcu.flash, chip.flash_bytes)
        self._taken: dict[str, int] = {}  # bytes of each file that have been looked at
        self._complete_s: float | None = None
        self.is_gone = False
        try:
            discard_volume(path)
            new = path.with_name(f".{path.name}.{os.getpid()}")
            new.mkdir(parents=True, exist_ok=True)
            for name, text in OWN_FILES.items():
                (new / name).write_text(text, newline="")
            new.replace(path)  # so that it appears with everything in it
        except OSError as error:
            raise UsageError(
                f"{path}: the volume cannot be made there ({error.strerror}); give another --volume path."
            ) from None

    @property
    def blocks(self) -> int:
        """Number of blocks programmed since BOOTSEL mode began."""
        return self._download.blocks

    def poll(self) -> None:
        """Take what is new; after the last block of a file the chip restarts and the folder goes."""
        if self._complete_s is None:
            self._read_new()
            if self._download.is_complete:
                self._complete_s = time.monotonic()
        elif time.monotonic() - self._complete_s >= REBOOT_DELAY_S:
            self.close()
            self._chip.leave_bootsel()

    def _read_new(self) -> None:
        budget = _BLOCKS_A_POLL
        for path in sorted(self.path.iterdir()):
            if path.name in OWN_FILES or not path.is_file():
                continue
            at = self._taken.get(path.name, 0)
            with path.open("rb") as file:
                file.seek(at)
                while budget and len(block := file.read(BLOCK_BYTES)) == BLOCK_BYTES:
                    self._download.take(block)
                    at += BLOCK_BYTES
                    budget -= 1
                    if self._download.is_complete:
                        return
            self._taken[path.name] = at

    def close(self) -> None:
        """Take the folder away with everything in it."""
        discard_volume(self.path)
        self.is_gone = True


def discard_volume(path: Path) -> None:
    """Remove the folder of a volume, of an earlier run too. Raises UsageError if it is something else."""
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise UsageError(
            f"{path} exists and is no folder, so it is not replaced; give another --volume path."
        )
    if not path.exists():
        return
    info = path / "INFO_UF2.TXT"
    if any(path.iterdir()) and not (info.is_file() and info.read_bytes() == INFO.encode()):
        raise UsageError(
            f"{path} is a folder with something else in it, so it is not removed; give another --volume path."
        )
    gone = path.with_name(f".{path.name}.{os.getpid()}.gone")
    path.replace(gone)  # so that it disappears with everything in it
    shutil.rmtree(gone, ignore_errors=True)
