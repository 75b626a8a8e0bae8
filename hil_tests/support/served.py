"""An emulated pen served to other processes, which the test can still operate: press, jam, cut the power."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from needlepen.emulator.pen import EmulatedPen
from needlepen.emulator.server import Server, TcpPort, Terminal
from needlepen.link.client import frames

WAIT_S = 30


class ServedPen:
    """A pen in a thread of its own, on a pseudo-terminal and on TCP. `do` runs something on it between two steps."""

    def __init__(self, pen: EmulatedPen, link: Path) -> None:
        pen.link.feed = lambda data: None  # type: ignore[method-assign]  # the other process is its only host
        self._pen = pen
        self._terminal = Terminal(link)
        self._tcp = TcpPort(0)
        self._wanted: queue.Queue[tuple[Callable[[EmulatedPen], Any], queue.Queue[Any]]] = queue.Queue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self.link = str(link)
        self.tcp_port = self._tcp.port
        self._thread.start()

    def do(self, action: Callable[[EmulatedPen], Any]) -> Any:
        """Run `action(pen)` in the thread of the pen; returns what it returns."""
        answer: queue.Queue[Any] = queue.Queue()
        self._wanted.put((action, answer))
        return answer.get(timeout=WAIT_S)

    def let_pass(self, ms: float) -> None:
        """Wait until so much device time has passed. (`run_for` in `do` would put the pen ahead of the wall clock, and
        the server then stops it until that has caught up.)"""
        end_ns = self.do(lambda pen: pen.now_ns) + ms * 1e6
        while self.do(lambda pen: pen.now_ns) < end_ns:
            time.sleep(0.01)

    def close(self) -> None:
        """No more time passes for the pen."""
        self._stop.set()
        self._thread.join(WAIT_S)
        self._terminal.close()
        self._tcp.close()

    def _serve(self) -> None:
        Server(self._pen.chip, [self._terminal, self._tcp]).serve(self._look)

    def _look(self) -> bool:
        with suppress(queue.Empty):
            action, answer = self._wanted.get_nowait()
            answer.put(action(self._pen))
        return self._stop.is_set()


@contextmanager
def served(pen: EmulatedPen, folder: Path) -> Iterator[ServedPen]:
    """The pen, served inside the block."""
    found = ServedPen(pen, folder / "ttyPEN")
    try:
        yield found
    finally:
        found.close()


class Tap:
    """A TCP port in front of another one. `kinds`: the kinds of all frames that went to the pen; `cut` unplugs it.

    `cut_at`: a kind of frame that does not arrive once; the connection breaks instead, and can be made again.
    """

    def __init__(self, port: int) -> None:
        self.kinds: list[int] = []
        self.cut_at: int | None = None
        self._parser = frames.Parser()
        self._target = port
        self._plugged = threading.Event()
        self._plugged.set()
        self._closing = threading.Event()
        self._ends: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self.url = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def cut(self) -> None:
        """The connection breaks, and no new one is taken."""
        self._plugged.clear()
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def plug_in(self) -> None:
        """Connections are taken again."""
        self._plugged.set()

    def close(self) -> None:
        """End it."""
        self._closing.set()
        self.cut()
        self._thread.join(WAIT_S)
        self._listener.close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            with suppress(TimeoutError):
                client, _ = self._listener.accept()
                if not self._plugged.is_set():
                    client.close()
                    continue
                pen = socket.create_connection(("127.0.0.1", self._target))
                self._ends = [client, pen]
                for source, sink, look in ((client, pen, True), (pen, client, False)):
                    threading.Thread(target=self._pump, args=(source, sink, look), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, look: bool) -> None:
        with suppress(OSError):
            while data := source.recv(4096):
                if look:
                    found = (self._parser.feed(byte) for byte in data)
                    kinds = [frame[0] for frame in found if frame is not None]
                    self.kinds += kinds
                    if self.cut_at in kinds:
                        self.cut_at = None
                        self.cut()
                        self.plug_in()
                        break
                sink.sendall(data)
        for end in (source, sink):
            # `close` alone does not end a connection on which the other pump waits: the pen would keep the place of a
            # client that has gone, and hang up on the next one.
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
