"""A run that has to end, ends in time, and does not begin again by itself: at the pins of the chip and at the shaft.

Written for any bench with pins, a plant and faults; the emulated pen of this process is one.
"""

from __future__ import annotations

import pytest
from support.link_session import now, settled, until
from support.measuring import Measure
from support.stopping import RELEASED_MS, run, stays_still, watched
from support.targets.protocols import Faults, Link, Pins, Plant, Probe

from needlepen import requirements
from needlepen.emulator.injection.vocabulary import Fault
from needlepen.link.client import messages

LIMIT = requirements.load().limit
RATE_HZ, FASTEST_HZ = (int(LIMIT("PR-01", f"rate_{name}_hz")) for name in ("default", "max"))


def _ends(link: Link, plant: Plant, fault: str) -> None:
    """It is told, and it stays so although the trigger is held."""
    told = until(link, "safe")
    assert told.fault == fault
    assert stays_still(plant), "it began again"
    assert now(link)[0].state == "safe"


def test_the_release_of_the_trigger_ends_a_run(
    link: Link, plant: Plant, pins: Pins, measure: Measure
) -> None:
    """SR-12, and PR-08 before it: what the pen reports is what the shaft does."""
    run(link, plant, RATE_HZ)
    from_strokes, from_ns = plant.strokes, plant.now_ns
    frames = [now(link, 10)[0]]
    while plant.now_ns - from_ns < 200e6:
        frames.append(next(link.telemetry()))
    true_hz = (plant.strokes - from_strokes) / (plant.now_ns - from_ns) * 1e9
    mean_hz = sum(frame.rate_hz for frame in frames) / len(frames)
    measure("PR-08", "error_pct", 100 * abs(mean_hz / true_hz - 1), f"means of 200 ms at {RATE_HZ} Hz")
    seen = watched(plant, pins, plant.release)
    measure("SR-12", "brake_ms", seen.withdrawn_ms, f"drive permission withdrawn, {RATE_HZ} Hz")
    measure("SR-12", "strokes", seen.strokes, "until it first stood still")
    measure("SR-12", "standstill_ms", seen.standstill_ms, f"first standstill, {RATE_HZ} Hz")
    assert until(link, "armed").fault == "none"


def test_a_stall_ends_a_run(link: Link, plant: Plant, pins: Pins, faults: Faults, measure: Measure) -> None:
    """SR-08: from the moment of the jam, which is at most one edge before the last one that was due."""
    run(link, plant, RATE_HZ)
    seen = watched(plant, pins, lambda: faults.inject(Fault("motor", "stuck")))
    measure("SR-08", "brake_ms", seen.withdrawn_ms, f"drive permission withdrawn after a jam, {RATE_HZ} Hz")
    assert seen.supply_ms <= seen.withdrawn_ms
    _ends(link, plant, "stall")


@pytest.mark.nightly
def test_overspeed_ends_a_run(link: Link, plant: Plant, pins: Pins, faults: Faults, measure: Measure) -> None:
    """SR-06: the supply opens first, since braking through a shorted transistor would short the cell."""
    run(link, plant, FASTEST_HZ)
    threshold_hz = float(LIMIT("SR-06", "threshold_hz"))
    seen = watched(plant, pins, lambda: faults.inject(Fault("bridge", "short")), threshold_hz)
    measure(
        "SR-06",
        "trip_ms",
        seen.supply_ms - seen.over_threshold_ms,
        "supply open after 165 Hz, bridge shorted",
    )
    measure("SR-06", "peak_hz", seen.fastest_hz, f"bridge shorted at {FASTEST_HZ} Hz")
    assert seen.supply_ms < seen.withdrawn_ms
    _ends(link, plant, "overspeed")


def test_a_short_in_the_motor_ends_a_run(
    link: Link, plant: Plant, pins: Pins, faults: Faults, measure: Measure
) -> None:
    """SR-09: in hardware, and nobody acknowledges it away."""
    run(link, plant, RATE_HZ)
    seen = watched(plant, pins, lambda: faults.inject(Fault("motor", "short")))
    measure("SR-09", "trip_us", 1e3 * seen.withdrawn_ms, "drive permission withdrawn, from the short on")
    assert seen.supply_ms <= seen.withdrawn_ms
    told = until(link, "safe")
    plant.release()
    plant.wait(RELEASED_MS)
    assert told.fault == "overcurrent" and link.request(messages.ACKNOWLEDGE).refused is not None


