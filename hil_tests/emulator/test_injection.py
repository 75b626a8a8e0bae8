"""Fault injection: every pair of the catalogue does something at its time, ends, and leaves a sound pen behind."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from support.forks import Forks, each_in_fork, in_fork
from support.nights import mostly_nightly

from needlepen.emulator.bench import prepare
from needlepen.emulator.injection import ENTRIES, Fault
from needlepen.emulator.pen import EmulatedPen

MS = 1e6
NETS = ("RUN_N", "SUPPLY_EN", "PWM_N", "LATCH_CLR", "WDT_KICK")
NAMES = {"motor_current": "MOTOR_CURRENT", "depth_position": "DEPTH_POSITION", "battery": "BATTERY"}


@pytest.fixture(scope="module")
def pen(runtime: Path) -> EmulatedPen:
    """A pen that drives its outputs, soon after power-on. Fork before changing it."""
    made = prepare(runtime=runtime).make()
    gpios = [made.board.gpio(signal) for signal in NETS]
    assert made.run_until(
        lambda: all(made.chip.output(gpio) is not None for gpio in gpios), 5_000 * MS, 1 * MS
    )
    made.run_for(5_000 * MS - made.now_ns)
    return made


def values(entry_key: tuple[str, str]) -> list[float | str | None]:
    """The usual value, and the ends of the range or every word."""
    value = ENTRIES[entry_key].value
    if value is None:
        return [None]
    return [None, *value.words] if value.words else [None, value.low, value.high]


def _in_and_out(pen: EmulatedPen, fault: Fault) -> list[str]:
    """What the listeners of the injector hear of a fault of 2 ms."""
    heard: list[str] = []
    pen.faults.on_change(lambda injected, begins: heard.append(f"{injected.fault.target} {begins}"))
    begun_ns = pen.now_ns
    injected = pen.faults.inject(dataclasses.replace(fault, duration_s=0.002))
    pen.run_until(lambda: pen.now_ns > begun_ns + 4 * MS, 10 * MS)  # a power cut ends a run_for early
    assert injected.ended_ns == pytest.approx(begun_ns + 2 * MS, abs=2.0) or injected.fault.target == "cpu"
    assert not pen.faults.active
    pen.run_for(20 * MS)
    return heard


@pytest.mark.parametrize("which", mostly_nightly(["usual value", "any value"], "usual value"))
def test_every_pair_begins_and_ends_at_any_value(pen: EmulatedPen, which: str) -> None:
    faults = [
        Fault(*key, value=value, seed=3)
        for key in ENTRIES
        for value in (values(key) if which == "any value" else [None])
        if key != ("ram", "stuck")  # costs 2 s
    ]
    for fault, heard in zip(faults, each_in_fork(pen, _in_and_out, faults), strict=True):
        assert heard == [f"{fault.target} True", f"{fault.target} False"], fault


def test_a_planned_fault_comes_and_goes_at_its_device_time(pen: EmulatedPen) -> None:
    def run(pen: EmulatedPen) -> tuple[float, float | None]:
        pen.faults.plan(Fault("index", "stuck", "high", start_s=5.0123456, duration_s=0.0101))
        pen.run_for(50 * MS)
        injected = pen.faults.history[0]
        return injected.begun_ns, injected.ended_ns

    assert in_fork(run, pen) == pytest.approx((5_012_345_600, 5_022_445_600), abs=2)


def test_a_second_fault_of_a_pair_replaces_the_first(pen: EmulatedPen) -> None:
    def run(pen: EmulatedPen) -> tuple[int, int, float]:
        before = pen.physics.cell_ocv_v
        pen.faults.inject(Fault("cell", "wrong", 3.3, duration_s=0.01))
        pen.faults.inject(Fault("cell", "wrong", 3.4))
        pen.run_for(20 * MS)
        active = len(pen.faults.active)
        pen.faults.repair("cell")
        return active, len(pen.faults.history), pen.physics.cell_ocv_v - before

    assert in_fork(run, pen) == (1, 2, 0.0)


def _readings(pen: EmulatedPen, fault: Fault) -> list[float]:
    """What the converter gives for the input of a target, in V, for 200 ms: the fault begins after 50 ms."""
    channel = pen.board.converters[NAMES[fault.target]].channel
    read: list[float] = []
    for k in range(200):
        if k == 50:
            pen.faults.inject(fault)
        pen.run_for(1 * MS)
        read.append(pen.chip.adc_source(channel)(pen.now_ns) * 3.3 / 4096)
    return read


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("short", None, lambda volts: max(volts) < 0.02),
        ("open", None, lambda volts: max(volts) < 0.02),
        ("wrong", 0.3, lambda volts: all(abs(v - 4.0 / 3) < 0.05 for v in volts)),
        ("stuck", None, lambda volts: all(abs(v - 3.7 / 3) < 0.05 for v in volts)),
        ("garbage", None, lambda volts: max(volts) - min(volts) > 2.0),
        ("intermittent", None, lambda volts: min(volts) < 0.02 and max(volts) > 1.0),
    ],
)
def test_a_sensor_reads_as_its_fault_says(
    pen: EmulatedPen, kind: str, value: float | None, expected: Callable[[list[float]], bool]
) -> None:
    read = in_fork(_readings, pen, Fault("battery", kind, value))
    assert all(abs(v - 3.7 / 3) < 0.05 for v in read[:50]), "sound before"
    assert expected(read[50:]), read[50:60]


@pytest.mark.parametrize(("kind", "value_ms"), [("slow", 20.0), ("delayed", 20.0)])
def test_a_lagging_sensor_comes_to_the_right_value(pen: EmulatedPen, kind: str, value_ms: float) -> None:
    """The cell falls by 0.6 V as the fault begins."""

    def run(pen: EmulatedPen) -> list[float]:
        channel = pen.board.converters["BATTERY"].channel
        pen.faults.inject(Fault("battery", kind, value_ms))
        read = []
        for k in range(200):
            if k == 100:
                pen.electronics.set_cell(pen.now_ns, 3.1)
            pen.run_for(1 * MS)
            read.append(pen.chip.adc_source(channel)(pen.now_ns) * 3 * 3.3 / 4096)
        return read

    read = in_fork(run, pen)
    assert read[99] == pytest.approx(3.7, abs=0.05) and read[-1] == pytest.approx(3.1, abs=0.05)
    at_half_ms = next(k for k, v in enumerate(read) if v < 3.4) - 99
    expected_ms = value_ms if kind == "delayed" else value_ms * 0.69
    assert at_half_ms == pytest.approx(expected_ms, abs=4), kind


def _edges(pen: EmulatedPen, seed: int) -> list[tuple[float, float]]:
    pen.faults.inject(Fault("index", "garbage", seed=seed))
    pen.run_for(20 * MS)
    return [(t, level) for t, signal, level in pen.electronics.timeline if signal == "INDEX"]


def test_the_seed_decides_what_is_random(pen: EmulatedPen) -> None:
    one, again, other = each_in_fork(pen, _edges, [1, 1, 2])
    assert one == again != other
    assert len(one) > 20


@pytest.mark.parametrize("signal", NETS)
def test_a_net_that_is_held_is_what_board_and_chip_see(pen: EmulatedPen, signal: str) -> None:
    def run(pen: EmulatedPen) -> list[int]:
        gpio, seen = pen.board.gpio(signal), []
        for level in (0, 1):
            pen.chip.pins.force(gpio, level)
            pen.run_for(1e5)
            seen += [pen.chip.pin_level(gpio), pen.chip.mcu.gpio[gpio].input_value]
        pen.chip.pins.repair(gpio)
        pen.run_for(1e5)
        return [*seen, pen.chip.pin_level(gpio) == pen.chip.output(gpio)]

    assert in_fork(run, pen) == [0, 0, 1, 1, True]


def test_random_faults_on_top_of_each_other_leave_a_pen_that_can_be_repaired(pen: EmulatedPen) -> None:
    def run(pen: EmulatedPen, seed: int) -> tuple[int, int]:
        draw = random.Random(seed)
        keys = [key for key in ENTRIES if key[0] not in ("cell", "cpu", "ram", "flash")]
        for key in draw.sample(keys, 8):
            pen.faults.inject(Fault(*key, seed=seed))
            pen.run_for(3 * MS)
        before = len(pen.faults.active)
        pen.faults.repair()
        pen.run_for(10 * MS)
        return before, len(pen.faults.active) + len(pen.chip.pins.forced)

    with Forks() as forks:
        for seed in range(12):
            forks.start(run, pen, seed)
        assert forks.results() == [(8, 0)] * 12
