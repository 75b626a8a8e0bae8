"""One session with one cartridge (SR-15): it lives in RAM, so a reset or a power loss ends it. Pure logic.

Without a session a cartridge with a used mark is refused, whoever marked it. Time since the first use is powered time
and, where the pen knows the time at both ends, clock time too.
"""

from micropython import const

from pen.limits import SR15_USE_MIN, SR15_WINDOW_H

_MARGIN_MS = const(3000)  # the pen looks at the time every 2 s at rest, and a run takes a while to end
_USE_MS = const(60_000 * SR15_USE_MIN - _MARGIN_MS)
_WINDOW_MS = const(3_600_000 * SR15_WINDOW_H - _MARGIN_MS)
_MINUTE_MS = const(60_000)
WHOLE_MS = _USE_MS


class Use:
    def __init__(self):
        self.rom = None  # ID of the session's cartridge, None without a session
        self.used_ms = 0
        self.window_ms = 0
        self.minutes_written = 0
        self._mark = b""
        self._clock_s = None

    def open(self, rom, mark, clock_s):
        """The mark was written and read back: the session begins, and any earlier one is over."""
        self.rom = rom
        self.used_ms = self.window_ms = self.minutes_written = 0
        self._mark = mark
        self._clock_s = clock_s

    def pass_time(self, elapsed_ms, clock_s):
        """`clock_s`: seconds since 2000-01-01, or None."""
        if self.rom is None:
            return
        self.window_ms += elapsed_ms
        if self._clock_s is None or clock_s is None:
            return
        self.window_ms = max(self.window_ms, 1000 * (clock_s - self._clock_s))

    def add(self, run_ms):
        """The motor has turned for so long."""
        self.used_ms += run_ms

    def continues(self, rom, mark, minutes, row_of):
        """Whether a marked cartridge is the one of this session, and nobody else has used it since.

        `minutes`: its row of minutes, `row_of(n)`: the row for n of them. A row that was cut off while it was written
        lies between the minutes that were written and those that were to be.
        """
        if rom != self.rom or mark != self._mark:
            return False
        before, after = row_of(self.minutes_written), row_of(self.minutes)
        return all(m & b == m and m & a == a for m, b, a in zip(minutes, before, after))

    @property
    def left_ms(self):
        """Time of use that is left; 0 without a session."""
        if self.rom is None:
            return 0
        return max(0, min(_USE_MS - self.used_ms, _WINDOW_MS - self.window_ms))

    @property
    def minutes(self):
        """Minutes of use that have begun."""
        return (self.used_ms + _MINUTE_MS - 1) // _MINUTE_MS
