"""A pen on a port: requests that are answered, telemetry that keeps coming, a connection that comes back.

Everything happens in the calling thread, while it waits for something: an answer, a telemetry frame. A program that
waits for nothing for long loses no answers, since the pen sends no more than a window that nobody has confirmed.
"""

from __future__ import annotations

import contextlib
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from needlepen.errors import AnotherPen, InfrastructureError, NeedlepenError, Refused, UsageError
from needlepen.link.client import LinkClient, kinds, messages
from needlepen.link.greeting import Greeting
from needlepen.link.operations import Operations
from needlepen.link.transport import Transport, Unplugged
from needlepen.link.values import Identity, Reply, Status, Telemetry

TIMEOUT_S = 2.0
RECONNECT_S = 15.0
REPEAT_S = 0.4  # the pen may collect its garbage or write flash; then the request is said again
LEASE_MS = 10_000  # telemetry ends so long after a program has died
SILENCE_S = 1.5
_SLICE_S = 0.05
_PAUSE_S = 0.2
_KEPT_FRAMES = 4096
_ANY_NUMBER = 1_000
_LOCK_S = 1.0
# After these the pen starts anew, or another program has its port.
_LEAVING = (kinds.OPEN_REPL, kinds.ENTER_BOOTSEL, kinds.RESTART, kinds.CLOSE_SERVICE, kinds.COMMIT_UPDATE)
# A request of these changes nothing, or not more the second time: safe to be said again after the pen was reset.
_REPEATABLE_NAMES = ("hello", "subscribe", "stop")
_REPEATABLE_PREFIXES = ("get_", "read_")


