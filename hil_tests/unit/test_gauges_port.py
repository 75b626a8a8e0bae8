"""Gauges at serial ports: a real pseudo-terminal or socket, and everything that can go wrong on it."""

from __future__ import annotations

import os
import pty
import socket
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from needlepen.calibration.gauges import GaugeError, GaugeSilent, SimulatedGauge, digimatic, open_gauge
from needlepen.calibration.gauges.emulated import EmulatedGauge, gauge_port
from needlepen.calibration.model import GaugeIdentity
from needlepen.devices import registry
from needlepen.emulator.gauge_port import GaugePort
from needlepen.errors import InfrastructureError, Refused, UsageError

FRAME = "FFFF000125030"  # 1.250 mm
SOON_S = 0.3
PATIENCE_S = 2.0
"""What a busy machine may add; less than the port goes on talking for."""


class Adapter:
    """The other end of a pseudo-terminal. `answer(request)` is what it sends when something came."""

    def __init__(self) -> None:
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        self.port = os.ttyname(slave)
        self._slave = slave
        self.asked = b""
        self._threads: list[threading.Thread] = []

    def send(self, *parts: bytes, after_s: float = 0.1, between_s: float = 0.0) -> None:
        """Send these, one after the other, soon: while the other end waits."""

        def run() -> None:
            time.sleep(after_s)
            for part in parts:
                os.write(self.master, part)
                time.sleep(between_s)

        self._run(run)

    def answer(self, reply: Callable[[bytes], bytes], count: int = 1) -> None:
        """Answer requests."""

        def run() -> None:
            for _ in range(count):
                asked = os.read(self.master, 64)
                self.asked += asked
                os.write(self.master, reply(asked))

        self._run(run)

    def unplug(self) -> None:
        """The port goes."""
        ends = (self._slave, self.master)
        self._slave = self.master = -1  # first: a thread may be here already
        for end in ends:
            if end >= 0:
                os.close(end)

    def close(self) -> None:
        for thread in self._threads:
            thread.join(5)
        if self.master >= 0:
            self.unplug()

    def _run(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target)
        thread.start()
        self._threads.append(thread)


@pytest.fixture
def adapter() -> Iterator[Adapter]:
    made = Adapter()
    yield made
    made.close()


def test_a_mitutoyo_gauge_is_asked_and_answers(adapter: Adapter) -> None:
    gauge = open_gauge("mitutoyo", adapter.port, GaugeIdentity(kind="mitutoyo", serial="42"))
    adapter.answer(lambda _asked: b"01A+0001.250\r", count=2)
    for _ in range(2):
        found = gauge.read(2.0)
        assert (found.raw, found.value_mm, found.unit) == ("01A+0001.250", 1.25, "mm")
    assert adapter.asked == b"1\r1\r" and gauge.identity.serial == "42"
    gauge.close()


def test_a_display_in_inches_is_told_by_the_file(adapter: Adapter) -> None:
    gauge = open_gauge("mitutoyo", adapter.port, unit="inch")
    adapter.answer(lambda _asked: b"01A+00.04925\r\n")
    found = gauge.read(2.0)
    assert (found.value_mm, found.unit) == (1.25095, "inch")
    gauge.close()


@pytest.mark.parametrize("ending", [b"\r", b"\n", b"\r\n", b""])
def test_a_digimatic_text_comes_with_any_ending(adapter: Adapter, ending: bytes) -> None:
    gauge = open_gauge("digimatic", adapter.port)
    adapter.send(FRAME.encode() + ending)
    found = gauge.read(2.0)
    assert (found.raw, found.value_mm) == (FRAME, 1.25)
    gauge.close()


def test_a_digimatic_bit_stream_comes_in_pieces(adapter: Adapter) -> None:
    gauge = open_gauge("digimatic", adapter.port)
    data = digimatic.to_bits(FRAME)
    adapter.send(data[:3], data[3:], between_s=0.05)
    found = gauge.read(2.0)
    assert (found.raw, found.value_mm) == ("0x" + data.hex(), 1.25)
    assert gauge.parse(found.raw).value_mm == 1.25  # the raw text says all
    gauge.close()


