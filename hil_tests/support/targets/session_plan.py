"""`--plan`: what would run where, for how long, what is missing, and which faults would be put in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from support.targets.specification import Specification


@dataclass(frozen=True)
class Planned:
    """One test. `needs`: capabilities; `durations_s`: by kind of target, as it took there the last time."""

    test: str
    file: str
    needs: frozenset[str]
    requirements: tuple[str, ...]
    faults: tuple[str, ...]
    durations_s: Mapping[str, float] = field(default_factory=dict)


def lines(targets: Iterable[Specification], tests: list[Planned], wanted: Iterable[str]) -> Iterator[str]:
    """The plan as text; `wanted`: the requirements that are to be shown."""
    names = list(wanted)
    for target in targets:
        yield from _of_target(target, tests, names)
    yield "Nothing was run."


def _of_target(target: Specification, tests: list[Planned], wanted: list[str]) -> Iterator[str]:
    run = [test for test in tests if not test.needs - target.offers]
    kind = target.kind
    yield f"Target {target}: {_amount(run)}, {_time(run, kind)}"
    for file in dict.fromkeys(test.file for test in run if test.needs):
        here = [test for test in run if test.file == file and test.needs]
        needs = ", ".join(sorted({need for test in here for need in test.needs}))
        yield f"  {file}: {_amount(here)}, {_time(here, kind)}, on {needs}"
    free = [test for test in run if not test.needs]
    if free:
        yield f"  in {_files(free)} that need no target: {_amount(free)}, {_time(free, kind)}"
    yield from _skipped(target, tests)
    faults = Counter(fault for test in run for fault in test.faults)
    yield f"  faults put in: {_counted(faults) or 'none'}"
    reached = {name for test in run if test.needs for name in test.requirements}
    missing = [name for name in wanted if name not in reached]
    if missing:
        yield f"  requirements without a test here: {', '.join(missing)}"


def _skipped(target: Specification, tests: list[Planned]) -> Iterator[str]:
    missing = Counter(need for test in tests for need in test.needs - target.offers)
    for need, count in sorted(missing.items()):
        yield f"  skipped for want of {need}: {_tests(count)} ({target.missing[need]})"


def _counted(found: Mapping[str, int]) -> str:
    return ", ".join(f"{_shown(name)} ({_tests(count)})" for name, count in sorted(found.items()))


def _shown(fault: str) -> str:
    """A "?" stands for what a test chooses while it runs."""
    return "chosen while it runs" if fault == "?:?" else fault.replace("?", "chosen while it runs")


def _amount(tests: list[Planned]) -> str:
    return _tests(len(tests))


def _tests(count: int) -> str:
    return "1 test" if count == 1 else f"{count} tests"


def _files(tests: list[Planned]) -> str:
    count = len({test.file for test in tests})
    return "1 file" if count == 1 else f"{count} files"


def _time(tests: list[Planned], kind: str) -> str:
    known = [test.durations_s[kind] for test in tests if kind in test.durations_s]
    if not known:
        return "time unknown" if tests else "no time"
    unknown = len(tests) - len(known)
    rest = f" and {unknown} of unknown time" if unknown else ""
    return f"{_span(sum(known))}{rest}"


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
