"""The states of a treatment session and what moves between them. Pure logic: no clock, no pins.

    QUIET -> PROVING -> READY -> RUNNING -> STOPPING -> READY
                 any -> SAFE -> PROVING        (a fault; left only by deliberate steps)

The safe state is left by: trigger released, cause gone, operator acknowledges, cut-off channels proven again.
"""

from micropython import const

from pen import faults
from pen.limits import SR11_QUIET_MS

QUIET = const(0)
PROVING = const(1)
READY = const(2)
RUNNING = const(3)
STOPPING = const(4)
SAFE = const(5)

STATE_NAMES = ("quiet", "proving", "ready", "running", "stopping", "safe")

DO_NOTHING = const(0)
DO_PROVE = const(1)
DO_START = const(2)


class Session:
    """`elapsed_ms(later, earlier)` compares device times, which wrap around."""

    def __init__(self, now_ms, elapsed_ms, boot_fault=faults.NONE):
        self.state = QUIET
        self.fault = faults.NONE
        self._elapsed_ms = elapsed_ms
        self._entered_ms = now_ms
        self._boot_fault = boot_fault

    def _enter(self, state, now_ms):
        self.state = state
        self._entered_ms = now_ms

    def fail(self, fault, now_ms):
        """Go to the safe state. The first fault is kept: what follows is usually its consequence."""
        if self.state != SAFE:
            self.fault = fault
            self._enter(SAFE, now_ms)

    def step(self, now_ms, press_counts, standstill):
        """What to do now. `press_counts`: a qualified trigger press; `standstill`: the motor does not turn."""
        if self.state == QUIET:
            if self._elapsed_ms(now_ms, self._entered_ms) >= SR11_QUIET_MS:
                if self._boot_fault != faults.NONE:
                    self.fail(self._boot_fault, now_ms)
                else:
                    self._enter(PROVING, now_ms)
        elif self.state == PROVING:
            return DO_PROVE
        elif self.state == READY:
            if press_counts:
                return DO_START
        elif self.state == STOPPING and standstill:
            self._enter(READY, now_ms)
        return DO_NOTHING

    def proven(self, ok, now_ms):
        if self.state == PROVING:
            if ok:
                self._enter(READY, now_ms)
            else:
                self.fail(faults.PROOF_FAILED, now_ms)

    def started(self, ok, now_ms):
        if self.state == READY:
            if ok:
                self._enter(RUNNING, now_ms)
            else:
                self.fail(faults.START_REFUSED, now_ms)

    def stopped(self, fault, now_ms):
        """The drive ended: as it should (`fault` NONE), or by a fault."""
        if self.state == RUNNING:
            if fault == faults.NONE:
                self._enter(STOPPING, now_ms)
            else:
                self.fail(fault, now_ms)

    def may_acknowledge(self, now_ms, trigger_released, standstill):
        """None if the operator's acknowledgement counts now, or the reason why it does not yet."""
        left_ms = faults.LATCHED_MS.get(self.fault, 0) - self._elapsed_ms(now_ms, self._entered_ms)
        if left_ms > 0:
            return "latched for another %d s" % ((left_ms + 999) // 1000)
        if not standstill:
            return "the motor still turns"
        if not trigger_released:
            return "release the trigger first"
        return None

    def acknowledge(self, cause_gone, now_ms):
        """Leave the safe state towards a new proof, if the cause is gone. Returns None, or the refusal."""
        if not cause_gone:
            return "the cause is still there"
        self.fault = faults.NONE
        self._enter(PROVING, now_ms)
        return None
