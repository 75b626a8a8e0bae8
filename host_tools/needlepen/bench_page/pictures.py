"""Drawings of the set-up, made for this page. Their lines take the colours of the page, so they suit light and dark."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "assets" / "pictures"
_ENDS = ("pen_connected", "pen_off_gauge")


@cache
def svg(key: str) -> str:
    """The drawing of a key of the procedure's stages, with its description for those who do not see it."""
    path = _FOLDER / f"{'done' if key in _ENDS else key}.svg"
    return path.read_text(encoding="utf-8")
