"""The line side of a 1-Wire slave at standard speed: reset, presence, slots by their timing.

The slave sees nothing but the level of the bus and can do nothing but pull it low. Its own times vary from chip to
chip inside the windows of the datasheet, so they are parameters; what the master does outside its windows is noted.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from needlepen.emulator.ds2431 import DS2431
from needlepen.errors import UsageError

RESET_US = (480.0, 640.0)
PRESENCE_WAIT_US = (15.0, 60.0)
PRESENCE_US = (60.0, 240.0)
DECISION_US = (15.0, 60.0)
WRITE_ZERO_US = (60.0, 120.0)
WRITE_ONE_US = 15.0
SLOT_US, RECOVERY_US = 65.0, 5.0
RESET_SEEN_US = (120.0, 480.0)
TICK_US = 1.0
"""A master that waits by a clock of 1 us may be that much early; what it does is noted only beyond."""
_NOTED = 100


@dataclass(frozen=True)
class SlaveTiming:
    """Times of one slave in us; the datasheet's windows bound them.

    `sample_us`: when it looks at a written bit, `hold_us`: how long it holds a 0 that is read, both from the falling
    edge; `reset_seen_us`: how long the bus has to be low for a reset. Raises UsageError outside the windows.
    """

    sample_us: float = 30.0
    hold_us: float = 30.0
    presence_wait_us: float = 30.0
    presence_us: float = 120.0
    reset_seen_us: float = 450.0

    def __post_init__(self) -> None:
        for name, (lowest, highest) in (
            ("sample_us", DECISION_US),
            ("hold_us", DECISION_US),
            ("presence_wait_us", PRESENCE_WAIT_US),
            ("presence_us", PRESENCE_US),
            ("reset_seen_us", RESET_SEEN_US),
        ):
            if not lowest <= getattr(self, name) <= highest:
                given = getattr(self, name)
                raise UsageError(f"{name} of a 1-Wire slave is {lowest:g} to {highest:g}, not {given:g}.")


class Scheduler(Protocol):
    """What the slave needs of an emulated chip."""

    @property
    def now_ns(self) -> int: ...

    def create_alarm(self, fn: Callable[[], None]) -> Any: ...


class OneWireSlave:
    """Brings the bits of a bus to a DS2431 and its answers back.

    Args:
        scheduler: the emulated chip.
        device: the memory behind the line.
        pull: called with True to pull the bus low and with False to let go.
        noise: probability that a bit arrives inverted, 0 to 1; `seed` makes it repeatable.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        device: DS2431,
        pull: Callable[[bool], None],
        timing: SlaveTiming | None = None,
        noise: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.device = device
        self.violations: list[tuple[int, str]] = []
        self.resets = 0
        self.noise = noise
        self._scheduler = scheduler
        self._pull = pull
        self._timing = timing or SlaveTiming()
        self._chance = random.Random(seed)
        self._level = 1
        self._fell_ns = self._rose_ns = float("-inf")
        self._writing = self._reading = False
        self._holding = False
        self._sample = scheduler.create_alarm(self._take_sample)
        self._let_go = scheduler.create_alarm(self._release)
        self._presence = scheduler.create_alarm(self._answer_reset)
        self._copy_end = scheduler.create_alarm(lambda: device.settle(scheduler.now_ns))

    def connect(self) -> None:
        """Power has come: like every slave it says that it is there."""
        self._presence.schedule(self._timing.presence_wait_us * 1e3)

    def disconnect(self) -> None:
        """Power is gone, now."""
        for alarm in (self._sample, self._let_go, self._presence, self._copy_end):
            alarm.cancel()
        self.device.lose_power(self._scheduler.now_ns)
        self._hold(False)

    def level(self, t_ns: int, level: int) -> None:
        """The bus has changed its level."""
        if level == self._level:
            return
        self._level = level
        if level:
            self._rise(t_ns)
        else:
            self._fall(t_ns)

    # ------------------------------------------------------------------ edges
    def _fall(self, t_ns: int) -> None:
        if self._reading or self._writing:
            self._note("slot", (t_ns - self._fell_ns) / 1e3, SLOT_US)
            self._note("recovery", (t_ns - self._rose_ns) / 1e3, RECOVERY_US)
        self._fell_ns = t_ns
        self._writing = self._reading = False
        if self._holding:
            return
        self.device.disturb(t_ns)
        wish = self.device.wish
        if wish is None:
            self._writing = True
            self._sample.schedule(self._timing.sample_us * 1e3)
        elif wish != "silence":
            self._reading = True
            if self._noisy(wish) == 0:
                self._hold(True)
                self._let_go.schedule(self._timing.hold_us * 1e3)
            self.device.slot(t_ns)

    def _rise(self, t_ns: int) -> None:
        self._rose_ns = t_ns
        low_us = (t_ns - self._fell_ns) / 1e3
        if low_us >= self._timing.reset_seen_us:
            self._note("reset", low_us, *RESET_US)
            self._sample.cancel()
            self._writing = self._reading = False
            self.device.reset(t_ns)
            self.resets += 1
            self._presence.schedule(self._timing.presence_wait_us * 1e3)
        elif self._writing and low_us > WRITE_ONE_US:
            self._note("written 0", low_us, *WRITE_ZERO_US)

    # ------------------------------------------------------------------ its own times
    def _take_sample(self) -> None:
        before = self.device.programming
        self.device.slot(self._scheduler.now_ns, self._noisy(self._level))
        if self.device.programming and not before:
            self._copy_end.schedule(self.device.programming_ns)

    def _answer_reset(self) -> None:
        self._let_go.schedule(self._timing.presence_us * 1e3)
        self._hold(True)

    def _release(self) -> None:
        self._hold(False)

    def _hold(self, low: bool) -> None:
        self._holding = low
        self._pull(low)

    def _noisy(self, bit: int) -> int:
        return bit ^ (self.noise > 0.0 and self._chance.random() < self.noise)

    def _note(self, what: str, took_us: float, lowest_us: float, highest_us: float = math.inf) -> None:
        """Keep what the master did outside the datasheet's window."""
        if not lowest_us - TICK_US < took_us < highest_us + TICK_US and len(self.violations) < _NOTED:
            self.violations.append((self._scheduler.now_ns, f"{what} of {took_us:.2f} us"))
