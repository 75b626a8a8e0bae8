"""The scenario runner: actions at their device times, cut-offs from cause to reaction, ends that are no pass."""

from __future__ import annotations

import json
import math
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.nights import mostly_nightly

from needlepen import report, requirements, scenario
from needlepen.cli.run import run as run_command
from needlepen.emulator.bench import Bench, prepare
from needlepen.errors import UsageError
from needlepen.evidence import Measurement, RunRecord
from needlepen.scenario import actions, apply, observe, quantities
from needlepen.scenario.loader import ACTIONS
from needlepen.scenario.runner import INTERRUPTED, Runner
from needlepen.scenario.situation import Situation

LIMITS = requirements.load()
RUNNING = """
title = "test"
seed = 3
duration_limit_s = {limit_s}
rate_hz = {rate_hz}

[[step]]
when = "ready"
timeout_s = 2.5
do = "press_trigger"

[[step]]
after_s = 0.3
do = "mark"
text = "at rate"
"""


@pytest.fixture(scope="module")
def bench(runtime: Path) -> Bench:
    return prepare(runtime=runtime)


@pytest.fixture
def make(bench: Bench, tmp_path: Path) -> Callable[..., Runner]:
    """make(steps, rate_hz) is a runner of a pen that runs at a rate, followed by these steps."""

    def build(steps: str, rate_hz: int = 100, limit_s: float = 8, **options: object) -> Runner:
        path = tmp_path / "test.toml"
        path.write_text(RUNNING.format(rate_hz=rate_hz, limit_s=limit_s) + steps)
        return Runner(scenario.load(path), bench, **options)  # type: ignore[arg-type]

    return build


def step(do: str, **fields: object) -> str:
    lines = [f"{key} = {json.dumps(value)}" for key, value in fields.items()]
    return "\n".join(["", "[[step]]", *lines, f'do = "{do}"', ""])


def named(record: RunRecord, text: str) -> Measurement:
    found = [m for m in record.measurements if text in m.name]
    assert len(found) == 1, f"{text!r}: {[m.name for m in record.measurements]}"
    return found[0]


def shown(record: RunRecord) -> str:
    return "\n".join(f"{m.verdict:5} {m.name}: {m.value} {m.unit} {m.note}" for m in record.measurements)


# ------------------------------------------------------------------ what a scenario can name is there


def test_every_quantity_has_an_observer() -> None:
    assert set(observe.OBSERVERS) == set(quantities.QUANTITIES)


@pytest.mark.parametrize("driven", [True, False])
def test_every_quantity_and_condition_is_measured(make: Callable[..., Runner], driven: bool) -> None:
    restart = step("release_trigger") + step("wait", after_s=0.3)
    restart += step("press_trigger") + step("wait", after_s=0.3) if driven else ""
    runner = make(restart)
    runner.run()
    s = runner.situation
    missing = {name for name in quantities.QUANTITIES if observe.observe(name, s) is None}
    # A reported rate has no relative error at standstill.
    assert missing == (set() if driven else {"report_error_pct"})
    for name in quantities.CONDITIONS:
        holds, _ = observe.condition(name, s)
        assert isinstance(holds(), bool), name


def test_every_action_can_be_done() -> None:
    assert set(apply.APPLY) == set(ACTIONS.values())


# ------------------------------------------------------------------ time


def test_the_same_scenario_gives_the_same_record(make: Callable[..., Runner]) -> None:
    steps = step("touch_skin", needles=24, protrusion_mm=1.5) + step("release_trigger", after_s=0.1)
    records = [make(steps).run() for _ in range(2)]
    first, second = ([(m.name, m.value) for m in record.measurements] for record in records)
    assert first == second
    assert records[0].digital == records[1].digital


@pytest.mark.nightly
def test_another_seed_is_another_pen(make: Callable[..., Runner]) -> None:
    first, second = (make("", seed=seed).run() for seed in (1, 2))
    assert list(first.series["rate_hz"].values) != list(second.series["rate_hz"].values)


@pytest.mark.parametrize("due_s", mostly_nightly([3.5, 3.500_001, 3.523_456_789], 3.523_456_789))
def test_an_action_is_done_at_its_device_time(make: Callable[..., Runner], due_s: float) -> None:
    runner = make(step("release_trigger", at_s=due_s))
    runner.run()
    released_ns = runner.situation.signals.first("TRIGGER_N", 1, 1e9)
    assert released_ns is not None
    late_ns = released_ns - due_s * 1e9
    assert abs(late_ns) < 1e3, f"{late_ns:.0f} ns late, limit 1000 ns"


# ------------------------------------------------------------------ cut-offs


