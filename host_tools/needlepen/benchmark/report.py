"""The benchmark: what is measured, and the table of it."""

from __future__ import annotations

import os
import pickle
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from needlepen import requirements
from needlepen.benchmark import calibrating, deploying, emulation, firmware_cost, link, program
from needlepen.build import AppImage
from needlepen.emulator import bench
from needlepen.emulator.pen import EmulatedPen
from needlepen.link.client import messages

T = TypeVar("T")
STROKE_NS = 2e9
ROUND_TRIPS = 300
TELEMETRY_S = 200.0  # of device time, for each wall second that the caller allows: 10 min with its usual 3
WORST_ROUND_TRIP_MS = 50.0
HELP_S = 0.5
DEPLOY_TIMES = 3.0


@dataclass(frozen=True)
class Result:
    """One line of the table. `target` is the figure to reach, or None; `better` says which side of it is good."""

    name: str
    value: float
    unit: str
    target: float | None = None
    better: str = ""

    @property
    def verdict(self) -> str:
        """pass, fail, or nothing where there is no target."""
        if self.target is None:
            return ""
        return (
            "pass"
            if (self.value >= self.target) == (self.better == ">=") or self.value == self.target
            else "fail"
        )


def run(
    board_name: str, wall_s: float, engine: str, with_stock: bool, step: Callable[[str], None]
) -> list[Result]:
    """Measure everything; `step(text)` is told what comes next. Takes about a minute for each second of `wall_s`."""
    prepared = bench.prepare(board_name)
    uf2 = prepared.runtime.path
    results: list[Result] = []

    for workload, target in (("asleep", 50.0), ("stroking load", None)):
        step(f"emulation: {workload}")
        ours = emulation.guest(uf2, workload, wall_s, engine)
        results.append(Result(f"MicroPython {workload}", ours, "device s / wall s", target, ">="))
        if with_stock:
            step(f"stock rp2040py: {workload}")
            theirs = emulation.stock(uf2, workload, wall_s)
            results.append(Result(f"  stock rp2040py {workload}", theirs, "device s / wall s"))
            results.append(Result(f"  needlepen / stock, {workload}", ours / theirs, "times"))

    step("the pen, ready and idle")
    pen = prepared.make(engine=engine)
    pen.power_up()
    pen.command(messages.SUBSCRIBE, 0, 0)  # nobody looks: no telemetry
    results.append(
        Result("pen ready and idle", emulation.pace(pen.run_for, wall_s), "device s / wall s", 50.0, ">=")
    )
    pen.connect()
    telemetry_s = TELEMETRY_S * wall_s
    step(f"the link: round trips, and {telemetry_s:.0f} s of telemetry at 100 Hz (some minutes)")
    idle_ms = _forked(lambda: link.round_trips_ms(pen, ROUND_TRIPS))
    results += _round_trips(idle_ms, _forked(lambda: link.round_trips_stroking_ms(pen, ROUND_TRIPS)))
    results += _telemetry(_forked(lambda: link.telemetry(pen, telemetry_s)), telemetry_s)
    step("the pen, stroking at 100 Hz")
    results.append(
        Result("pen stroking at 100 Hz", emulation.stroking(pen, wall_s), "device s / wall s", 1.0, ">=")
    )
    step("a one-line change: deploy, and mpremote cp -r of the tree (a minute)")
    results += _deploys(prepared, engine)
    step("a whole calibration by the command (two minutes)")
    took_s = calibrating.whole_s()
    results.append(Result("a whole calibration", took_s, "wall s", calibrating.WHOLE_S, "<="))
    step("needlepen --help")
    results.append(Result("needlepen --help", program.help_s(), "s", HELP_S, "<="))
    step("the demo")
    results.append(
        Result("demo scenario with its recording", emulation.demo(prepared, engine), "device s / wall s")
    )
    step("control tick and memory")
    results += _tick_and_memory(pen, prepared.application)
    step("cut-offs")
    results += _reactions(pen)
    return results


def _telemetry(stream: link.Stream, seconds: float) -> Iterator[Result]:
    text = f"telemetry at 100 Hz for {seconds:.0f} s"
    yield Result(f"{text}, frames", stream.frames, f"of {stream.expected}", 0.999 * stream.expected, ">=")
    yield Result(f"{text}, lost on the way", stream.lost, "frames", 0.0, "<=")
    yield Result(f"{text}, longest gap", stream.longest_gap_ms, "ms")


def _round_trips(idle_ms: list[float], stroking_ms: list[float]) -> Iterator[Result]:
    idle, stroking = statistics.median(idle_ms), statistics.median(stroking_ms)
    yield Result("command round trip at rest, median", idle, "ms")
    yield Result("command round trip stroking, median", stroking, "ms", 2 * idle, "<=")
    yield Result("command round trip stroking, worst", max(stroking_ms), "ms", WORST_ROUND_TRIP_MS, "<=")


def _deploys(prepared: bench.Bench, engine: str) -> Iterator[Result]:
    new = deploying.one_line_change(prepared)
    ours = _forked(lambda: deploying.by_deploy(prepared, new, engine))
    theirs = _forked(lambda: deploying.by_mpremote(prepared, prepared.application.program, new, engine))
    for name, cost in (("deploy of a one-line change", ours), ("mpremote cp -r of the tree", theirs)):
        yield Result(f"{name}, files on the pen", cost.files_s, "s")
        yield Result(f"{name}, pen runs it", cost.runs_s, "s")
        yield Result(f"{name}, sent", cost.bytes, "bytes")
    yield Result(
        "mpremote / deploy, files on the pen", theirs.files_s / ours.files_s, "times", DEPLOY_TIMES, ">="
    )
    # Both restart the pen then, which takes the same time.
    yield Result("mpremote / deploy, pen runs it", theirs.runs_s / ours.runs_s, "times")


def _tick_and_memory(pen: EmulatedPen, image: AppImage) -> Iterator[Result]:
    limit = requirements.load().limit
    times = firmware_cost.watch_tick(pen)
    pen.run_for(STROKE_NS)
    costs = times.costs_us
    yield Result("control tick, median cost", costs[len(costs) // 2], "us")
    yield Result("control tick, highest cost", costs[-1], "us", limit("PR-07", "cost_us"), "<=")
    yield Result("control tick, jitter", times.jitter_us, "us", limit("PR-07", "jitter_us"), "<=")
    for name, value in firmware_cost.memory(pen, image).items():
        yield Result(name, value, "bytes")


def _reactions(pen: EmulatedPen) -> Iterator[Result]:
    limit = requirements.load().limit
    cases = (
        ("trigger released to brake", "trigger", "BRAKE", 1, 1e3 * limit("SR-12", "brake_ms")),
        ("CPU halted to permission withdrawn", "halt", "RUN_N", 1, 1e3 * limit("SR-10", "pio_brake_ms")),
        ("overcurrent to permission withdrawn", "winding", "RUN_N", 1, limit("SR-09", "trip_us")),
    )
    for name, cause, signal, level, target in cases:
        value = _forked(lambda c=cause, s=signal, lv=level: firmware_cost.reaction_us(pen, c, s, lv))  # type: ignore[misc]
        yield Result(name, value, "us", target, "<=")


def _forked(measure: Callable[[], T]) -> T:
    """The result of a measurement in a copy of this process, so that each one starts from the same stroking pen."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(write_end, "wb") as pipe:
            pickle.dump(measure(), pipe)
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        result: T = pickle.load(pipe)
    os.waitpid(child, 0)
    return result
