"""A port behind RFC 2217, as exporters of shared benches serve it: opened, read and written like any other."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
import serial
import serial.rfc2217

from needlepen.link.transport import Transport, Unplugged

WAIT_S = 5.0


class Served:
    """pyserial's own server, with a port behind it that sends back what it gets."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"rfc2217://127.0.0.1:{self._listening.getsockname()[1]}?ign_set_control"
        self._client: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> None:
        """What the port manager answers by itself."""
        assert self._client is not None
        self._client.sendall(data)

    def close(self) -> None:
        """After the client has hung up."""
        self._listening.close()
        self._thread.join(WAIT_S)

    def _serve(self) -> None:
        self._client, _ = self._listening.accept()
        port = serial.serial_for_url("loop://", timeout=0)
        manager = serial.rfc2217.PortManager(port, self)
        with self._client:
            while data := self._client.recv(1024):
                port.write(b"".join(manager.filter(data)))
                if back := port.read(1024):
                    self._client.sendall(b"".join(manager.escape(back)))


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # pyserial names its thread in the old way
def test_bytes_go_there_and_back_and_nothing_is_waited_for_in_vain(served: Served) -> None:
    transport = Transport(served.url)
    transport.write(b"\xff hello \x00")  # 0xFF is a command of Telnet unless it is doubled
    heard = b""
    while len(heard) < 9 and (data := transport.read(WAIT_S)):
        heard += data
    assert heard == b"\xff hello \x00" and transport.read(0.05) == b""
    transport.close()


def test_a_server_that_is_not_there_is_told_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"rfc2217://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(Unplugged, match="cannot be opened") as error:
        Transport(url)
    assert "\n" not in str(error.value)
