"""A whole run: record, choose, run, check the machinery, and put the result together."""

from __future__ import annotations

import dataclasses
import hashlib
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mutation import session
from mutation.baseline import HIL_TESTS, REPOSITORY, Recording, record
from mutation.choosing import Choice, Chooser
from mutation.mutants import Mutant, mutants, staged
from mutation.report import Result
from mutation.verdicts import KILLS, Outcome
from needlepen.errors import InfrastructureError

KEPT = REPOSITORY / "reports" / "mutation" / "recordings"


@dataclass(frozen=True)
class Plan:
    """`modules` to test with the tests of `files`; `sample` mutants of each (None: all); `most_s` of tests a mutant."""

    modules: Sequence[str]
    files: Sequence[Path]
    sample: int | None = None
    most_s: float = 20.0
    within_s: float | None = None
    function: str | None = None
    kept: Path = KEPT


def unit_tests() -> list[Path]:
    """The fast tests."""
    return sorted((HIL_TESTS / "unit").glob("test_*.py"))


def run(
    plan: Plan, say: Callable[[str], None], finished: Callable[[Result], None] = lambda result: None
) -> Result:
    """Run a plan; `finished` gets the result so far after each module. Raises InfrastructureError."""
    begin_s = time.monotonic()
    result = Result(sampled=plan.sample is not None)
    files = staged()
    session.prepare()
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        scratch = Path(folder) / "tests"
        recordings = record(plan.files, scratch, plan.kept, say)
        _only_green(recordings, say)
        chooser = Chooser(recordings, files, plan.most_s)
        for module in plan.modules:
            if plan.within_s is not None and time.monotonic() - begin_s > plan.within_s:
                say(f"{module} and what follows: no time left")
                break
            made = mutants(module, files)
            result.mutants += made
            _module(plan, module, made, chooser, files, scratch, result, say)
            result.seconds = time.monotonic() - begin_s
            finished(result)
    return result


def _only_green(recordings: Sequence[Recording], say: Callable[[str], None]) -> None:
    failing = [test for recording in recordings for test in recording.failing]
    for test in failing:
        say(f"not used, it fails without any change: {test}")
    if not any(recording.times_s for recording in recordings):
        raise InfrastructureError(
            "no test passes without a change, so that none can tell a mutant; run the tests first"
        )


def sample(made: Sequence[Mutant], number: int | None) -> list[Mutant]:
    """The same few of many each time, as long as their lines stay the same."""
    if number is None or number >= len(made):
        return list(made)
    chosen = sorted(made, key=lambda mutant: hashlib.sha256(mutant.id.encode()).digest())[:number]
    return [mutant for mutant in made if mutant in chosen]


def _within(plan: Plan, made: Sequence[Mutant]) -> list[Mutant]:
    return [mutant for mutant in made if plan.function in (None, mutant.function)]


def _module(
    plan: Plan,
    module: str,
    made: Sequence[Mutant],
    chooser: Chooser,
    files: dict[str, bytes],
    scratch: Path,
    result: Result,
    say: Callable[[str], None],
) -> None:
    begin_s = time.monotonic()
    tasks = [
        session.Task(mutant, chooser.choose(mutant)) for mutant in sample(_within(plan, made), plan.sample)
    ]
    mine: dict[str, Outcome] = {}

    def done(task: session.Task, outcome: Outcome) -> None:
        if task.mutant is None:
            return
        mine[task.mutant.id] = outcome
        if outcome.verdict == "killed":
            chooser.killed(task.mutant, outcome.by)

    session.run(iter(tasks), chooser.places, chooser.times_s, files, scratch, done)
    result.outcomes |= _controlled(tasks, mine, plan, chooser, files, scratch)
    counts = {
        verdict: sum(o.verdict == verdict for o in mine.values()) for verdict in ("survived", "not run")
    }
    say(
        f"{module}: {sum(o.verdict in KILLS for o in mine.values())} of {len(mine)} killed, "
        f"{counts['survived']} survived, {counts['not run']} not run ({time.monotonic() - begin_s:.0f} s)"
    )


def _controlled(
    tasks: Sequence[session.Task],
    mine: dict[str, Outcome],
    plan: Plan,
    chooser: Chooser,
    files: dict[str, bytes],
    scratch: Path,
) -> dict[str, Outcome]:
    """The outcomes, if the tests that killed still pass without a change; else the machine was to blame."""
    killers = tuple(
        sorted({o.by for o in mine.values() if o.verdict == "killed" and o.by in chooser.times_s})
    )
    if not killers:
        return mine
    bad: list[Outcome] = []

    def done(task: session.Task, outcome: Outcome) -> None:
        if outcome.verdict != "survived":
            bad.append(outcome)

    control = session.Task(None, Choice(killers, fresh=True))
    session.run(iter([control]), chooser.places, chooser.times_s, files, scratch, done)
    if not bad:
        return mine
    blame = f"without a change {bad[0].by} does not pass either"
    return {
        key: dataclasses.replace(o, verdict="infrastructure", by=blame) if o.verdict in KILLS else o
        for key, o in mine.items()
    }
