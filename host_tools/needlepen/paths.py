"""Where the project's own data and its cache are, in a repository and in an installed wheel."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import platformdirs

from needlepen.errors import InfrastructureError

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


def cache_dir(*inside: str) -> Path:
    """The cache for runtimes, compiled engines and images; NEEDLEPEN_CACHE overrides the user's cache folder."""
    return _own_folder("NEEDLEPEN_CACHE", platformdirs.user_cache_dir, inside)


def data_dir(*inside: str) -> Path:
    """What has to last: former settings of pens; NEEDLEPEN_DATA overrides the user's data folder."""
    return _own_folder("NEEDLEPEN_DATA", platformdirs.user_data_dir, inside)


def state_dir(*inside: str) -> Path:
    """What running programs tell each other: emulated pens, locks of devices. NEEDLEPEN_STATE overrides the cache."""
    moved = os.environ.get("NEEDLEPEN_STATE")
    return _own_folder("NEEDLEPEN_STATE" if moved else "NEEDLEPEN_CACHE", platformdirs.user_cache_dir, inside)


def config_dir(*inside: str) -> Path:
    """The user's own settings, such as names of pens; NEEDLEPEN_CONFIG overrides the user's configuration folder."""
    return _own_folder("NEEDLEPEN_CONFIG", platformdirs.user_config_dir, inside)


def _own_folder(variable: str, usual: Callable[[str], str], inside: tuple[str, ...]) -> Path:
    """A folder of the project's own, or one inside it, made if it is missing.

    Raises InfrastructureError if it cannot be made, as in a home folder that is missing or only for reading.
    """
    path = Path(os.environ.get(variable) or usual("needlepen"), *inside)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InfrastructureError(
            f"{path}: this folder cannot be made ({error.strerror}), and needlepen keeps its own files there; name one "
            f"that can be written with {variable}, or mend HOME"
        ) from None
    return path


def firmware_file(name: str, folder: Path | None = None) -> Path:
    """A data file of the firmware: the one in `folder` if it is there, else the project's own."""
    given = folder / name if folder else None
    return given if given is not None and given.exists() else firmware_dir() / name