@pytest.mark.parametrize(
    ("kind", "sent", "fault"),
    [
        ("mitutoyo", b"01A+0001.2", "short"), ("mitutoyo", b"01A+0001.25000\r", "long"),
        ("mitutoyo", b"911\r", "error reply"),
        ("mitutoyo", b"\x8c\xff\x01\x80\r", "garbage"), ("mitutoyo", b"\xaa" * 100, "noise"),
        ("mitutoyo", b"01A+0099.999\r", "range"), ("mitutoyo", b"1.250\r", "short"),
        ("digimatic", b"FFFF0001250", "short"), ("digimatic", digimatic.to_bits(FRAME)[:5], "short"),
        ("digimatic", digimatic.to_bits(FRAME) + b"\0", "long"), ("digimatic", b"#error\r", "garbage"),
        ("digimatic", b"FFFF899999930\r", "range"), ("digimatic", b"F" * 200, "noise"),
    ],
)  # fmt: skip
def test_what_is_no_frame_is_refused_by_name(adapter: Adapter, kind: str, sent: bytes, fault: str) -> None:
    gauge = open_gauge(kind, adapter.port)
    adapter.send(sent)
    with pytest.raises(GaugeError) as refused:
        gauge.read(2.0)
    assert refused.value.fault == fault and "\n" not in str(refused.value)
    good = b"01A+0001.250\r" if kind == "mitutoyo" else FRAME.encode() + b"\r"
    adapter.send(good, after_s=0.3)
    assert gauge.read(2.0).value_mm == 1.25  # it goes on afterwards
    gauge.close()


@pytest.mark.parametrize("kind", ["mitutoyo", "digimatic"])
def test_a_silent_gauge_ends_the_wait_in_time(adapter: Adapter, kind: str) -> None:
    gauge = open_gauge(kind, adapter.port)
    begun_s = time.monotonic()
    with pytest.raises(GaugeSilent, match=r"within 0.3 s.*switched on"):
        gauge.read(SOON_S)
    assert SOON_S <= time.monotonic() - begun_s < SOON_S + PATIENCE_S
    gauge.close()


def test_what_came_before_the_question_is_of_another_depth(adapter: Adapter) -> None:
    gauge = open_gauge("digimatic", adapter.port)
    os.write(adapter.master, b"FFFF000050030\r")
    time.sleep(0.05)
    adapter.send(FRAME.encode() + b"\r")
    assert gauge.read(2.0).value_mm == 1.25
    gauge.close()


@pytest.mark.parametrize("cut", [1, 6, 13])
def test_an_adapter_that_sends_all_the_time_is_read_also_in_the_middle_of_a_frame(
    adapter: Adapter, cut: int
) -> None:
    """The first part of a frame is dropped, as what came before; the next whole one counts."""
    gauge = open_gauge("digimatic", adapter.port)
    older, newer = b"FFFF000050030\r", FRAME.encode() + b"\r"
    os.write(adapter.master, older + older[:cut])
    time.sleep(0.05)
    adapter.send(older[cut:], newer, newer, between_s=0.02)
    assert gauge.read(2.0).value_mm == 1.25
    gauge.close()


def test_a_port_that_talks_without_an_end_is_no_gauge(adapter: Adapter) -> None:
    gauge = open_gauge("digimatic", adapter.port)
    adapter.send(*[b"7"] * 60, after_s=0.0, between_s=0.05)
    begun_s = time.monotonic()
    with pytest.raises(GaugeError) as refused:
        gauge.read(SOON_S)
    assert refused.value.fault == "noise" and time.monotonic() - begun_s < SOON_S + PATIENCE_S
    gauge.close()


