"""What is broken is found before anybody is treated with it: at rest, or when the pen is switched on."""

from __future__ import annotations

import pytest
from support.link_session import now, settled, until
from support.measuring import Measure
from support.nights import mostly_nightly
from support.stopping import RELEASED_MS, stays_still
from support.targets.protocols import Faults, Link, Plant, Power

from needlepen.emulator.injection.vocabulary import Fault
from needlepen.link.values import Status, Telemetry

BEFORE_ARMING = [("gate_trigger", "open"), ("latch", "off"), ("trip_n", "stuck"), ("latch_clr", "open"),
                 ("run_n", "short"), ("supply_en", "stuck"), ("brake", "open")]  # fmt: skip
AT_THE_PRESS = [("supply_switch", "short"), ("gate_run_n", "open"), ("gate_watchdog", "open")]
MOST_STROKES = 0.5
"""So far may the cam turn in a proof: pulses of some ms that its needles do not notice."""
CARTRIDGES = [("off", None, "cartridge_unreadable"), ("wrong", "foreign", "cartridge_foreign"),
              ("wrong", "copied", "cartridge_foreign"), ("wrong", "used", "cartridge_used")]  # fmt: skip
LOST = (("depth_position", "short"), ("depth_position", "open"))


def _told_ms(link: Link, faults: Faults, fault: Fault) -> tuple[float, Telemetry]:
    """Until telemetry tells of the safe state or of a lockout, every 10 ms."""
    until(link, "armed")
    before_ms = now(link, 10)[0].time_ms
    faults.inject(fault)
    for _, frame in zip(range(400), link.telemetry(), strict=False):
        if frame.state in ("safe", "locked_out"):
            return float(frame.time_ms - before_ms), frame
    raise AssertionError(f"{fault.name} is not told of: {link.latest}")


@pytest.mark.parametrize(("target_name", "kind"), mostly_nightly(LOST, LOST[0]))
def test_a_broken_depth_sensor_is_told(
    link: Link, faults: Faults, measure: Measure, target_name: str, kind: str
) -> None:
    """SR-04"""
    after_ms, told = _told_ms(link, faults, Fault(target_name, kind))
    measure("SR-04", "detect_ms", after_ms, f"sensor {kind}, until telemetry tells it")
    assert told.fault == "depth sensor"


@pytest.mark.nightly
@pytest.mark.parametrize("error_pct", [-6, 6])
def test_a_wrong_clock_is_told(link: Link, faults: Faults, measure: Measure, error_pct: int) -> None:
    """SR-26"""
    after_ms, told = _told_ms(link, faults, Fault("clock", "wrong", error_pct))
    measure("SR-26", "clock_detect_ms", after_ms, f"{error_pct:+d} %, until telemetry tells it")
    assert told.fault != "none"


def _switched_on(link: Link, power: Power, faults: Faults, fault: Fault) -> tuple[Telemetry, Status]:
    """The pen is off when it breaks; what it tells after its tests."""
    boots = link.counters()["boots"]
    link.subscribe(0)
    power.off()
    faults.inject(fault)
    power.on()
    link.reconnect(boots=boots)
    return settled(link)


@pytest.mark.nightly
@pytest.mark.parametrize(("channel", "kind"), BEFORE_ARMING)
def test_a_dead_cut_off_channel_keeps_the_pen_from_arming(
    link: Link, power: Power, plant: Plant, faults: Faults, channel: str, kind: str
) -> None:
    """SR-29: proven each time that the pen is switched on."""
    told, _ = _switched_on(link, power, faults, Fault(channel, kind))
    assert told.state in ("safe", "locked_out") and told.fault != "none", told
    plant.press()
    assert stays_still(plant), "it started"


@pytest.mark.nightly
@pytest.mark.parametrize(("channel", "kind"), AT_THE_PRESS)
def test_a_dead_cut_off_channel_is_found_at_the_press(
    link: Link, plant: Plant, faults: Faults, channel: str, kind: str
) -> None:
    """SR-29: what shows only with the bridge supplied."""
    until(link, "armed")
    faults.inject(Fault(channel, kind))
    plant.wait(RELEASED_MS)
    angle = plant.strokes
    plant.press()
    told = until(link, "safe")
    assert told.fault == "cut-off proof failed", told
    assert stays_still(plant) and abs(plant.strokes - angle) < MOST_STROKES


@pytest.mark.nightly
@pytest.mark.parametrize(("kind", "value", "blocker"), CARTRIDGES)
def test_a_cartridge_that_is_not_right_keeps_the_pen_from_starting(
    link: Link, power: Power, plant: Plant, faults: Faults, kind: str, value: str | None, blocker: str
) -> None:
    """SR-14, SR-15, SR-16"""
    told, status = _switched_on(link, power, faults, Fault("cartridge", kind, value))
    assert (told.state, told.fault) == ("idle", "none") and blocker in status.blockers, (told, status)
    plant.wait(RELEASED_MS)
    plant.press()
    assert stays_still(plant), "it started"
