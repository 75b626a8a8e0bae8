"""Whatever an operator does and whatever breaks, no run ends unsafely: 4 runs every day, 500 every night."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from needlepen.cli.run import run as run_command
from needlepen.emulator.bench import Bench
from needlepen.safety import campaign, generator

FIRST_SEED = 1
DAILY_RUNS, NIGHTLY_RUNS = 4, 500
FOLDER = Path("reports/campaign")


def _run(bench: Bench, seeds: range) -> campaign.Campaign:
    print(
        f"seeds {seeds.start} to {seeds.stop - 1}; one of them again: needlepen campaign --runs 1 --seed SEED"
    )
    return campaign.run(bench, seeds)


def _judge(done: campaign.Campaign) -> None:
    """Unsafe ones are left behind as scenarios, and named with the command that replays them."""
    paths = campaign.save(done, FOLDER)
    driven_s = sum(run.driven_s for run in done.runs)
    print(f"{len(done.runs)} runs, motor driven for {driven_s:.0f} s; {dict(done.endings)}")
    bad = [f"seed {run.seed} {run.faults}: {run.unsafe[0]}" for run in done.unsafe]
    assert not bad, "\n".join([*bad, *(f"needlepen run {path}" for path in paths)])
    assert not done.broken_off, [f"seed {run.seed}: {run.stopped}" for run in done.broken_off]
    assert driven_s > 0.2 * len(done.runs), "hardly anything was ever driven: such runs prove little"


@pytest.fixture(scope="module")
def daily(bench: Bench) -> campaign.Campaign:
    """The runs of every day."""
    return _run(bench, range(FIRST_SEED, FIRST_SEED + DAILY_RUNS))


@pytest.mark.timeout(600)
def test_random_runs_end_safely(daily: campaign.Campaign) -> None:
    _judge(daily)


@pytest.mark.nightly
@pytest.mark.timeout(7200)
def test_500_random_runs_end_safely(bench: Bench) -> None:
    """Other seeds every day, so that every night proves something new."""
    first = int(datetime.date.today().strftime("%y%m%d")) * 1000
    _judge(_run(bench, range(first, first + NIGHTLY_RUNS)))


def test_a_run_is_the_same_every_time_and_in_the_command(
    bench: Bench, daily: campaign.Campaign, tmp_path: Path
) -> None:
    one, (again,) = daily.runs[0], campaign.run(bench, [FIRST_SEED]).runs
    assert one == again
    path = tmp_path / "run.toml"
    path.write_text(generator.scenario(FIRST_SEED))
    options = [str(path), "--no-report", "--quiet", "--json"]
    done = CliRunner().invoke(run_command, options, standalone_mode=False)
    found = json.loads(done.stdout)
    assert found["device_s"] == one.device_s and done.return_value == 0
    assert [m["value"] for m in found["measurements"] if m["name"] == "unsafe outcomes"] == [0.0]


WELDED = """
title = "A gate that does not hear the trigger"
seed = 1
judged_by = "safety"

[[step]]
when = "ready"
timeout_s = 10.0
do = "press_trigger"

[[step]]
after_s = 0.3
do = "inject"
target = "brake"
kind = "open"

[[step]]
after_s = 0.1
do = "inject"
target = "supply_switch"
kind = "short"

[[step]]
after_s = 0.1
do = "release_trigger"

[[step]]
after_s = 0.3
do = "wait"
"""


def test_an_unsafe_run_is_found_and_fails_the_command(tmp_path: Path) -> None:
    """Two faults that no pen can survive: a gate that cannot brake, and a supply that cannot open."""
    path = tmp_path / "welded.toml"
    path.write_text(WELDED)
    options = [str(path), "--no-report", "--quiet", "--json"]
    done = CliRunner().invoke(run_command, options, standalone_mode=False)
    assert done.return_value == 1, done.output
    found = {m["name"]: m for m in json.loads(done.stdout)["measurements"]}["unsafe outcomes"]
    assert found["value"] >= 1 and "driven without permission" in found["note"], found
