"""The program of the pen: puts the parts together and runs the main loop.

Nothing here has a deadline under 10 ms. The loop decides what to do, feeds the watchdog and talks to the host;
the control tick and the PIO machines do the rest.
"""

import gc
import time

import machine
import micropython
import pen_shelf
from machine import Pin
from micropython import const

from pen import black_box, clock_watch, quiet
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
from pen.states import ARMED, IDLE, LOCKED_OUT, RUNNING, SAFE
from pen.store.device import open_store
from pen.supervisor import Supervisor
from pen.trigger import Trigger

_LOOP_MS = const(10)
_BUSY_MS = const(5)  # at rest, while a part wants to go on
_LOOK_MS = const(120)  # at rest, between the turns of two parts
# Garbage, in steps of 0.4 KB: what passes leave behind. The heap has room for 210 of them.
_GLANCE_LITTER = const(3)  # of a glance and the pass after it, or a frame of telemetry
_LOOK_LITTER = const(2)  # of looking after one part
_LITTER_MAX = const(
    150
)  # then it is collected: neither a start (PR-04) nor a dip (SR-07) has 25 ms to spare for it
_BREATH_MS = const(2)  # USB and the file system want to be served too
# Whose turn it is: axis 0, monitor 1, cartridge 2, self-tests 3, records 4, panel 5. While the drive is awake the
# monitor has every second pass besides, 40 ms apart in a run (SR-07).
_MONITOR = const(1)
_SELF_TESTS = const(3)
_RECORDS = const(4)
_AWAKE_TURNS = (0, 5, 2, 3, 5, 4)
_EVERYBODY = const(-1)
_NOBODY = const(-2)
_LOOKED = const(3)  # what a part found at rest concerns the others
_REST_TURNS = (1, 3, 2, 4, 1, 3, 0, 5)
_WATCHDOG_MS = const(200)
_RESTING = (IDLE, ARMED, SAFE, LOCKED_OUT)
_WATCHDOG_CTRL = const(0x4005_8000)
_WATCHDOG_ENABLE = const(1 << 30)
_WATCHDOG_REASON = const(0x4005_8008)
_RAN_OUT = const(1)  # the other reason is a reset that was asked for, as at the end of a service
_WATCHDOG_OWNER = const(0x4005_801C)  # a scratch register
_OWN = const(
    0x6AB7_3121
)  # machine.WDT writes it; the boot ROM, which restarts by a watchdog of its own, does not


