"""What the build needs from Debian: the cross compiler installed, sources of another suite only unpacked."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from pathlib import Path

from needlepen.runtime import apt_sources
from needlepen.runtime.model import WayFailedError
from needlepen.runtime.process import LoggedCommands
from needlepen.runtime.progress import ProgressLike

SUITE = "trixie"
"""The Debian suite whose `micropython`, `pico-sdk-source` and `tinyusb-source` belong together."""

TOOLCHAIN = (
    "gcc-arm-none-eabi", "libnewlib-arm-none-eabi", "libstdc++-arm-none-eabi-newlib", "cmake", "ninja-build",
    "g++", "bzip2", "xz-utils",
)  # fmt: skip


def install_toolchain(commands: LoggedCommands, progress: ProgressLike) -> None:
    """Install what is missing of TOOLCHAIN. Raises WayFailedError with the command to give, if it may not."""
    missing = [package for package in TOOLCHAIN if not _installed(package, commands)]
    if not missing:
        return
    by_hand = f"install them with: apt-get install {' '.join(missing)}"
    as_root: list[str] = []
    if os.geteuid() != 0:
        if shutil.which("sudo") is None:
            raise WayFailedError(f"Debian packages are missing and this is not root; {by_hand}")
        as_root = ["sudo", "-n"]
        refused = f"Debian packages are missing and sudo asks for a password; {by_hand}"
        commands.run([*as_root, "true"], failed=refused)
    noninteractive = ["env", "DEBIAN_FRONTEND=noninteractive"]  # under sudo too, which drops the environment
    apt = [*as_root, *noninteractive, "apt-get", "-q", "-o", "DPkg::Lock::Timeout=120"]
    progress.step("apt-get update")
    with contextlib.suppress(WayFailedError):  # an unrelated source may be broken; the installation will tell
        commands.run([*apt, "update"], failed="apt-get update failed")
    progress.step(
        f"install {len(missing)} Debian packages for the Arm compiler (up to 500 MB, 2.8 GB on disk)"
    )
    install = [*apt, "install", "-y", "--no-install-recommends", *missing]
    commands.run(install, failed=f"the Debian packages {' '.join(missing)} cannot be installed")


class SuitePackages:
    """Downloads from another suite of this machine's Debian mirror, with lists, state and cache of its own.

    Nothing of the machine's apt changes; the keyring that verifies its mirror verifies these downloads too.
    """

    def __init__(self, folder: Path, commands: LoggedCommands, progress: ProgressLike) -> None:
        self._commands = commands
        self._progress = progress
        self._downloads = folder / "downloads"
        parts = folder / "apt" / "sources"
        for path in (
            self._downloads,
            parts,
            folder / "apt/lists/partial",
            folder / "apt/cache/archives/partial",
        ):
            path.mkdir(parents=True)
        entry = apt_sources.debian_entry(apt_sources.configured_entries())
        (parts / "suite.sources").write_text(entry.for_suite(SUITE))
        settings = {
            "Dir::Etc::sourcelist": "/dev/null",
            "Dir::Etc::sourceparts": parts,
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::State::lists": folder / "apt/lists",
            "Dir::Cache": folder / "apt/cache",
            "Acquire::Languages": "none",
            "Acquire::http::Timeout": "30",
            "Acquire::Retries": "2",
            "APT::Sandbox::User": os.environ.get("USER", "root") if os.geteuid() else "root",
        }
        self._options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]

    def update(self) -> None:
        """Read the suite's package lists. Raises WayFailedError if they are not reached or not verified."""
        self._progress.step(f"read the package lists of Debian {SUITE}")
        # Without --error-on=any apt-get update reports success although nothing could be fetched.
        self._apt("update", "--error-on=any", failed=f"the package lists of Debian {SUITE} cannot be read")

    def source(self, package: str, version: str | None = None) -> Path:
        """The unpacked upstream source; `version`: the upstream version it has to have."""
        name = package if version is None else f"{package}={self._source_version(package, version)}"
        self._progress.step(f"download the source of {package}")
        self._apt(
            "source",
            "--download-only",
            "--only-source",
            name,
            failed=f"the source of {package} cannot be fetched",
        )
        target = self._downloads.parent / package
        target.mkdir()
        archives = [
            p for p in self._downloads.glob(f"{package}_*.orig*.tar.*") if not p.name.endswith(".asc")
        ]
        for archive in archives:
            self._commands.run(
                ["tar", "-xf", archive, "-C", target], failed=f"{archive.name} cannot be unpacked"
            )
        inside = [path for path in target.iterdir() if path.is_dir()]
        if len(inside) != 1:
            raise WayFailedError(
                f"the source of {package} is not laid out as expected ({len(inside)} folders)"
            )
        return inside[0]

    def package(self, name: str) -> Path:
        """The folder with the unpacked files of a binary package."""
        self._progress.step(f"download {name}")
        self._apt("download", name, failed=f"the package {name} cannot be fetched")
        target = self._downloads.parent / name
        for archive in self._downloads.glob(f"{name}_*.deb"):
            self._commands.run(
                ["dpkg-deb", "-x", archive, target], failed=f"{archive.name} cannot be unpacked"
            )
        return target

    def versions(self) -> list[str]:
        """What has been downloaded, as `package version`, for the record of the image's origin."""
        names = [path.name for path in self._downloads.iterdir() if path.suffix in {".dsc", ".deb"}]
        return sorted(
            " ".join(name.removesuffix(".dsc").removesuffix(".deb").split("_")[:2]) for name in names
        )

    def _source_version(self, package: str, version: str) -> str:
        """Debian's version of the upstream release `version`, for example 1.25.0+ds-1."""
        shown = self._commands.run(
            ["apt-cache", *self._options, "showsrc", "--only-source", package],
            failed=f"Debian {SUITE} has no source of {package}",
        )
        offered = re.findall(r"^Version: (\S+)$", shown, re.MULTILINE)
        fitting = [v for v in offered if re.match(rf"(\d+:)?{re.escape(version)}(?![\d.])", v)]
        if not fitting:
            raise WayFailedError(
                f"Debian {SUITE} has {package} {', '.join(offered) or 'nowhere'}, not {version}"
            )
        return fitting[0]

    def _apt(self, *words: str, failed: str) -> None:
        self._commands.run(["apt-get", "-q", *self._options, *words], failed=failed, cwd=self._downloads)


def _installed(package: str, commands: LoggedCommands) -> bool:
    try:
        status = commands.run(
            ["dpkg-query", "-W", "-f", "${db:Status-Status}", package], failed="not installed"
        )
    except WayFailedError:
        return False
    return status == "installed"


def newest_change_s(tree: Path) -> int:
    """The newest modification time in a source tree, s since 1970: the release's date."""
    return max(int(path.stat().st_mtime) for path in tree.rglob("*") if path.is_file())