def test_a_release_counts_from_the_release(make: Callable[..., Runner]) -> None:
    record = make(step("release_trigger") + step("wait", after_s=0.2)).run()
    assert [c.requirement for c in record.cutoffs] == ["SR-12"]
    assert named(record, "Trigger release: braked").value == 0.0
    assert named(record, "Trigger release: needles retracted").verdict == "pass"


def test_a_jam_counts_from_the_index_edge_that_was_due(make: Callable[..., Runner]) -> None:
    runner = make(step("jam") + step("wait", when="fault", timeout_s=0.2), rate_hz=60)
    record = runner.run()
    cut = runner.situation.cutoffs.all[0]
    quarter_ns = 1e9 / 60 / 4
    assert 0 < cut.cause_ns - cut.stimulus_ns < 1.2 * quarter_ns
    assert runner.situation.signals.first("INDEX", 1, cut.stimulus_ns, cut.stimulus_ns + 2e9) is None
    assert record.cutoffs[0].value <= LIMITS.limit("SR-08", "brake_ms"), shown(record)


def test_a_short_counts_from_the_current_passing_the_threshold(make: Callable[..., Runner]) -> None:
    runner = make(step("short_winding") + step("wait", when="fault", timeout_s=0.2))
    record = runner.run()
    cut = runner.situation.cutoffs.all[0]
    assert cut.cause_ns == runner.situation.signals.first("OVERCURRENT", 1, cut.stimulus_ns)
    assert 0 <= cut.cause_ns - cut.stimulus_ns < 20e3
    assert 0 < record.cutoffs[0].value <= LIMITS.limit("SR-09", "trip_us")


def test_a_stuck_bridge_counts_from_the_overspeed_and_opens_the_supply_first(
    make: Callable[..., Runner],
) -> None:
    runner = make(step("stick_bridge") + step("wait", when="standstill", timeout_s=0.5), rate_hz=150)
    record = runner.run()
    cut = runner.situation.cutoffs.all[0]
    assert cut.cause_ns > cut.stimulus_ns + 1e6
    assert cut.supply_off_ns is not None and cut.braked_ns is not None
    assert cut.supply_off_ns < cut.braked_ns
    assert named(record, "supply open before the brake").verdict == "pass"


@pytest.mark.parametrize("hang", mostly_nightly(["halt_cpu", "spin_cpu"], "halt_cpu"))
def test_a_hung_cpu_counts_from_its_last_moment_to_brake_and_reset(
    make: Callable[..., Runner], hang: str
) -> None:
    runner = make(step(hang) + step("wait", when="fault", timeout_s=4.0))
    record = runner.run()
    cut = runner.situation.cutoffs.all[0]
    assert cut.cause_ns == cut.stimulus_ns
    assert cut.limit == LIMITS.limit("SR-10", "pio_brake_ms")
    assert 0 < record.cutoffs[0].value <= cut.limit, shown(record)
    assert 0 < named(record, "chip reset").value <= LIMITS.limit("SR-10", "reset_ms")  # type: ignore[operator]
    assert runner.situation.telemetry is not None and runner.situation.telemetry.fault == "watchdog reset"


def test_with_the_permission_line_defective_the_external_watchdog_is_judged(
    make: Callable[..., Runner],
) -> None:
    runner = make(step("stick_run_n") + step("halt_cpu") + step("wait", when="reset", timeout_s=0.5))
    runner.run()
    cut = runner.situation.cutoffs.all[0]
    assert cut.limit == LIMITS.limit("SR-10", "external_brake_ms")
    assert cut.braked_ns is not None and (cut.braked_ns - cut.cause_ns) / 1e6 <= cut.limit


def test_a_protection_that_acts_without_a_cause_fails_the_run(make: Callable[..., Runner]) -> None:
    """Pulses as wide as real ones make the pen believe in an overspeed; nothing was wrong with the motor."""
    glitches = step("glitch_index", period_us=1000, width_us=500, duration_ms=100, mode="or")
    record = make(glitches + step("wait", after_s=0.2)).run()
    assert named(record, "cut-offs without a cause").value == 1.0, shown(record)
    assert record.verdict == "fail"


def test_a_sound_run_has_no_cut_off_without_a_cause(make: Callable[..., Runner]) -> None:
    assert named(make(step("wait", after_s=0.3)).run(), "cut-offs without a cause").verdict == "pass"


# ------------------------------------------------------------------ ends that are no pass


