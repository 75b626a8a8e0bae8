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
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.line import Cable, Emulation, unchanged
from support.sessions import QUICK, RUN_S, TESTS, counts, session
from support.targets.places import Place, command
from support.troubles import assert_told

from needlepen.emulator.server import TcpPort
from needlepen.errors import InfrastructureError, Refused, UsageError

PLACE = "pen-rack-1"
WAIT_S = 60.0
SESSION_S = RUN_S + 3 * WAIT_S
BEFORE_LOSS_BYTES = 6_000


def _command(name: str) -> str:
    found = command(name)
    if found is None:
        pytest.skip("labgrid is not installed: `make labgrid`")
    return found


class Bench:
    """Coordinator and exporter of one pen, behind a cable."""

    def __init__(self, folder: Path, pen_port: int, protocol: str = "raw") -> None:
        self.address = f"127.0.0.1:{_free_port()}"
        self._folder = folder
        self._environment = os.environ | {
            "LG_COORDINATOR": self.address,
            "LG_USERNAME": "ann",
            "LG_HOSTNAME": "desk",
        }
        (folder / "exporter.yaml").write_text(
            "rack:\n  NetworkSerialPort:\n    host: 127.0.0.1\n"
            f"    port: {pen_port}\n    protocol: {protocol}\n"
        )
        self._log = (folder / "labgrid.log").open("w")
        self._begin()
        self.client("-p", PLACE, "create")
        self.client("-p", PLACE, "add-match", "*/rack/NetworkSerialPort")
        self.client("-p", PLACE, "set-tags", "pen=left")

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

    def restart(self) -> None:
        """The coordinator goes and comes again, and with it the exporter, as their services do."""
        for process in (self.coordinator, self.exporter):
            process.kill()
            process.wait()
        self._begin()

    def close(self) -> None:
        """End both."""
        for process in (self.exporter, self.coordinator):
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        self._log.close()

    def _begin(self) -> None:
        self.coordinator = self._start("labgrid-coordinator", "-l", self.address)
        self._wait(lambda: self.client("places", check=False).returncode == 0)
        self.exporter = self._start(
            "labgrid-exporter", "-n", "rack-host", str(self._folder / "exporter.yaml")
        )
        self._wait(lambda: "rack" in self.client("resources").stdout)

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


@contextmanager
def _bench(folder: Path, port: int, protocol: str = "raw") -> Iterator[Bench]:
    """A bench with one pen, which this process uses as ann."""
    _command("labgrid-client")
    made = Bench(folder, port, protocol)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in made.variables.items():
            patch.setenv(name, value)
        yield made
    made.close()


@pytest.fixture(scope="module")
def cable_end(left: Emulation) -> Iterator[Cable]:
    with Cable(left.tcp_port, lambda: TcpPort(0)) as cable:
        yield cable