@pytest.mark.parametrize("kind", ["mitutoyo", "digimatic"])
def test_a_port_that_goes_away_is_told(adapter: Adapter, kind: str) -> None:
    gauge = open_gauge(kind, adapter.port)
    threading.Timer(0.1, adapter.unplug).start()
    with pytest.raises(InfrastructureError, match=r"has gone .*plug the gauge in again"):
        gauge.read(5.0)
    with pytest.raises(InfrastructureError):
        gauge.read(0.1)
    gauge.close()


def test_a_gauge_that_is_plugged_in_again_is_read_again(tmp_path: Path) -> None:
    link = tmp_path / "gauge"
    first, second = Adapter(), Adapter()
    link.symlink_to(first.port)
    gauge = open_gauge("mitutoyo", str(link))
    first.unplug()
    for _ in range(2):
        with pytest.raises(InfrastructureError):
            gauge.read(0.1)
    link.unlink()
    link.symlink_to(second.port)
    second.answer(lambda _asked: b"01A+0001.250\r")
    assert gauge.read(2.0).value_mm == 1.25
    gauge.close()
    second.close()


def test_a_port_that_is_not_there_or_taken_or_missing_is_told(adapter: Adapter, tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="`needlepen gauge list` lists what is there"):
        open_gauge("mitutoyo", str(tmp_path / "nothing"))
    with pytest.raises(UsageError, match=r"say which with --port, or in gauges.toml"):
        open_gauge("digimatic")
    gauge = open_gauge("mitutoyo", adapter.port)
    with pytest.raises(InfrastructureError, match="in use by another program"):
        open_gauge("mitutoyo", adapter.port)
    gauge.close()


def test_a_gauge_at_a_socket_that_closes(adapter: Adapter) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        gauge = open_gauge("mitutoyo", f"socket://127.0.0.1:{listener.getsockname()[1]}")
        end, _ = listener.accept()
        end.sendall(b"")
        threading.Timer(0.05, lambda: end.sendall(b"01A-0000.002\r")).start()
        assert gauge.read(2.0).value_mm == -0.002
        end.close()
        with pytest.raises(InfrastructureError, match=r"has gone"):
            gauge.read(1.0)
        gauge.close()


def test_an_echo_is_no_answer() -> None:
    gauge = open_gauge("mitutoyo", "loop://")
    with pytest.raises(GaugeError) as refused:
        gauge.read(1.0)
    assert refused.value.fault == "short"
    gauge.close()


# ---------------------------------------------------------------------- the emulated one
class ServedGauge:
    """A gauge's port, served in a thread. The port is made for one thread, as `needlepen emulate` has one: what a test
    does to it happens between two steps of that thread."""

    def __init__(self, port: GaugePort) -> None:
        self._port = port
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self.link = port.link
        self._thread.start()

    def do(self, action: Callable[[GaugePort], None]) -> None:
        """Do something to the port."""
        with self._lock:
            action(self._port)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._port.close()

    def _serve(self) -> None:
        while not self._stop.wait(0.002):
            self.do(GaugePort.serve)


@pytest.fixture
def emulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedGauge]:
    """The port of a simulated gauge with 2 mm under it, in this process; the registry knows it as that of "left"."""
    monkeypatch.setenv("NEEDLEPEN_STATE", str(tmp_path))
    port = GaugePort(SimulatedGauge(lambda: 2.0, seed=3, error_um=0.0), tmp_path / "left.gauge")
    entry = registry.Entry(
        "left", str(tmp_path / "left"), os.getpid(), "e660000000000001", 4711, gauge=str(port.link)
    )
    registry.write(entry)
    served = ServedGauge(port)
    yield served
    served.close()
    registry.remove("left")


