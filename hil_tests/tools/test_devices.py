"""Which devices are there, which one is meant, and who holds it: with emulated pens in other processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.line import Emulation, environment

from needlepen import Pen
from needlepen.cli import cli
from needlepen.devices import choose_device, find_devices, open_pen, search
from needlepen.devices.model import BOOTSEL, BUSY, FOREIGN, MICROPYTHON, PEN, SILENT, Device
from needlepen.devices.search import identified
from needlepen.errors import InfrastructureError, Refused, UsageError
from needlepen.link.client import frames, kinds, messages

LEFT_ID, RIGHT_ID = "e660000000000001", "e660000000000002"


@pytest.fixture
def both(left: Emulation, emulate: Callable[..., Emulation]) -> tuple[Emulation, Emulation]:
    """Two pens side by side."""
    right = emulate("right", "--seed", "2")
    Pen.open(str(right.link), timeout_s=15).close()  # it has booted
    return left, right


def test_two_pens_are_listed_with_all_that_is_known_of_them(both: tuple[Emulation, Emulation]) -> None:
    found = {device.unique_id: device for device in find_devices() if device.emulated}
    for unique_id, name, emulation in ((LEFT_ID, "left", both[0]), (RIGHT_ID, "right", both[1])):
        device = found[unique_id]
        assert (device.kind, device.name, device.port) == (PEN, name, str(emulation.link))
        assert device.identity is not None and device.identity.board == "pico_pen"
        assert device.about is not None
        assert (device.about.micropython, device.about.calibration, device.about.role) == (
            "1.25.0",
            "valid",
            "engineer",
        )


def test_several_pens_and_no_choice_is_refused_with_the_list(both: tuple[Emulation, Emulation]) -> None:
    with pytest.raises(Refused, match=f"say which with --device: .*{LEFT_ID}.*{RIGHT_ID}"):
        choose_device(None)


def test_a_pen_is_chosen_by_anything_that_means_it(both: tuple[Emulation, Emulation]) -> None:
    _run("devices", "name", RIGHT_ID, "bench-right")
    texts = (
        RIGHT_ID,
        RIGHT_ID.upper(),
        "right",
        "bench-right",
        str(both[1].link),
        os.path.realpath(both[1].link),
    )
    for text in (*texts, both[1].url):
        device = choose_device(text)
        assert (device.kind, device.unique_id) == (PEN, RIGHT_ID), text
    assert choose_device("bench-right").port == str(both[1].link)
    assert choose_device(both[1].url).port == both[1].url
    with pytest.raises(Refused, match="begins the ID of several devices"):
        choose_device("e66000")
    with pytest.raises(UsageError, match="no unique ID, name, port or path"):
        choose_device("nobody")
    with pytest.raises(InfrastructureError, match="'0123456789abcdef' is not connected"):
        choose_device("0123456789abcdef")
    _run("devices", "forget", "bench-right")
    with pytest.raises(UsageError):
        choose_device("bench-right")


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False, standalone_mode=False)
    return result.output


def test_the_command_lists_them_as_a_table_and_as_json(both: tuple[Emulation, Emulation]) -> None:
    listed = {entry["unique_id"]: entry for entry in json.loads(_run("devices", "--json"))}
    assert listed[LEFT_ID]["kind"] == PEN and listed[LEFT_ID]["about"]["calibration"] == "valid"
    table = _run("devices")
    for text in (LEFT_ID, RIGHT_ID, "left", "development", "1.25.0", "valid", "engineer"):
        assert text in table, text


# ---------------------------------------------------------------------- who holds it
HOLD = """
import sys, time
from needlepen.devices import open_pen
with open_pen(sys.argv[1], "hold") as pen:
    print(pen.identity.unique_id, flush=True)
    time.sleep(60)