class App:
    def __init__(self, boot_ms):
        self.drive = drive = Drive()
        boot_fault = NONE
        if machine.mem32[_WATCHDOG_REASON] & _RAN_OUT and machine.mem32[_WATCHDOG_OWNER] == _OWN:
            boot_fault = WATCHDOG_RESET
        if drive.tripped:
            boot_fault = OVERCURRENT  # the latch outlives a reset, and so does its time (SR-09)
        black_box.begin(boot_fault)
        self.supervisor = Supervisor(boot_ms, time.ticks_diff, boot_fault)
        self.store = store = open_store(lambda: not drive.awake, _WATCHDOG_MS)
        store.boot(machine.reset_cause(), boot_ms)
        self.panel = Panel(boot_ms)
        self.axis = Axis(state)
        self.monitor = Monitor(
            state, Inputs(drive.sampling.ring_address), time.ticks_diff, _stored_heat(store)
        )
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
        self._due_ms = boot_ms
        self._turn = 0
        self._busy = True
        self._glanced = False
        self._litter = 0
        self.warnings = 0
        self.ready_ms = 0
        self.longest_loop_ms = 0
        self.last_refusal = ""
        self.job = None  # a generator that goes on at rest, a few ms a step
        self._restore()
        self.sequence = Sequence(self)
        self.commands = Commands(self)
        self.host = Host(self)
        drop_constructors(
            (self, drive, self.supervisor, self.trigger, self.sequence, self.commands, self.host)
        )
        drop_constructors(self.parts)
        gc.collect()
        gc.threshold(-1)  # main.py wants it often; now it is done at rest, or when the heap is used up
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
            if (
                self._busy
                or self.drive.awake
                or self.sequence.parking
                or self.supervisor.state not in _RESTING
            ):
                self._serve(now_ms)  # first: what follows may end in a collection of garbage
                if not self.drive.awake:
                    self.panel.advance(now_ms, False)  # its turn comes too seldom for its rhythms
                if not self._glance(now_ms):
                    if not self.drive.running:
                        self._litter += _GLANCE_LITTER  # in a run the glance counts it
                    turns = _AWAKE_TURNS if self.drive.awake else _REST_TURNS
                    self._turn += 1
                    self._pass(now_ms, turns[self._turn % len(turns)])
                period_ms = _LOOP_MS if self.drive.awake else _BUSY_MS
                if self.sequence.starting:
                    period_ms = _BREATH_MS  # PR-04
                time.sleep_ms(max(_BREATH_MS, period_ms - time.ticks_diff(time.ticks_ms(), now_ms)))
            else:
                self._rest(now_ms)
                last_ms = time.ticks_ms()

    def look_around(self):
        """Have every part look at the next pass at rest."""
        self._lines = -1

    def _serve(self, now_ms):
        """In every pass: the host, also while there is nothing else to do."""
        self.host.serve(now_ms)

    def _glance(self, now_ms):
        """Every other pass of a run only looks whether all but the host may be left out; True if so."""
        self._glanced = not self._glanced
        if (
            not self._glanced
            or self._busy
            or self.supervisor.state != RUNNING
            or not self.drive.running
            or clock_watch.look()
        ):
            return False
        self.feed()
        self._litter += 2 * _GLANCE_LITTER if self.host.is_telling else _GLANCE_LITTER
        if self._litter >= _LITTER_MAX:
            self.monitor.poll(now_ms, True)
            if not self.monitor.busy:  # a dip of the rate does not wait for this (SR-07)
                self.collect()  # in a pass with little else to do, before it has to be done in one with much
        return True

    def collect(self):
        """Collect garbage; it takes 25 ms."""
        self._litter = 0
        gc.collect()

    def _rest(self, now_ms):
        """Lie still until something happens or is due; then do what that needs."""
        due_ms = self._due_ms
        panel = self.panel
        if time.ticks_diff(panel.next_change_ms, due_ms) < 0:
            due_ms = panel.next_change_ms
        due_ms = self.host.due_ms(due_ms)
        trigger = self.trigger
        now_ms = time.ticks_ms()
        if trigger.waiting:
            ripe_ms = time.ticks_add(now_ms, max(0, trigger.left_ms(now_ms, time.ticks_diff)))
            if time.ticks_diff(ripe_ms, due_ms) < 0:
                due_ms = ripe_ms
        low, high = self.axis.window_codes
        found = quiet.lie_still(
            INPUT_MASK, self._lines, low, high, due_ms, self._watchdog.feed, self.host.heard
        )
        now_ms = time.ticks_ms()
        self.feed()  # a host that never stops talking keeps the look from it
        if found == quiet.CHANGED:
            self._serve(
                now_ms
            )  # first: what the host asks for wants a pass; and a clock may stay wrong for ever
            self._pass(now_ms, _EVERYBODY)
            time.sleep_ms(_BREATH_MS)
            return
        if time.ticks_diff(now_ms, panel.next_change_ms) >= 0:
            panel.advance(now_ms, False)
        if time.ticks_diff(now_ms, self._due_ms) >= 0:
            self._due_ms = time.ticks_add(now_ms, _LOOK_MS)
            self.host.watch(now_ms)
            self._turn += 1
            if self._look_at(_REST_TURNS[self._turn % len(_REST_TURNS)], now_ms):
                found = _LOOKED
        if trigger.waiting and trigger.left_ms(now_ms, time.ticks_diff) <= 0:
            found = _LOOKED
        self._litter += _GLANCE_LITTER if self.host.is_telling else _LOOK_LITTER
        if self.host.serve(now_ms) or found == _LOOKED:
            self._pass(now_ms, _NOBODY)
        elif self._litter >= _LITTER_MAX and self.trigger_n():
            self.collect()

    def _look_at(self, place, now_ms):
        """Poll one part at rest; True if that changed anything that others should know."""
        part = self.parts[place]
        before = (part.fault, part.blockers, part.warnings, part.busy)
        part.poll(now_ms, False)
        return before != (part.fault, part.blockers, part.warnings, part.busy)

    def _pass(self, now_ms, turn):
        """Look at the part whose `turn` it is and at those that are busy, decide, show."""
        lines, self._lines = self._lines, quiet.lines(INPUT_MASK)
        self.sequence.look_at_trigger()
        self.feed()
        awake = self.drive.awake
        if awake:
            self.store.keep_watch()
        if lines != self._lines and not awake:
            turn = _EVERYBODY  # else a press that comes just before a pass for the host is not seen
        besides = _MONITOR if awake and self._turn & 1 else _NOBODY
        supervisor = self.supervisor
        if clock_watch.look() and turn != _EVERYBODY:
            turn = _SELF_TESTS
        busy = False
        blockers = warnings = 0
        for place, part in enumerate(self.parts):
            wanted = place == besides or (part.busy and not (awake and place == _RECORDS))
            if wanted or place == turn or turn == _EVERYBODY:
                # An erase of the flash takes 50 ms: not before a start (PR-04).
                part.poll(now_ms, awake or (place == _RECORDS and self.sequence.starting))
                busy = busy or part.busy
            if part.fault:
                supervisor.fail(part.fault, now_ms)
            blockers |= part.blockers
            warnings |= part.warnings
        if self.job and not (awake or self.sequence.starting):
            busy = self._go_on()
        self._busy = busy
        self.warnings = warnings
        event = self.panel.take_event()
        if event:
            self.commands.take_button(event)
        self.sequence.step(now_ms, blockers)
        if awake:
            black_box.note(now_ms, self.axis.measured_um, supervisor.state, 0)
        self.panel.show(supervisor.state, supervisor.fault, supervisor.blockers, warnings)

    def _go_on(self):
        """A step of the job, which may take 0.2 s; it ends by itself, or when the flash refuses."""
        job = self.job
        assert job is not None
        self.store.files.begin()
        try:
            next(job)
        except (StopIteration, OSError, MemoryError):
            self.job = None
        self.store.files.end()
        return True

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
        """Brake, stop the tick, stop the watchdog, leave the REPL to the user."""
        self.drive.shut_down()
        self.axis.close()
        self.panel.shut_down()
        machine.mem32[_WATCHDOG_CTRL] &= ~_WATCHDOG_ENABLE


def drop_constructors(made):
    """There is one of each, and never another: what has made them needs no memory any more (2 KB of it)."""
    for one in made:
        setattr(type(one), "__init__", None)  # noqa: B010


def _stored_heat(store):
    """The motor's heat when it was last stored, in the form of the monitor."""
    counters = store.counters
    return (counters.winding_ck // 100 << 8) | (counters.housing_ck // 100)


def run(started_ms):
    for pin, level in SAFE_OUTPUTS:
        Pin(pin, Pin.OUT, value=level)
    micropython.alloc_emergency_exception_buf(100)
    pen_shelf.rest()
    app = App(started_ms)
    try:
        app.run()
    except KeyboardInterrupt as leaving:  # Ctrl-C in a development build has no arguments, OPEN_REPL has
        if BUILD_KIND != "development" and not leaving.args:
            raise
        app.shut_down()
        print("pen stopped, its port is the REPL; machine.reset() starts it again")
