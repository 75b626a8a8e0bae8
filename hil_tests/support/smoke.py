"""pytest plugin: the marker `smoke`, given to what `smoke.toml` names.

The list is one file and no decorators, so that one sees at a glance which test stands for which requirement, and so
that one case of a parametrized test can be chosen.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

NAME = "smoke"
ROOT = Path(__file__).resolve().parents[1]
LIST = ROOT / "smoke.toml"
MISSING = pytest.StashKey[list[str]]()
"""Entries of files that this process has collected whole, which no test fits; unit/test_smoke.py looks at them."""


@dataclass(frozen=True)
class SmokeSet:
    """The entries by requirement, and by what the others are about."""

    requirements: dict[str, list[str]]
    others: dict[str, list[str]]

    @property
    def entries(self) -> list[str]:
        """All, without repetition: FILE, FILE::TEST or FILE::TEST[CASE] from the folder of the tests."""
        groups = (*self.requirements.values(), *self.others.values())
        return list(dict.fromkeys(entry for group in groups for entry in group))

    @property
    def files(self) -> set[str]:
        """The files that hold them."""
        return {entry.partition("::")[0] for entry in self.entries}


@cache
def smoke_set() -> SmokeSet:
    """What smoke.toml says."""
    read = tomllib.loads(LIST.read_text(encoding="utf-8"))
    return SmokeSet(read["requirements"], read["others"])


def names_of(nodeid: str) -> tuple[str, str, str]:
    """The three ways in which an entry may name a test: its file, the test, this case of it."""
    file, _, test = nodeid.partition("::")
    return file, f"{file}::{test.partition('[')[0]}", nodeid


def unmatched(entries: Iterable[str], collected: Iterable[str], whole: Iterable[str]) -> list[str]:
    """The entries in the files `whole` that fit none of the tests `collected`."""
    there = {name for nodeid in collected for name in names_of(nodeid)}
    known = set(whole)
    return [entry for entry in entries if entry.partition("::")[0] in known and entry not in there]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m smoke` no other file is even read: that would take longer than some of the tests."""
    if config.option.markexpr != NAME or collection_path.is_dir() or ROOT not in collection_path.parents:
        return None
    return True if collection_path.relative_to(ROOT).as_posix() not in smoke_set().files else None


@pytest.hookimpl(tryfirst=True)  # before pytest looks at markers
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    entries = set(smoke_set().entries)
    daily = {_here(item): item for item in items if not item.get_closest_marker("nightly")}
    for nodeid, item in daily.items():
        if entries.intersection(names_of(nodeid)):
            item.add_marker(NAME)
    whole = (
        {nodeid.partition("::")[0] for nodeid in daily} if not any("::" in arg for arg in config.args) else ()
    )
    config.stash[MISSING] = unmatched(smoke_set().entries, daily, whole)


def _here(item: pytest.Item) -> str:
    """The name of a test from the folder of the tests, wherever pytest was started."""
    inside = item.path.is_relative_to(ROOT)
    file = item.path.relative_to(ROOT).as_posix() if inside else str(item.path)
    return f"{file}::{item.nodeid.partition('::')[2]}"
