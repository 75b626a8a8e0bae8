"""The smoke set: it names tests that there are, and one of every requirement."""

from __future__ import annotations

from typing import Any

import pytest
from support import smoke

from needlepen import requirements

COLLECTED = ["a.py::test_one[x]", "a.py::test_one[y]", "b.py::test_two"]


def test_every_requirement_has_a_test_in_it() -> None:
    claimed = [entry.id for entry in requirements.load().implemented()]
    assert list(smoke.smoke_set().requirements) == claimed


def test_all_that_it_names_was_found_where_the_file_was_read(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.stash[smoke.MISSING] == []
    assert [file for file in smoke.smoke_set().files if not (smoke.ROOT / file).is_file()] == []


def test_a_name_that_there_is_not_is_found() -> None:
    entries = ["a.py", "a.py::test_one", "a.py::test_one[y]", "a.py::test_one[z]", "b.py::test_three", "c.py"]
    assert smoke.unmatched(entries, COLLECTED, ["a.py", "b.py"]) == ["a.py::test_one[z]", "b.py::test_three"]
    assert smoke.unmatched(entries, COLLECTED, []) == [], "of a file that was read in part nothing is known"


def test_a_case_of_the_night_is_not_in_it(request: pytest.FixtureRequest) -> None:
    marked = [item for item in request.session.items if item.get_closest_marker("smoke")]
    assert marked and not [item for item in marked if item.get_closest_marker("nightly")]


def test_with_the_marker_other_files_are_not_read() -> None:
    def ignored(path: Any, expression: str) -> bool | None:
        config: Any = type("Config", (), {"option": type("Option", (), {"markexpr": expression})})
        return smoke.pytest_ignore_collect(path, config)

    inside, outside = smoke.ROOT / "unit/test_speed.py", smoke.ROOT / "unit/test_certificate.py"
    assert ignored(inside, "smoke") is None and ignored(outside, "smoke") is True
    assert ignored(outside, "not nightly") is None and ignored(smoke.ROOT / "unit", "smoke") is None
    assert ignored(smoke.ROOT.parent / "elsewhere.py", "smoke") is None