@pytest.mark.nightly
def test_overcurrent_stays_latched(
    link: Link, plant: Plant, pins: Pins, faults: Faults, measure: Measure
) -> None:
    """SR-09: although the cause has gone and the operator acknowledges all the time."""
    run(link, plant, RATE_HZ)
    begun_ns = plant.now_ns
    watched(plant, pins, lambda: faults.inject(Fault("motor", "short")))
    faults.repair("motor")
    plant.release()
    while link.request(messages.ACKNOWLEDGE).refused is not None and plant.now_ns - begun_ns < 20e9:
        assert pins.level("RUN_N") == 1
        plant.wait(100)
    measure(
        "SR-09", "latched_s", (plant.now_ns - begun_ns) / 1e9, "until it could be acknowledged", relation=">="
    )
    assert settled(link)[0].fault == "none"


@pytest.mark.nightly
def test_a_cartridge_that_comes_loose_ends_a_run(
    link: Link, plant: Plant, pins: Pins, faults: Faults, measure: Measure
) -> None:
    """SR-14"""
    run(link, plant, FASTEST_HZ)
    seen = watched(plant, pins, lambda: faults.inject(Fault("cartridge_seat", "open")))
    measure("SR-14", "brake_ms", seen.withdrawn_ms, f"seat switch open at {FASTEST_HZ} Hz")
    measure("SR-14", "strokes", seen.strokes, "until it first stood still")
    _ends(link, plant, "cartridge lost")


@pytest.mark.nightly
def test_a_charger_ends_a_run(link: Link, plant: Plant, pins: Pins, faults: Faults, measure: Measure) -> None:
    """SR-22"""
    run(link, plant, RATE_HZ)
    seen = watched(plant, pins, lambda: faults.inject(Fault("charger", "stuck")))
    measure("SR-22", "inhibit_ms", seen.withdrawn_ms, f"plugged in at {RATE_HZ} Hz")
    _ends(link, plant, "external power")


@pytest.mark.nightly
def test_a_screw_that_slips_ends_a_run(
    link: Link, plant: Plant, pins: Pins, faults: Faults, measure: Measure
) -> None:
    """SR-02: outward, by twice of what may go unnoticed; the needles are then taken in."""
    run(link, plant, RATE_HZ)
    seen = watched(
        plant, pins, lambda: faults.inject(Fault("screw", "wrong", 2 * float(LIMIT("SR-02", "error_mm"))))
    )
    measure("SR-02", "trip_ms", seen.withdrawn_ms, "drive permission withdrawn after a slip of 0.30 mm")
    measure("SR-02", "hard_stop_mm", plant.protrusion_mm, "afterwards")
    _ends(link, plant, "depth runaway")


@pytest.mark.nightly
@pytest.mark.parametrize(("cell_v", "fault"), [(3.3, "none"), (3.1, "battery empty")])
def test_a_cell_that_gets_weak_warns_and_then_ends_a_run(
    link: Link, plant: Plant, pins: Pins, faults: Faults, cell_v: float, fault: str
) -> None:
    """SR-20: in a controlled way; a weak cell alone does not."""
    run(link, plant, RATE_HZ)
    seen = watched(plant, pins, lambda: faults.inject(Fault("cell", "wrong", cell_v)), ms=400)
    told, status = now(link)
    assert told.fault == fault and ("battery_low" in status.warnings or fault != "none")
    assert (seen.standstill_ms < 400) == (fault != "none")
    if fault != "none":
        _ends(link, plant, fault)


def test_a_halted_cpu_ends_a_run(
    link: Link, plant: Plant, pins: Pins, probe: Probe, measure: Measure
) -> None:
    """SR-10: by what needs no CPU; then the watchdog resets it, and it says so and stays safe."""
    run(link, plant, RATE_HZ)
    boots, begun_ns = link.counters()["boots"], plant.now_ns
    seen = watched(plant, pins, probe.halt, ms=400)
    measure("SR-10", "pio_brake_ms", seen.withdrawn_ms, "drive permission withdrawn, CPU halted")
    measure("SR-10", "strokes", seen.strokes, "until it first stood still")
    after_ms = (probe.resets_ns[0] - begun_ns) / 1e6 if probe.resets_ns else None
    measure("SR-10", "reset_ms", after_ms, "halted while the motor ran")
    probe.resume()
    link.reconnect(boots=boots)
    _ends(link, plant, "watchdog reset")


@pytest.mark.nightly
def test_a_pen_in_the_air_ends_its_run(link: Link, plant: Plant, measure: Measure) -> None:
    """SR-13: it was put down. Not a fault: it says why, and goes on after a new press."""
    until(link, "armed")
    plant.wait(RELEASED_MS)
    plant.press()
    begun_ms = until(link, "running").time_ms
    for frame in link.telemetry():
        if frame.state != "running" or frame.time_ms - begun_ms > 20_000:
            break
    after_s = (frame.time_ms - begun_ms) / 1e3
    measure("SR-13", "no_contact_s", after_s - 1, "the run ended, less the second that it may take")
    assert after_s >= float(LIMIT("SR-13", "no_contact_s")) - 0.1, "too soon"
    assert frame.fault == "none" and stays_still(plant)
    assert "without skin contact" in now(link)[1].note
