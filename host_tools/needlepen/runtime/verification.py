"""Verification of an image before it is used: its structure, then what it says of itself once booted."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from needlepen.build import uf2
from needlepen.errors import UsageError
from needlepen.runtime.model import Wanted
from needlepen.runtime.progress import ProgressLike

BOOT_LIMIT_S = 120.0
"""Wall time for booting and answering, s: 0.6 is usual, 100 times that without rp2040py's compiled parts."""


class WrongImageError(UsageError):
    """The image is not the wanted MicroPython; one line without the file's name says what it is instead."""


def verify(
    content: bytes, wanted: Wanted, progress: ProgressLike, boot_limit_s: float = BOOT_LIMIT_S
) -> dict[str, Any]:
    """What the image told of itself once booted: version, board, machine, mpy_version, file system geometry.

    Raises WrongImageError if it is not a whole UF2 for the RP2040 or boots something else than is wanted.
    """
    check_structure(content)
    progress.step("boot the MicroPython image once to check its version and board")
    booted = _boot(content, boot_limit_s)
    version = str(booted.get("version", "")).split(" ")[0]
    if version != f"v{wanted.version}":
        raise WrongImageError(
            f"it boots MicroPython {version or 'of an unknown version'}, not v{wanted.version}"
        )
    if booted.get("board") != wanted.board:
        raise WrongImageError(
            f"it is built for {booted.get('board') or booted.get('machine')}, not {wanted.board}"
        )
    return booted


def check_structure(content: bytes) -> None:
    """Raises WrongImageError unless this is one gapless RP2040 image from the first byte of the flash on."""
    try:
        segments = uf2.decode(content)
    except uf2.Uf2Error as error:
        raise WrongImageError(str(error)) from error
    if segments[0].address != uf2.FLASH_BASE:
        raise WrongImageError(
            f"it starts at {segments[0].address:#x}, where no RP2040 boots: {uf2.FLASH_BASE:#x} is right"
        )
    if len(segments) > 1:
        raise WrongImageError(
            f"its addresses have a gap from {segments[0].end:#x} to {segments[1].address:#x}"
        )


def _boot(content: bytes, limit_s: float) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile(suffix=".uf2") as image:
        Path(image.name).write_bytes(content)
        try:
            run = subprocess.run(
                [sys.executable, "-m", "needlepen.runtime.boot", image.name],
                capture_output=True, text=True, timeout=limit_s, stdin=subprocess.DEVNULL, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise WrongImageError(
                f"it shows no MicroPython prompt on the emulated chip within {limit_s:g} s"
            ) from error
    try:
        booted = json.loads(run.stdout)
        assert isinstance(booted, dict)
    except (ValueError, AssertionError) as error:
        reason = (run.stderr.strip().splitlines() or ["no answer"])[-1]
        raise WrongImageError(f"it does not answer on the emulated chip ({reason})") from error
    return booted
