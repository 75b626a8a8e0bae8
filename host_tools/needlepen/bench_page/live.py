"""A running pen, watched in a thread: the last frame and the last half minute."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections import deque

from needlepen.devices import open_pen
from needlepen.devices.model import Device
from needlepen.errors import NeedlepenError
from needlepen.monitor.frame import Frame, Gap
from needlepen.monitor.watch import Watch

PERIOD_MS = 50
KEPT_S = 30.0
_FOR_EVER_S = 1e9


class LivePen:
    """Watches a pen until `close`. It is asked for telemetry only.

    `frame` is the last one or None, `gap` the loss of the connection if it is lost now, `problem` why it cannot be
    watched, `rows` are (seconds on this computer's clock, rate in Hz, current in A, depth in mm).
    """

    def __init__(self, device: Device) -> None:
        self.frame: Frame | None = None
        self.gap: Gap | None = None
        self.problem = ""
        self.device = device
        self.rows: deque[tuple[float, float, float, float]] = deque(maxlen=int(KEPT_S * 1e3 / PERIOD_MS))
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live view", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let go of the pen."""
        self._closing.set()
        self._thread.join(10.0)

    @property
    def is_alive(self) -> bool:
        """Whether it holds the pen."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            with open_pen(self.device, purpose="bench, live view", reconnect_s=0) as pen:
                for moment in Watch(pen, PERIOD_MS, self._clock_s).moments(_FOR_EVER_S):
                    self._take(moment)
        except NeedlepenError as error:
            self.problem = str(error)

    def _clock_s(self) -> float:
        """The watch ends when its time is over: at once, when the view is closed."""
        return math.inf if self._closing.is_set() else time.monotonic()

    def _take(self, moment: Frame | Gap) -> None:
        if isinstance(moment, Gap):
            self.gap = None if moment.back else moment
            return
        t = moment.telemetry
        self.frame = moment
        self.rows.append((time.monotonic(), t.rate_hz, t.current_a, t.depth_mm))

    def last_rows(self) -> list[tuple[float, float, float, float]]:
        """The last KEPT_S seconds, in seconds before now."""
        now_s = time.monotonic()
        with contextlib.suppress(RuntimeError):  # the deque grows in the other thread
            return [(at - now_s, *rest) for at, *rest in list(self.rows) if now_s - at <= KEPT_S]  # type: ignore[misc]
        return []
