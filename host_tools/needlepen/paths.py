"""Where the project's own data and its cache are, in a repository and in an installed wheel."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

_PACKAGE = Path(__file__).resolve().parent
_REPOSITORY = _PACKAGE.parents[1]


def _data_dir(name: str) -> Path:
    shipped = _PACKAGE / "_data" / name
    return shipped if shipped.is_dir() else _REPOSITORY / name


def firmware_dir() -> Path:
    """The MicroPython sources: `firmware/` of the repository, or the copy shipped in the wheel."""
    return _data_dir("firmware")


def boards_dir() -> Path:
    """The board descriptions: `boards/` of the repository, or the copy shipped in the wheel."""
    return _data_dir("boards")


def cache_dir() -> Path:
    """The cache for runtimes, compiled engines and images; NEEDLEPEN_CACHE overrides the user's cache folder."""
    override = os.environ.get("NEEDLEPEN_CACHE")
    path = Path(override) if override else Path(platformdirs.user_cache_dir("needlepen"))
    path.mkdir(parents=True, exist_ok=True)
    return path


def data_dir() -> Path:
    """What has to last: former settings of pens; NEEDLEPEN_DATA overrides the user's data folder."""
    override = os.environ.get("NEEDLEPEN_DATA")
    path = Path(override) if override else Path(platformdirs.user_data_dir("needlepen"))
    path.mkdir(parents=True, exist_ok=True)
    return path


def state_dir() -> Path:
    """What running programs tell each other: emulated pens, locks of devices. NEEDLEPEN_STATE overrides the cache."""
    override = os.environ.get("NEEDLEPEN_STATE")
    path = Path(override) if override else cache_dir()
    path.mkdir(parents=True, exist_ok=True)
    return path


def config_dir() -> Path:
    """The user's own settings, such as names of pens; NEEDLEPEN_CONFIG overrides the user's configuration folder."""
    override = os.environ.get("NEEDLEPEN_CONFIG")
    path = Path(override) if override else Path(platformdirs.user_config_dir("needlepen"))
    path.mkdir(parents=True, exist_ok=True)
    return path


def firmware_file(name: str, folder: Path | None = None) -> Path:
    """A data file of the firmware: the one in `folder` if it is there, else the project's own."""
    given = folder / name if folder else None
    return given if given is not None and given.exists() else firmware_dir() / name
