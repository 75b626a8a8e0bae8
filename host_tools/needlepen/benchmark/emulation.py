"""The pace of needlepen's emulation: device seconds per wall second."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from needlepen.benchmark.workloads import WORKLOADS
from needlepen.emulator.bench import Bench
from needlepen.emulator.chip import Chip
from needlepen.emulator.pen import EmulatedPen
from needlepen.errors import InfrastructureError
from needlepen.scenario import load
from needlepen.scenario.progress import Silent

SETTLE_NS = 300e6
DEMO = "treatment"
SLICE_NS = 20e6
ENOUGH_NS = 1000e9  # a chip that sleeps with nothing planned takes no wall time at all
STOCK_TIMEOUT_S = 120


def pace(run_for: Callable[[float], None], wall_s: float) -> float:
    """Device seconds per wall second of `run_for(ns)`, over `wall_s` or 1000 device seconds, whichever ends first."""
    start = time.perf_counter()
    device_ns, slice_ns = 0.0, SLICE_NS
    while (spent := time.perf_counter() - start) < wall_s and device_ns < ENOUGH_NS:
        run_for(slice_ns)
        device_ns += slice_ns
        if spent < wall_s / 10:
            slice_ns *= 2
    return device_ns / 1e9 / (time.perf_counter() - start)


def guest(runtime: Path, workload: str, wall_s: float, engine: str) -> float:
    """Pace of a guest program on plain MicroPython."""
    chip = Chip(runtime, engine=engine)
    chip.console.wait_connected()
    chip.console.write(b"\r\x03\x03\r\x01")
    chip.console.wait_for(b"raw REPL; CTRL-B to exit\r\n>", 2e9)
    chip.console.write(WORKLOADS[workload].encode() + b"\x04")
    chip.console.wait_for(b"OK", 2e9)
    chip.run_for(SETTLE_NS)
    return pace(chip.run_for, wall_s)


def stock(runtime: Path, workload: str, wall_s: float) -> float:
    """Pace of stock rp2040py on the same program. Raises InfrastructureError if it does not run it."""
    command = [sys.executable, "-m", "needlepen.benchmark.stock", str(runtime), workload, str(wall_s)]
    environment = os.environ | {"NEEDLEPEN_ENGINE": "python"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=STOCK_TIMEOUT_S, check=True, env=environment
        )
        return float(json.loads(done.stdout.splitlines()[-1])["pace"])
    except (subprocess.SubprocessError, LookupError, ValueError) as error:
        text = getattr(error, "stderr", "") or str(error)
        last = text.strip().splitlines()[-1] if text.strip() else "no output"
        raise InfrastructureError(
            f"Stock rp2040py did not run {workload!r}, so there is no ratio: {last}"
        ) from None


def demo(prepared: Bench, engine: str) -> float:
    """Pace of the default scenario, with everything that a report needs recorded."""
    from needlepen.scenario.runner import Runner  # after the engine is chosen

    start = time.perf_counter()
    record = Runner(load(DEMO), prepared, engine=engine, progress=Silent()).run()
    return record.device_s / (time.perf_counter() - start)


def stroking(pen: EmulatedPen, wall_s: float) -> float:
    """Pace of the whole pen stroking at its set rate with telemetry flowing."""
    pen.press()
    pen.wait_state("running")
    pen.run_for(SETTLE_NS)
    return pace(pen.run_for, wall_s)
