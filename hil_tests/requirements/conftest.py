"""Booted pens for the requirement tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.bench import Pens


@pytest.fixture(scope="session")
def pens(runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Pens:
    """pens.ready(cell_v, seed) is a pen that is ready to start. Fork before changing it."""
    return Pens(runtime, tmp_path_factory.mktemp("firmware"))
