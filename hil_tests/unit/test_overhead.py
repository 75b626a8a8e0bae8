"""What the suite's own machinery costs of a run: measured in the run, and kept with its evidence."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pluggy
import pytest
from support import small_suites
from support.overhead import Overhead
from support.stopwatch import Stopwatch, timed

from needlepen.evidence_report.model import Harness

pytest_plugins = ["pytester"]
WORK_S = 0.02
spec, impl = pluggy.HookspecMarker("small"), pluggy.HookimplMarker("small")


class _Specs:
    @spec
    def act(self, seconds: float) -> Any: ...


class _Plain:
    """A plugin that takes its time."""

    @impl
    def act(self, seconds: float) -> str:
        time.sleep(seconds)
        return "done"


class _Around:
    """One that is wrapped around the others, with work before and after."""

    @impl(wrapper=True)
    def act(self) -> Iterator[None]:
        time.sleep(WORK_S)
        try:
            result = yield
        except ValueError:
            time.sleep(WORK_S)
            raise
        time.sleep(WORK_S)
        return result  # type: ignore[return-value]


class _Failing:
    @impl
    def act(self) -> None:
        raise ValueError("wrong")


def _manager(*plugins: Any) -> tuple[pluggy.PluginManager, Overhead]:
    """The plugins with the timing of the suite: those whose module is called support.* are its own."""
    manager, overhead = pluggy.PluginManager("small"), Overhead()
    manager.add_hookspecs(_Specs)
    for plugin in plugins:
        manager.register(plugin)
        overhead.pytest_plugin_registered(plugin, manager)  # type: ignore[arg-type]
    return manager, overhead


def _own(cls: type) -> Any:
    return type(cls.__name__, (cls,), {"__module__": "support.small"})()


def test_what_a_hook_of_the_suite_takes_is_counted_and_that_of_others_is_not() -> None:
    manager, overhead = _manager(_own(_Plain))
    assert manager.hook.act(seconds=WORK_S) == ["done"] and overhead.watch.spent_s >= WORK_S
    manager, overhead = _manager(_Plain())
    assert manager.hook.act(seconds=WORK_S) == ["done"] and overhead.watch.spent_s == 0.0


def test_of_a_hook_around_others_only_its_own_work_is_counted() -> None:
    manager, overhead = _manager(_Plain(), _own(_Around))
    begun_s = time.perf_counter()
    assert manager.hook.act(seconds=10 * WORK_S) == ["done"], "the result goes through"
    took_s = time.perf_counter() - begun_s
    assert 2 * WORK_S <= overhead.watch.spent_s <= took_s - 10 * WORK_S


def test_an_error_goes_through_a_timed_hook_as_it_was() -> None:
    manager, overhead = _manager(_Failing(), _own(_Around))
    with pytest.raises(ValueError, match="wrong"):
        manager.hook.act(seconds=0)
    assert overhead.watch.spent_s >= 2 * WORK_S and overhead.watch.so_far_s == overhead.watch.spent_s


def test_what_is_timed_inside_of_something_timed_counts_once() -> None:
    watch = Stopwatch()

    def inner() -> None:
        time.sleep(WORK_S)

    def outer() -> None:
        timed(watch, inner)()
        assert watch.so_far_s >= WORK_S and watch.spent_s == 0.0

    begun_s = time.perf_counter()
    timed(watch, outer)()
    assert WORK_S <= watch.spent_s <= time.perf_counter() - begun_s


def test_workers_count_with_their_own_runs() -> None:
    overhead = Overhead()
    for spent_s, run_s in ((1.0, 40.0), (2.0, 60.0)):
        told = {"needlepen_overhead": {"spent_s": spent_s, "run_s": run_s}}
        overhead.pytest_testnodedown(SimpleNamespace(workeroutput=told))
    found = overhead.told()
    assert (found.run_s, found.spent_s) == (100.0, pytest.approx(3.0)) and found.share_pct == pytest.approx(
        3.0
    )
    assert str(Harness(3.0, 100.0)) == "3.00 % of the run (3.0 of 100.0 s), limit 5 %"


SLOW = """
import time

class Slow:
    def pytest_runtest_logreport(self, report):
        time.sleep({seconds})

Slow.__module__ = "support.slow"

def pytest_configure(config):
    config.pluginmanager.register(Slow())
"""
TESTS = "import time\n\ndef test_one(measure):\n    measure('SR-12', 'brake_ms', 2.0, 'release')\n    time.sleep(0.5)\n"


def test_the_evidence_says_what_the_harness_took_and_a_slow_hook_shows(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, found = small_suites.runner(pytester, monkeypatch), []
    for seconds in (0.0, 0.5):
        done = run({"conftest": small_suites.BOARD + SLOW.format(seconds=seconds), "test_one": TESTS})
        assert done.ret == 0 and "harness: " in done.stdout.str(), done.stdout.str()
        found.append(small_suites.evidence(pytester.path)["harness"])
        page = (pytester.path / "out" / "index.html").read_text()
        shown = re.search(r"<dd>([\d.]+) % of the run \(.* s\), limit 5 %</dd>", page)
        assert shown and float(shown[1]) == pytest.approx(found[-1]["harness_share_pct"], abs=0.02)
    quick, slow = found
    assert 0 < quick["spent_s"] < quick["run_s"] and quick["run_s"] >= 0.5 and quick["limit_pct"] == 5.0
    assert slow["spent_s"] >= 1.5, "three reports"
    for each in found:
        assert each["harness_share_pct"] == pytest.approx(100 * each["spent_s"] / each["run_s"], abs=0.1)
