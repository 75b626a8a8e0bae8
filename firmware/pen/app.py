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

from pen import clock_watch, quiet
from pen.axis import Axis
from pen.board import INPUT_MASK, PIN_CARTRIDGE_BUS, PIN_CARTRIDGE_N, PIN_LED, PIN_TRIGGER_N, SAFE_OUTPUTS
from pen.build_info import BUILD_KIND
from pen.cartridge import Cartridge
from pen.commands import Commands
from pen.control import state
from pen.drive import Drive
from pen.ds2431 import Ds2431
from pen.faults import NONE, OVERCURRENT, WATCHDOG_RESET
from pen.host import Host
from pen.inputs import Inputs
from pen.monitor import Monitor
from pen.onewire import OneWire
from pen.panel import Panel
from pen.places import MAIN_AGE_MS, SUPERVISED, TICKS
from pen.profiles import PROFILES
from pen.selftest import SelfTest
from pen.sequence import Sequence
from pen.states import ARMED, IDLE, LOCKED_OUT, SAFE
from pen.store.device import open_store
from pen.supervisor import Supervisor
from pen.trigger import Trigger

_LOOP_MS = const(10)
_REST_MS = const(8)  # while the drive rests; part of the times of SR-02 at rest and of PR-04
_LOOK_MS = const(250)  # at rest, temperatures, battery and cartridge are looked at so often
_WATCHDOG_MS = const(200)
_GC_BYTES = const(24_576)  # collected this often the heap stays in one piece; main.py collects more often
_RESTING = (IDLE, ARMED, SAFE, LOCKED_OUT)
_WATCHDOG_CTRL = const(0x4005_8000)
_WATCHDOG_ENABLE = const(1 << 30)


class App:
    def __init__(self, boot_ms):
        self.drive = drive = Drive()
        boot_fault = WATCHDOG_RESET if machine.reset_cause() == machine.WDT_RESET else NONE
        if drive.tripped:
            boot_fault = OVERCURRENT  # the latch outlives a reset, and so does its time (SR-09)
        self.supervisor = Supervisor(boot_ms, time.ticks_diff, boot_fault)
        self.store = store = open_store(lambda: not drive.awake, _WATCHDOG_MS)
        store.boot(machine.reset_cause(), boot_ms)
        self.panel = Panel(boot_ms)
        self.axis = Axis(state)
        self.monitor = Monitor(state, Inputs(drive.sampling.ring_address), time.ticks_diff, _stored_heat(store))
        self.cartridge = Cartridge(
            Ds2431(OneWire(Pin(PIN_CARTRIDGE_BUS))),
            Pin(PIN_CARTRIDGE_N, Pin.IN, Pin.PULL_UP),
            state,
            time.ticks_diff,
            machine.unique_id(),
            lambda: store.seconds,
            store.keys,
        )
        self.selftest = SelfTest()
        self.parts = (self.axis, self.monitor, self.cartridge, self.selftest, store, self.panel)
        self.trigger_n = Pin(PIN_TRIGGER_N, Pin.IN, Pin.PULL_UP)
        self.trigger = Trigger(boot_ms)
        self.led = Pin(PIN_LED, Pin.OUT, value=0)
        self._ticks_seen = -1
        self._lines = -1
        self._look_ms = boot_ms
        self.warnings = 0
        self.ready_ms = 0
        self.longest_loop_ms = 0
        self.last_refusal = ""
        self._restore()
        self.sequence = Sequence(self)
        self.commands = Commands(self)
        self.host = Host(self)
        gc.collect()
        gc.threshold(_GC_BYTES)
        self._watchdog = machine.WDT(timeout=_WATCHDOG_MS)

    def _restore(self):
        """What the operator had set, except the depth: after switching on the needles are in (SR-01)."""
        settings = self.store.settings
        self.use_profile(int(settings.profile) if settings.profile in [str(n) for n in PROFILES] else 0)
        self.drive.set_rate_hz(settings.rate_hz)
        self.panel.volume = settings.volume
        self.axis.set_calibration(self.store.calibration)

    def use_profile(self, number):
        """Take depth cap and session limit of a treatment profile."""
        self.profile = number
        self.profile_cap_um, self.profile_rate_hz, session_min = PROFILES[number]
        self.monitor.session_limit_ms = 60_000 * session_min

    def run(self):
        last_ms = time.ticks_ms()
        while True:
            now_ms = time.ticks_ms()
            loop_ms = time.ticks_diff(now_ms, last_ms)
            last_ms = now_ms
            if loop_ms > self.longest_loop_ms:
                self.longest_loop_ms = loop_ms
            if self._nothing_to_do(now_ms):
                self._watchdog.feed()
            else:
                self._pass(now_ms)
            time.sleep_ms(_LOOP_MS if self.drive.awake else _REST_MS)

    def _nothing_to_do(self, now_ms):
        """True while the pen lies at rest and nobody wants anything: the pass then costs 0.1 ms instead of 3."""
        if self.drive.awake or self.supervisor.state not in _RESTING:
            return False
        low, high = self.axis.window_codes
        if clock_watch.look() or not quiet.nothing_new(INPUT_MASK, self._lines, low, high):
            return False
        if time.ticks_diff(now_ms, self._look_ms) >= 0 or not self.host.quiet:
            return False
        for part in self.parts:
            if part.busy:
                return False
        if time.ticks_diff(now_ms, self.panel.next_change_ms) >= 0:
            self.panel.advance(now_ms, False)
        return True

    def _pass(self, now_ms):
        """Look at everything, decide, answer the host, show."""
        self._look_ms = time.ticks_add(now_ms, _LOOK_MS)
        self._lines = quiet.lines(INPUT_MASK)
        self.feed()
        awake = self.drive.awake
        supervisor = self.supervisor
        blockers = warnings = 0
        for part in self.parts:
            part.poll(now_ms, awake)
            if part.fault:
                supervisor.fail(part.fault, now_ms)
            blockers |= part.blockers
            warnings |= part.warnings
        self.warnings = warnings
        self.commands.take_button(self.panel.take_event())
        self.sequence.step(now_ms, blockers)
        self.host.serve(now_ms)
        self.panel.show(supervisor.state, supervisor.fault, supervisor.blockers, warnings)

    def feed(self):
        """The watchdog is fed by the chain: this loop and, while the drive is awake, the tick and what it checks."""
        if not self.drive.awake:
            self._watchdog.feed()
            return
        state[MAIN_AGE_MS] = 0  # the heartbeat depends on this loop
        ticks = state[TICKS]
        if ticks != self._ticks_seen and state[SUPERVISED]:
            self._watchdog.feed()
        self._ticks_seen = ticks

    def shut_down(self):
        """Development build, Ctrl-C: brake, stop the tick, stop the watchdog, leave the REPL to the user."""
        self.drive.shut_down()
        self.axis.close()
        self.panel.shut_down()
        machine.mem32[_WATCHDOG_CTRL] &= ~_WATCHDOG_ENABLE


def _stored_heat(store):
    """The motor's heat when it was last stored, in the form of the monitor."""
    counters = store.counters
    return (counters.winding_ck // 100 << 8) | (counters.housing_ck // 100)


def run(started_ms):
    for pin, level in SAFE_OUTPUTS:
        Pin(pin, Pin.OUT, value=level)
    micropython.alloc_emergency_exception_buf(100)
    development = BUILD_KIND == "development"
    if not development:
        micropython.kbd_intr(-1)
    app = App(started_ms)
    try:
        app.run()
    except KeyboardInterrupt:
        app.shut_down()
        print("pen stopped by Ctrl-C (development build); machine.reset() starts it again")
