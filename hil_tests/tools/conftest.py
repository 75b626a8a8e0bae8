"""Emulated pens on real ports, in other processes and in this one, cables to them, and commands of their own."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.bench import Pens
from support.commands import Commands
from support.line import Cable, Emulation
from support.nights import mostly_nightly
from support.served import ServedPen, Tap, served

from needlepen.emulator.server import TcpPort, Terminal


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


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which the programs of these tests know each other's pens and locks, apart from the user's own."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEEDLEPEN_STATE", str(folder))
        patch.setenv("NEEDLEPEN_CONFIG", str(folder / "config"))
        yield folder


@pytest.fixture(scope="module")
def emulate(place: Path, runtime: Path) -> Iterator[Callable[..., Emulation]]:
    """emulate(name, *options) is an emulated pen in a process of its own, until the end of the file.

    No longer, since it goes on in real time: it would take from the other tests what it needs at rest.
    """
    running: dict[str, Emulation] = {}

    def start(name: str, *options: str) -> Emulation:
        if name not in running:
            running[name] = Emulation(place, name, *options)
        return running[name]

    yield start
    for emulation in running.values():
        emulation.close()


@pytest.fixture(scope="module")
def left(emulate: Callable[..., Emulation]) -> Emulation:
    """A calibrated pen of the development build, ID e660000000000001."""
    return emulate("left", "--seed", "1")


@pytest.fixture(params=mostly_nightly(["pty", "tcp"], "pty"))
def cable(request: pytest.FixtureRequest, left: Emulation, tmp_path: Path) -> Iterator[Cable]:
    """A cable to the pen `left` that can be pulled and disturbed; its ends are new for each test."""
    if request.param == "pty":
        with Cable(left.tcp_port, lambda: Terminal(tmp_path / "port")) as made:
            yield made
        return
    with socket.socket() as probe:  # a port that stays the same when the cable is plugged in again
        probe.bind(("127.0.0.1", 0))
        number = probe.getsockname()[1]
    with Cable(left.tcp_port, lambda: TcpPort(number)) as made:
        yield made
