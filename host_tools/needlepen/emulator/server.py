"""Serving an emulated board to other programs: a pseudo-terminal behind a stable link, a TCP port, wall time.

Everything runs in one thread: the chip catches up with wall time in small steps, and bytes move in between.
If the emulation is slower than wall time it falls behind and does not race to catch up.

In BOOTSEL mode a real board has no serial port but a drive: the endpoints are unplugged, and a folder is the drive.
Opening and closing the pseudo-terminal moves DTR only for the 1200 baud touch; TCP has neither baud rate nor DTR.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pty
import select
import socket
import termios
import time
import tty
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol

from needlepen.emulator.bootsel import BootselVolume
from needlepen.emulator.chip import Chip
from needlepen.errors import UsageError

STEP_S = 0.002
LONGEST_LAG_S = 0.05
BACKLOG_HIGH, BACKLOG_LOW = 65536, 16384
TOUCH_BAUD = 1200

State = Literal["running", "bootsel", "starting"]
"""`running`: the serial port is there; `bootsel`: the drive is; `starting`: neither; for good if it does not boot."""


class Endpoint(Protocol):
    """A way in and out for a client's bytes. Bytes for nobody are dropped, as by a port that is not open."""

    def fileno_to_watch(self) -> list[int]: ...
    def receive(self) -> bytes: ...
    def send(self, data: bytes) -> None: ...
    @property
    def backlog(self) -> int: ...
    @property
    def is_open(self) -> bool: ...
    def was_touched(self) -> bool: ...
    def unplug(self) -> None: ...
    def plug(self) -> None: ...
    def close(self) -> None: ...


class Terminal:
    """A pseudo-terminal whose path is a symbolic link, renamed into place."""

    def __init__(self, link: Path) -> None:
        if link.exists() and not link.is_symlink():
            raise UsageError(
                f"{link} exists and is not a link, so it is not replaced; give another --link path."
            )
        self._pending = bytearray()
        self._master = -1
        self.link = link
        self.plug()

    def plug(self) -> None:
        """The port appears, with nobody at it. Without effect if it is there. Raises UsageError if it cannot be."""
        if self._master >= 0:
            return
        self._master, slave = pty.openpty()
        tty.setraw(slave)
        self._target = os.ttyname(slave)
        os.close(slave)  # from now on a hang-up tells that no program has the port open
        os.set_blocking(self._master, False)
        self._put_link()

    def unplug(self) -> None:
        """The port goes: a program that has it open reads an error, as from a USB port that was pulled out."""
        if self._master < 0:
            return
        with contextlib.suppress(OSError):
            if self.link.readlink() == Path(self._target):
                self.link.unlink()
        os.close(self._master)
        self._master = -1
        self._pending.clear()

    def _put_link(self) -> None:
        temporary = self.link.with_name(f"{self.link.name}.{os.getpid()}")
        try:
            self.link.parent.mkdir(parents=True, exist_ok=True)
            temporary.symlink_to(self._target)
            temporary.replace(self.link)
        except OSError as error:
            os.close(self._master)
            self._master = -1
            raise UsageError(
                f"{self.link} cannot be made ({error.strerror}); give another --link path."
            ) from error

    @property
    def is_open(self) -> bool:
        """True while a program has the port open."""
        if self._master < 0:
            return False
        poller = select.poll()
        poller.register(self._master, select.POLLIN)
        return not any(events & select.POLLHUP for _, events in poller.poll(0))

    def was_touched(self) -> bool:
        """True once after a program has set 1200 baud and closed the port."""
        if self._master < 0 or self.is_open:
            return False
        settings = termios.tcgetattr(self._master)  # on Linux the master shows the settings of the other side
        if settings[5] != termios.B1200:
            return False
        settings[4] = settings[5] = termios.B115200
        termios.tcsetattr(self._master, termios.TCSANOW, settings)
        return True

    def fileno_to_watch(self) -> list[int]:
        return [self._master] if self.is_open else []

    def receive(self) -> bytes:
        with contextlib.suppress(OSError):  # nothing there, nobody has it open, or it is unplugged
            return os.read(self._master, 4096)
        return b""

    def send(self, data: bytes) -> None:
        if not self.is_open:
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
        self.unplug()


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
        self._is_plugged = True
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
            is_taken = self._client is not None and not self._has_hung_up(self._client)
            if is_taken or not self._is_plugged:
                client.close()  # the board has one port, and it is taken or not there
                return
            self._drop()
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._client = client

    @property
    def is_open(self) -> bool:
        """True while a client is connected."""
        return self._client is not None

    def was_touched(self) -> bool:
        """Never: TCP has no baud rate."""
        return False

    def unplug(self) -> None:
        """The board is off the bus: the client is dropped, and others are, until `plug`."""
        self._is_plugged = False
        self._drop()

    def plug(self) -> None:
        """The board is back."""
        self._is_plugged = True

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


