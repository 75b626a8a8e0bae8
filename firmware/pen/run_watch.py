"""What is watched while the motor is driven: rate (SR-07), skin contact and length of the run (SR-13), and the duty
that heats the winding. Pure.
"""

from micropython import const

from pen.board import MOTOR_FRICTION_MA, PWM_N_PERIOD_CLOCKS
from pen.contact import LIMIT_MS, WINDOW_MS, Contact, most_free_ma, root_ma
from pen.faults import (
    CURRENT_SENSOR,
    NONE,
    UNDERSPEED,
)
from pen.limits import SR13_RUN_MIN
from pen.places import (
    EDGE_RING,
    EDGE_SLOT,
    EDGE_US,
    I2_SUM,
    ON_COUNTS,
    SET_MHZ,
    TARGET_MHZ,
    TICKS,
    TURN_US,
)
from pen.speed import Underspeed
from pen.states import (
    NOTE_NO_CONTACT,
    NOTE_NONE,
    NOTE_RUN_TOO_LONG,
)

_RUN_LIMIT_MS = const(60_000 * SR13_RUN_MIN - 100)  # "at most": with the pass that notices and the brake
_STARTING_MS = const(300)  # by then the current is that of the set rate (PR-04: 150)
_LEAST_FREE_MA = const(MOTOR_FRICTION_MA // 2)


class RunWatch:
    """`fault`: found in this run, NONE if none; `run_ms`: how long it has lasted."""

    def __init__(self, state):
        self._state = state
        self._speed = Underspeed()
        self._contact = Contact()
        self._on_total = self._on_count = self._driven_ms = 0
        self.begin()

    def begin(self):
        """A run begins, or is over."""
        self.fault = NONE
        self.run_ms = 0
        self._speed.start()
        self._contact.start()
        self._restart_window()

    @property
    def warning(self):
        """True while the rate is too low, but not yet so low that the run has to end."""
        return self._speed.warning

    @property
    def dipping(self):
        """True while the last stroke was slow: look at every pass."""
        return self._speed.dipping

    def look(self, elapsed_ms, cell_mv):
        """One pass of a run, `elapsed_ms` after the one before."""
        state = self._state
        self.run_ms += elapsed_ms
        self._contact.without_ms += elapsed_ms
        set_mhz = state[SET_MHZ]
        self._speed.judge(
            self.run_ms,
            set_mhz,
            state[TARGET_MHZ],
            state[EDGE_US],
            state[TURN_US],
            state[EDGE_RING],
            state[EDGE_SLOT],
        )
        if self._speed.fault:
            self.fail(UNDERSPEED)
        self._on_total += state[ON_COUNTS]
        self._on_count += 1
        self._driven_ms += elapsed_ms
        if set_mhz != state[TARGET_MHZ] or set_mhz != self._window_set or self.run_ms < _STARTING_MS:
            self._contact.restart()
            self._restart_window()
        elif state[TICKS] - self._window_ticks >= WINDOW_MS:
            self._window(cell_mv)

    def fail(self, fault):
        """The first fault of a run is kept."""
        if not self.fault:
            self.fault = fault

    def note(self):
        """Why the run should end without a fault; NOTE_NONE while it may go on."""
        if self._contact.without_ms >= LIMIT_MS:
            return NOTE_NO_CONTACT
        if self.run_ms >= _RUN_LIMIT_MS:
            return NOTE_RUN_TOO_LONG
        return NOTE_NONE

    def take_duty(self):
        """Mean duty since the last call, 0 to 1, and how long the motor was driven, ms."""
        if not self._on_count:
            return 0.0, 0
        taken = self._on_total / self._on_count / PWM_N_PERIOD_CLOCKS, self._driven_ms
        self._on_total = self._on_count = self._driven_ms = 0
        return taken

    def _restart_window(self):
        self._window_from = self._state[I2_SUM]
        self._window_ticks = self._state[TICKS]
        self._window_set = self._state[SET_MHZ]

    def _window(self, cell_mv):
        state = self._state
        ticks = state[TICKS] - self._window_ticks
        seen_ma = root_ma((state[I2_SUM] - self._window_from) & 0x3FFFFFFF, ticks)
        if seen_ma < _LEAST_FREE_MA:
            self.fail(CURRENT_SENSOR)  # it would hide heat, and skin
        self._contact.window(seen_ma, most_free_ma(state[SET_MHZ] / 1000, max(cell_mv, 1) / 1000))
        self._restart_window()
