"""The console of an emulated board as other programs see it: in process, on a pseudo-terminal, on TCP."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serial
from mpremote.transport_serial import SerialTransport

from needlepen.emulator import serial_handler
from needlepen.emulator.chip import Chip
from needlepen.emulator.server import Server, TcpPort, Terminal
from needlepen.errors import UsageError


@pytest.fixture
def serve(chip: Chip) -> Iterator[Callable[..., None]]:
    """serve(endpoint, ...) keeps the chip alive on them until the end of the test."""
    stop = threading.Event()
    threads: list[threading.Thread] = []
    served: list[TcpPort | Terminal] = []

    def start(*endpoints: TcpPort | Terminal) -> None:
        thread = threading.Thread(target=Server(chip, list(endpoints)).serve, args=(stop.is_set,))
        thread.start()
        threads.append(thread)
        served.extend(endpoints)

    yield start
    stop.set()
    for thread in threads:
        thread.join()
    for endpoint in served:
        endpoint.close()


def test_mpremote_works_in_process(chip: Chip) -> None:
    transport = SerialTransport(serial_handler.publish("Pen", chip))
    try:
        transport.enter_raw_repl(soft_reset=False)
        assert transport.eval("sum(range(10))") == 45
        data = bytes(range(256)) * 20
        transport.fs_writefile("/blob.bin", data)
        assert transport.fs_readfile("/blob.bin") == data
        transport.exit_raw_repl()
    finally:
        transport.close()
        serial_handler.withdraw("Pen")


def test_an_unknown_board_is_named(chip: Chip) -> None:
    serial_handler.publish("pen_a", chip)
    with pytest.raises(serial.SerialException, match=r"called 'pen_b' \(there are: [^)]*\bpen_a\b"):
        serial.serial_for_url("needlepen-emu://pen_b")
    serial_handler.withdraw("pen_a")


def test_a_time_out_counts_device_time(chip: Chip) -> None:
    serial_handler.publish("pen", chip)
    port = serial.serial_for_url("needlepen-emu://pen", timeout=0.25)
    before_ns = chip.now_ns
    port.read(10_000)
    assert chip.now_ns - before_ns == pytest.approx(250e6, abs=1e6)
    port.close()
    serial_handler.withdraw("pen")


def test_mpremote_works_on_a_pseudo_terminal(tmp_path: Path, serve: Callable[..., None]) -> None:
    link = tmp_path / "ttyPEN"
    terminal = Terminal(link)
    serve(terminal)
    transport = SerialTransport(str(link))
    transport.enter_raw_repl(soft_reset=False)
    assert transport.eval("6 * 7") == 42
    text = "0123456789" * 2000
    transport.exec("import sys")
    assert transport.exec(f"sys.stdout.write({text[:100]!r} * 200)") == (text[:100] * 200).encode()
    transport.exit_raw_repl()
    transport.close()


@pytest.mark.nightly
def test_the_mpremote_command_takes_over_a_development_build(tmp_path: Path, runtime: Path) -> None:
    """With the firmware running, in another process: Ctrl-C, soft reset, file system; the link goes with the pen."""
    link = tmp_path / "ttyPEN"
    environment = os.environ | {"NEEDLEPEN_RUNTIME": str(runtime)}
    emulate = subprocess.Popen(
        [sys.executable, "-m", "needlepen", "emulate", "--link", str(link)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline_s = time.monotonic() + 60
        while not link.is_symlink() and time.monotonic() < deadline_s:
            time.sleep(0.1)
        mpremote = [sys.executable, "-m", "mpremote", "connect", str(link)]
        while subprocess.run([*mpremote, "exec", "1"], capture_output=True, check=False).returncode:
            assert time.monotonic() < deadline_s, (
                "until the pen knows its build it takes no Ctrl-C, and no longer"
            )
        (tmp_path / "mounted").mkdir()
        (tmp_path / "mounted" / "theirs.py").write_text("answer = 42\n")
        script = tmp_path / "script.py"
        script.write_text("import sys\nprint(sys.implementation.name)\n")
        for command, expected in (
            (["exec", "print(6 * 7)"], "42"),
            (["fs", "ls", ":"], "pen_loader.mpy"),
            (["fs", "cp", str(script), ":script.py"], ""),
            (["fs", "cat", ":script.py"], "sys.implementation"),
            (["run", str(script)], "micropython"),
            (["mount", str(tmp_path / "mounted"), "exec", "import theirs; print(theirs.answer)"], "42"),
            (["exec", "from pen import build_info; print(build_info.BUILD_KIND)"], "development"),
            (["reset"], ""),
        ):
            done = subprocess.run(
                [*mpremote, *command], capture_output=True, text=True, timeout=60, check=False
            )
            assert done.returncode == 0 and expected in done.stdout, done
    finally:
        emulate.terminate()
        emulate.wait(20)
    assert not link.is_symlink()


def test_a_terminal_cleans_up_its_own_link_only(tmp_path: Path) -> None:
    link = tmp_path / "ttyPEN"
    first = Terminal(link)
    second = Terminal(link)
    first.close()
    assert link.is_symlink() and link.readlink().exists()
    second.close()
    assert not link.is_symlink()
    link.write_text("precious")
    with pytest.raises(UsageError, match="not a link"):
        Terminal(link)
    assert link.read_text() == "precious"


def test_tcp_serves_one_client_and_refuses_a_second(serve: Callable[..., None]) -> None:
    port = TcpPort(0)
    serve(port)
    with socket.create_connection(("127.0.0.1", port.port), timeout=10) as client:
        client.sendall(b"\r\x03print(6 * 7)\r")
        received = b""
        while b"\r\n42\r\n" not in received:
            received += client.recv(1000)
        with socket.create_connection(("127.0.0.1", port.port), timeout=10) as other:
            assert other.recv(10) == b""
    with pytest.raises(UsageError, match=f"TCP port {port.port}"):
        TcpPort(port.port)


def test_a_slow_client_loses_nothing(serve: Callable[..., None]) -> None:
    port = TcpPort(0)
    serve(port)
    with socket.create_connection(("127.0.0.1", port.port), timeout=20) as client:
        client.sendall(b"\r\x03for i in range(20000): print('%05d' % i)\r\r\r")
        time.sleep(0.5)
        received = b""
        while b"19999\r\n" not in received:
            received += client.recv(100_000)
    assert b"".join(b"%05d\r\n" % i for i in range(20000)) in received


def test_a_served_chip_keeps_wall_time(serve: Callable[..., None], chip: Chip, tmp_path: Path) -> None:
    before_ns = chip.now_ns
    serve(Terminal(tmp_path / "tty"))
    time.sleep(0.5)
    assert 0.35e9 <= chip.now_ns - before_ns <= 0.75e9