class Beside(Protocol):
    """A thing beside the board with a port of its own, served in the same thread: it sees the board between steps."""

    def fileno_to_watch(self) -> list[int]: ...
    def serve(self) -> None: ...


class Server:
    """Moves bytes between endpoints and a chip's console while the chip follows wall time.

    `volume`: the folder that is the board's drive in BOOTSEL mode. `on_state(state)` is called after each change,
    and once at the beginning. `beside`: what else is served; it stays when the board restarts.
    """

    def __init__(
        self,
        chip: Chip,
        endpoints: list[Endpoint],
        volume: Path | None = None,
        on_state: Callable[[State], None] = lambda _state: None,
        beside: Sequence[Beside] = (),
    ) -> None:
        self._chip = chip
        self._endpoints = endpoints
        self._beside = beside
        self._volume_path = volume
        self._volume: BootselVolume | None = None
        self._on_state = on_state
        self._state: State | None = None
        self._outgoing = bytearray()
        self._detach = chip.console.on_received(self._outgoing.extend)
        self._is_paused = False
        self._was_touched = False
        self._bootsel_pressed = False

    def serve(self, should_stop: Callable[[], bool] = lambda: False) -> None:
        """Serve until should_stop() or KeyboardInterrupt. Raises UsageError if the volume cannot be made."""
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
                self._follow_boot()
                self._move()
                for thing in self._beside:
                    thing.serve()
                if lag_s < STEP_S:
                    fds = [fd for endpoint in self._endpoints for fd in endpoint.fileno_to_watch()]
                    fds += [fd for thing in self._beside for fd in thing.fileno_to_watch()]
                    select.select(fds, [], [], STEP_S)
        finally:
            self._detach()
            if self._volume is not None:
                self._volume.close()

    def _follow_boot(self) -> None:
        """Serial port and drive come and go as the chip enters and leaves BOOTSEL mode."""
        if self._bootsel_pressed:
            self._bootsel_pressed, self._chip.bootsel_held = False, True
            self._chip.reset("power_on")
            self._chip.bootsel_held = False
        if self._chip.in_bootsel:
            if self._state != "bootsel":
                self._enter_bootsel()
            if self._volume is not None:
                self._volume.poll()
                if self._volume.is_gone:
                    self._volume = None
                    self._tell("starting")
        elif self._state is None or (self._state == "starting" and self._chip.console.is_connected):
            for endpoint in self._endpoints:
                endpoint.plug()
            self._tell("running")

    def _enter_bootsel(self) -> None:
        for endpoint in self._endpoints:
            endpoint.unplug()
        self._outgoing.clear()
        if self._volume_path is not None:
            self._volume = BootselVolume(self._chip, self._volume_path)
        self._tell("bootsel")

    def power_on_with_bootsel(self) -> None:
        """As if somebody took the power away and gave it back with the BOOTSEL button held: soon, while serving."""
        self._bootsel_pressed = True

    def _tell(self, state: State) -> None:
        self._state = state
        self._on_state(state)

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
        self._pass_on_touch()

    def _pass_on_touch(self) -> None:
        """The chip hears what a computer's driver sends when a port that was set to 1200 baud is closed."""
        if any(endpoint.was_touched() for endpoint in self._endpoints):
            self._was_touched = True
            self._chip.console.close_port(TOUCH_BAUD)
        elif self._was_touched and any(endpoint.is_open for endpoint in self._endpoints):
            self._was_touched = False
            self._chip.console.open_port()

    def _press_back(self, backlog: int) -> None:
        """A client that reads slowly makes the chip wait instead of losing bytes."""
        if backlog > BACKLOG_HIGH and not self._is_paused:
            self._is_paused = True
            self._chip.console.pause_reading()
        elif backlog < BACKLOG_LOW and self._is_paused:
            self._is_paused = False
            self._chip.console.resume_reading()
