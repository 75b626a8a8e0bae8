"""A cable between a program and an emulated pen in another process, which can be pulled, cut and disturbed.

On the program's side it ends in a pseudo-terminal or a TCP port; the pen's side is the TCP port of
`needlepen emulate`.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from needlepen.emulator.server import TcpPort, Terminal

START_S = 90.0
Filter = Callable[[bytes], bytes]


def unchanged(data: bytes) -> bytes:
    """What a good cable does."""
    return data


def nothing(_data: bytes) -> bytes:
    """What a cut wire does."""
    return b""


class Emulation:
    """`needlepen emulate` in another process."""

    def __init__(self, folder: Path, name: str, *options: str) -> None:
        self.link = folder / "ports" / name
        command = [
            sys.executable,
            "-m",
            "needlepen",
            "emulate",
            "--name",
            name,
            "--tcp",
            "0",
            "--json",
            *options,
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(folder))
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], START_S)
        assert ready, f"needlepen emulate says nothing within {START_S:.0f} s"
        said: dict[str, Any] = json.loads(self.process.stdout.readline())
        self.tcp_port = int(said["tcp_port"])
        self.url = f"socket://127.0.0.1:{self.tcp_port}"

    def close(self) -> None:
        """End it as Ctrl-C does."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def environment(folder: Path) -> dict[str, str]:
    """Programs with this environment know only the pens, locks and names of this folder."""
    return os.environ | {"NEEDLEPEN_STATE": str(folder), "NEEDLEPEN_CONFIG": str(folder / "config")}


class Cable:
    """Relays bytes in a thread. `to_pen` and `to_host` may change or swallow what passes."""

    def __init__(self, pen_port: int, make_end: Callable[[], Terminal | TcpPort]) -> None:
        self._pen_port = pen_port
        self._make_end = make_end
        self.to_pen: Filter = unchanged
        self.to_host: Filter = unchanged
        self.passed_to_pen = bytearray()
        self._lock = threading.Lock()
        self._end: Terminal | TcpPort | None = None
        self._pen: socket.socket | None = None
        self._stop = threading.Event()
        self.plug_in()
        self._thread = threading.Thread(target=self._relay)
        self._thread.start()

    def __enter__(self) -> Cable:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.unplug()

    @property
    def url(self) -> str:
        """What a program opens."""
        end = self._end
        if isinstance(end, TcpPort):
            return f"socket://127.0.0.1:{end.port}"
        assert isinstance(end, Terminal)
        return str(end.link)

    def unplug(self) -> None:
        """Both ends part; the program's port is gone."""
        with self._lock:
            if self._end is not None and self._pen is not None:
                self._end.close()
                self._pen.close()
            self._end = self._pen = None

    def plug_in(self) -> None:
        """A new port at the same place."""
        with self._lock:
            self._end = self._make_end()
            self._pen = socket.create_connection(("127.0.0.1", self._pen_port), 5)
            self._pen.setblocking(False)

    def inject_to_pen(self, data: bytes) -> None:
        """Bytes that no program sent."""
        with self._lock:
            assert self._pen is not None
            self._pen.setblocking(True)
            self._pen.sendall(data)
            self._pen.setblocking(False)

    def inject_to_host(self, data: bytes) -> None:
        """Bytes that no pen sent."""
        with self._lock:
            assert self._end is not None
            self._end.send(data)

    def _relay(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                end, pen = self._end, self._pen
                if end is not None and pen is not None:
                    with contextlib.suppress(ConnectionError):
                        self._move(end, pen)
            self._stop.wait(0.001)

    def _move(self, end: Terminal | TcpPort, pen: socket.socket) -> None:
        data = end.receive()
        if data:
            self.passed_to_pen += data
            pen.sendall(self.to_pen(data))
        try:
            data = pen.recv(4096)
        except BlockingIOError:
            data = b""
        end.send(self.to_host(data) if data else b"")
