"""The logic supply: a boost converter from the cell, which fails when the cell's terminals stay too low.

It is looked at every 0.25 ms while a load could pull the cell down that far, and otherwise only when something
changes. Failing, it takes the power from the chip; the load goes with it, the cell recovers, and the pen boots again:
a brown-out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from needlepen.emulator.chip import Chip
    from needlepen.emulator.electronics import Electronics
    from needlepen.emulator.power import Power

WATCH_NS = 250_000
DEAD_WATCH_NS = 5_000_000
SAG = 0.8  # no load leaves less than this of the cell's voltage: a bridge shorted across it leaves 0.82


class LogicSupply:
    """Cuts and restores `power` by the voltage of the cell."""

    def __init__(self, chip: Chip, electronics: Electronics, power: Power) -> None:
        self._chip, self._power = chip, power
        self._physics = electronics.physics
        p = electronics.physics.parameters
        self._dies_v, self._returns_v = p.logic_dies_v, p.logic_returns_v
        self._hold_ns = p.logic_hold_ms * 1e6
        self._was_low = False
        self._sound_ns = 0
        self._failed = False
        self._alarm = chip.create_alarm(self._watch)
        for signal in ("SUPPLY", "CELL"):
            electronics.on_output(signal, lambda _t_ns, _level: self.look())

    def look(self) -> None:
        """Something may have changed."""
        if not self._alarm.is_scheduled:
            self._alarm.schedule(0)

    def _watch(self) -> None:
        now_ns = self._chip.now_ns
        state = self._physics.peek(now_ns)
        low = state.supply_v < self._dies_v
        self._failed = self._failed and not self._power.on
        if not (low and self._was_low):
            self._sound_ns = now_ns  # until now: nothing has changed since the last look
        self._was_low = low
        if self._failed and state.supply_v >= self._returns_v:
            self._failed = False
            self._power.restore()
        elif low and self._power.on and now_ns - self._sound_ns >= self._hold_ns:
            self._failed = True
            self._power.cut()
        if self._failed:
            self._alarm.schedule(DEAD_WATCH_NS)
        elif low or (not state.settled and state.supply_v * SAG < self._dies_v):
            self._alarm.schedule(WATCH_NS)
