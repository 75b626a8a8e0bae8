"""The probe records exact device time and writes what a waveform viewer reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from needlepen.emulator.chip import Chip
from needlepen.emulator.probe import Probe


def test_pads_are_recorded_with_exact_time_whoever_drives_them(chip: Chip) -> None:
    probe = Probe(chip)
    inside, outside = probe.pin(10, "OUT"), probe.pin(11, "IN")
    chip.console.exec("from machine import Pin\np = Pin(10, Pin.OUT, value=0)\nq = Pin(11, Pin.IN)")
    chip.drive(11, 0)
    changed_ns = chip.now_ns + 1_003
    chip.call_at(changed_ns, lambda: chip.drive(11, 1))
    chip.console.exec("p(1)\np(0)")
    assert outside.first(1, changed_ns) == changed_ns
    assert [value for _, value in inside.changes(changed_ns)] == [1, 0]
    assert outside.at(changed_ns) == 1 and outside.at(changed_ns - 1) == 0


def test_sampled_quantities_keep_their_period(chip: Chip) -> None:
    probe = Probe(chip)
    channel = probe.sampled("ramp", lambda t_ns: t_ns * 1e-6, 20_000, "ms")
    began_ns = chip.now_ns
    chip.run_for(1e6)
    assert [t - began_ns for t in channel.t_ns] == list(range(0, 1_000_001, 20_000))


def test_an_unchanged_value_is_recorded_once(chip: Chip) -> None:
    channel = Probe(chip).channel("state", "string")
    for t_ns, value in ((0, "idle"), (5, "idle"), (9, "run")):
        channel.put(t_ns, value)
    assert channel.t_ns == [0, 9]


def test_a_trace_is_written_with_nanoseconds(chip: Chip, tmp_path: Path) -> None:
    probe = Probe(chip)
    run_n, current, state = (
        probe.channel("RUN_N"),
        probe.channel("current", "real", "A"),
        probe.channel("st", "string"),
    )
    for t_ns, value in ((0, None), (1_000_003, 0), (2_000_011, 1)):
        run_n.put(t_ns, value)
    current.put(1_500_000, 1.25)
    state.put(1_600_000, "trip")
    path = tmp_path / "trace.vcd"
    probe.write_vcd(path, "a test")
    text = path.read_text()
    assert "$timescale 1 ns $end" in text and "$var real 64" in text and " current_A $end" in text
    times = [int(line[1:]) for line in text.splitlines() if line.startswith("#")]
    assert times == [0, 1_000_003, 1_500_000, 1_600_000, 2_000_011]
    assert list(tmp_path.iterdir()) == [path]


def test_a_trace_into_a_missing_folder_leaves_nothing(chip: Chip, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Probe(chip).write_vcd(tmp_path / "missing" / "trace.vcd")