"""


@contextmanager
def _held(place: Path, device: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLD, device]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(place)) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == LEFT_ID
        yield process
        process.kill()


def test_a_second_program_is_told_who_has_the_pen(place: Path, left: Emulation) -> None:
    with _held(place, "left") as process:
        with pytest.raises(Refused, match=rf"in use by .*hold \(process {process.pid} of "), open_pen("left"):
            pass
        (busy,) = [device for device in find_devices() if device.unique_id == LEFT_ID]
        assert busy.kind == BUSY and busy.held_by is not None and busy.held_by.pid == process.pid
        assert f"(process {process.pid} of" in _run("devices")
        with pytest.raises(Refused, match="in use by"):  # by another way to the same pen
            choose_device(left.url)


def test_a_program_that_died_holds_nothing(place: Path, left: Emulation) -> None:
    with _held(place, "left") as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        with open_pen("left", "test") as pen:
            assert pen.identity.unique_id == LEFT_ID


def test_a_pen_whose_emulation_ended_is_not_listed(place: Path, runtime: Path) -> None:
    gone = Emulation(place, "gone", "--seed", "3")
    gone.process.kill()
    gone.process.wait()
    assert all(device.name != "gone" for device in find_devices(identify=False))
    assert not (place / "ports" / "gone.json").exists()


# ---------------------------------------------------------------------- boards that are no pens
class _Board(threading.Thread):
    """Something on TCP that answers each piece of data in its own way; keeps what it got."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        super().__init__(daemon=True)
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"
        self.received = b""
        self.start()

    def run(self) -> None:
        client, _ = self._listener.accept()
        with client:
            while data := client.recv(4096):
                self.received += data
                client.sendall(self._answer(data))


def _gps(_data: bytes) -> bytes:
    return b"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n"


def _echo(data: bytes) -> bytes:
    return data


def _silent(_data: bytes) -> bytes:
    return b""


@pytest.mark.parametrize(("answer", "kind"), [(_gps, FOREIGN), (_echo, MICROPYTHON), (_silent, SILENT)])
def test_another_board_gets_one_frame_and_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch, answer: Callable[[bytes], bytes], kind: str
) -> None:
    board = _Board(answer)
    monkeypatch.setattr(search, "IDENTIFY_S", 1.0)
    found = identified(Device(SILENT, board.url))
    assert found.kind == kind and found.note
    hello = frames.encode(messages.HELLO, 0, messages.pack(messages.HELLO, kinds.PROTOCOL_VERSION))
    assert board.received == hello, "one frame, nothing else"
    with pytest.raises((Refused, InfrastructureError)):
        choose_device(_Board(answer).url)


def test_a_bare_micropython_is_named_as_such(emulate: Callable[..., Emulation]) -> None:
    emulate("bare", "--no-app", "--seed", "9")
    with pytest.raises(Refused, match=r"micropython bare .* cannot be used as pen"):
        choose_device("bare")


def test_a_board_in_bootsel_is_listed_with_its_volume(place: Path, tmp_path: Path) -> None:
    from needlepen.devices import registry

    volume = tmp_path / "RPI-RP2"
    volume.mkdir()
    (volume / "INFO_UF2.TXT").write_text(
        "UF2 Bootloader v3.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: RPI-RP2\r\n"
    )
    registry.write(
        registry.Entry(
            "unflashed", "/nowhere", os.getpid(), "e6600000000000ff", None, registry.BOOTSEL, str(volume)
        )
    )
    try:
        (blank,) = [device for device in find_devices(identify=False) if device.name == "unflashed"]
        assert (blank.kind, blank.volume, blank.note) == (BOOTSEL, volume, "")
        assert choose_device("e6600000000000ff", (PEN, BOOTSEL)).volume == volume
        assert choose_device(str(volume), (BOOTSEL,)).volume == volume
        with pytest.raises(Refused, match=r"bootsel unflashed e6600000000000ff .* cannot be used as pen"):
            choose_device("unflashed")
    finally:
        registry.remove("unflashed")
