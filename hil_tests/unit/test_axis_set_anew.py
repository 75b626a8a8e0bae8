"""PR-06: when a depth is set anew after a run, with nothing in the place of stepper and sensor."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from needlepen import requirements
from needlepen.firmware_modules import firmware_module

HALF_DRIFT_UM = round(500 * float(requirements.load().limit("PR-06", "drift_mm")))


@pytest.fixture
def axis(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An axis that stands at 1.00 mm; its sensor says what the test does."""
    sensor = SimpleNamespace(um=1_000, drift=SimpleNamespace(forget=lambda: None))
    for name, part in (("stepper", SimpleNamespace(Stepper=SimpleNamespace)),
                       ("depth_sensor", SimpleNamespace(DepthSensor=lambda state: sensor))):  # fmt: skip
        monkeypatch.setitem(sys.modules, f"pen.{name}", part)
    monkeypatch.setattr(time, "ticks_ms", lambda: 0, raising=False)
    made = firmware_module("pen.axis").Axis([])
    made.homed, made._rested_um = True, 1_000
    yield made
    del sys.modules["pen.axis"]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("off_um", "anew"), [(HALF_DRIFT_UM, False), (HALF_DRIFT_UM + 1, True)])
def test_a_carriage_that_walked_by_half_of_the_drift_is_brought_back(
    axis: Any, off_um: int, anew: bool, sign: int
) -> None:
    axis.sensor.um = 1_000 + sign * off_um
    axis.set_anew()
    assert axis.moving is anew


def test_without_home_nothing_is_set_anew(axis: Any) -> None:
    axis.homed = False
    axis.sensor.um = 2_000
    axis.set_anew()
    assert not axis.moving
