"""A booted chip with bare MicroPython, for the tests of the emulator itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from needlepen.emulator.chip import Chip


@pytest.fixture
def boot(runtime: Path) -> Callable[..., Chip]:
    """boot(**options) makes a chip and runs it until its console is open."""

    def make(**options: object) -> Chip:
        chip = Chip(runtime, **options)  # type: ignore[arg-type]
        chip.console.wait_connected()
        return chip

    return make


@pytest.fixture
def chip(boot: Callable[..., Chip]) -> Chip:
    return boot()
