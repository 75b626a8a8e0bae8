"""No limit of a claimed requirement is left out: some test measures against it, or sets its boundary by it."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from needlepen import requirements
from needlepen.trace.calls import texts

TESTS = Path(__file__).resolve().parents[1]
CLAIMED = [(r.id, name) for r in requirements.load().implemented() for name in r.limits]

# Thresholds: what a test drives the pen to, just inside and just outside, rather than a value that it measures. The
# file has to read the limit.
THRESHOLDS = {
    ("PR-01", "rate_min_hz"): "requirements/test_stroke_rate.py",
    ("PR-01", "rate_max_hz"): "requirements/test_stroke_rate.py",
    ("PR-01", "rate_step_hz"): "requirements/test_stroke_rate.py",
    ("PR-05", "depth_max_mm"): "requirements/test_depth_caps.py",
    ("SR-02", "error_mm"): "requirements/test_depth_watch.py",
    ("SR-03", "error_mm"): "unit/test_depth.py",
    ("SR-05", "warn_months"): "requirements/test_calibration_record.py",
    ("SR-05", "block_months"): "requirements/test_calibration_record.py",
    ("SR-06", "threshold_hz"): "requirements/test_overspeed.py",
    ("SR-07", "warn_pct"): "requirements/test_underspeed.py",
    ("SR-07", "stop_pct"): "requirements/test_underspeed.py",
    ("SR-07", "stop_hz"): "requirements/test_underspeed.py",
    ("SR-09", "current_a"): "unit/test_board.py",  # the comparator is hardware
    ("SR-11", "release_ms"): "requirements/test_power_on.py",
    ("SR-18", "warn_c"): "requirements/test_nose_temperature.py",
    ("SR-18", "stop_c"): "requirements/test_nose_temperature.py",
    ("SR-19", "warn_c"): "requirements/test_winding.py",
    ("SR-19", "stop_c"): "requirements/test_winding.py",
    ("SR-26", "clock_error_pct"): "requirements/test_self_tests.py",
    ("SR-28", "events"): "unit/test_store.py",
    ("SR-27", "glitch_us"): "requirements/test_index_glitches.py",
}


def named(source: str, functions: tuple[str, ...]) -> set[tuple[str, str]]:
    """(requirement, pattern of the limit's name) of all calls of some functions.

    A name that is a variable stands for each string in that file: the test goes through them in a loop.
    """
    tree = ast.parse(source)
    anywhere = {
        text for n in ast.walk(tree) if isinstance(n, ast.Constant | ast.JoinedStr) for text in texts(n)
    }
    found = set()
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and len(call.args) >= 2 and ast.unparse(call.func) in functions:
            requirement = call.args[0]
            if isinstance(requirement, ast.Constant):
                names = anywhere if isinstance(call.args[1], ast.Name) else set(texts(call.args[1]))
                found |= {(str(requirement.value), text) for text in names}
    return found


@cache
def _measured() -> frozenset[tuple[str, str]]:
    files = [*(TESTS / "requirements").glob("test_*.py"), *(TESTS / "unit").glob("test_*.py")]
    calls = ("measure", "measure.worst")
    return frozenset().union(*(named(path.read_text(), calls) for path in files))


def _holds(names: frozenset[tuple[str, str]] | set[tuple[str, str]], requirement: str, limit: str) -> bool:
    return any(r == requirement and text != ".*" and re.fullmatch(text, limit) for r, text in names)


@pytest.mark.parametrize(("requirement", "limit"), CLAIMED)
def test_a_limit_is_measured_or_is_a_threshold_that_a_test_goes_to(requirement: str, limit: str) -> None:
    file = THRESHOLDS.get((requirement, limit))
    if file is None:
        assert _holds(_measured(), requirement, limit), (
            f"no measure({requirement!r}, {limit!r}, ...) in any test"
        )
    else:
        read = named((TESTS / file).read_text(), ("LIMIT", "needs.limit"))
        assert _holds(read, requirement, limit), f"{file} does not read this limit"


def test_no_threshold_is_measured_as_well_or_not_claimed() -> None:
    """Else its entry here would only hide that the measurement is lost one day."""
    assert [key for key in THRESHOLDS if _holds(_measured(), *key) or key not in CLAIMED] == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('measure("SR-01", "refuse_ms", x, "")', True),
        ('measure.worst("SR-01", "refuse_ms", x, "")', True),
        ('for name in ("refuse_ms",):\n    measure("SR-01", name, x, "")', True),
        ('measure("SR-01", f"{what}_ms", x, "")', True),
        ('measure("SR-01", "refuse_ms" if a else "other", x, "")', True),
        ('measure("SR-02", "refuse_ms", x, "")', False),
        ('measure("SR-01", "movement_mm", x, "")', False),
        ('other("SR-01", "refuse_ms", x, "")', False),
        ('# measure("SR-01", "refuse_ms")\nx = "refuse_ms"', False),
    ],
)
def test_the_search_finds_measurements_and_nothing_else(source: str, found: bool) -> None:
    assert _holds(named(source, ("measure", "measure.worst")), "SR-01", "refuse_ms") is found
