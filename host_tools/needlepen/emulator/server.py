"""Serving an emulated board to other programs: a pseudo-terminal behind a stable link, a TCP port, wall time.

Everything runs in one thread: the chip catches up with wall time in small steps, and bytes move in between.
If the emulation is slower than wall time it falls behind and does not race to catch up.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pty
import select
import socket
import time
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from needlepen.emulator.chip import Chip
from needlepen.errors import UsageError

STEP_S = 0.002
LONGEST_LAG_S = 0.05
BACKLOG_HIGH, BACKLOG_LOW = 65536, 16384


class Endpoint(Protocol):
    """A way in and out for a client's bytes. Bytes for nobody are dropped, as by a port that is not open."""

    def fileno_to_watch(self) -> list[int]: ...
    def receive(self) -> bytes: ...
    def send(self, data: bytes) -> None: ...
    @property
    def backlog(self) -> int: ...
    def close(self) -> None: ...


class Terminal:
    """A pseudo-terminal whose path is a symbolic link, renamed into place."""

    def __init__(self, link: Path) -> None:
        if link.exists() and not link.is_symlink():
            raise UsageError(
                f"{link} exists and is not a link, so it is not replaced; give another --link path."
            )
        self._master, slave = pty.openpty()
        tty.setraw(slave)
        self._target = os.ttyname(slave)
        os.close(slave)  # from now on a hang-up tells that no program has the port open
        os.set_blocking(self._master, False)
        self._pending = bytearray()
        self.link = link
        self._put_link()

    def _put_link(self) -> None:
        temporary = self.link.with_name(f"{self.link.name}.{os.getpid()}")
        try:
            self.link.parent.mkdir(parents=True, exist_ok=True)
            temporary.symlink_to(self._target)
            temporary.replace(self.link)
        except OSError as error:
            os.close(self._master)
            raise UsageError(
                f"{self.link} cannot be made ({error.strerror}); give another --link path."
            ) from error

    def _is_open(self) -> bool:
        poller = select.poll()
        poller.register(self._master, select.POLLIN)
        return not any(events & select.POLLHUP for _, events in poller.poll(0))

    def fileno_to_watch(self) -> list[int]:
        return [self._master] if self._is_open() else []

    def receive(self) -> bytes:
        with contextlib.suppress(OSError):  # nothing there, or nobody has it open
            return os.read(self._master, 4096)
        return b""

    def send(self, data: bytes) -> None:
        if not self._is_open():
            self._pending.clear()
            return
        self._pending += data
        try:
            written = os.write(self._master, self._pending)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            written = len(self._pending)
        del self._pending[:written]

    @property
    def backlog(self) -> int:
        return len(self._pending)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            if self.link.readlink() == Path(self._target):
                self.link.unlink()
        os.close(self._master)


class TcpPort:
    """A raw TCP port on the loopback interface, for one client at a time."""

    def __init__(self, port: int) -> None:
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listener.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            self._listener.close()
            raise UsageError(f"TCP port {port} cannot be used ({error}); give another --tcp port.") from error
        self._listener.listen()
        self._listener.setblocking(False)
        self._client: socket.socket | None = None
        self._pending = bytearray()
        self.port: int = self._listener.getsockname()[1]

    def fileno_to_watch(self) -> list[int]:
        return [s.fileno() for s in (self._listener, self._client) if s is not None]

    def receive(self) -> bytes:
        data = self._from_client()  # first, so that the place of a client that has gone is free
        self._accept()
        return data

    def _from_client(self) -> bytes:
        if self._client is None:
            return b""
        try:
            data = self._client.recv(4096)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self._drop()
        return data

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            client, _ = self._listener.accept()
            if self._client is not None and not self._has_hung_up(self._client):
                client.close()  # the board has one port, and it is taken
                return
            self._drop()
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._client = client

    @staticmethod
    def _has_hung_up(client: socket.socket) -> bool:
        try:
            return not client.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None
        self._pending.clear()

    def send(self, data: bytes) -> None:
        if self._client is None:
            return
        self._pending += data
        try:
            del self._pending[: self._client.send(self._pending)]
        except BlockingIOError:
            pass
        except OSError:
            self._drop()

    @property
    def backlog(self) -> int:
        return len(self._pending)

    def close(self) -> None:
        self._drop()
        self._listener.close()


class Server:
    """Moves bytes between endpoints and a chip's console while the chip follows wall time."""

    def __init__(self, chip: Chip, endpoints: list[Endpoint]) -> None:
        self._chip = chip
        self._endpoints = endpoints
        self._outgoing = bytearray()
        self._detach = chip.console.on_received(self._outgoing.extend)
        self._is_paused = False

    def serve(self, should_stop: Callable[[], bool] = lambda: False) -> None:
        """Serve until should_stop() or KeyboardInterrupt."""
        try:
            reference_s, device_ns = time.monotonic(), self._chip.now_ns
            while not should_stop():
                now_s = time.monotonic()
                lag_s = (now_s - reference_s) - (self._chip.now_ns - device_ns) / 1e9
                if lag_s > LONGEST_LAG_S:
                    reference_s += lag_s - LONGEST_LAG_S
                    lag_s = LONGEST_LAG_S
                if lag_s > 0:
                    self._chip.run_for(min(lag_s, STEP_S * 2) * 1e9)
                self._move()
                if lag_s < STEP_S:
                    select.select([fd for e in self._endpoints for fd in e.fileno_to_watch()], [], [], STEP_S)
        finally:
            self._detach()

    def _move(self) -> None:
        for endpoint in self._endpoints:
            data = endpoint.receive()
            if data:
                self._chip.console.write(data)
        outgoing = bytes(self._outgoing)
        self._outgoing.clear()
        self._chip.console.read_available()
        for endpoint in self._endpoints:
            endpoint.send(outgoing)
        self._press_back(max((endpoint.backlog for endpoint in self._endpoints), default=0))

    def _press_back(self, backlog: int) -> None:
        """A client that reads slowly makes the chip wait instead of losing bytes."""
        if backlog > BACKLOG_HIGH and not self._is_paused:
            self._is_paused = True
            self._chip.console.pause_reading()
        elif backlog < BACKLOG_LOW and self._is_paused:
            self._is_paused = False
            self._chip.console.resume_reading()
