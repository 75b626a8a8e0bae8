"""A bench for the safety runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from needlepen.emulator.bench import Bench, prepare


@pytest.fixture(scope="session")
def bench(runtime: Path) -> Bench:
    """Makes pens at power-on."""
    return prepare(runtime=runtime)
