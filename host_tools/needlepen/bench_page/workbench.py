"""What all windows of the page share: the chosen pen and gauge, and the one thing that is going on with a pen.

One window drives at a time. When no window is open any more for a while (the tab was closed, the computer slept) the
pen is let go of: a calibration is then left, with all its readings, and offered again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from needlepen.bench_page.live import LivePen
from needlepen.bench_page.measuring import Measurement, Measuring
from needlepen.devices import find_devices
from needlepen.devices.model import Device
from needlepen.errors import UsageError

CALIBRATION, CHECK = "calibration", "check"
UNSEEN_S = 20.0
"""So long after the last window was closed the pen is let go of."""
_LOOK_S = 1.0


@dataclass
class Choice:
    """What the technician entered; kept while the program runs, so that the next pen needs less typing."""

    operator: str = ""
    room_c: float | None = None
    gauge: str = ""
    gauge_port: str = ""


class Window(Protocol):
    """A window of the page: NiceGUI's client."""

    @property
    def has_socket_connection(self) -> bool:
        """Whether it is open."""


class Workbench:
    """The state of the page. Used by the windows in the event loop; closed when the program ends."""

    def __init__(
        self,
        measurement: Callable[[str, Device, Choice], Measurement],
        find: Callable[[], list[Device]] = find_devices,
        unseen_s: float = UNSEEN_S,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`measurement(kind, device, choice)`: what is measured, and with what; `find`: what is connected."""
        self.measurement = measurement
        self.find = find
        self.pens: list[Device] = []
        self.pen: Device | None = None
        self.choice = Choice()
        self.work: Measuring | None = None
        self.kind = CALIBRATION
        self.live: LivePen | None = None
        self._driver: Window | None = None
        self._unseen_s = unseen_s
        self._clock_s = clock_s
        self._seen_s = clock_s()
        self._closing = threading.Event()
        threading.Thread(target=self._watch_windows, name="windows", daemon=True).start()

    def choose(self, device: Device) -> None:
        """Work with this pen from now on."""
        self.pen = device

    # ------------------------------------------------------------------ windows
    def seen(self) -> None:
        """A window shows what is going on."""
        self._seen_s = self._clock_s()

    def drives(self, window: Window) -> bool:
        """Whether this window may give orders: the first one to ask, until it is closed or another one takes over."""
        if self._driver is None or not self._driver.has_socket_connection:
            self._driver = window
        return self._driver is window

    def take_over(self, window: Window) -> None:
        """This window gives the orders from now on."""
        self._driver = window

    def _watch_windows(self) -> None:
        while not self._closing.wait(_LOOK_S):
            if self._clock_s() - self._seen_s > self._unseen_s:
                self.leave()
                self.end_live()

    # ------------------------------------------------------------------ what is going on
    def begin(self, kind: str, path: Path | None = None) -> None:
        """Start a calibration or a check of the chosen pen, or go on with the calibration of a journal.

        Raises UsageError if something was not filled in.
        """
        if self.pen is None:
            raise UsageError("no pen is chosen: choose one")
        work = Measuring(self.measurement(kind, self.pen, self.choice), path)
        self.end_live()
        self.leave()
        self.seen()
        self.work, self.kind = work, kind
        work.start()

    def leave(self) -> None:
        """Leave what is measured, if anything is: the pen is free then, and no calibration loses a reading."""
        work = self.work
        if work is not None and work.is_alive:
            work.leave()

    @property
    def path(self) -> str:
        """The section in which it is measured."""
        return "/check" if self.kind == CHECK else "/"

    def put_away(self) -> None:
        """Forget a measurement that has ended, for the next one."""
        self.leave()
        self.work = None

    def watch(self) -> bool:
        """Watch the chosen pen; False without one."""
        if self.pen is None:
            return False
        self.end_live()
        self.seen()
        self.live = LivePen(self.pen)
        return True

    def end_live(self) -> None:
        """Let go of the pen that is watched."""
        live, self.live = self.live, None
        if live is not None:
            live.close()

    def close(self, *_: Any) -> None:
        """The program ends."""
        self._closing.set()
        self.leave()
        self.end_live()
