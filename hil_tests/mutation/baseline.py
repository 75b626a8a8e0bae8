"""Which fast test reaches which line of the firmware, and how long it takes: recorded once for each test file.

A recording holds as long as firmware, host tools, shared test code and the test file itself stay the same.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

import coverage
import pytest

from mutation.processes import Ended, in_copy
from mutation.running import arguments, silent
from needlepen.errors import InfrastructureError
from needlepen.files import write_whole

HIL_TESTS = Path(__file__).resolve().parents[1]
REPOSITORY = HIL_TESTS.parent
_FILE_CPU_S = 300
_IMPORTING = "importing"


@dataclass
class Recording:
    """One test file. `times_s`: of the tests that pass; `lines`: firmware file to test to lines; `importing`: firmware
    file to the lines that run before any test; `failing`: tests that fail without any mutant."""

    file: str
    times_s: dict[str, float] = field(default_factory=dict)
    lines: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    importing: dict[str, list[int]] = field(default_factory=dict)
    failing: list[str] = field(default_factory=list)


def record(files: Sequence[Path], scratch: Path, kept: Path, say: Callable[[str], None]) -> list[Recording]:
    """The recordings of these test files, from `kept` where they still hold. Raises InfrastructureError."""
    found = []
    for file in files:
        entry = kept / f"{file.stem}-{_key(file)}.json"
        if entry.exists():
            found.append(Recording(**(json.loads(entry.read_text()) | {"file": str(file)})))
            continue
        begin_s = time.monotonic()
        try:
            recording = in_copy(
                lambda tell, file=file: _record(file, scratch), _FILE_CPU_S, lambda told: None
            )
        except Ended as ended:
            raise InfrastructureError(
                f"{file.name}: its tests could not be recorded ({ended}); run them alone with pytest"
            ) from None
        say(
            f"recorded {file.name}: {len(recording.times_s)} tests in {time.monotonic() - begin_s:.1f} s"
            + (f", {len(recording.failing)} fail" if recording.failing else "")
        )
        for old in kept.glob(f"{file.stem}-*.json"):
            old.unlink()
        write_whole(entry, json.dumps(asdict(recording)))
        found.append(recording)
    return found


class _Recorder:
    """pytest plugin: a coverage context and a time for each test."""

    def __init__(self, traced: coverage.Coverage) -> None:
        self._traced = traced
        self.times_s: dict[str, float] = {}
        self.failing: set[str] = set()
        self.passed: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._traced.switch_context(item.nodeid)
        begin_s = time.process_time()
        try:
            return (yield)
        finally:
            self.times_s[item.nodeid] = round(time.process_time() - begin_s, 4)
            self._traced.switch_context(_IMPORTING)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failing.add(report.nodeid)
        elif report.when == "call" and report.passed and not hasattr(report, "wasxfail"):
            self.passed.add(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failing.add(report.nodeid)


def _record(file: Path, scratch: Path) -> Recording:
    silent()
    traced = coverage.Coverage(
        data_file=None, include=[str(REPOSITORY / "firmware" / "*")], config_file=False, messages=False
    )
    recorder = _Recorder(traced)
    traced.start()
    traced.switch_context(_IMPORTING)
    pytest.main(arguments([file], scratch), plugins=[recorder])
    traced.stop()
    good = recorder.passed - recorder.failing
    recording = Recording(str(file), {name: t for name, t in recorder.times_s.items() if name in good})
    recording.failing = sorted(recorder.failing)
    data = traced.get_data()
    for path in data.measured_files():
        _take(
            recording,
            Path(path).relative_to(REPOSITORY / "firmware").as_posix(),
            data.contexts_by_lineno(path),
            good,
        )
    return recording


def _take(recording: Recording, name: str, contexts: dict[int, list[str]], good: set[str]) -> None:
    lines: dict[str, list[int]] = {}
    for line, tests in contexts.items():
        for test in tests:
            if test in good:
                lines.setdefault(test, []).append(line)
            elif test in (_IMPORTING, ""):
                recording.importing.setdefault(name, []).append(line)
    recording.lines[name] = lines


def _key(file: Path) -> str:
    return hashlib.sha256(_shared() + file.read_bytes()).hexdigest()[:16]


@cache
def _shared() -> bytes:
    """Digest of all that tests stand on."""
    digest = hashlib.sha256()
    for folder, pattern in (
        ("firmware", "*.py"),
        ("firmware", "*.toml"),
        ("boards", "*.toml"),
        ("host_tools", "*.py"),
        ("hil_tests/support", "*.py"),
    ):
        for path in sorted((REPOSITORY / folder).rglob(pattern)):
            digest.update(path.as_posix().encode() + path.read_bytes())
    beside = [path for path in (HIL_TESTS / "unit").glob("*.py") if not path.name.startswith("test_")]
    for path in (HIL_TESTS / "conftest.py", *sorted(beside)):
        digest.update(path.read_bytes())
    return digest.digest()
