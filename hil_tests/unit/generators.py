"""The firmware does long work as generators that yield after each slice: what such a one gives, and in which slices."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any


def ended(steps: Generator[Any, None, Any]) -> tuple[Any, list[Any]]:
    """The value of a generator, and what it yielded on the way."""
    yielded = []
    while True:
        try:
            yielded.append(next(steps))
        except StopIteration as end:
            return end.value, yielded
