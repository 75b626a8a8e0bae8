"""The program of the pen: puts the parts together and runs the main loop.

Nothing here has a deadline under 10 ms. The loop decides what to do, feeds the watchdog and talks to the host;
the control tick and the PIO machines do the rest.
"""

import gc
import time

import machine
import micropython
from machine import Pin
from micropython import const

from pen import session
from pen.board import PIN_LED, PIN_TRIGGER_N, SAFE_OUTPUTS
from pen.build_info import BUILD_KIND
from pen.control import state
from pen.drive import Drive
from pen.faults import NONE, OVERCURRENT, WATCHDOG_RESET
from pen.host import Host
from pen.limits import SR11_RELEASE_MS
from pen.places import MAIN_AGE_MS, SUPERVISED, TICKS
from pen.proof import AGAIN
from pen.session import DO_PROVE, DO_START, Session
from pen.trigger import STOP_RELEASE_MS, Trigger

_LOOP_MS = const(10)
_REST_MS = const(20)  # while the drive rests; part of the time from trigger to strokes (PR-04)
_WATCHDOG_MS = const(200)
_QUIET_STATES = (session.READY, session.SAFE)
_WATCHDOG_CTRL = const(0x4005_8000)
_WATCHDOG_ENABLE = const(1 << 30)


class App:
    def __init__(self):
        self._boot_ms = time.ticks_ms()
        self.drive = Drive()
        boot_fault = WATCHDOG_RESET if machine.reset_cause() == machine.WDT_RESET else NONE
        if self.drive.tripped:
            boot_fault = OVERCURRENT  # the latch outlives a reset, and so does its time (SR-09)
        self.session = Session(self._boot_ms, time.ticks_diff, boot_fault)
        self._trigger_n = Pin(PIN_TRIGGER_N, Pin.IN, Pin.PULL_UP)
        self._trigger = Trigger(self._boot_ms)
        self._led = Pin(PIN_LED, Pin.OUT, value=0)
        self._ticks_seen = -1
        self.ready_ms = 0
        self.longest_loop_ms = 0
        self.last_refusal = ""
        self.host = Host(self)
        gc.collect()
        self._watchdog = machine.WDT(timeout=_WATCHDOG_MS)

    def run(self):
        last_ms = time.ticks_ms()
        while True:
            now_ms = time.ticks_ms()
            loop_ms = time.ticks_diff(now_ms, last_ms)
            last_ms = now_ms
            if loop_ms > self.longest_loop_ms:
                self.longest_loop_ms = loop_ms
            if self._nothing_to_do():
                self._watchdog.feed()
            else:
                self._feed()
                self._supervise(now_ms)
                self.host.serve(now_ms)
            time.sleep_ms(_LOOP_MS if self.drive.awake else _REST_MS)

    def _nothing_to_do(self):
        """True while the pen lies ready and nobody wants anything: the pass then costs 0.1 ms instead of 0.5."""
        return (
            self._trigger_n()
            and not self.drive.awake
            and self.session.state in _QUIET_STATES
            and self._trigger.released
            and self.host.quiet
        )

    def _feed(self):
        """The watchdog is fed by the chain: this loop and, while the drive is awake, the tick and what it checks."""
        if not self.drive.awake:
            self._watchdog.feed()
            return
        state[MAIN_AGE_MS] = 0  # the heartbeat depends on this loop
        ticks = state[TICKS]
        if ticks != self._ticks_seen and state[SUPERVISED]:
            self._watchdog.feed()
        self._ticks_seen = ticks

    def _supervise(self, now_ms):
        s = self.session
        pressed = not self._trigger_n()
        counts = self._trigger.update(now_ms, pressed, time.ticks_diff)
        if pressed and s.state < session.READY:
            self._trigger.demand_release(now_ms)  # pressed before the pen was ready: not meant as a start
        starting = pressed and s.state == session.READY and self._trigger.released
        standstill = True
        if starting:
            self.drive.wake()  # while the press is debounced
        if self.drive.awake:
            standstill = self.drive.standstill
            if s.state == session.RUNNING:
                if self.drive.running:
                    self.drive.settle()
                else:
                    fault = self.drive.stop_fault()
                    self._trigger.demand_release(
                        now_ms, STOP_RELEASE_MS if fault == NONE else SR11_RELEASE_MS
                    )
                    s.stopped(fault, now_ms)
            elif standstill and not starting:
                self.drive.rest()
        action = s.step(now_ms, counts and self.drive.woken, standstill)
        if action == DO_PROVE:
            self.last_refusal = self.drive.prove() or ""
            if self.last_refusal is AGAIN:
                return
            s.proven(not self.last_refusal, now_ms)
            if not self.ready_ms:
                self.ready_ms = time.ticks_ms()
            self._led(1)
        elif action == DO_START:
            self.last_refusal = self.drive.start() or ""
            s.started(not self.last_refusal, now_ms)

    def acknowledge(self):
        """The operator's acknowledgement. Returns None, or the reason why the safe state is not left."""
        now_ms = time.ticks_ms()
        s = self.session
        if s.state != session.SAFE:
            return "there is no fault to acknowledge"
        released = self._trigger_n.value() == 1
        refused = s.may_acknowledge(now_ms, released, self.drive.standstill)
        if refused:
            return refused
        if self.drive.tripped:
            self.drive.clear_latch()
        return s.acknowledge(not self.drive.tripped, now_ms)

    def shut_down(self):
        """Development build, Ctrl-C: brake, stop the tick, stop the watchdog, leave the REPL to the user."""
        self.drive.shut_down()
        machine.mem32[_WATCHDOG_CTRL] &= ~_WATCHDOG_ENABLE


def run():
    for pin, level in SAFE_OUTPUTS:
        Pin(pin, Pin.OUT, value=level)
    micropython.alloc_emergency_exception_buf(100)
    development = BUILD_KIND == "development"
    if not development:
        micropython.kbd_intr(-1)
    app = App()
    try:
        app.run()
    except KeyboardInterrupt:
        app.shut_down()
        print("pen stopped by Ctrl-C (development build); machine.reset() starts it again")
