"""The trace of a run for a waveform viewer: pads and lines at exact device time, quantities as they were sampled."""

from __future__ import annotations

import tempfile
from pathlib import Path

from needlepen.emulator.pen import EmulatedPen
from needlepen.emulator.probe import Probe
from needlepen.scenario.recording import UNITS, Recording

_PADS = (
    *("TRIGGER_N", "RUN_N", "SUPPLY_EN", "TRIP_N", "LATCH_CLR", "WDT_KICK", "TICK"),
    *("INDEX", "INDEX_CLEAN", "TDC", "LED"),
)
_INSIDE = ("SUPPLY", "BRAKE", "OVERCURRENT", "LATCH_BRAKE", "WDT_EXPIRED", "SHOOT_THROUGH")


def attach(pen: EmulatedPen) -> Probe:
    """Record the pads that matter and what happens inside of the electronics, from now on."""
    probe, board = Probe(pen.chip), pen.board
    for name in _PADS:
        if name in board.pins:
            probe.pin(board.gpio(name), name)
    probe.pwm(board.gpio("PWM_N"), "PWM_N_duty_high")
    for name in _INSIDE:
        channel = probe.channel(name)
        channel.put(pen.now_ns, int(name in ("BRAKE", "WDT_EXPIRED")))
        pen.electronics.on_output(name, lambda t_ns, level, put=channel.put: put(t_ns, int(level)))  # type: ignore[misc]
    state = probe.channel("state", "string")
    pen.link.on_telemetry(lambda telemetry: state.put(pen.now_ns, telemetry.state))
    return probe


def as_vcd(probe: Probe, recording: Recording) -> bytes:
    """The file's content; the time unit is 1 ns of device time since power-on."""
    t_ns = recording.column("t_ns").tolist()
    for name, unit in UNITS.items():
        channel = probe.channel(name.rpartition("_")[0] or name, "real", unit if unit != "" else "")
        column = "supply_v" if name == "cell_v" else name
        for t, value in zip(t_ns, recording.column(column).round(6).tolist(), strict=True):
            channel.put(t, value)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.vcd"
        probe.write_vcd(path, "needlepen: device time since power-on")
        return path.read_bytes()
