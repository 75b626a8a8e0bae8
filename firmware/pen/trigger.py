"""When a press of the trigger counts. Pure logic: time and level are arguments."""

from micropython import const

from pen.limits import SR11_RELEASE_MS

_DEBOUNCE_MS = const(15)


class Trigger:
    """Hold-to-run switch. A press counts only after the trigger was seen released for 200 ms (SR-11).

    `demand_release` puts that condition back: after boot, after a fault, after a refused start.
    """

    def __init__(self, now_ms):
        self._level = False
        self._since_ms = now_ms
        self._released_once = False

    def demand_release(self, now_ms):
        self._released_once = False
        self._since_ms = now_ms

    @property
    def released(self):
        """True once the trigger has been up long enough for a press to count."""
        return self._released_once

    def update(self, now_ms, pressed, elapsed_ms):
        """Take the level at `now_ms`; True while a press counts. `elapsed_ms(later, earlier)` compares times."""
        if pressed != self._level:
            self._level = pressed
            self._since_ms = now_ms
        stood_ms = elapsed_ms(now_ms, self._since_ms)
        if not pressed and stood_ms >= SR11_RELEASE_MS:
            self._released_once = True
        return pressed and self._released_once and stood_ms >= _DEBOUNCE_MS
