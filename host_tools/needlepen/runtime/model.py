"""What the ways of getting a runtime share: the wanted version, the result, the reason of a failure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Wanted:
    """The MicroPython that the board file pins."""

    version: str
    """Release without the "v", for example 1.25.0."""
    board: str
    """MicroPython's name of the board, for example RPI_PICO."""

    def __str__(self) -> str:
        return f"MicroPython v{self.version} for {self.board}"


@dataclass(frozen=True)
class Runtime:
    """A verified MicroPython image: this content has been booted and named this version and board."""

    path: Path
    """The UF2 file, in the cache; its content does not change."""
    version: str
    board: str
    sha256: str
    origin: str
    """Where it came from: `given: FILE`, `download: ADDRESS` or `build: SOURCE PACKAGES`."""


class WayFailedError(Exception):
    """One way of getting the runtime did not work; the text says why in one line."""
