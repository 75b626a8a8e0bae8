"""The host of a run: keeps telemetry flowing, also across resets of the chip, without stopping device time."""

from __future__ import annotations

from typing import Any

from needlepen.emulator.pen import TELEMETRY_LEASE_MS, TELEMETRY_PERIOD_MS, EmulatedPen
from needlepen.errors import NotInTime
from needlepen.link.client import Reply, kinds, messages

RETRY_NS = 300e6
RENEW_NS = 30e9
CONNECT_TIMEOUT_NS = 5e9


class Host:
    """Identifies the pen and subscribes again whenever the connection is new. `poll` is called every few ms."""

    def __init__(self, pen: EmulatedPen) -> None:
        self._pen = pen
        self._stage = "absent"
        self._sequence = 0
        self._until_ns = 0.0
        self.identity: dict[str, Any] = {}
        pen.chip.on_reset(lambda _t_ns, _cause: self._lost())

    def _lost(self) -> None:
        self._stage = "absent"

    @property
    def is_up(self) -> bool:
        """True while telemetry is subscribed and no request of this class is under way."""
        return self._stage == "up"

    def poll(self) -> None:
        """Do the next thing that is due; never waits."""
        pen = self._pen
        if not pen.chip.console.is_connected:
            self._stage = "absent"
        elif self._stage == "absent":
            self._ask("hello", messages.HELLO, kinds.PROTOCOL_VERSION)
        elif self._stage == "up":
            if pen.now_ns > self._until_ns:
                self._ask("subscribing", messages.SUBSCRIBE, TELEMETRY_PERIOD_MS, TELEMETRY_LEASE_MS)
        elif (reply := pen.link.reply(self._sequence)) is not None and reply.refused is None:
            self._answered(reply)
        elif pen.now_ns > self._until_ns:
            self._stage = "absent"

    def _ask(self, stage: str, kind: int, *values: int) -> None:
        self._sequence = self._pen.link.request(kind, *values)
        self._stage = stage
        self._until_ns = self._pen.now_ns + RETRY_NS

    def _answered(self, reply: Reply) -> None:
        if self._stage == "hello":
            self.identity = reply.fields
            self._ask("subscribing", messages.SUBSCRIBE, TELEMETRY_PERIOD_MS, TELEMETRY_LEASE_MS)
        else:
            self._stage = "up"
            self._until_ns = self._pen.now_ns + RENEW_NS

    def request(self, kind: int, *values: Any) -> Reply:
        """Send a request and wait in device time for its answer.

        Raises NotInTime if the pen is not connected in 5 s or does not answer in 1 s.
        """

        def connected() -> bool:
            self.poll()
            return self.is_up

        if not self._pen.run_until(connected, CONNECT_TIMEOUT_NS, 2e6):
            raise NotInTime(
                f"the pen does not talk to the host (CPU {self._pen.chip.cpu_state}), so it cannot be asked to "
                f"{messages.MESSAGES[kind][0]}; let it run before this step"
            )
        return self._pen.request(kind, *values)
