"""Plays a row of steps of given lengths: light and dark of the pixel, notes of the buzzer. Pure logic.

Steps begin when a pass of the main loop finds the last one over, so that they come out up to one pass too long.
"""

from micropython import const

NEVER_MS = const(10_000)  # "nothing is due": long, and far from where device times wrap around


class Player:
    """`elapsed_ms(later, earlier)` compares device times; a step lasts its byte in units of `unit_ms`.

    The byte with the length of a step is the `stride`-th of its bytes, counted from 1.
    """

    def __init__(self, elapsed_ms, unit_ms, stride):
        self._elapsed_ms = elapsed_ms
        self._unit_ms = unit_ms
        self._stride = stride
        self._steps = b""
        self._over_and_over = False
        self._since_ms = 0
        self.place = -1  # which step is on; -1 for none

    def play(self, steps, now_ms, over_and_over):
        """Begin now with the first step; at the end begin again, or stop."""
        self._steps = steps
        self._over_and_over = over_and_over
        self._since_ms = now_ms
        self.place = 0

    def update(self, now_ms):
        """Go on to the next step if it is due; True if it was."""
        if self.place < 0 or self.due_ms(now_ms) > 0:
            return False
        self._since_ms = now_ms
        self.place += 1
        if self.place * self._stride >= len(self._steps):
            self.place = 0 if self._over_and_over else -1
        return True

    def due_ms(self, now_ms):
        """Time until the next step; 0 or less if it is due."""
        if self.place < 0:
            return NEVER_MS
        length = self._steps[(self.place + 1) * self._stride - 1]
        return length * self._unit_ms - self._elapsed_ms(now_ms, self._since_ms)