class Pen(Operations):
    """One pen, opened and identified. Use as a context manager; not thread-safe (see AsyncPen).

    `identity` says who it is, `status` and `latest` are its last status and telemetry frame, `reconnections` counts
    how often the connection came back, `lost_frames` frames that the pen sent and that did not arrive.
    """

    def __init__(self, url: str, timeout_s: float, reconnect_s: float, unique_id: str | None) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._reconnect_s = reconnect_s
        self._transport: Transport | None = None
        self._link = LinkClient(self._send)
        self._link.on_telemetry(self._take_frame)
        self._frames: deque[Telemetry] = deque(maxlen=_KEPT_FRAMES)
        self._heard_s = 0.0
        self._period_ms = 0
        self._lease_ms = LEASE_MS
        self._renew_s = 0.0
        self._closing = threading.Event()
        self._find_again: Callable[[str], str | None] | None = None
        self._expected_id = unique_id
        self.identity: Identity
        self.reconnections = 0
        self.discarded_frames = 0
        self._holds_role = False

    @classmethod
    def open(
        cls,
        url: str,
        timeout_s: float = TIMEOUT_S,
        reconnect_s: float = RECONNECT_S,
        unique_id: str | None = None,
        find_again: Callable[[str], str | None] | None = None,
        hellos: int = _ANY_NUMBER,
    ) -> Pen:
        """Open a port and identify what is on it.

        Args:
            url: a serial port, the path of an emulated pen, `socket://HOST:PORT` or `needlepen-emu://NAME`.
            timeout_s: for the identification, and for each answer later.
            reconnect_s: how long to try to get a lost connection back; 0: not at all.
            unique_id: the pen that must answer, or None for any.
            find_again: where a pen with this unique ID is now, if it comes back under another port.
            hellos: how many frames a board may get that has not said who it is.

        Raises InfrastructureError if nothing answers, Refused for a board that is no pen or a pen of another
        protocol version, AnotherPen for another one than `unique_id`.
        """
        pen = cls(url, timeout_s, reconnect_s, unique_id)
        pen._find_again = find_again
        try:
            pen._connect(timeout_s, hellos)
        except BaseException:
            pen.close()
            raise
        return pen

    def __enter__(self) -> Pen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the port; a role that was unlocked is given up, so that no other program finds it."""
        if self._holds_role and not self._closing.is_set():
            self._holds_role = False
            with contextlib.suppress(
                NeedlepenError, Unplugged
            ):  # a pen that is gone has dropped it by itself
                self._ask(kinds.LOCK, (), _LOCK_S)
        self._closing.set()
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()

    def interrupt(self) -> None:
        """From another thread: what waits ends soon, with InfrastructureError. Afterwards only `close` is of use."""
        self._closing.set()

    # ------------------------------------------------------------------ state
    @property
    def url(self) -> str:
        """The port it is on."""
        return self._url

    @property
    def status(self) -> Status | None:
        """The last status frame, or None before the first; needs `subscribe`."""
        return self._link.status

    @property
    def latest(self) -> Telemetry | None:
        """The last telemetry frame, or None before the first."""
        return self._link.telemetry

    @property
    def lost_frames(self) -> int:
        """Frames that the pen sent and that did not arrive whole."""
        return self._link.lost_frames

    @property
    def is_open(self) -> bool:
        """Whether there is a connection now."""
        return self._transport is not None

    # ------------------------------------------------------------------ requests
    def request(self, kind: int, *values: Any, timeout_s: float | None = None) -> Reply:
        """Send a request and wait for its answer; a refusal is an answer.

        A request that is not answered is said again; the pen carries it out once. When the connection breaks
        meanwhile, it comes back by itself, but then only a request that changes nothing is said again.
        Raises InfrastructureError if no answer comes, UsageError for values that do not fit.
        """
        _check(kind, values)
        for _ in range(3):
            try:
                reply = self._ask(kind, values, self._timeout_s if timeout_s is None else timeout_s)
            except Unplugged as error:
                self._come_back(error)
                self._only_if_repeatable(
                    kind, "It is not known whether the pen carried it out: look, and ask again."
                )
                continue
            if reply.refused != kinds.NOT_GREETED:
                if reply.refused is None:
                    self._holds_role = kind == kinds.UNLOCK or (self._holds_role and kind not in _LEAVING)
                return reply
            self._greet_again()
            self._only_if_repeatable(kind, "The pen did not carry it out; ask again if it is still wanted.")
        raise InfrastructureError(f"{self._url}: the pen resets again and again; see its event log.")

    def command(self, kind: int, *values: Any, timeout_s: float | None = None) -> dict[str, Any]:
        """A request that must not be refused; the fields of the answer. Raises Refused with the pen's reason."""
        reply = self.request(kind, *values, timeout_s=timeout_s)
        if reply.refused:
            raise Refused(f"The pen refused {_name(kind)!r}: {reply.refused}.")
        return reply.fields

    def _ask(self, kind: int, values: tuple[Any, ...], timeout_s: float) -> Reply:
        sequence = self._link.request(kind, *values)
        begun_s = self._now_s()
        repeat_s = begun_s + REPEAT_S
        while (reply := self._link.reply(sequence)) is None:
            now_s = self._now_s()
            if now_s - begun_s >= timeout_s:
                raise InfrastructureError(
                    f"{self._url}: the pen did not answer {_name(kind)!r} within {timeout_s:.1f} s; it may hang or "
                    "have lost power: look at it, and try again."
                )
            if now_s >= repeat_s:
                self._link.repeat()
                repeat_s = now_s + REPEAT_S
            self.listen(min(_SLICE_S, max(0.001, begun_s + timeout_s - now_s)))
        return reply

    # ------------------------------------------------------------------ telemetry
    def subscribe(self, period_ms: int = 20, lease_ms: int = LEASE_MS) -> None:
        """Have telemetry sent every `period_ms` (10 or more; 0 ends it); `telemetry` keeps the lease alive."""
        self.command(messages.SUBSCRIBE, period_ms, lease_ms)
        self._period_ms = period_ms
        self._lease_ms = lease_ms
        self._renew_s = self._now_s() + lease_ms / 2e3
        self._heard_s = self._now_s()

    def telemetry(self) -> Iterator[Telemetry]:
        """Telemetry frames as they come, without an end; after `subscribe`.

        Survives a reset and unplugging within `reconnect_s`. Raises InfrastructureError when the pen stays silent.
        """
        if not self._period_ms:
            raise UsageError("There is no telemetry to iterate over: call subscribe(period_ms) first.")
        while self._period_ms:
            while self._frames:
                yield self._frames.popleft()
            self.attend(_SLICE_S)

    def attend(self, timeout_s: float) -> None:
        """Take what arrives within `timeout_s`, keep the telemetry's lease alive, get a lost connection back."""
        try:
            if self._period_ms and self._now_s() >= self._renew_s:
                self.subscribe(self._period_ms, self._lease_ms)
            self.listen(timeout_s)
            if self._period_ms and self._now_s() - self._heard_s > max(SILENCE_S, 5e-3 * self._period_ms):
                raise Unplugged(f"{self._url}: the pen has stopped sending; look at it.")
        except Unplugged as error:
            self._come_back(error)

    def take_frames(self) -> list[Telemetry]:
        """The telemetry frames that have come and were not taken yet."""
        taken = list(self._frames)
        self._frames.clear()
        return taken

    def _take_frame(self, frame: Telemetry) -> None:
        self._heard_s = self._now_s()
        if len(self._frames) == _KEPT_FRAMES:
            self.discarded_frames += 1
        self._frames.append(frame)

    # ------------------------------------------------------------------ connection
    def reconnect(self, timeout_s: float = RECONNECT_S, boots: int | None = None) -> None:
        """Get the connection back after a reset that was asked for.

        `boots`: what `counters()["boots"]` was before; then the pen that answers has really booted since, and is not
        the one that is about to reset. Raises InfrastructureError after `timeout_s`.
        """
        end_s = time.monotonic() + timeout_s
        gone = Unplugged(f"{self._url}: the pen did not come back after its reset.")
        while True:
            self._drop()
            self._come_back(gone, max(0.1, end_s - time.monotonic()))
            if boots is None or self.counters()["boots"] != boots:
                return
            if time.monotonic() >= end_s:
                raise InfrastructureError(f"{self._url}: the pen did not reset within {timeout_s:.0f} s.")
            self._closing.wait(_PAUSE_S)

    def listen(self, timeout_s: float) -> int:
        """Take what arrives, waiting at most `timeout_s` for the first byte; returns the number of bytes."""
        data = self._open_transport().read(timeout_s)
        self._link.feed(data)
        return len(data)

    def _open_transport(self) -> Transport:
        if self._closing.is_set():
            raise InfrastructureError(f"{self._url} was closed by this program.")
        if self._transport is None:
            raise Unplugged(f"{self._url} is not open.")
        return self._transport

    def _send(self, data: bytes) -> None:
        self._open_transport().write(data)

    def _now_s(self) -> float:
        return self._open_transport().now_s()

    def _drop(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()
        self._link.lost()

    def _connect(self, timeout_s: float, hellos: int = _ANY_NUMBER) -> None:
        self._transport = Transport(self._url)
        self._identify(self._transport, timeout_s, hellos)

    def _identify(self, transport: Transport, timeout_s: float, hellos: int = _ANY_NUMBER) -> None:
        identity = Greeting(self._link, transport, self._url).identify(timeout_s, hellos)
        if self._expected_id is not None and identity.unique_id != self._expected_id:
            self._drop()  # whoever asks again is not to reach it either
            raise AnotherPen(
                f"{self._url} is pen {identity.unique_id}, not {self._expected_id}: nothing is written to another "
                "pen; `needlepen devices` says where each one is."
            )
        self.identity = identity
        self._expected_id = identity.unique_id

    def _come_back(self, reason: Unplugged, timeout_s: float | None = None) -> None:
        """Open and identify again until it works; the same pen, with the same telemetry."""
        patience_s = self._reconnect_s if timeout_s is None else timeout_s
        end_s = time.monotonic() + patience_s
        while not self._closing.is_set():
            self._drop()
            try:
                self._url = self._present_url()
                self._connect(min(1.0, max(0.1, end_s - time.monotonic())))
                if self._period_ms:
                    self._resubscribe()
                self.reconnections += 1
                return
            except Refused:
                raise
            except InfrastructureError:
                if time.monotonic() >= end_s:
                    break
                self._closing.wait(_PAUSE_S)
        self._drop()
        raise InfrastructureError(f"{reason} It did not come back within {patience_s:.0f} s.") from None

    def _present_url(self) -> str:
        """Where the pen is now: a port may have another name after plugging in."""
        found = self._find_again(self._expected_id) if self._find_again and self._expected_id else None
        return found or self._url

    def _greet_again(self) -> None:
        """The pen was reset, or another one put there, while the port stayed: it knows nothing of us."""
        transport = self._open_transport()
        self._link.lost()
        self._identify(transport, self._timeout_s)
        self.reconnections += 1
        if self._period_ms:
            self._resubscribe()

    def _resubscribe(self) -> None:
        reply = self._ask(messages.SUBSCRIBE, (self._period_ms, self._lease_ms), self._timeout_s)
        if reply.refused:
            raise InfrastructureError(f"{self._url}: the pen refuses its telemetry: {reply.refused}.")
        self._heard_s = self._now_s()
        self._renew_s = self._heard_s + self._lease_ms / 2e3

    def _only_if_repeatable(self, kind: int, else_say: str) -> None:
        if not is_repeatable(kind):
            raise InfrastructureError(
                f"{self._url}: the connection broke during {_name(kind)!r} and is back; the pen was reset or "
                f"unplugged. {else_say}"
            )


def is_repeatable(kind: int) -> bool:
    """Whether a request may be said again even to a pen that was reset: it only reads, or it stops."""
    name = _name(kind)
    return name in _REPEATABLE_NAMES or name.startswith(_REPEATABLE_PREFIXES)


def _check(kind: int, values: tuple[Any, ...]) -> None:
    try:
        messages.pack(kind, *values)
    except struct.error as error:
        raise UsageError(f"{_name(kind)!r} cannot be sent with {values}: {error}.") from None


def _name(kind: int) -> str:
    return str(messages.MESSAGES[kind][0])
