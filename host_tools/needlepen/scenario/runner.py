"""Drives an emulated pen through a scenario in device time and leaves a record of all that happened.

The same scenario, seed and engine give the same record, whatever the wall clock does.
"""

from __future__ import annotations

import contextlib
import datetime
import math
import signal
import time
from collections.abc import Iterator, Sequence
from types import FrameType

import numpy as np

from needlepen import requirements
from needlepen.emulator.bench import Bench, emulator_version
from needlepen.emulator.injection import Fault
from needlepen.emulator.pen import REPLY_TIMEOUT_NS
from needlepen.errors import NotInTime, Refused
from needlepen.evidence import Event, Measurement, RunRecord, Series
from needlepen.scenario import actions, apply, apply_faults, observe, standard
from needlepen.scenario.checking import Assert
from needlepen.scenario.model import Scenario, Step
from needlepen.scenario.progress import Progress, Silent
from needlepen.scenario.signals import LANES
from needlepen.scenario.situation import Situation
from needlepen.scenario.trace import as_vcd, attach

SLICE_NS = 5e6
JUDGE_EVERY_NS = 1e6
SILENT_S = standard.SILENT_NS / 1e9
STATISTICS_LEAD_NS = 60e6
_HARD_ACTIONS = (actions.HaltCpu, actions.SpinCpu, actions.CutPower, actions.PowerCycle, actions.ResetChip)
_SERIES = ("rate_hz", "current_a", "needle_mm", "duty", "cell_v")
INTERRUPTED = "interrupted with Ctrl-C"


class _Stopped(Exception):
    """The run ends before the scenario does; the reason is its text."""


