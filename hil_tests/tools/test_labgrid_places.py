"""A place of labgrid, with its real coordinator and exporter on loopback. Skipped where labgrid is not installed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.line import Cable, Emulation
from support.sessions import QUICK, TESTS, counts, session
from support.targets.places import Place

from needlepen.emulator.server import TcpPort
from needlepen.errors import InfrastructureError, Refused, UsageError

PLACE = "pen-rack-1"
WAIT_S = 30.0
BEFORE_KICK_BYTES = 6_000


def _command(name: str) -> str:
    found = shutil.which(name, path=os.environ.get("NEEDLEPEN_LABGRID")) or shutil.which(name)
    if found is None:
        pytest.skip("labgrid is not installed: see Shared benches in hil_tests/README.md")
    return found


class Bench:
    """Coordinator and exporter of one pen, behind a cable."""

    def __init__(self, folder: Path, pen_port: int) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self._folder = folder
        self._environment = os.environ | {
            "LG_COORDINATOR": self.address,
            "LG_USERNAME": "ann",
            "LG_HOSTNAME": "desk",
        }
        (folder / "exporter.yaml").write_text(
            f"rack:\n  NetworkSerialPort:\n    host: 127.0.0.1\n    port: {pen_port}\n    protocol: raw\n"
        )
        self._log = (folder / "labgrid.log").open("w")
        self.coordinator = self._start("labgrid-coordinator", "-l", self.address)
        self._wait(lambda: self.client("places", check=False).returncode == 0)
        self.exporter = self._start("labgrid-exporter", "-n", "rack-host", str(folder / "exporter.yaml"))
        self.client("-p", PLACE, "create")
        self.client("-p", PLACE, "add-match", "*/rack/NetworkSerialPort")
        self._wait(lambda: "rack" in self.client("resources").stdout)

    @property
    def variables(self) -> dict[str, str]:
        """What a session on this bench finds in its environment."""
        return {name: self._environment[name] for name in ("LG_COORDINATOR", "LG_USERNAME", "LG_HOSTNAME")}

    def client(
        self, *arguments: str, check: bool = True, user: str = "ann"
    ) -> subprocess.CompletedProcess[str]:
        """`labgrid-client`, as somebody."""
        return subprocess.run(
            [_command("labgrid-client"), *arguments], env=self._environment | {"LG_USERNAME": user}, text=True,
            capture_output=True, check=check, timeout=WAIT_S,
        )  # fmt: skip

    def owner(self) -> str:
        """Who has the place; "" for nobody."""
        lines = [line for line in self.client("who").stdout.splitlines() if PLACE in line]
        return lines[0].split()[0] if lines else ""

    def close(self) -> None:
        """End both."""
        for process in (self.exporter, self.coordinator):
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        self._log.close()

    def _start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [_command(name), *arguments],
            cwd=self._folder,
            env=self._environment,
            stdout=self._log,
            stderr=self._log,
        )

    def _wait(self, condition: Callable[[], bool]) -> None:
        end_s = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < end_s, (self._folder / "labgrid.log").read_text()
            time.sleep(0.2)


@pytest.fixture
def cable_end(left: Emulation) -> Iterator[Cable]:
    with Cable(left.tcp_port, lambda: TcpPort(0)) as cable:
        yield cable


@pytest.fixture
def bench(cable_end: Cable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A bench with one pen, which this process uses as ann."""
    _command("labgrid-client")
    made = Bench(tmp_path, int(cable_end.url.rpartition(":")[2]))
    for name, value in made.variables.items():
        monkeypatch.setenv(name, value)
    yield made
    made.close()


@pytest.mark.timeout(240)
def test_a_session_acquires_a_place_and_gives_it_back(bench: Bench) -> None:
    done = session(QUICK, "--target", f"labgrid:{PLACE}")
    assert done.returncode == 0 and counts(done.stdout) == {"passed": 4}, done.stdout + done.stderr
    assert bench.owner() == ""


@pytest.mark.timeout(240)
def test_a_place_that_somebody_has_is_refused(bench: Bench) -> None:
    bench.client("-p", PLACE, "acquire", user="bob")
    done = session(QUICK, "--target", f"labgrid:{PLACE}")
    said = done.stdout + done.stderr
    assert done.returncode == 3 and "already acquired by desk/bob" in said, said
    assert bench.owner() == "bob"


def test_a_place_that_there_is_not_and_a_coordinator_that_is_not_there(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InfrastructureError, match=r"Place nowhere: .*matches nothing"):
        Place("nowhere")
    with pytest.raises(UsageError, match="is not the whole name of a place"):
        Place(PLACE[:-2])
    assert bench.owner() == ""
    monkeypatch.setenv("LG_COORDINATOR", "127.0.0.1:9")
    with pytest.raises(InfrastructureError, match=rf"Place {PLACE}: .*127.0.0.1:9"):
        Place(PLACE)


def test_a_place_without_a_port_is_refused(bench: Bench) -> None:
    bench.client("-p", "empty", "create")
    place = Place("empty")
    with pytest.raises(UsageError, match="has 0 NetworkSerialPorts"):
        place.url()
    place.release()


def test_a_place_that_is_taken_away_is_noticed(bench: Bench) -> None:
    place = Place(PLACE)
    assert place.url().startswith("socket://127.0.0.1:") and place.taken is None and bench.owner() == "ann"
    with pytest.raises(Refused, match="already acquired"):
        Place(PLACE)
    bench.client("-p", PLACE, "release", "--kick", user="bob")
    _until(lambda: place.taken is not None)
    assert place.taken is not None and "was taken away from this session (nobody has it now)" in place.taken
    place.release()


def test_a_coordinator_that_goes_away_is_noticed(bench: Bench) -> None:
    place = Place(PLACE)
    bench.coordinator.kill()
    _until(lambda: place.taken is not None)
    assert place.taken == "The coordinator went away"
    place.release()


@pytest.mark.timeout(240)
def test_a_session_whose_place_is_kicked_says_so_once(bench: Bench, cable_end: Cable) -> None:
    enough, passed = threading.Event(), 0

    def count(data: bytes) -> bytes:
        nonlocal passed
        passed += len(data)
        if passed > BEFORE_KICK_BYTES:
            enough.set()
        return data

    def kick() -> None:
        if enough.wait(120):
            bench.client("-p", PLACE, "release", "--kick", user="bob")

    cable_end.to_host = count
    kicker = threading.Thread(target=kick)
    kicker.start()
    done = session(
        f"{TESTS}/test_telemetry.py", f"{TESTS}/test_settings_refused.py", "--target", f"labgrid:{PLACE}"
    )
    kicker.join()
    found = counts(done.stdout)
    assert found.get("failed", 0) + found.get("errors", 0) + found.get("error", 0) == 1, done.stdout
    assert found["skipped"] >= 3 and f"Place {PLACE} was taken away from this session" in done.stdout, (
        done.stdout
    )


def _until(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + WAIT_S
    while not condition() and time.monotonic() < end_s:
        time.sleep(0.1)
    assert condition()
