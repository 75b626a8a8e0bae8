"""The second stage: survivors of the fast tests on the emulated pen, judged by the tests of the requirements."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from mutation.baseline import HIL_TESTS, REPOSITORY
from mutation.mutants import Mutant, staged
from mutation.report import Result
from mutation.review import Review
from mutation.scope import LIMITS, REQUIREMENT_TESTS
from mutation.verdicts import OPEN, Outcome

_LIMIT = re.compile(r"^(PR|SR|CR)(\d\d)_")


def tests_for(mutant: Mutant) -> list[Path]:
    """The requirement tests of a mutant's module; of a limit, those that name its requirement."""
    folder = HIL_TESTS / "requirements"
    if mutant.module != LIMITS:
        return [folder / name for name in REQUIREMENT_TESTS.get(mutant.module, ())]
    match = _LIMIT.match(mutant.function)
    named = f"{match[1]}-{match[2]}" if match else "none"
    return [path for path in sorted(folder.glob("test_*.py")) if named in path.read_text()]


def survivors(
    result: Result,
    reviews: Mapping[str, Review],
    within_s: float,
    say: Callable[[str], None],
    extra: str = "",
) -> None:
    """Run those that nobody justified, in order, while there is time; changes the outcomes of `result`.

    A test kills only if it passes without the change: each file is run so once, before it may judge.
    `extra`: further options of pytest, e.g. "-k release".
    """
    stage = _Stage(time.monotonic() + within_s, say, extra)
    for mutant in result.mutants:
        outcome = result.outcomes.get(mutant.id)
        if outcome is None or outcome.verdict not in OPEN or mutant.id in reviews:
            continue
        if time.monotonic() >= stage.deadline_s:
            say("the emulated pen: no time left; what was not run there stays as it was")
            return
        judged = stage.judge(mutant)
        if judged is not None:
            result.outcomes[mutant.id] = judged
            say(f"{mutant.place}: {judged.verdict} {judged.by}")


class _Stage:
    def __init__(self, deadline_s: float, say: Callable[[str], None], extra: str) -> None:
        self.deadline_s = deadline_s
        self._say = say
        self._extra = extra.split()
        self._plain = staged()
        self._takes_s: dict[Path, float | None] = {}

    def judge(self, mutant: Mutant) -> Outcome | None:
        """The verdict of the mutant's files, or None if there is no file or no time."""
        ran = 0
        for file in tests_for(mutant):
            takes_s = self._control(file)
            if takes_s is None or time.monotonic() + takes_s > self.deadline_s:
                continue
            outcome = self._run(file, mutant, 3 * takes_s + 60)
            if outcome.verdict != "survived":
                return outcome
            ran += outcome.tests
        return Outcome("survived", tests=ran, on="emulated") if ran else None

    def _control(self, file: Path) -> float | None:
        """How long a file takes without a change; None if it does not pass or there is no time for it."""
        if file not in self._takes_s:
            left_s = self.deadline_s - time.monotonic()
            begin_s = time.monotonic()
            outcome = self._run(file, None, left_s) if left_s > 0 else Outcome("infrastructure", "no time")
            self._takes_s[file] = time.monotonic() - begin_s if outcome.verdict == "survived" else None
            if outcome.verdict != "survived":
                self._say(
                    f"{file.name} judges nothing: without a change it is {outcome.verdict} {outcome.by}"
                )
        return self._takes_s[file]

    def _run(self, file: Path, mutant: Mutant | None, limit_s: float) -> Outcome:
        """pytest in a process of its own; what it reports is in a file that the plugin writes at the end."""
        with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
            told = Path(folder) / "told.json"
            order = {"told": str(told)}
            if mutant is not None:
                order |= {
                    "file": mutant.file,
                    "plain": self._plain[mutant.file].decode(),
                    "changed": mutant.source,
                }
            given = Path(folder) / "order.json"
            given.write_text(json.dumps(order))
            environment = os.environ | {"MUTATION_ORDER": str(given)}
            places = [str(HIL_TESTS), environment.get("PYTHONPATH", "")]
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, places))
            command = [
                sys.executable,
                "-m",
                "pytest",
                "-x",
                "-q",
                "-p",
                "mutation.plugin",
                "-p",
                "no:cacheprovider",
            ]
            try:
                done = subprocess.run(
                    [*command, *self._extra, str(file)],
                    cwd=REPOSITORY,
                    env=environment,
                    timeout=limit_s,
                    capture_output=True,
                    text=True,
                )
            except subprocess.TimeoutExpired:
                # The emulated pen runs in device time: a mutant cannot make it hang, only the machine be slow.
                return Outcome("infrastructure", f"{file.name} did not end in {limit_s:.0f} s", on="emulated")
            if not told.exists():
                last = (done.stdout + done.stderr).strip().splitlines()[-1:]
                return Outcome(
                    "infrastructure",
                    f"{file.name}: pytest ended with {done.returncode}: {last}",
                    on="emulated",
                )
            return Outcome(**json.loads(told.read_text()), on="emulated")
