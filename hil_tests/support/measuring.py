"""pytest plugin: measurements against the limits of the requirements.

A test calls `measure(...)` as often as it likes. Each value is printed, kept, and compared with a limit read from
needlepen.requirements; a test with a measurement that does not pass fails at its end, when all values are known. The
session ends with the worst value of every limit, and `--measurements FILE` writes all of them as JSON.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from needlepen import requirements
from needlepen.evidence import Measurement, Relation
from needlepen.scenario.quantities import UNITS, unit_suffix

_PROPERTY = "measurement"
_TAKEN = pytest.StashKey[list[Measurement]]()
_LEDGER = pytest.StashKey[list[tuple[str, Measurement]]]()

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

    def __init__(self, taken: list[Measurement]) -> None:
        self._taken = taken

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
        """Compare the worst of many cases; the note names the case, and the spread."""
        assert values, f"{what}: nothing was measured"
        choose = min if relation == ">=" else max
        case = choose(values, key=lambda key: values[key])
        spread = f"{len(values)} cases, median {statistics.median(values.values()):.6g}, worst: {case}"
        return self(requirement, limit, values[case], what, relation=relation, note=spread)

    def _keep(
        self,
        requirement: str,
        limit: str,
        value: float | None,
        what: str,
        bound: float,
        relation: Relation,
        note: str,
    ) -> Measurement:
        m = Measurement(f"{limit}: {what}", value, UNITS[unit_suffix(limit)] if unit_suffix(limit) else "", bound,
                        relation, requirement, note)  # fmt: skip
        self._taken.append(m)
        print(line(m))
        return m


def line(m: Measurement) -> str:
    """One measurement as a line of text."""
    value = "not measured" if m.value is None else f"{m.value:.6g}"
    note = f"  ({m.note})" if m.note else ""
    return f"{m.verdict:5} {m.requirement} {m.name}: {value} {m.unit}, limit {m.relation} {m.limit:g} {m.unit}{note}"


@pytest.fixture
def measure(request: pytest.FixtureRequest) -> Measure:
    """Records and judges measurements; see the module."""
    taken: list[Measurement] = []
    request.node.stash[_TAKEN] = taken
    return Measure(taken)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Judge what the test measured, also when it ended early."""
    try:
        yield
    finally:
        taken = item.stash.get(_TAKEN, [])
        # By way of the report, which also leads from a worker process of pytest-xdist to the one that sums up.
        item.user_properties += [(_PROPERTY, dataclasses.asdict(m)) for m in taken]
    missed = [line(m) for m in taken if m.verdict != "pass"]
    if missed:
        pytest.fail("\n".join(["limits missed:", *missed]), pytrace=False)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--measurements", metavar="FILE", help="write all measurements to this file, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_LEDGER] = ledger = []
    config.pluginmanager.register(_Collector(ledger))


class _Collector:
    """Gathers what the reports bring, wherever the tests ran."""

    def __init__(self, ledger: list[tuple[str, Measurement]]) -> None:
        self._ledger = ledger

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            found = [value for name, value in report.user_properties if name == _PROPERTY]
            self._ledger += [(report.nodeid, Measurement(**fields)) for fields in found]  # type: ignore[arg-type]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    ledger = config.stash[_LEDGER]
    if not ledger:
        return
    terminalreporter.section("worst value of each limit")
    for m, count in worst_of_each(m for _, m in ledger):
        terminalreporter.line(f"{line(m)}  [{count}]", red=m.verdict != "pass")


def pytest_sessionfinish(session: pytest.Session) -> None:
    path = session.config.getoption("--measurements", default=None)
    if path and not hasattr(session.config, "workerinput"):
        write(Path(path), session.config.stash[_LEDGER])


def worst_of_each(measurements: Iterator[Measurement]) -> list[tuple[Measurement, int]]:
    """Of each requirement and limit the measurement with the least margin, and how many there were."""
    groups: dict[tuple[str, str], list[Measurement]] = {}
    for m in measurements:
        groups.setdefault((m.requirement, m.name.partition(":")[0]), []).append(m)

    def margin(m: Measurement) -> float:
        return float("-inf") if m.margin is None else m.margin

    return [(min(group, key=margin), len(group)) for _, group in sorted(groups.items())]


def write(path: Path, ledger: list[tuple[str, Measurement]]) -> None:
    """All measurements with the test that took them; the file appears whole or not at all."""
    new = path.with_name(f".{path.name}.new")
    rows = [{"test": test, **m.as_dict()} for test, m in ledger]
    new.write_text(json.dumps({"format": 1, "measurements": rows}, indent=1) + "\n")
    new.replace(path)
