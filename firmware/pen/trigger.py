"""When a press of the trigger counts. Pure logic: time and level are arguments."""

from micropython import const

from pen.limits import SR11_RELEASE_MS

_DEBOUNCE_MS = const(15)
STOP_RELEASE_MS = const(30)
_ROUNDING_MS = const(2)  # two times in whole ms, each up to 1 ms from its reading


class Trigger:
    """Hold-to-run switch. A press counts only after the trigger was seen released: for 200 ms after boot, a fault or
    a press that came too early (SR-11), for the time of a bounce after an ordinary stop.
    """

    def __init__(self, now_ms):
        self._level = False
        self._since_ms = now_ms
        self._released_once = False
        self._needed_ms = SR11_RELEASE_MS

    def demand_release(self, now_ms, needed_ms=SR11_RELEASE_MS):
        """No press counts until the trigger has been up for `needed_ms` from now."""
        self._released_once = False
        self._since_ms = now_ms
        self._needed_ms = needed_ms

    @property
    def released(self):
        """True once the trigger has been up long enough for a press to count."""
        return self._released_once

    @property
    def waiting(self):
        """True while it is up and not long enough yet: somebody has to look again, or no press will count."""
        return not self._released_once and not self._level

    def left_ms(self, now_ms, elapsed_ms):
        """How long a `waiting` trigger still has to be up; 0 or less: look now."""
        return self._needed_ms + _ROUNDING_MS - elapsed_ms(now_ms, self._since_ms)

    def update(self, now_ms, pressed, elapsed_ms, touched=False):
        """Take the level that was read at `now_ms`, not at the begin of a pass; True while a press counts.

        `touched`: it was pressed since the last time, even if it is up again. `elapsed_ms(later, earlier)` compares
        times.
        """
        if pressed != self._level or (touched and not pressed):
            self._level = pressed
            self._since_ms = now_ms
        stood_ms = elapsed_ms(now_ms, self._since_ms)
        if not pressed and stood_ms >= self._needed_ms + _ROUNDING_MS:
            self._released_once = True
        return pressed and self._released_once and stood_ms >= _DEBOUNCE_MS
