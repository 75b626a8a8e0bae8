"""The two depth buttons: debounce, short and long presses, stuck buttons. Pure logic: time and levels are arguments.

A press makes one kind of thing, decided when it begins:

- no fault shown: UP or DOWN at once. A held DOWN repeats, since shallower is the harmless direction; a held UP does
  not, so that each deeper step is a press of its own.
- a fault shown: DOWN held for 1.5 s acknowledges it. Nothing else does anything, and a press that began before the
  fault was shown does not acknowledge it.

Both together do nothing. A button that is held at boot or for more than 30 s is stuck: it is ignored until it has been
released, and the other one goes on working.
"""

from micropython import const

EVENT_NONE = const(0)
EVENT_UP = const(1)
EVENT_DOWN = const(2)
EVENT_ACKNOWLEDGE = const(3)

DEBOUNCE_MS = const(
    15
)  # contacts bounce for up to 10 ms; of two equal readings so far apart the later one is true
ACKNOWLEDGE_MS = const(1_500)
REPEAT_AFTER_MS = const(600)
REPEAT_EVERY_MS = const(200)
STUCK_MS = const(30_000)

_FREE = const(0)
_STEP = const(1)
_ACKNOWLEDGE = const(2)
_SPENT = const(3)  # whatever is pressed does nothing more until it is released


class Button:
    """One debounced button; "pressed" until it has been seen released, so that one held at boot does not count."""

    def __init__(self, now_ms):
        self.stuck = False
        self.settled = False  # the level does not change and nothing is being timed
        self._level = True
        self._down = True
        self._ignored = True
        self._since_ms = now_ms
        self._down_ms = now_ms

    @property
    def pressed(self):
        """True while it is held and counts."""
        return self._down and not self._ignored

    def held_ms(self, now_ms, elapsed_ms):
        """Time since the press was taken as one."""
        return elapsed_ms(now_ms, self._down_ms)

    def update(self, now_ms, level, elapsed_ms):
        """Take the level (True: closed) at `now_ms`."""
        if level != self._level:
            self._level = level
            self._since_ms = now_ms
        stood = elapsed_ms(now_ms, self._since_ms) >= DEBOUNCE_MS
        if stood and level != self._down:
            self._down = level
            self._down_ms = now_ms
            self._ignored = self.stuck = False
        elif stood and level and (self._ignored or self.held_ms(now_ms, elapsed_ms) >= STUCK_MS):
            self._ignored = self.stuck = True
        self.settled = stood and (not level or self._ignored)


class Buttons:
    """`elapsed_ms(later, earlier)` compares device times, which wrap around."""

    def __init__(self, now_ms, elapsed_ms):
        self._elapsed_ms = elapsed_ms
        self._up = Button(now_ms)
        self._down = Button(now_ms)
        self._mode = _FREE
        self._repeat_ms = 0  # time of the press at which the next repeated step is due

    @property
    def stuck(self):
        """True while a button is taken for stuck."""
        return self._up.stuck or self._down.stuck

    @property
    def busy(self):
        """True while the buttons need an update in every pass of the main loop."""
        return not (self._up.settled and self._down.settled)

    def update(self, now_ms, up, down, fault_shown):
        """Take both levels (True: closed); returns the event of this pass."""
        self._up.update(now_ms, up, self._elapsed_ms)
        self._down.update(now_ms, down, self._elapsed_ms)
        up, down = self._up.pressed, self._down.pressed
        if not up and not down:
            self._mode = _FREE
        elif up and down:
            self._mode = _SPENT
        elif self._mode == _FREE:
            return self._begin(up, fault_shown)
        elif self._mode != _SPENT:
            return self._go_on(now_ms, up, fault_shown)
        return EVENT_NONE

    def _begin(self, up, fault_shown):
        if fault_shown:
            self._mode = _SPENT if up else _ACKNOWLEDGE
            return EVENT_NONE
        self._mode = _STEP
        self._repeat_ms = REPEAT_AFTER_MS
        return EVENT_UP if up else EVENT_DOWN

    def _go_on(self, now_ms, up, fault_shown):
        if fault_shown != (self._mode == _ACKNOWLEDGE):  # the fault came or went during the press
            self._mode = _SPENT
        elif fault_shown:
            if self._down.held_ms(now_ms, self._elapsed_ms) >= ACKNOWLEDGE_MS:
                self._mode = _SPENT
                return EVENT_ACKNOWLEDGE
        elif not up and self._down.held_ms(now_ms, self._elapsed_ms) >= self._repeat_ms:
            self._repeat_ms += REPEAT_EVERY_MS
            return EVENT_DOWN
        return EVENT_NONE
