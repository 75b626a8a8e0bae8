"""The drive of a board in BOOTSEL mode: which one it is, and writing a UF2 onto it.

The boot ROM tells nothing that belongs to one board alone: every RP2040 in BOOTSEL mode looks the same. So a drive is
taken only if it is known to be the board's (an emulated one) or the only one that appeared after the board left.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path

from needlepen.devices import registry
from needlepen.devices.volumes import RP2040, Volume, find_volumes, read_volume
from needlepen.errors import InfrastructureError, Refused

FILE_NAME = "needlepen.uf2"
_CHUNK = 16 * 1024
_LABEL = Path("/dev/disk/by-label/RPI-RP2")
Progress = Callable[[float, float], None]


def mounted() -> list[Volume]:
    """The drives of real boards in BOOTSEL mode that are mounted now."""
    return find_volumes()


def emulated_drive(unique_id: str) -> Path | None:
    """The drive of an emulated board, None while it has none."""
    for entry in registry.entries():
        if entry.unique_id == unique_id and entry.state == registry.BOOTSEL and entry.volume:
            path = Path(entry.volume)
            return path if read_volume(path) else None
    return None


def appeared(before: Collection[Path], now: Collection[Volume]) -> Volume | None:
    """The one RP2040 drive that is there now and was not before, None if there is none.

    Raises Refused with the list if there are several: nothing says which board each of them belongs to.
    """
    new = [volume for volume in now if volume.path not in before and volume.board_id == RP2040]
    if len(new) > 1:
        places = ", ".join(str(volume.path) for volume in new)
        raise Refused(
            f"Several boards in BOOTSEL mode have appeared ({places}), and nothing says which one is meant; "
            "nothing was written: unplug the others, or name the drive with --device."
        )
    return new[0] if new else None


def waiting_hint(platform: str = sys.platform, label: Path = _LABEL) -> str:
    """What the person can do while no drive is there; on Linux a drive may wait to be mounted."""
    if platform.startswith("linux") and label.exists():
        return f"the drive is there but not mounted: run `udisksctl mount -b {label}`"
    return "hold the BOOTSEL button of the board, plug in its USB cable, then let go of the button"


def require_rp2040(path: Path) -> None:
    """Raises Refused unless a folder is the drive of an RP2040 in BOOTSEL mode."""
    volume = read_volume(path)
    if volume is None:
        raise Refused(
            f"{path} is no drive of a board in BOOTSEL mode (there is no INFO_UF2.TXT), so nothing is written to it."
        )
    if volume.board_id != RP2040:
        raise Refused(
            f"{path} is the drive of another board ({volume.model or 'unknown'}, {volume.board_id or 'no ID'}), not of "
            "an RP2040, so nothing is written to it."
        )


def write_uf2(path: Path, data: bytes, progress: Progress = lambda _done, _total: None) -> None:
    """Copy a UF2 onto a drive. The board takes each block as it comes and restarts after the last one.

    So there is no new file that is renamed at the end. An error after the last byte is none: the board has left.
    Raises Refused for a drive that is not an RP2040's, InfrastructureError if the drive goes before all is written.
    """
    if not path.exists():
        raise InfrastructureError(
            f"{path} has gone before anything was written: the board was unplugged, or starts with what another run "
            "wrote; run this again."
        )
    require_rp2040(path)
    done = 0
    try:
        with (path / FILE_NAME).open("wb", buffering=0) as file:
            while done < len(data):
                done += file.write(data[done : done + _CHUNK])
                progress(done, len(data))
            os.fsync(file.fileno())
    except OSError as error:
        if done < len(data):
            raise InfrastructureError(
                f"{path}: the drive took {done} of {len(data)} bytes ({error.strerror}); the board is not usable now: "
                "hold BOOTSEL, plug it in, and run this again."
            ) from None


def wait_for(found: Callable[[], Path | None], timeout_s: float, hint: Callable[[str], None]) -> Path | None:
    """The drive, as soon as `found` sees one; None after `timeout_s`. `hint` is told what the person can do."""
    end_s = time.monotonic() + timeout_s
    said = ""
    while (path := found()) is None:
        left_s = end_s - time.monotonic()
        if left_s <= 0:
            return None
        if left_s < timeout_s - 2.0 and (text := waiting_hint()) != said:
            said = text
            hint(text)
        time.sleep(0.1)
    return path
