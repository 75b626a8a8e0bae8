"""Fixtures of the tests of host tools: an emulated pen on real ports, and commands in processes of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.bench import Pens
from support.commands import Commands
from support.served import ServedPen, Tap, served


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    """Commands that know no pen but those of this test."""
    return Commands(tmp_path)


@pytest.fixture
def pen(pens: Pens, tmp_path: Path) -> Iterator[ServedPen]:
    """A pen that is ready to start, on a pseudo-terminal and on TCP."""
    made = pens.new()
    made.power_up()
    with served(made, tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def shared_pen(pens: Pens, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPen]:
    """The same for all tests of a module, which leave it as they found it."""
    made = pens.new()
    made.power_up()
    with served(made, tmp_path_factory.mktemp("pen")) as found:
        yield found


@pytest.fixture
def tap(pen: ServedPen) -> Iterator[Tap]:
    """The pen's TCP port, listened to."""
    found = Tap(pen.tcp_port)
    yield found
    found.close()
