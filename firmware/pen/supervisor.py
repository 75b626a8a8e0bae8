"""The states of the pen and what moves between them. Pure logic: no clock, no pins.

    BOOT -> SELF_TEST -> IDLE <-> ARMED -> RUNNING -> STOPPING -> IDLE
                any -> SAFE -> SELF_TEST      (a fault; left only by deliberate steps)
                any -> LOCKED_OUT             (a fault that no acknowledgement makes good)

States and the ways between them are data (firmware/states.toml); a way that is not in the table is not taken, the pen
goes to the safe state instead. The safe state is left by: trigger released, cause gone, depth at 0.00 mm, operator
acknowledges, cut-off channels proven again.
"""

from micropython import const

from pen.faults import LATCHED_MS, LOCKOUTS, NONE, STANDS_WHILE, SUPERVISION_LOST
from pen.limits import SR11_QUIET_MS
from pen.states import (
    ARMED,
    BLOCK_EXTERNAL_POWER,
    BOOT,
    IDLE,
    LOCKED_OUT,
    MAY_FOLLOW,
    NOTE_NONE,
    RUNNING,
    SAFE,
    SELF_TEST,
    SERVICE,
    STOPPING,
)

DO_NOTHING = const(0)
DO_TEST = const(1)  # go on with self-tests, homing and cut-off proofs, and report with `tested`
DO_START = const(2)  # start the motor, and report with `started`
DO_REFUSE = const(3)  # a press that cannot count: tell the operator which blocker


class Supervisor:
    """`elapsed_ms(later, earlier)` compares device times, which wrap around."""

    def __init__(self, now_ms, elapsed_ms, boot_fault=NONE):
        self.state = BOOT
        self.fault = NONE
        self.blockers = 0
        self.note = NOTE_NONE  # why the last run ended
        self.service_open = False
        self._elapsed_ms = elapsed_ms
        self._entered_ms = now_ms
        self._boot_fault = boot_fault
        self._press_told = False

    def _enter(self, state, now_ms):
        if not MAY_FOLLOW[self.state] >> state & 1:
            if self.state == LOCKED_OUT:
                return
            self.fault = SUPERVISION_LOST
            state = SAFE
        self.state = state
        self._entered_ms = now_ms

    @property
    def sound(self):
        """False while a fault stands, in the service of a locked-out pen too."""
        return self.fault == NONE

    def since_ms(self, now_ms):
        """How long the pen has been in its state."""
        return self._elapsed_ms(now_ms, self._entered_ms)

    def fail(self, fault, now_ms):
        """Go to the safe state, or lock out. The first fault is kept: what follows is usually its consequence.

        Only a fault that locks out takes the place of one that does not. Opened for service, a locked-out pen stays
        open, though the cause stands: that is where it is mended. Nothing moves there (`sound`).
        """
        if fault in LOCKOUTS:
            if self.state != LOCKED_OUT and not (self.state == SERVICE and self.fault == fault):
                self.fault = fault
                self._enter(LOCKED_OUT, now_ms)
        elif self.state not in (SAFE, LOCKED_OUT):
            self.fault = fault
            self._enter(SAFE, now_ms)

    def step(self, now_ms, press_counts, standstill, blockers):
        """What to do now. `press_counts`: a qualified trigger press; `standstill`: the motor does not turn;
        `blockers`: BLOCK_ masks of everything that stands against a start."""
        self.blockers = blockers
        state = self.state
        if not press_counts:
            self._press_told = False
        if state == BOOT:
            if self.since_ms(now_ms) >= SR11_QUIET_MS:
                if self._boot_fault != NONE:
                    self.fail(self._boot_fault, now_ms)
                else:
                    self._enter(SELF_TEST, now_ms)
        elif state == SELF_TEST:
            return DO_TEST
        elif state == STOPPING:
            if standstill:
                self._enter(SERVICE if self.service_open else IDLE, now_ms)
        elif state == SERVICE:
            if press_counts:
                return self._pressed(self.sound and not blockers & ~BLOCK_EXTERNAL_POWER)
        elif state == IDLE:
            if not blockers:
                self._enter(ARMED, now_ms)
            elif press_counts:
                return self._pressed(False)
        elif state == ARMED:
            if blockers:
                self._enter(IDLE, now_ms)
            elif press_counts:
                return DO_START
        return DO_NOTHING

    def _pressed(self, allowed):
        """Start, or refuse once for each press."""
        if allowed:
            return DO_START
        if self._press_told:
            return DO_NOTHING
        self._press_told = True
        return DO_REFUSE

    def tested(self, fault, now_ms):
        """Self-tests, homing and proofs are done: `fault` NONE if they all passed."""
        if self.state == SELF_TEST:
            if fault == NONE:
                self._enter(IDLE, now_ms)
            else:
                self.fail(fault, now_ms)

    def started(self, fault, now_ms):
        """The drive was started (`fault` NONE) or refused to."""
        if self.state in (ARMED, SERVICE):
            if fault == NONE:
                self.note = NOTE_NONE
                self._enter(RUNNING, now_ms)
            else:
                self.fail(fault, now_ms)

    def stopped(self, fault, note, now_ms):
        """The drive ended: as it should (`fault` NONE, `note` says why), or by a fault."""
        if self.state == RUNNING:
            if fault == NONE:
                self.note = note
                self._enter(STOPPING, now_ms)
            else:
                self.fail(fault, now_ms)

    def open_service(self, now_ms):
        """A technician opens the service access. Returns None, or why not now."""
        if self.state not in (IDLE, ARMED, LOCKED_OUT):
            return "service opens only from idle, armed or locked out"
        self.service_open = True
        self._enter(SERVICE, now_ms)
        return None

    def may_acknowledge(self, now_ms, trigger_released, standstill, retracted):
        """None if the operator's acknowledgement counts now, or the reason why it does not yet."""
        if self.state == LOCKED_OUT:
            return "locked out: switch the pen off and on"
        if self.state != SAFE:
            return "there is no fault to acknowledge"
        left_ms = LATCHED_MS.get(self.fault, 0) - self.since_ms(now_ms)
        if left_ms > 0:
            return "latched for another %d s" % ((left_ms + 999) // 1000)
        if not standstill:
            return "the motor still turns"
        if not trigger_released:
            return "release the trigger first"
        if not retracted:
            return "the depth is not at 0.00 mm yet"
        return None

    def acknowledge(self, cause_gone, now_ms):
        """Leave the safe state towards new proofs, if the cause is gone. Returns None, or the refusal."""
        if not cause_gone or self.blockers & STANDS_WHILE.get(self.fault, 0):
            return "the cause is still there"
        self.fault = NONE
        self._enter(SELF_TEST, now_ms)
        return None
