"""UF2 volumes of boards in BOOTSEL mode: mounted folders with INFO_UF2.TXT."""

from __future__ import annotations

import os
import string
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

INFO = "INFO_UF2.TXT"
RP2040 = "RPI-RP2"


@dataclass(frozen=True)
class Volume:
    """A mounted UF2 volume. `board_id` and `model` as its INFO_UF2.TXT says; "RPI-RP2" is an RP2040."""

    path: Path
    board_id: str
    model: str


def find_volumes(candidates: Iterable[Path] | None = None) -> list[Volume]:
    """The UF2 volumes among `candidates`, by default where this operating system mounts drives."""
    found = []
    for path in mounts(sys.platform) if candidates is None else candidates:
        volume = read_volume(path)
        if volume is not None:
            found.append(volume)
    return found


def read_volume(path: Path) -> Volume | None:
    """The UF2 volume at a path, or None if it is none."""
    try:
        lines = (path / INFO).read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return Volume(path, fields.get("Board-ID", "").strip(), fields.get("Model", "").strip())


def mounts(platform: str, root: Path = Path("/")) -> list[Path]:
    """Folders at which drives are mounted: /media and /run/media, /Volumes, or drive letters."""
    if platform == "win32":
        return [Path(f"{letter}:\\") for letter in string.ascii_uppercase if os.path.exists(f"{letter}:\\")]  # noqa: PTH110
    patterns = ("Volumes/*",) if platform == "darwin" else ("media/*", "media/*/*", "run/media/*/*", "mnt/*")
    return sorted(path for pattern in patterns for path in _folders(root, pattern))


def _folders(root: Path, pattern: str) -> list[Path]:
    try:
        return [path for path in root.glob(pattern) if path.is_dir()]
    except OSError:  # a folder that this user may not look into
        return []
