"""Puts faults into one emulated pen, at their times, and takes them away again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from needlepen.emulator.injection import catalogue
from needlepen.emulator.injection.analogue import Chain
from needlepen.emulator.injection.entry import Entry, Undo
from needlepen.emulator.injection.vocabulary import Fault

if TYPE_CHECKING:
    from needlepen.emulator.pen import EmulatedPen

Listener = Callable[["Injected", bool], None]


@dataclass
class Injected:
    """A fault that is in the pen, or was."""

    fault: Fault
    entry: Entry
    begun_ns: float
    ended_ns: float | None = None


class Injector:
    """All faults of one pen. A second fault of the same target and kind replaces the first.

    `history` holds every fault that was put in, in order.
    """

    def __init__(self, pen: EmulatedPen) -> None:
        self._pen = pen
        self._active: dict[tuple[str, str], tuple[Injected, Undo]] = {}
        self._listeners: list[Listener] = []
        self._chains: dict[int, Chain] = {}
        self.history: list[Injected] = []

    def chain(self, channel: int) -> Chain:
        """The faults in front of a converter channel."""
        if channel not in self._chains:
            self._chains[channel] = Chain(self._pen, channel)
        return self._chains[channel]

    @property
    def active(self) -> list[Injected]:
        """What is broken now."""
        return [injected for injected, _ in self._active.values()]

    def on_change(self, fn: Listener) -> None:
        """Call fn(injected, begins) just before each fault begins, and just after it ended."""
        self._listeners.append(fn)

    def plan(self, fault: Fault) -> None:
        """Put a fault in at its start, device time since power-on; at once if that is over.

        Raises UsageError for a pair or a value that is not possible, before anything happens.
        """
        fault = catalogue.check(fault)
        start_ns = fault.start_s * 1e9
        if start_ns <= self._pen.now_ns:
            self.inject(fault)
        else:
            self._pen.chip.call_at(start_ns, lambda: self._begin(fault))

    def _begin(self, fault: Fault) -> None:
        self.inject(fault)

    def inject(self, fault: Fault) -> Injected:
        """Put a fault in now, whatever its start says; it ends by itself after its duration.

        Raises UsageError as `plan`.
        """
        fault = catalogue.check(fault)
        entry = catalogue.find(fault.target, fault.kind)
        key = fault.target, fault.kind
        self._end(key)
        injected = Injected(fault, entry, self._pen.now_ns)
        self.history.append(injected)
        for listener in self._listeners:
            listener(injected, True)
        self._active[key] = injected, entry.act(self._pen, fault)
        if fault.duration_s is not None:

            def over() -> None:
                if key in self._active and self._active[key][0] is injected:
                    self._end(key)

            self._pen.chip.call_at(self._pen.now_ns + fault.duration_s * 1e9, over)
        return injected

    def repair(self, target: str = "all", kind: str | None = None) -> None:
        """Take away the faults of a target (of a kind), or all that a repair can take away: a hung CPU waits for its
        reset."""
        for key in [k for k in self._active if target in ("all", k[0]) and kind in (None, k[1])]:
            if target != "all" or self._active[key][0].entry.lasts:
                self._end(key)

    def _end(self, key: tuple[str, str]) -> None:
        if key not in self._active:
            return
        injected, undo = self._active.pop(key)
        undo()
        injected.ended_ns = self._pen.now_ns
        for listener in self._listeners:
            listener(injected, False)
