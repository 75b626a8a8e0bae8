# mypy: disable-error-code="arg-type"
# Viper takes an address where a function asks for a pointer; the type checker does not know.
"""Whether the motor keeps its set rate (SR-07). Pure.

Judged is the mean of the last whole stroke, and how long it has been too slow by the time stamps of the index edges: a
late main-loop pass makes the answer late, not wrong. At 50 Hz the rate ripples by 20 % within a stroke, so that nothing
shorter than a stroke can be judged. A harder slowdown than to 20 Hz is a stall, and ends sooner (SR-08).
"""

import micropython
from micropython import const

from pen.limits import SR07_STOP_HZ, SR07_STOP_MS, SR07_STOP_PCT, SR07_WARN_MS, SR07_WARN_PCT

_TURN_HZ_US = const(1_000_000_000)  # mHz of a stroke x us
_REACHED_PCT = const(90)
START_MS = const(500)  # PR-04 asks for 150; a pen that needs more than this does not start
_WARN_HOLD_US = const(1_000_000)


def longest_turn_us(set_mhz, pct, least_mhz=1):
    """Time of a stroke at `pct` of the set rate, or at `least_mhz` if that is more."""
    return _TURN_HZ_US // max(set_mhz * pct // 100, least_mhz)


@micropython.viper
def first_slow(ring: ptr32, slot: int, limit_us: int) -> int:
    """Time of the first of the last index edges in a row that ended a stroke longer than `limit_us`.

    `ring` holds the times of the last 16 edges, `slot` is the place of the next one. Looks back over eleven edges.
    """
    at = (slot - 1) & 15
    first_us = int(ring[at])
    looked = 0
    while looked < 11:
        edge_us = int(ring[at])
        if (edge_us - int(ring[(at - 4) & 15])) & 0x3FFFFFFF <= limit_us:
            break
        first_us = edge_us
        at = (at - 1) & 15
        looked += 1
    return first_us


class _Slow:
    """How long the stroke has been longer than a limit."""

    def __init__(self):
        self._since_us = None

    def judge(self, limit_us, edge_us, turn_us, ring, slot):
        """Microseconds, up to the last index edge."""
        if turn_us <= limit_us:
            self._since_us = None
            return 0
        if self._since_us is None:
            self._since_us = first_slow(ring, slot, limit_us)
        return (edge_us - self._since_us) & 0x3FFFFFFF


class Underspeed:
    """`warning` and `fault` of the present run; `reached`: the start has come near the set rate; `dipping`: the last
    stroke was slow, so look at every pass."""

    def __init__(self):
        self.start()

    def start(self):
        """A run begins."""
        self.warning = False
        self.fault = False
        self.reached = False
        self._warn = _Slow()
        self._stop = _Slow()
        self.dipping = False
        self._edge_us = 0
        self._fine_us = 0
        self._set_mhz = 0
        self._warn_us = 0
        self._stop_us = 0

    def judge(self, run_ms, set_mhz, target_mhz, edge_us, turn_us, ring, slot):
        """One pass. `run_ms`: since the drive began; `edge_us`, `turn_us`: last index edge and stroke, 0: none yet;
        `ring`, `slot`: of the edges, see first_slow."""
        if not self.reached:
            self.reached = set_mhz == target_mhz and 0 < turn_us <= longest_turn_us(set_mhz, _REACHED_PCT)
            self.fault = self.fault or (run_ms > START_MS and not self.reached)
        elif edge_us != self._edge_us:
            if set_mhz != self._set_mhz:
                self._set_mhz = set_mhz
                self._warn_us = longest_turn_us(set_mhz, SR07_WARN_PCT)
                self._stop_us = longest_turn_us(set_mhz, SR07_STOP_PCT, 1000 * SR07_STOP_HZ)
            if turn_us > self._warn_us or self.dipping:  # the stop limit lies below the warning at every rate
                self._dip(edge_us, turn_us, ring, slot)
            if self.warning and (edge_us - self._fine_us) & 0x3FFFFFFF > _WARN_HOLD_US:
                self.warning = False
        self._edge_us = edge_us

    def _dip(self, edge_us, turn_us, ring, slot):
        self.dipping = turn_us > self._warn_us
        if self._stop.judge(self._stop_us, edge_us, turn_us, ring, slot) >= 1000 * SR07_STOP_MS:
            self.fault = True
        if self._warn.judge(self._warn_us, edge_us, turn_us, ring, slot) >= 1000 * SR07_WARN_MS:
            self.warning = True
            self._fine_us = edge_us