def test_the_emulated_gauge_has_papers_and_is_put_on_the_plate(emulated: ServedGauge) -> None:
    gauge = open_gauge("simulated")
    assert (gauge.identity.kind, gauge.identity.serial, gauge.identity.error_um) == (
        "simulated",
        "SIM-3",
        0.0,
    )
    assert gauge.read().value_mm == pytest.approx(2.0, abs=0.006)
    gauge.place("plate")
    assert gauge.read().value_mm == pytest.approx(0.0, abs=0.006)
    gauge.place("pen")
    assert gauge.read().value_mm == pytest.approx(2.0, abs=0.006)
    gauge.close()
    mine = open_gauge("simulated", identity=GaugeIdentity(kind="simulated", serial="other papers"))
    assert mine.identity.serial == "other papers"
    mine.close()


@pytest.mark.parametrize("seed", [3, 4])
def test_after_a_loss_it_is_the_same_gauge_where_it_was_or_refused(
    emulated: ServedGauge, tmp_path: Path, seed: int
) -> None:
    gauge = open_gauge("simulated", "left")
    gauge.place("plate")
    link = tmp_path / "left.gauge"
    emulated.do(GaugePort.unplug)
    with pytest.raises(InfrastructureError, match="has gone"):
        gauge.read()
    with pytest.raises(InfrastructureError, match="cannot be opened"):
        gauge.read()
    other = SimulatedGauge(lambda: 2.0, seed, error_um=0.0)
    emulated.do(lambda port: port.plug(other))
    assert link.is_symlink()
    if seed == 3:
        assert gauge.read().value_mm == pytest.approx(0.0, abs=0.006)  # a new one stands on the pen
    else:
        for _ in range(2):
            with pytest.raises(GaugeError, match="Gauge SIM-4 is there now instead of SIM-3"):
                gauge.read()
    gauge.close()


def test_two_threads_may_read_the_same_gauge(emulated: ServedGauge) -> None:
    gauge = open_gauge("simulated", "left")
    found: list[float] = []
    threads = [
        threading.Thread(target=lambda: found.extend(gauge.read().value_mm for _ in range(20)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40 and found == pytest.approx([2.0] * 40, abs=0.006)
    gauge.close()


def test_any_mitutoyo_program_can_use_it_and_its_data_key(emulated: ServedGauge) -> None:
    gauge = open_gauge("mitutoyo", str(emulated.link))
    assert gauge.read().value_mm == pytest.approx(2.0, abs=0.006)
    assert isinstance(gauge, EmulatedGauge) is False
    gauge.request = b"?\r"  # type: ignore[attr-defined]  # which it does not answer
    with pytest.raises(GaugeSilent):
        gauge.read(SOON_S)
    threading.Timer(0.1, emulated.do, (GaugePort.press_data,)).start()
    assert gauge.read(2.0).value_mm == pytest.approx(2.0, abs=0.006)
    gauge.close()


def test_its_port_is_found_by_whatever_means_its_pen(emulated: ServedGauge, tmp_path: Path) -> None:
    port = str(emulated.link)
    for text in (None, "left", "e660000000000001", str(tmp_path / "left"), port, "socket://127.0.0.1:4711"):
        assert gauge_port(text) == port, text
    assert gauge_port("/dev/ttyUSB7") == "/dev/ttyUSB7"
    with pytest.raises(InfrastructureError, match="No emulated pen 'right' runs"):
        gauge_port("right")
    registry.write(registry.Entry("right", "/x", os.getpid(), "e660000000000002", gauge="/x.gauge"))
    with pytest.raises(Refused, match=r"say which with --port: left, right"):
        gauge_port(None)
    registry.remove("right")
    registry.remove("left")
    with pytest.raises(InfrastructureError, match="No emulated pen runs"):
        gauge_port(None)


def test_a_gauge_that_is_not_simulated_is_not_put_anywhere(adapter: Adapter) -> None:
    with pytest.raises(InfrastructureError):
        open_gauge("simulated", "/dev/no/such/port")
    adapter.answer(lambda _asked: b"01A+0001.250\r")
    with pytest.raises(GaugeError, match="it is no simulated one"):
        open_gauge("simulated", adapter.port)
