"""What a pen says, frame by frame, through losses of the connection. Asks it for nothing but telemetry."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from needlepen.errors import InfrastructureError, Refused
from needlepen.link.pen import Pen
from needlepen.monitor.frame import Frame, Gap

_SLICE_S = 0.1
_TRY_S = 0.5


class Watch:
    """Frames of an open pen (opened with reconnect_s=0: a loss is to be seen here). `gaps` counts the losses."""

    def __init__(self, pen: Pen, period_ms: int, now_s: Callable[[], float] = time.monotonic) -> None:
        self.gaps = 0
        self._pen = pen
        self._period_ms = period_ms
        self._now_s = now_s
        self._begun_s = now_s()
        self._last_s = 0.0

    @property
    def elapsed_s(self) -> float:
        """Since the beginning."""
        return self._now_s() - self._begun_s

    def moments(self, for_s: float | None = None) -> Iterator[Frame | Gap]:
        """Frames as they come, a Gap when the pen is lost and when it is back.

        Without an end, or for `for_s` seconds of this computer's clock.
        """
        self._pen.subscribe(self._period_ms)
        known = self._pen.reconnections
        while self._goes_on(for_s):
            try:
                self._pen.attend(_SLICE_S)
            except (InfrastructureError, Refused) as error:
                yield from self._frames()
                yield self._lost(str(error))
                yield from self._until_back(for_s)
                known = self._pen.reconnections
                continue
            if self._pen.reconnections != known:
                known = self._pen.reconnections
                yield self._lost("the connection broke for a moment")
                yield Gap(self.elapsed_s, True, "connected again")
            yield from self._frames()

    def _frames(self) -> list[Frame]:
        taken = self._pen.take_frames()
        if taken:
            self._last_s = self.elapsed_s
        return [Frame(self._last_s, telemetry, self._pen.status) for telemetry in taken]

    def _lost(self, why: str) -> Gap:
        """A gap begins with the last frame, not when it is noticed."""
        self.gaps += 1
        return Gap(self._last_s, False, why)

    def _until_back(self, for_s: float | None) -> Iterator[Gap]:
        """Until the same pen answers; another one on its port is left alone."""
        while self._goes_on(for_s):
            with suppress(InfrastructureError, Refused):
                self._pen.reconnect(_TRY_S)
                yield Gap(self.elapsed_s, True, f"pen {self._pen.identity.unique_id} answers again")
                return
            time.sleep(_SLICE_S)

    def _goes_on(self, for_s: float | None) -> bool:
        return for_s is None or self.elapsed_s < for_s