@pytest.fixture(scope="module")
def shared(cable_end: Cable, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """For all tests that leave it as it was."""
    with _bench(tmp_path_factory.mktemp("bench"), _port(cable_end)) as made:
        yield made


@pytest.fixture
def bench(shared: Bench, cable_end: Cable) -> Iterator[Bench]:
    """The place is nobody's, and is so again at the end."""
    yield shared
    cable_end.to_host = unchanged
    shared.client("-p", PLACE, "release", "--kick", check=False)


def _port(cable: Cable) -> int:
    return int(cable.url.rpartition(":")[2])


# ---------------------------------------------------------------------- a place
@pytest.mark.timeout(SESSION_S)
def test_a_session_acquires_a_place_and_gives_it_back(bench: Bench) -> None:
    done = session(QUICK, "--target", f"labgrid:{PLACE}")
    assert done.returncode == 0 and counts(done.stdout) == {"passed": 4}, done.stdout + done.stderr
    assert bench.owner() == ""


@pytest.mark.nightly
@pytest.mark.timeout(SESSION_S)
def test_a_place_that_somebody_has_is_refused(bench: Bench) -> None:
    bench.client("-p", PLACE, "acquire", user="bob")
    done = session(QUICK, "--target", f"labgrid:{PLACE}")
    said = done.stdout + done.stderr
    assert_told("two users of a place", said, done.returncode)
    assert "already acquired by desk/bob" in said and bench.owner() == "bob"
    bench.client("-p", PLACE, "release", user="bob")


@pytest.mark.nightly
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


@pytest.mark.nightly
def test_a_place_without_a_port_is_refused(bench: Bench) -> None:
    bench.client("-p", "empty", "create")
    place = Place("empty")
    with pytest.raises(UsageError, match="has 0 NetworkSerialPorts"):
        place.url()
    place.release()


# ---------------------------------------------------------------------- reserved
@pytest.mark.nightly
@pytest.mark.timeout(SESSION_S)
def test_what_was_reserved_is_tested_by_whoever_has_reserved_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = bench.client("reserve", "--wait", "--shell", "pen=left").stdout
    with pytest.raises(subprocess.CalledProcessError) as refused:
        bench.client("-p", PLACE, "acquire", user="bob")
    assert "reserved" in refused.value.stderr
    monkeypatch.setenv("LG_TOKEN", said.split("LG_TOKEN=")[1].split()[0])
    done = session(QUICK, "--target", "labgrid:+")
    assert done.returncode == 0 and counts(done.stdout) == {"passed": 4}, done.stdout + done.stderr
    assert bench.owner() == ""
    bench.client("cancel-reservation", os.environ["LG_TOKEN"])


def test_a_reservation_that_there_is_not_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LG_TOKEN", raising=False)
    with pytest.raises(UsageError, match=r"labgrid-client reserve --wait --shell NAME=VALUE"):
        Place("+")


# ---------------------------------------------------------------------- RFC 2217
@pytest.mark.nightly
@pytest.mark.timeout(SESSION_S)
def test_a_place_whose_port_speaks_rfc_2217_is_tested_too(left: Emulation, tmp_path: Path) -> None:
    """The port of the emulated pen, served by ser2net as an exporter serves those of real ones."""
    ser2net = shutil.which("ser2net")
    if ser2net is None:
        pytest.skip("ser2net is not installed (Debian: ser2net)")
    port = _free_port()
    (tmp_path / "ser2net.yaml").write_text(
        "connection: &pen\n"
        f"  accepter: telnet(rfc2217),tcp,127.0.0.1,{port}\n"
        f"  connector: serialdev,{left.link},115200n81,local\n"
    )
    served = subprocess.Popen([ser2net, "-n", "-c", str(tmp_path / "ser2net.yaml")])
    try:
        with _bench(tmp_path, port, "rfc2217") as bench:
            done = session(QUICK, f"{TESTS}/test_start_up.py", "--target", f"labgrid:{PLACE}")
            assert done.returncode == 0 and counts(done.stdout)["passed"] == 9, done.stdout + done.stderr
            assert bench.owner() == ""
    finally:
        served.kill()
        served.wait()


# ---------------------------------------------------------------------- lost
@pytest.mark.nightly
def test_a_place_that_is_taken_away_is_noticed(bench: Bench) -> None:
    place = Place(PLACE)
    assert place.url().startswith("socket://127.0.0.1:") and place.taken is None and bench.owner() == "ann"
    with pytest.raises(Refused, match="already acquired"):
        Place(PLACE)
    bench.client("-p", PLACE, "release", "--kick", user="bob")
    _until(lambda: place.taken is not None)
    assert place.taken is not None and "was taken away from this session (nobody has it now)" in place.taken
    place.release()


@pytest.mark.timeout(SESSION_S)
def test_a_session_whose_place_is_kicked_says_so_once(bench: Bench, cable_end: Cable) -> None:
    done = _session_with(cable_end, lambda: bench.client("-p", PLACE, "release", "--kick", user="bob"))
    _assert_lost_once("place kicked", done)
    assert bench.owner() == ""


@pytest.mark.nightly
@pytest.mark.timeout(2 * SESSION_S)
def test_a_session_whose_coordinator_is_restarted_says_so_once_and_the_next_one_runs(
    bench: Bench, cable_end: Cable
) -> None:
    done = _session_with(cable_end, bench.restart)
    _assert_lost_once("coordinator restarted", done)
    cable_end.to_host = unchanged
    _until(lambda: bench.owner() == "")
    done = session(QUICK, "--target", f"labgrid:{PLACE}")
    assert done.returncode == 0 and counts(done.stdout) == {"passed": 4}, done.stdout + done.stderr


def _session_with(cable: Cable, lose: Callable[[], object]) -> subprocess.CompletedProcess[str]:
    """A session that loses its place when it has tested a little."""
    enough, passed = threading.Event(), 0

    def count(data: bytes) -> bytes:
        nonlocal passed
        passed += len(data)
        if passed > BEFORE_LOSS_BYTES:
            enough.set()
        return data

    cable.to_host = count
    loser = threading.Thread(target=lambda: enough.wait(120) and lose())
    loser.start()
    done = session(
        f"{TESTS}/test_telemetry.py", f"{TESTS}/test_settings_refused.py", "--target", f"labgrid:{PLACE}"
    )
    loser.join()
    return done


def _assert_lost_once(trouble: str, done: subprocess.CompletedProcess[str]) -> None:
    found = counts(done.stdout)
    assert_told(trouble, done.stdout, done.returncode)
    assert found["infrastructure"] == 1 and found["skipped"] >= 3 and "failed" not in found, done.stdout


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _until(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + WAIT_S
    while not condition() and time.monotonic() < end_s:
        time.sleep(0.1)
    assert condition()