class Runner:
    """One run of one scenario.

    Args:
        scenario: what to do.
        bench: board, runtime and application of the pen.
        seed, cell_v: in place of the scenario's own.
        engine: "auto", "compiled" or "python".
        progress: told what goes on.
        faults: injected at their times, besides what the scenario does.
    """

    def __init__(
        self,
        scenario: Scenario,
        bench: Bench,
        *,
        seed: int | None = None,
        cell_v: float | None = None,
        engine: str = "auto",
        progress: Progress | None = None,
        faults: Sequence[Fault] = (),
    ) -> None:
        header = scenario.header
        self.scenario, self.bench = scenario, bench
        self.seed = header.seed if seed is None else seed
        self.cell_v = header.cell_v if cell_v is None else cell_v
        self._progress = progress or Silent()
        default_hz = float(requirements.load().limit("PR-01", "rate_default_hz"))
        pen = bench.make(cell_v=self.cell_v, seed=self.seed, engine=engine)
        self.situation = Situation(pen, default_hz)
        apply_faults.watch(self.situation)
        for fault in faults:
            pen.faults.plan(fault)
        self._probe = attach(pen)
        self._interrupted = False
        self._limit_ns = header.duration_limit_s * 1e9
        self._done = 0
        self.record = self._new_record()

    def run(self) -> RunRecord:
        """Run to the scenario's end, to the first condition that does not come, to its time limit or to Ctrl-C."""
        record, began_s = self.record, time.monotonic()
        try:
            with self._interruptible():
                self._run_steps()
            record.complete = True
        except _Stopped as stop:
            record.stopped_because = str(stop)
        except Refused as error:
            record.stopped_because = str(error).rstrip(".")
        except NotInTime as error:
            record.stopped_because = str(error).rstrip(".")
            if self.situation.pen.power.on:  # else the scenario asks a pen that cannot answer
                self._keep(self._silence(self.scenario.steps[self._done]))
        for step in self.scenario.steps[self._done :]:
            if isinstance(step.action, Assert):
                record.measurements.append(step.action.unmeasured())
        self._finish()
        record.wall_s = time.monotonic() - began_s
        return record

    def trace_vcd(self) -> bytes:
        """The trace of the run so far, as a VCD file."""
        return as_vcd(self._probe, self.situation.recording)

    # steps

    def _run_steps(self) -> None:
        s, header = self.situation, self.scenario.header
        if header.rate_hz is not None:
            apply.apply(actions.SetRate(do="set_rate", rate_hz=header.rate_hz), s)
            s.event("action", f"set rate {header.rate_hz:g} Hz")
        for self._done, step in enumerate(self.scenario.steps):  # noqa: B020  read when the run ends early
            self._announce(step)
            began_ns = s.pen.now_ns
            self._wait_until_due(step)
            self._do(step)
            s.step_ns = began_ns
        self._done = len(self.scenario.steps)
        standard.read_statistics(s)

    def _announce(self, step: Step) -> None:
        text = apply.describe(step.action)
        if step.timing.when:
            text = f"when {step.timing.when.replace('_', ' ')}: {text}"
        self._progress.step(step.number, len(self.scenario.steps), text, self.situation.pen.now_ns / 1e9)

    def _wait_until_due(self, step: Step) -> None:
        timing, now_ns = step.timing, self.situation.pen.now_ns
        if timing.when is not None:
            self._wait_for(timing.when, (timing.timeout_s or 0.0) * 1e9, step)
            return
        due_ns = timing.at_s * 1e9 if timing.at_s is not None else now_ns + (timing.after_s or 0.0) * 1e9
        if isinstance(step.action, _HARD_ACTIONS) and due_ns - now_ns > STATISTICS_LEAD_NS:
            # The firmware's counters end with the chip's reset, so they are read just before.
            self._advance_to(due_ns - STATISTICS_LEAD_NS)
            standard.read_statistics(self.situation)
        self._advance_to(due_ns)

    def _wait_for(self, name: str, timeout_ns: float, step: Step) -> None:
        s = self.situation
        began_ns = s.pen.now_ns
        holds, slice_ns = observe.condition(name, s)
        while not holds():
            if s.pen.now_ns - began_ns >= timeout_ns:
                self._keep(
                    Measurement(
                        f"{name.replace('_', ' ')} in time", math.inf, "ms", timeout_ns / 1e6, "<=",
                        step.timeout_requirement, f"step {step.number} waited for it", time_s=s.pen.now_ns / 1e9,
                    )
                )  # fmt: skip
                raise _Stopped(f"step {step.number} waited {timeout_ns / 1e9:g} s for {name!r} in vain")
            self._advance_to(min(s.pen.now_ns + slice_ns, began_ns + timeout_ns))

    def _do(self, step: Step) -> None:
        action, s = step.action, self.situation
        if isinstance(action, Assert):
            self._judge(action)
            return
        if isinstance(action, actions.Mark):
            s.event("mark", action.text)
            return
        if action.is_stimulus:
            s.stimulus()
            s.event("action", apply.describe(action))
        made = apply.apply(action, s)
        if made is not None:
            self._keep(made)

    # asserts

    def _judge(self, check: Assert) -> None:
        s = self.situation
        began_ns = s.pen.now_ns
        if s.cutoffs.last is not None:
            s.cutoffs.last.judged.add(check.quantity)
        if check.within_s is not None:
            self._judge_within(check, began_ns, check.within_s * 1e9)
            return
        observed = [observe.observe(check.quantity, s)]
        end_ns = began_ns + (check.over_s or 0.0) * 1e9
        while s.pen.now_ns < end_ns:
            self._advance_to(min(s.pen.now_ns + JUDGE_EVERY_NS, end_ns))
            observed.append(observe.observe(check.quantity, s))
        self._keep(check.measurement(check.worst(observed), s.pen.now_ns / 1e9))

    def _judge_within(self, check: Assert, began_ns: float, timeout_ns: float) -> None:
        s = self.situation
        found = observe.observe(check.quantity, s)
        while not check.holds(found) and s.pen.now_ns - began_ns < timeout_ns:
            self._advance_to(min(s.pen.now_ns + JUDGE_EVERY_NS, began_ns + timeout_ns))
            found = observe.observe(check.quantity, s)
        elapsed_s = (s.pen.now_ns - began_ns) / 1e9 if check.holds(found) else None
        self._keep(check.measurement(found, s.pen.now_ns / 1e9, elapsed_s))

    def _silence(self, step: Step) -> Measurement:
        """A pen that has power and does not answer has failed."""
        return Measurement(
            "answer in time", math.inf, "ms", REPLY_TIMEOUT_NS / 1e6, "<=", "",
            note=f"step {step.number} asked for it", time_s=self.situation.pen.now_ns / 1e9,
        )  # fmt: skip

    def _keep(self, measurement: Measurement) -> None:
        self.record.measurements.append(measurement)
        self.situation.event("check", f"{measurement.name}: {measurement.verdict}")
        self._progress.measured(measurement)

    # time

    def _advance_to(self, t_ns: float) -> None:
        """Let device time pass. Raises _Stopped on Ctrl-C and at the scenario's time limit."""
        s = self.situation
        while True:
            if self._interrupted:
                raise _Stopped(INTERRUPTED)
            if s.pen.now_ns >= self._limit_ns:
                raise _Stopped(
                    f"the scenario's limit of {self._limit_ns / 1e9:g} s of device time is reached"
                )
            left_ns = min(t_ns, self._limit_ns) - s.pen.now_ns
            if left_ns < 1.0:
                return
            s.host.poll()
            s.pen.run_for(min(left_ns, SLICE_NS))
            self._progress.passing(s)

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Ctrl-C ends the run between two slices, so that the record stays whole; a second one kills it."""

        def note(_number: int, _frame: FrameType | None) -> None:
            self._interrupted = True
            self.situation.pen.chip.request_stop()
            signal.signal(signal.SIGINT, before)

        try:
            before = signal.signal(signal.SIGINT, note)
        except ValueError:  # not in the main thread, where no Ctrl-C arrives either
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    # the record

    def _new_record(self) -> RunRecord:
        header, bench = self.scenario.header, self.bench
        return RunRecord(
            title=header.title,
            description=header.description,
            scenario_name=self.scenario.name,
            scenario_text=self.scenario.text,
            seed=self.seed,
            board=bench.board.name,
            firmware_build=bench.application.content_sha256[:12],
            runtime_version=f"{bench.runtime.version} for {bench.runtime.board}",
            runtime_sha256=bench.runtime.sha256,
            emulator_version=emulator_version(),
            engine=self.situation.pen.chip.engine_name,
            started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        )

    def _finish(self) -> None:
        record, s = self.record, self.situation
        s.recording.sample()
        standard.measure_safety(record, s)
        if self.scenario.header.judged_by == "everything":
            standard.measure(record, s)
        s.end_all_spans()
        record.device_s = s.pen.now_ns / 1e9
        record.events = sorted([*s.events, *_cutoff_events(record)], key=lambda event: event.t_s)
        record.spans = s.spans
        record.series = self._series()
        lanes = s.signals.lanes()
        record.digital = {name: lanes[name] for name in LANES if name in lanes}
        turned = s.recording.at("theta_rad", math.inf) - s.recording.at("theta_rad", 0.0)
        record.facts = {
            "cell": f"{self.cell_v:g} V open-circuit",
            "strokes": f"{turned / (2 * math.pi):.0f}",
            "telemetry frames": f"{len(s.reported)}, lost {s.pen.link.lost_frames}",
            "instructions": f"{s.pen.chip.stats.instructions / 1e6:.1f} million",
        }

    def _series(self) -> dict[str, Series]:
        s = self.situation
        made = {name: s.recording.series(name) for name in _SERIES}
        if s.reported:
            t_s = np.array([each.t_ns / 1e9 for each in s.reported])
            runs = np.array([each.telemetry.state == "running" for each in s.reported])
            silent = np.flatnonzero(np.diff(t_s) > SILENT_S)
            for name, values in (
                ("set_rate_hz", [each.telemetry.set_hz for each in s.reported]),
                ("reported_rate_hz", [each.telemetry.rate_hz for each in s.reported]),
            ):
                known = np.array(values) * runs
                # A pen that says nothing is not known to run.
                made[name] = Series(
                    np.insert(t_s, silent + 1, t_s[silent] + SILENT_S),
                    np.insert(known, silent + 1, 0.0),
                    "Hz",
                )
        return made


def _cutoff_events(record: RunRecord) -> Iterator[Event]:
    for cutoff in record.cutoffs:
        if cutoff.reaction_t_ns is not None:
            yield Event(cutoff.reaction_t_ns / 1e9, "cutoff", f"{cutoff.name}: {cutoff.reaction_text}")