def test_a_condition_that_does_not_come_fails_and_leaves_the_rest_unmeasured(
    make: Callable[..., Runner],
) -> None:
    later = step("assert", quantity="braked", value=True, name="never reached")
    record = make(step("wait", when="fault", timeout_s=0.1) + later).run()
    assert named(record, "fault in time").value == math.inf
    assert named(record, "never reached").verdict == "unset"
    assert (record.complete, record.verdict, record.exit_code) == (False, "fail", 1)
    assert "step 3" in record.stopped_because


def test_a_pen_that_does_not_answer_fails_the_run(
    make: Callable[..., Runner], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has power and says nothing: that is no trouble around the pen."""
    runner = make(step("set_rate", rate_hz=150))
    mark = apply.describe

    def deaf_from_here(action: actions.ActionBase) -> str:
        if isinstance(action, actions.SetRate) and action.rate_hz == 150:
            runner.situation.pen.link.feed = lambda data: None  # type: ignore[method-assign]
        return mark(action)

    monkeypatch.setattr(apply, "describe", deaf_from_here)
    record = runner.run()
    assert named(record, "answer in time").value == math.inf
    assert (record.complete, record.verdict, record.exit_code) == (False, "fail", 1)


def test_the_time_limit_ends_a_run(make: Callable[..., Runner]) -> None:
    record = make(
        step("wait", after_s=0.1) + step("assert", quantity="rate_hz", relation=">=", value=0.0, over_s=9.0),
        limit_s=3.5,
    ).run()
    assert record.device_s == pytest.approx(3.5, abs=1e-6)
    assert not record.complete and "limit of 3.5 s" in record.stopped_because
    assert record.exit_code == 2


class Interrupting:
    """Presses Ctrl-C at a step."""

    def __init__(self, number: int) -> None:
        self._number = number

    def step(self, number: int, count: int, text: str, now_s: float) -> None:
        if number == self._number:
            os.kill(os.getpid(), signal.SIGINT)

    def passing(self, s: Situation) -> None:
        """Nothing."""

    def measured(self, measurement: Measurement) -> None:
        """Nothing."""


def test_ctrl_c_leaves_a_partial_report_marked_as_such(make: Callable[..., Runner], tmp_path: Path) -> None:
    steps = step("wait", after_s=0.2) + step("assert", quantity="rate_hz", relation=">=", value=50.0)
    before = signal.getsignal(signal.SIGINT)
    runner = make(steps, progress=Interrupting(3))
    record = runner.run()
    assert signal.getsignal(signal.SIGINT) is before
    assert (record.complete, record.stopped_because, record.exit_code) == (False, INTERRUPTED, 2)
    page = report.write(record, tmp_path / "out", runner.trace_vcd())
    assert INTERRUPTED in page.read_text(encoding="utf-8")
    assert json.loads((tmp_path / "out/measurements.json").read_text())["complete"] is False


# ------------------------------------------------------------------ the demo and the command


def test_the_demo_shows_five_cut_offs_and_measures_all_it_planned(bench: Bench) -> None:
    record = Runner(scenario.load("treatment"), bench).run()
    assert record.complete, record.stopped_because
    kinds = ["Trigger release", "Jam", "CPU halted", "Stuck bridge", "Shorted winding"]
    assert [c.name for c in record.cutoffs] == kinds
    assert not [m.name for m in record.measurements if m.verdict == "unset"]
    assert record.verdict == "pass", shown(record)


def test_the_command_prints_json_writes_the_report_and_exits_by_verdict(tmp_path: Path) -> None:
    path = tmp_path / "short.toml"
    path.write_text(
        RUNNING.format(rate_hz=100, limit_s=8)
        + step("assert", quantity="rate_hz", relation=">=", value=200.0)
    )
    out = tmp_path / "out"
    done = CliRunner().invoke(
        run_command, [str(path), "--out", str(out), "--quiet", "--json"], standalone_mode=False
    )
    assert done.return_value == 1, done.output
    assert json.loads(done.stdout)["verdict"] == "fail"
    assert sorted(file.name for file in out.iterdir()) == [
        *("index.html", "measurements.json", "scenario.toml", "trace.vcd"),
    ]
    assert (out / "trace.vcd").read_text().startswith("$comment needlepen")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [(["nosuch"], "neither a file nor a shipped scenario"), (["--cell", "2.9"], "3 to 4.2 V"),
     (["--cell", "4.3"], "3 to 4.2 V")],
)  # fmt: skip
def test_bad_input_is_refused_before_anything_is_written(
    arguments: list[str], text: str, tmp_path: Path
) -> None:
    done = CliRunner().invoke(
        run_command, [*arguments, "--out", str(tmp_path / "out")], standalone_mode=False
    )
    assert isinstance(done.exception, UsageError) and text in str(done.exception)
    assert not list(tmp_path.iterdir())
