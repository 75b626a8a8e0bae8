"""Tests of the tests here: a pen whose firmware breaks a rule is found by the test of that rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import test_settings_refused
import test_start_up
import test_telemetry
from support.bench import Pens
from support.measuring import Measure
from support.targets import bench_check
from support.targets.emulated import SEED, EmulatedTarget
from support.targets.protocols import Link

from needlepen.errors import Refused
from needlepen.evidence import Measurement


@contextmanager
def _link_to(pens: Pens, firmware: Path) -> Iterator[Link]:
    target = EmulatedTarget(lambda: pens.new(seed=SEED, firmware=firmware), "a variant")
    try:
        with target.use("link") as link:
            yield link
    finally:
        target.close()


def _rate(link: Link) -> None:
    test_settings_refused.test_a_rate_counts_up_to_its_limits(link, 51, test_settings_refused.GRID)


def _telemetry(link: Link) -> None:
    test_telemetry.test_telemetry_comes_at_the_rate_that_was_asked_for(link, 20)


def _ready(link: Link) -> None:
    taken: list[Measurement] = []
    test_start_up.test_it_was_ready_in_time(link, Measure(taken))
    assert [m.verdict for m in taken] == ["pass"]


VIOLATIONS: dict[str, tuple[str, tuple[str, str], Callable[[Link], None]]] = {
    "any rate is taken": ("pen/host.py", ("elif rate_hz % PR01_RATE_STEP_HZ:", "elif False:"), _rate),
    "telemetry half as often": (
        "pen/host.py",
        (
            "time.ticks_add(self._next_ms, self._period_ms)",
            "time.ticks_add(self._next_ms, 2 * self._period_ms)",
        ),
        _telemetry,
    ),
    "ready late": (
        "pen/sequence.py",
        ("app.ready_ms = time.ticks_ms()", "app.ready_ms = time.ticks_ms() + 900"),
        _ready,
    ),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_violation_is_found(pens: Pens, name: str) -> None:
    file, change, rule = VIOLATIONS[name]
    with _link_to(pens, pens.variant(f"target {name}", {file: change})) as link:
        with pytest.raises(AssertionError):
            rule(link)
        with pytest.raises(Refused, match="needlepen flash"):
            bench_check.check(bench_check.look(link), bench_check.wanted())  # type: ignore[arg-type]
