"""Which seeds a test has asked for: with them its measurements can be made again."""

from __future__ import annotations

_asked: dict[int, None] = {}


def asked(seed: int) -> None:
    """An emulated pen with this seed is given to the running test."""
    _asked[seed] = None


def asked_for() -> tuple[int, ...]:
    """The seeds of this test so far, in the order in which they were asked for."""
    return tuple(_asked)


def forget() -> None:
    """Another test begins."""
    _asked.clear()
