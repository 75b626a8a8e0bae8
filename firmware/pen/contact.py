"""Whether the needles touch skin, from the motor current (SR-13). Pure.

Judged is the root of the mean square of what the current amplifier reads over a quarter of a second, which load, PWM
ripple and rate make; from window to window it varies by 2 mA at 50 Hz and by less than 1 mA from 60 Hz on. Touching is
what lies clearly above the free motor: above the least of this run at this rate, and, where the run has not shown it
free yet, above what any sound motor takes.

Measured on the emulated pen (50 to 150 Hz, cell 3.5 to 4.2 V): 12 needles at 0.50 mm read 14 to 30 mA more than the
free motor, 36 needles at 0.25 mm 16 to 21 mA, 12 needles at 0.25 mm 6 to 10 mA. The margin of 10 mA lies below all but
the last: 12 needles at 0.25 mm and less are not told from air, and the run ends as if the pen had been put down.
"""

from math import sqrt

from micropython import const

from pen.board import LOOP_R_OHM, MOTOR_FRICTION_A, MOTOR_KE_V_PER_HZ
from pen.limits import SR13_NO_CONTACT_S
from pen.ripple import seen_a

WINDOW_MS = const(250)
_MARGIN_MA = const(10)
_MOST_FREE_A = 2 * MOTOR_FRICTION_A
# Contact is known at the end of the first window that lies wholly in it; windows end with a pass of the main loop.
LIMIT_MS = 1000 * SR13_NO_CONTACT_S + 2 * WINDOW_MS + 100


def most_free_ma(rate_hz, cell_v):
    """Reading, in mA, of a motor that turns free with twice the friction of a sound one."""
    duty = (MOTOR_KE_V_PER_HZ * rate_hz + LOOP_R_OHM * _MOST_FREE_A) / cell_v
    return round(1000 * seen_a(_MOST_FREE_A, duty, cell_v))


def root_ma(sum_ma2_q10, ticks):
    """Root of the mean square in mA, from a sum of (mA)^2 / 1024 over ticks, each cut off."""
    return round(sqrt(1024 * (sum_ma2_q10 / ticks + 0.5)))


class Contact:
    """`without_ms`: how long there has been no contact."""

    def __init__(self):
        self.start()

    def start(self):
        """A run begins."""
        self.without_ms = 0
        self.restart()

    def restart(self):
        """The rate changes: what was learned about the free motor holds no more."""
        self.free_ma = None

    def window(self, seen_ma, most_ma):
        """Take the reading of a window at a constant rate, and `most_free_ma` there. True if the needles touch skin."""
        if self.free_ma is None or seen_ma < self.free_ma:
            self.free_ma = seen_ma
        touching = seen_ma > min(self.free_ma, most_ma) + _MARGIN_MA
        if touching:
            self.without_ms = 0
        return touching
