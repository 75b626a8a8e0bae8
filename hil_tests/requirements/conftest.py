"""Fixtures that several requirements share."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.axis_pen import AxisPen, axis_firmware


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The firmware's depth axis alone, for an AxisPen."""
    return axis_firmware(tmp_path_factory.mktemp("axis"))


@pytest.fixture(scope="module")
def homed(runtime: Path, firmware: Path) -> AxisPen:
    """A pen that stands at 0.00 mm. Fork before changing it."""
    pen = AxisPen(runtime, firmware, seed=3)
    pen.home()
    return pen
