"""The asynchronous pen: the same names as `Pen`, awaited. One thread owns the port; the event loop never waits."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, TypeVar

from needlepen.errors import InfrastructureError, UsageError
from needlepen.link.pen import RECONNECT_S, TIMEOUT_S, Pen
from needlepen.link.values import About, Identity, Reply, Status, Telemetry

T = TypeVar("T")
_SLICE_S = 0.01
_KEPT_FRAMES = 4096


class AsyncPen:
    """A pen for asyncio: `async with await AsyncPen.open(url) as pen: ...` (arguments and errors as `Pen.open`).

    Requests of several tasks are carried out one after another. A cancelled one that has not begun is not sent; one
    that has begun is finished, and its answer thrown away.
    """

    def __init__(self, pen: Pen) -> None:
        self._pen = pen
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._frames: asyncio.Queue[Telemetry | Exception] = asyncio.Queue()
        self._stopping = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="needlepen-link", daemon=True)
        self._thread.start()

    @classmethod
    async def open(
        cls,
        url: str,
        timeout_s: float = TIMEOUT_S,
        reconnect_s: float = RECONNECT_S,
        unique_id: str | None = None,
        find_again: Callable[[str], str | None] | None = None,
    ) -> AsyncPen:
        """Open a port and identify what is on it, as `Pen.open`."""
        opening = asyncio.get_running_loop().run_in_executor(
            None, lambda: Pen.open(url, timeout_s, reconnect_s, unique_id, find_again)
        )
        try:
            return cls(await asyncio.shield(opening))
        except asyncio.CancelledError:
            opening.add_done_callback(lambda done: None if done.exception() else done.result().close())
            raise

    async def __aenter__(self) -> AsyncPen:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the port; requests that wait end with InfrastructureError, iterations end."""
        self._stopping.set()
        self._pen.interrupt()
        await asyncio.shield(self._loop.run_in_executor(None, self._thread.join))

    # ------------------------------------------------------------------ state
    @property
    def identity(self) -> Identity:
        """Who it is."""
        return self._pen.identity

    @property
    def status(self) -> Status | None:
        """The last status frame, or None before the first."""
        return self._pen.status

    @property
    def latest(self) -> Telemetry | None:
        """The last telemetry frame, or None before the first."""
        return self._pen.latest

    @property
    def lost_frames(self) -> int:
        """Frames that the pen sent and that did not arrive whole."""
        return self._pen.lost_frames

    @property
    def reconnections(self) -> int:
        """How often the connection came back."""
        return self._pen.reconnections

    # ------------------------------------------------------------------ requests
    async def call(self, fn: Callable[[Pen], T]) -> T:
        """`fn(pen)` in the thread that owns the port; for whatever `Pen` can and this class does not name."""
        if self._stopping.is_set():
            raise InfrastructureError(f"{self._pen.url} was closed by this program.")
        job: Future[T] = Future()
        self._jobs.put((lambda: fn(self._pen), job))
        return await asyncio.wrap_future(job)

    async def request(self, kind: int, *values: Any, timeout_s: float | None = None) -> Reply:
        """As `Pen.request`."""
        return await self.call(lambda pen: pen.request(kind, *values, timeout_s=timeout_s))

    async def command(self, kind: int, *values: Any, timeout_s: float | None = None) -> dict[str, Any]:
        """As `Pen.command`."""
        return await self.call(lambda pen: pen.command(kind, *values, timeout_s=timeout_s))

    async def about(self) -> About:
        """As `Pen.about`."""
        return await self.call(lambda pen: pen.about())

    async def set_rate(self, rate_hz: int) -> None:
        """Set the stroke rate in Hz."""
        await self.call(lambda pen: pen.set_rate(rate_hz))

    async def set_depth(self, depth_mm: float) -> None:
        """Set the needle protrusion in mm."""
        await self.call(lambda pen: pen.set_depth(depth_mm))

    async def stop(self) -> None:
        """End the run."""
        await self.call(lambda pen: pen.stop())

    async def acknowledge(self) -> None:
        """Acknowledge a fault whose cause has gone."""
        await self.call(lambda pen: pen.acknowledge())

    async def reconnect(self, timeout_s: float = RECONNECT_S, boots: int | None = None) -> None:
        """As `Pen.reconnect`."""
        await self.call(lambda pen: pen.reconnect(timeout_s, boots))

    async def subscribe(self, period_ms: int = 20) -> None:
        """As `Pen.subscribe`; the lease is kept alive while the pen is open, whether somebody iterates or not."""
        await self.call(lambda pen: pen.subscribe(period_ms))
        self._subscribed = bool(period_ms)

    _subscribed = False

    async def telemetry(self) -> AsyncIterator[Telemetry]:
        """Telemetry frames as they come, until `close`. Raises InfrastructureError when the connection stays lost."""
        if not self._subscribed:
            raise UsageError("There is no telemetry to iterate over: await subscribe(period_ms) first.")
        while True:
            item = await self._frames.get()
            if isinstance(item, _Closed):
                return
            if isinstance(item, Exception):
                raise item
            yield item

    # ------------------------------------------------------------------ the thread
    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                fn, job = self._jobs.get(timeout=0 if self._failure is None else _SLICE_S)
            except queue.Empty:
                if self._failure is None:
                    self._attend()
                continue
            self._do(fn, job)
        self._pen.close()
        self._hand_over([_Closed()])
        while not self._jobs.empty():
            _, job = self._jobs.get()
            if job.set_running_or_notify_cancel():
                job.set_exception(InfrastructureError(f"{self._pen.url} was closed by this program."))

    def _attend(self) -> None:
        try:
            self._pen.attend(_SLICE_S)
        except Exception as error:  # reaches whoever iterates; a later request tries again
            self._failure = error
            if not self._stopping.is_set():
                self._hand_over([error])
        self._hand_over(list(self._pen.take_frames()))

    def _do(self, fn: Callable[[], Any], job: Future[Any]) -> None:
        if not job.set_running_or_notify_cancel():
            return
        try:
            result = fn()
        except BaseException as error:
            job.set_exception(error)
        else:
            job.set_result(result)
            self._failure = None
        self._hand_over(list(self._pen.take_frames()))

    def _hand_over(self, items: list[Any]) -> None:
        if items and not self._loop.is_closed():
            try:
                self._loop.call_soon_threadsafe(self._put, items)
            except RuntimeError:  # the loop was closed between the question and the call
                return

    def _put(self, items: list[Any]) -> None:
        for item in items:
            if self._frames.qsize() >= _KEPT_FRAMES:
                self._frames.get_nowait()
                self._pen.discarded_frames += 1
            self._frames.put_nowait(item)


class _Closed(Exception):
    """Ends the iterations."""
