"""pytest plugin: measurements against the limits of the requirements.

A test calls `measure(...)` as often as it likes. Each value is printed, kept, and compared with a limit read from
needlepen.requirements; a test with a measurement that does not pass fails at its end, when all values are known. The
session ends with the worst value of every limit, and `--measurements FILE` writes all of them as JSON.

With it come the verdicts of tests (`verdicts`), the ledger and the exit code (`suite`), and `--evidence FOLDER`.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from needlepen import requirements
from needlepen.evidence import Measurement, Relation
from needlepen.evidence_report.model import Taken
from needlepen.evidence_report.verdicts import of_measurement
from needlepen.files import write_whole
from needlepen.scenario.quantities import UNITS, unit_suffix
from support import seeds
from support.stopwatch import WATCH, Stopwatch

pytest_plugins = ["support.overhead", "support.boards", "support.verdicts", "support.suite"]

_MEASURE = pytest.StashKey["Measure"]()

FIGURES: Mapping[tuple[str, str], tuple[float, str]] = {
    ("SR-09", "trip_to_run_n_ns"): (100.0, "goal of the project: two flip-flops, WAIT and SET are 32 ns"),
    ("SR-10", "heartbeat_ms"): (3.1, "goal of the project: 3 ms to live, and the order supply, then brake"),
    ("PR-07", "heap_free_bytes"): (
        80 * 1024,
        "goal of the project: 80 KiB, and a run never ends for want of memory",
    ),
    ("PR-07", "heap_growth_bytes"): (
        1536,
        "goal of the project: no growth; 1.1 KiB in one piece come and go",
    ),
    ("PR-06", "beyond_half_pct"): (5.0, "goal of the project: 95 % of pens within 0.05 mm at every setting"),
    ("CR-02", "false_accept_pct"): (0.1, "goal of the project: of pens that are outside 0.10 mm"),
    ("CR-02", "false_reject_pct"): (1.0, "goal of the project: of pens that are inside 0.07 mm"),
}
"""Goals of the project: stricter than any requirement, or beside them. They have no entry in requirements.toml."""


class Measure:
    """The fixture `measure`."""

    def __init__(self, taken: list[Measurement], watch: Stopwatch | None = None) -> None:
        self._taken = taken
        self._watch = watch or Stopwatch()
        self._contexts: list[tuple[tuple[int, ...], str]] = []
        self._told = 0
        self._judged = 0
        self._nothing = ""
        self.came_to_its_end = False

    def __call__(
        self,
        requirement: str,
        limit: str,
        value: float | None,
        what: str,
        *,
        relation: Relation = "<=",
        note: str = "",
    ) -> Measurement:
        """Compare a value, in the unit that the limit's name ends with, with a limit of requirements.toml.

        `what` says what was measured. None is a value that was not measured: that is no pass.
        """
        bound = float(requirements.load().limit(requirement, limit))
        return self._keep(requirement, limit, value, what, bound, relation, note)

    def figure(
        self, requirement: str, name: str, value: float, what: str, *, relation: Relation = "<="
    ) -> Measurement:
        """Compare with one of FIGURES."""
        bound, reason = FIGURES[requirement, name]
        return self._keep(requirement, name, value, what, bound, relation, reason)

    def worst(
        self,
        requirement: str,
        limit: str,
        values: Mapping[Any, float],
        what: str,
        *,
        relation: Relation = "<=",
    ) -> Measurement:
        """Compare the worst of many cases, of which all are kept; the note names the case, and the spread.

        A case without a value (NaN) is the worst that there is: the whole is then not measured.
        """
        assert values, f"{what}: nothing was measured"
        missing = [key for key in values if math.isnan(values[key])]
        choose = min if relation == ">=" else max
        case = missing[0] if missing else choose(values, key=lambda key: values[key])
        known = [value for value in values.values() if not math.isnan(value)]
        median = f"{statistics.median(known):.6g}" if known else "unknown"
        spread = f"{len(values)} cases, median {median}, worst: {case}"
        spread += f"; {len(missing)} not measured" if missing else ""
        bound = float(requirements.load().limit(requirement, limit))
        cases = tuple((str(key), float(value)) for key, value in values.items())
        return self._keep(requirement, limit, values[case], what, bound, relation, spread, cases)

    def nothing(self, why: str) -> None:
        """This case has nothing to measure: else a test that asks for `measure` and makes no use of it is unset."""
        self._nothing = why

    def _keep(
        self,
        requirement: str,
        limit: str,
        value: float | None,
        what: str,
        bound: float,
        relation: Relation,
        note: str,
        cases: tuple[tuple[str, float], ...] = (),
    ) -> Measurement:
        with self._watch.running():
            value = None if value is None else float(value)  # numpy's numbers do not travel between processes
            unit = UNITS[unit_suffix(limit)] if unit_suffix(limit) else ""
            m = Measurement(f"{limit}: {what}", value, unit, bound, relation, requirement, note, cases=cases)
            self._taken.append(m)
            self._contexts.append((seeds.asked_for(), datetime.now(UTC).isoformat(timespec="milliseconds")))
            print(line(m))
        return m

    def missed(self) -> list[str]:
        """A line for each measurement since this was asked last that does not pass."""
        fresh, self._judged = self._taken[self._judged :], len(self._taken)
        return [line(m) for m in fresh if m.verdict != "pass"]

    @property
    def is_forgotten(self) -> bool:
        """Whether a test that came to its end has measured nothing, and has not said why."""
        return self.came_to_its_end and not self._taken and not self._nothing

    def new(self, test: str, board: str) -> list[Taken]:
        """What was measured since this was asked last."""
        fresh = list(zip(self._taken, self._contexts, strict=True))[self._told :]
        self._told = len(self._taken)
        return [Taken(m, test, board, *context) for m, context in fresh]


def line(m: Measurement) -> str:
    """One measurement as a line of text."""
    value = f"{m.value:.6g} {m.unit}" if m.is_set else "not measured"
    note = f"  ({m.note})" if m.note else ""
    bound = f"limit {m.relation} {m.limit:g} {m.unit}{note}"
    return f"{of_measurement(m):8} {m.requirement} {m.name}: {value}, {bound}"


@pytest.fixture
def measure(request: pytest.FixtureRequest) -> Measure:
    """Records and judges measurements; see the module."""
    made = Measure([], request.config.stash[WATCH])
    request.node.stash[_MEASURE] = made
    return made


def measure_of(item: pytest.Item) -> Measure | None:
    """The fixture `measure` of a test, if it has asked for it."""
    return item.stash.get(_MEASURE, None)


def forget_measure(item: pytest.Item) -> None:
    """The test is tried again, from nothing."""
    if _MEASURE in item.stash:
        del item.stash[_MEASURE]


class LimitsMissedError(pytest.fail.Exception):
    """A test that fails by its measurements, and by nothing else."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    seeds.forget()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Judge what the test measured, when all of it is known. A limit that was missed cannot be skipped over."""
    measure = measure_of(item)
    try:
        yield
    except pytest.skip.Exception:
        _judge(measure)
        raise
    except BaseException:
        if measure:
            measure.missed()  # the test fails anyhow
        raise
    _judge(measure)
    if measure:
        measure.came_to_its_end = True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Judge what was measured in the tear-down, and whether there was anything at all."""
    yield
    measure = measure_of(item)
    _judge(measure)
    if measure and measure.is_forgotten:
        raise _missed(["unset    nothing was measured, although the test asks for `measure`"])


def _judge(measure: Measure | None) -> None:
    missed = measure.missed() if measure else []
    if missed:
        raise _missed(missed)


def _missed(lines: list[str]) -> LimitsMissedError:
    return LimitsMissedError("\n".join(["limits missed:", *lines]), pytrace=False)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--measurements", metavar="FILE", help="write all measurements to this file, as JSON")


def worst_of_each(measurements: Iterable[Measurement]) -> list[tuple[Measurement, int]]:
    """Of each requirement and limit the measurement with the least margin, and how many there were."""
    groups: dict[tuple[str, str], list[Measurement]] = {}
    for m in measurements:
        groups.setdefault((m.requirement, m.name.partition(":")[0]), []).append(m)

    def margin(m: Measurement) -> float:
        return float("-inf") if m.margin is None else m.margin

    return [(min(group, key=margin), len(group)) for _, group in sorted(groups.items())]


def write(path: Path, ledger: Iterable[tuple[str, Measurement]]) -> None:
    """All measurements with the test that took them; the file appears whole or not at all.

    Raises InfrastructureError if it cannot be written.
    """
    rows = [{"test": test, **m.as_dict()} for test, m in ledger]
    write_whole(path, json.dumps({"format": 1, "measurements": rows}, indent=1, allow_nan=False) + "\n")
