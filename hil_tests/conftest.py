"""Fixtures of all tests: the MicroPython image, and booted pens to fork."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest_plugins = ["support.measuring"]


@pytest.fixture(scope="session")
def runtime() -> Path:
    """The MicroPython image: NEEDLEPEN_RUNTIME, or the one that needlepen provides."""
    given = os.environ.get("NEEDLEPEN_RUNTIME")
    if given:
        return Path(given)
    from needlepen.runtime import provide

    return provide().path
