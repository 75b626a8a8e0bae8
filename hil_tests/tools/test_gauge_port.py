"""The gauge of an emulated pen in another process: depths set over the link, read over the gauge's own port."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.line import Emulation

from needlepen import Pen
from needlepen.calibration.gauges import Gauge, GaugeSilent, open_gauge, simulated
from needlepen.cli import cli
from needlepen.devices import open_pen, registry
from needlepen.emulator.axis_geometry import AxisGeometry
from needlepen.emulator.factory import factory_calibration
from needlepen.emulator.parameters import PenParameters
from needlepen.errors import InfrastructureError
from needlepen.firmware_modules import firmware_module
from needlepen.link.client import messages

SEED = 6
WORN = {
    "tip_offset_um": 250.0,
    "tip_offset_um_spread": 0.0,
    "home_off_um_spread": 0.0,
    "home_scatter_um": 0.0,
}
SETTINGS_UM = (0, 300, 1250, 2050)
SETTLED_UM = 4.0
"""Two readings in a row that differ by less, at a scatter of 1 um, are of a needle at rest."""
UNKNOWN_UM = 6.0
"""Of the prediction: heat of the nose, and the coil current at rest."""


@pytest.fixture(scope="module")
def bench(emulate: Callable[..., Emulation]) -> Emulation:
    """A pen with the dummy cartridge whose tip has moved since the factory calibrated it."""
    worn = [word for name, value in WORN.items() for word in ("--worn", f"{name}={value}")]
    return emulate("bench", "--seed", str(SEED), "--cartridge", "dummy", "--gauge-seed", "9", *worn)


@pytest.fixture
def gauge(bench: Emulation) -> Iterator[Gauge]:
    found = open_gauge("simulated", f"e66000000000{SEED:04x}")
    yield found
    found.place("pen")
    found.close()


def _wait(condition: Callable[[], bool], what: str) -> None:
    end_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end_s, f"not within 20 s: {what}"
        time.sleep(0.2)


def _settled_um(gauge: Gauge) -> float:
    """The reading once the axis is at rest."""
    last_um, end_s = 1e9, time.monotonic() + 20
    while time.monotonic() < end_s:
        um = 1e3 * gauge.read().value_mm
        if abs(um - last_um) < SETTLED_UM:
            return um
        last_um = um
        time.sleep(0.3)
    raise AssertionError(f"the gauge does not come to rest, {last_um:.0f} um")


def _predicted_um(set_um: int) -> float:
    """Where the needles of this pen are at a setting: its geometry, behind the map that the factory made before."""
    steps = firmware_module("pen.depth").DepthMap(factory_calibration(PenParameters(), SEED)).steps(set_um)
    worn = AxisGeometry(PenParameters().but(**WORN), SEED)
    return worn.static_curve([steps * 25.0])[0]


def test_the_gauge_reads_the_depth_that_was_set_over_the_link(bench: Emulation, gauge: Gauge) -> None:
    found: dict[int, float] = {}
    with open_pen("bench", "gauge test", timeout_s=20) as pen:
        _wait(lambda: pen.request(messages.OPEN_SERVICE).refused is None, "the pen opens for service")
        for set_um in SETTINGS_UM:
            pen.set_depth(set_um / 1e3)
            time.sleep(1.0)
            found[set_um] = _settled_um(gauge)
        pen.set_depth(0.0)
        gauge.place("plate")
        zero_um = 1e3 * gauge.read().value_mm
        pen.close_service()
    limit_um = simulated.ERROR_UM + 5 * simulated.REPEATABILITY_UM + UNKNOWN_UM
    print(f"seed {SEED}: limit {limit_um} um, gauge on the plate {zero_um:.0f} um")
    for set_um, um in found.items():
        expected_um = _predicted_um(set_um)
        print(
            f"set {set_um} um: gauge {um:.0f} um, geometry {expected_um:.1f} um, off by {um - expected_um:.1f} um"
        )
        assert abs(um - expected_um) <= limit_um
        assert um - set_um > 100  # what has worn shows, so that it is no reading of the setting
    assert abs(zero_um) <= 5 * simulated.REPEATABILITY_UM


def test_the_command_reads_it(bench: Emulation) -> None:
    arguments = ["gauge", "read", "simulated", "--port", "bench", "--count", "3", "--json"]
    said = json.loads(
        CliRunner().invoke(cli, arguments, standalone_mode=False, catch_exceptions=False).stdout
    )
    assert said["gauge"]["serial"] == "SIM-9" and len(said["readings"]) == 3
    assert all(one["raw"].startswith("01A") for one in said["readings"])
    listed = CliRunner().invoke(cli, ["gauge", "list", "--json"], standalone_mode=False).stdout
    assert json.loads(listed)["emulated"]["bench"] == f"{bench.link}.gauge"


def test_a_gauge_whose_pen_hangs_is_silent_and_one_that_ends_is_gone(
    emulate: Callable[..., Emulation], place: Path
) -> None:
    other = Emulation(place, "short-lived", "--seed", "8", "--no-app")
    link = Path(f"{other.link}.gauge")
    gauge = open_gauge("simulated", "short-lived")
    assert gauge.read().value_mm == pytest.approx(0.0, abs=0.5)
    os.kill(other.process.pid, signal.SIGSTOP)
    with pytest.raises(GaugeSilent):
        gauge.read(0.3)
    os.kill(other.process.pid, signal.SIGCONT)
    assert gauge.read().raw
    other.close()
    with pytest.raises(InfrastructureError, match="has gone"):
        gauge.read()
    gauge.close()
    assert not link.is_symlink()
    with pytest.raises(InfrastructureError, match="No emulated pen 'short-lived' runs"):
        open_gauge("simulated", "short-lived")
    assert "short-lived" not in [entry.name for entry in registry.entries()]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--set", "backlash=3"), "no pen parameter 'backlash'"), (("--worn", "backlash_um"), "write NAME=NUMBER"),
        (("--set", "backlash_um=-5"), "lies outside the model"), (("--worn", "tip_gain=x"), "write NAME=NUMBER"),
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_told(place: Path, tmp_path: Path, option: tuple[str, str], said: str) -> None:
    arguments = ["emulate", "--name", "wrong", "--link", str(tmp_path / "wrong"), *option]
    result = CliRunner().invoke(cli, arguments, standalone_mode=False)
    assert result.exception is not None and said in str(result.exception)
    assert "wrong" not in [entry.name for entry in registry.entries()]


def test_the_dummy_cartridge_is_seated_and_has_no_chip(bench: Emulation) -> None:
    with Pen.open(str(bench.link), timeout_s=20) as pen:
        _wait(lambda: bool(pen.cartridge()["reason"].strip(b"\0")), "the pen has looked for a chip")
        found = pen.cartridge()
    assert (found["accepted"], found["needles"], found["rom"]) == (0, 0, bytes(8))
    assert found["reason"].strip(b"\0") == b"no answer"
