"""Runs defects: the named tests once without any, then each defect in a copy of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from needlepen.errors import InfrastructureError
from seeded import judging, trees, watcher
from seeded.defects import REPOSITORY, Defect
from seeded.judging import Outcome, Told

LIMIT_S = 1800.0
"""Wall time of one test; one alone takes seconds, but the machine may have other work."""
_PLUGIN = "seeded_watcher"
_OURS = ("PYTEST_", "COV_", "COVERAGE_", "SEEDED_")
_LAST_BYTES = 2000


@dataclass
class Result:
    """`outcomes` by ID of the defect; `seconds` of wall time for everything."""

    defects: list[Defect]
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        """0 all found, 1 at least one missed, else 2."""
        verdicts = {outcome.verdict for outcome in self.outcomes.values()}
        return 1 if "missed" in verdicts else 2 if "infrastructure" in verdicts else 0


def run(
    defects: Sequence[Defect],
    say: Callable[[str], None] = lambda text: None,
    repository: Path = REPOSITORY,
    limit_s: float = LIMIT_S,
    done: Callable[[Result], None] = lambda result: None,
) -> Result:
    """Seed each of these defects. `say` hears of each, `done` gets the result so far. Raises InfrastructureError."""
    result = Result(list(defects))
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="seeded-") as folder:
        scratch = Path(folder).resolve()
        (scratch / "plugin").mkdir()
        shutil.copy(watcher.__file__, scratch / "plugin" / f"{_PLUGIN}.py")
        plain = trees.copy(repository, scratch / "plain")
        say(f"without a defect: {len(result.defects)} tests")
        standing = _baseline(result.defects, plain, scratch, limit_s)
        for defect in result.defects:
            outcome = standing[defect.id]
            if outcome.verdict == "missed":  # it passes, as it should without the defect
                outcome = _seeded(defect, plain, scratch, limit_s)
            else:
                outcome = Outcome("infrastructure", f"without the defect: {outcome.why}", outcome.seconds)
            result.outcomes[defect.id] = outcome
            result.seconds = time.monotonic() - begun_s
            say(line(defect, outcome))
            done(result)
    return result


def line(defect: Defect, outcome: Outcome) -> str:
    """What came of one defect, in one line."""
    if outcome.verdict == "found":
        return f"found: {defect.id} by {defect.test} ({outcome.why})"
    if outcome.verdict == "missed":
        return f"missed: {defect.id}: {defect.test} passes with the defect: it cannot find it"
    return f"infrastructure: {defect.id}: {outcome.why}"


def _baseline(defects: Sequence[Defect], plain: Path, scratch: Path, limit_s: float) -> dict[str, Outcome]:
    """How the named tests end without any defect: one session for each engine."""
    found: dict[str, Outcome] = {}
    for engine in dict.fromkeys(defect.engine for defect in defects):
        group = [defect for defect in defects if defect.engine == engine]
        tests = list(dict.fromkeys(defect.test for defect in group))
        standing = _standing(tests, plain, scratch, engine, limit_s)
        found |= {defect.id: standing[defect.test] for defect in group}
    return found


def _standing(
    tests: Sequence[str], plain: Path, scratch: Path, engine: str, limit_s: float
) -> dict[str, Outcome]:
    """How these tests end. Where pytest refuses the lot for one of them, each by itself."""
    try:
        told = _session(tests, plain, scratch, engine, limit_s * len(tests))
        trouble = judging.trouble_of(told, plain)
    except InfrastructureError as error:
        told, trouble = {"collected": []}, str(error)
    if not told["collected"] and len(tests) > 1:
        alone = [_standing([test], plain, scratch, engine, limit_s) for test in tests]
        return {test: outcome for each in alone for test, outcome in each.items()}
    if not trouble and not told["collected"]:
        trouble = f"there is no test {tests[0]}"
    if trouble:
        return dict.fromkeys(tests, Outcome("infrastructure", trouble))
    return {test: judging.judge_one(told, test) for test in tests}


def _seeded(defect: Defect, plain: Path, scratch: Path, limit_s: float) -> Outcome:
    begun_s = time.monotonic()
    tree = trees.again(plain, scratch / "seeded")
    try:
        trees.apply(defect, tree)
        told = _session([defect.test], tree, scratch, defect.engine, limit_s)
        outcome = judging.judge(told, defect.test, tree)
    except InfrastructureError as error:
        outcome = Outcome("infrastructure", str(error))
    finally:
        shutil.rmtree(tree)
    return replace(outcome, seconds=time.monotonic() - begun_s)


def _session(tests: Sequence[str], tree: Path, scratch: Path, engine: str, limit_s: float) -> Told:
    """pytest in a process of its own; what the watcher saw. Raises InfrastructureError if it saw no end."""
    told = scratch / "told.json"
    told.unlink(missing_ok=True)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}
    environment["PYTHONPATH"] = os.pathsep.join([str(tree / "host_tools"), str(scratch / "plugin")])
    environment["SEEDED_TOLD"] = str(told)
    if engine != "auto":
        environment["NEEDLEPEN_ENGINE"] = engine
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-p", _PLUGIN, "-p", "no:cacheprovider"),
        *("--rootdir", str(tree), "-m", "nightly or not nightly", *tests),
    ]
    with (scratch / "said.txt").open("wb+") as said:
        process = subprocess.Popen(
            command, cwd=tree, env=environment, stdout=said, stderr=said, start_new_session=True
        )
        try:
            code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise InfrastructureError(f"it did not end in {limit_s:.0f} s of wall time") from None
        finally:
            _end(process)
        if not told.exists():
            said.seek(0)
            last = said.read()[-_LAST_BYTES:].decode(errors="replace").strip().splitlines()[-1:]
            raise InfrastructureError(f"pytest ended with {code} and without a result: {' '.join(last)}")
    facts: Told = json.loads(told.read_text())
    return facts


def _end(process: subprocess.Popen[bytes]) -> None:
    """Nothing that it started goes on."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
