"""What takes more than a port: power, pins, a hand and skin, faults, a probe. Skipped where the bench has none."""

from __future__ import annotations

import pytest
from support.link_session import now, until
from support.measuring import Measure
from support.targets.protocols import Faults, Link, Pins, Plant, Power, Probe

from needlepen.emulator.injection.vocabulary import Fault
from needlepen.link.client import messages

RATE_HZ = 100
RUN_MS, MEAN_MS = 400.0, 200.0
COST_FRAMES = 100
HUNG_MS = 400.0


def test_a_pen_that_was_switched_off_comes_back_as_itself(link: Link, power: Power) -> None:
    """SR-28: the boot is counted, and what was set is still set."""
    settings, boots = link.command(messages.GET_SETTINGS), link.counters()["boots"]
    unique_id = link.identity.unique_id
    link.subscribe(0)
    power.off()
    power.on()
    link.reconnect(boots=boots)
    assert link.counters()["boots"] == boots + 1 and link.identity.unique_id == unique_id
    assert link.command(messages.GET_SETTINGS) == settings


def test_the_motor_runs_at_the_set_rate_and_stops_at_the_release(
    link: Link, plant: Plant, measure: Measure
) -> None:
    """PR-02, SR-12, at the shaft."""
    until(link, "armed")
    link.command(messages.SET_RATE, RATE_HZ)
    plant.wait(250)
    plant.press()
    plant.wait(RUN_MS)
    from_strokes, from_ns = plant.strokes, plant.now_ns
    plant.wait(MEAN_MS)
    rate_hz = (plant.strokes - from_strokes) / (plant.now_ns - from_ns) * 1e9
    measure("PR-02", "free_error_pct", 100 * abs(rate_hz / RATE_HZ - 1), f"mean of {MEAN_MS:.0f} ms")
    plant.release()
    begun_ns = plant.now_ns
    while plant.turns and plant.now_ns - begun_ns < 1e9:
        plant.wait(0.5)
    measure("SR-12", "standstill_ms", (plant.now_ns - begun_ns) / 1e6, "first stop after the release")


def test_the_control_tick_keeps_its_time_while_the_motor_runs(
    link: Link, plant: Plant, measure: Measure
) -> None:
    """PR-07, with telemetry at 100 Hz and requests in between."""
    until(link, "armed")
    plant.wait(250)
    plant.press()
    until(link, "running")
    link.command(messages.CLEAR_STATISTICS)
    link.subscribe(10)
    for number, _ in zip(range(COST_FRAMES), link.telemetry(), strict=False):
        if number % 10 == 0:
            link.counters()
    found = link.statistics()
    assert found["tick_cost_us"] > 0, "the tick has run"
    measure(
        "PR-07", "cost_us", found["tick_cost_us"], "while the motor runs, telemetry at 100 Hz and requests"
    )
    measure(
        "PR-07",
        "jitter_us",
        found["tick_jitter_us"],
        "while the motor runs, telemetry at 100 Hz and requests",
    )


def test_no_pulse_reaches_the_bridge_at_rest(link: Link, pins: Pins, plant: Plant) -> None:
    """SR-11: drive permission is withdrawn, and its pin does not move while a host asks."""
    until(link, "armed")
    changes = pins.record("RUN_N")
    for _ in range(5):
        now(link)
        plant.wait(20)
    assert pins.level("RUN_N") == 1 and [level for _, level in changes if level == 0] == []


@pytest.mark.parametrize("kind", ["open", "short"])
def test_a_broken_nose_sensor_is_told(link: Link, faults: Faults, kind: str, measure: Measure) -> None:
    """SR-18, as a host sees it."""
    until(link, "armed")
    before_ms = now(link, 10)[0].time_ms
    faults.inject(Fault("nose_temperature", kind))
    told = until(link, "safe")
    measure(
        "SR-18",
        "sensor_fault_s",
        (told.time_ms - before_ms) / 1e3,
        f"sensor {kind}, until telemetry tells it",
    )
    assert told.fault != "none"


def test_a_halted_cpu_is_restarted_by_its_watchdog(
    link: Link, probe: Probe, plant: Plant, measure: Measure
) -> None:
    """SR-10, at rest."""
    boots = link.counters()["boots"]
    probe.halt()
    assert probe.cpu_state == "halted"
    begun_ns = plant.now_ns
    plant.wait(HUNG_MS)
    after_ms = (probe.resets_ns[0] - begun_ns) / 1e6 if probe.resets_ns else None
    measure("SR-10", "reset_ms", after_ms, "halted at rest")
    probe.resume()
    link.reconnect(boots=boots)
    assert link.counters()["boots"] == boots + 1
