"""What happens in which order: tests, arming, start, run, stop, safe state. Called once in each full main-loop pass.

The supervisor decides; this module carries it out with the parts and tells it what came of it.
"""

import struct
import time

import pen_shelf
from machine import Pin, mem32, unique_id
from micropython import const

from pen import black_box
from pen.board import PIN_TDC, PIN_TRIGGER_N
from pen.build_info import APPLICATION_HASH
from pen.control import state
from pen.events import (
    CARTRIDGE_ACCEPTED as EVENT_CARTRIDGE_ACCEPTED,
    DEPTH_SET as EVENT_DEPTH_SET,
    FAULT as EVENT_FAULT,
    RUN_ENDED as EVENT_RUN_ENDED,
    START_REFUSED as EVENT_START_REFUSED,
)
from pen.faults import CARTRIDGE_MARK, DEPTH_HOME, DEPTH_RUNAWAY, NONE, PROOF_FAILED
from pen.limits import SR11_RELEASE_MS
from pen.places import EDGES
from pen.proof import AGAIN
from pen.signals import SOUND_REFUSED
from pen.states import (
    ARMED,
    BLOCK_BENCH_SETTING,
    BLOCK_DEPTH_MOVING,
    BLOCK_RATE_TOO_LOW,
    BLOCK_TRIGGER_HELD,
    IDLE,
    LOCKED_OUT,
    NOTE_NONE,
    NOTE_RELEASED,
    RUNNING,
    SAFE,
    SERVICE,
    STOPPING,
)
from pen.supervisor import DO_REFUSE, DO_START, DO_TEST
from pen.trigger import STOP_RELEASE_MS

# INTRn keeps each edge of a pin until it is written, whether it may interrupt or not (RP2040 datasheet 2.19.3).
_INTR = const(0x4001_40F0 + 4 * (PIN_TRIGGER_N >> 3))
_TRIGGER_FELL = const(1 << (4 * (PIN_TRIGGER_N & 7) + 2))
_SERVE_MS = const(10)
_TURNING = const(-1)
_PARK_MS = const(100)  # a cam that has stood near bottom dead centre for a moment takes 70 to the top
_TRIAL = const(1)  # pen_loader.TRIAL
_READ_MS = const(2)  # between two slices of reading the cartridge


class Sequence:
    def __init__(self, app):
        self._app = app
        self._state = app.supervisor.state
        self._tests = None
        self._tested = False  # the tests of the boot have passed
        self._note = NOTE_NONE
        self._started_ms = 0
        self._served_ms = self._read_ms = 0
        self._tdc = Pin(PIN_TDC, Pin.IN, Pin.PULL_UP)
        self._park_ms = None  # after a run: since when the cam has been still, _TURNING before
        self._homing = False  # begun during the self-tests
        self._setting = None  # rate, depth and needles that were judged last (SR-24)
        self._too_slow = False
        self.starting = False  # the trigger is pressed, and the motor is to turn as soon as possible (PR-04)
        self._rom = None  # of the cartridge that is in the log

    def step(self, now_ms, blockers):
        """One pass. `blockers`: those of the parts."""
        app = self._app
        s, drive = app.supervisor, app.drive
        counts = self.look_at_trigger()
        starting = self.starting
        if starting or app.axis.wants_drive:
            drive.wake(starting)  # while the press is debounced; while the depth moves, the tick watches it
        standstill = True
        if drive.awake:
            standstill = drive.standstill
            if s.state == RUNNING:
                self._run(now_ms)
            elif drive.running:
                drive.stop()
            elif standstill and not starting and not app.axis.wants_drive:
                drive.rest()
        if self._park_ms is not None:
            self._park(now_ms, standstill)
        if s.state != RUNNING:
            blockers |= self._own_blockers()
        action = s.step(now_ms, counts, standstill, blockers)
        if action == DO_TEST:
            self._test(now_ms)
        elif action == DO_START:
            self._start(now_ms)
        elif action == DO_REFUSE:
            app.store.log.add(EVENT_START_REFUSED, blockers)
            app.panel.beep(SOUND_REFUSED)
        if s.state != self._state:
            self._entered(now_ms)
        elif s.state == ARMED and not drive.awake:
            self._note_cartridge()

    def look_at_trigger(self):
        """Whether it is pressed so that it counts. Also called at the begin of a pass and between the tests of the
        boot: the more often, the sooner a release is known. The pin's edge detector keeps a press that comes between
        two looks.
        """
        app = self._app
        touched = mem32[_INTR] & _TRIGGER_FELL
        if touched:
            mem32[_INTR] = _TRIGGER_FELL
        pressed = not app.trigger_n()
        read_ms = time.ticks_ms()  # a pass may have begun tens of ms ago
        counts = app.trigger.update(read_ms, pressed, time.ticks_diff, touched)
        state_now = app.supervisor.state
        if (pressed or touched) and (state_now < IDLE or state_now == SAFE):
            app.trigger.demand_release(read_ms)  # pressed before the pen was ready: not meant as a start
        self.starting = pressed and state_now in (ARMED, SERVICE) and app.trigger.released
        return counts

    @property
    def parking(self):
        """True from the end of a run until it is clear where the cam rests."""
        return self._park_ms is not None

    def _park(self, now_ms, standstill):
        """After a run the spring turns the cam to top dead centre. Where it cannot, since skin holds the needles, the
        depth axis takes them in.
        """
        if not standstill:
            return
        if self._tdc():
            self._park_ms = None
            self._app.axis.set_anew()
        elif self._park_ms == _TURNING:
            self._park_ms = now_ms
        elif time.ticks_diff(now_ms, self._park_ms) >= _PARK_MS:
            self._park_ms = None
            if self._app.axis.target_um:
                self._app.axis.move_to(0)
                self._app.store.log.add(EVENT_DEPTH_SET, 0, 0)

    def _own_blockers(self):
        """What no part knows by itself."""
        app = self._app
        if app.cartridge.accepted and not app.cartridge.marked:
            app.monitor.new_session()  # a new cartridge is for another person: what the last session blocked is over
        blockers = 0 if app.trigger.released else BLOCK_TRIGGER_HELD
        if app.axis.moving:
            blockers |= BLOCK_DEPTH_MOVING
        if app.commands.bench_setting:
            blockers |= BLOCK_BENCH_SETTING
        setting = (app.drive.rate_hz, app.axis.target_um, app.cartridge.needles)
        if setting != self._setting:
            self._setting = setting
            self._too_slow = setting[0] < app.cartridge.minimum_rate_hz(setting[1])
        return blockers | BLOCK_RATE_TOO_LOW if self._too_slow else blockers

    # ------------------------------------------------------------------ tests
    def _test(self, now_ms):
        """Go on with the tests; they take many passes."""
        if self._tests is None:
            self._tests = self._all_tests()
        try:
            next(self._tests)
            return
        except StopIteration as end:
            fault = end.value
        self._tests = None
        app = self._app
        self.look_at_trigger()  # a release during the proofs counts from now, and not from after the collection
        app.collect()  # part of the time until the pen is ready, and not of that of the first start
        self.look_at_trigger()  # as long as a press is one that came too early
        self._tested = self._tested or fault == NONE
        app.supervisor.tested(fault, now_ms)
        if not app.ready_ms:
            app.ready_ms = time.ticks_ms()

    def _all_tests(self):
        """Generator: self-tests (after a reset only), homing, cut-off proofs. Its value is the fault, or NONE."""
        app = self._app
        if not self._tested:
            while (
                app.axis.moving or app.drive.awake
            ):  # an acknowledgement has sent it home: memory is tested at rest
                yield
            fault = app.selftest.boot(self._between_tests)
            if fault:
                return fault
            yield
        if not app.axis.moving and not self._homing:
            app.axis.home()
        self._homing = False
        while app.axis.moving:
            yield
        if not app.axis.homed:
            return app.axis.fault or DEPTH_HOME
        while app.drive.awake:
            yield
        refused = app.drive.prove()
        while refused is AGAIN:  # the trigger is pressed: its gate can only be proven when it is not
            yield
            refused = app.drive.prove()
        app.last_refusal = refused or ""
        if refused:
            return PROOF_FAILED
        return NONE

    def _between_tests(self):
        """Called every few ms of the self-tests at boot: meanwhile the cartridge is read, then the depth finds home,
        and the host is answered.
        """
        app = self._app
        app.feed()
        self.look_at_trigger()
        now_ms = time.ticks_ms()
        if not self._homing and time.ticks_diff(now_ms, self._read_ms) >= _READ_MS:
            app.cartridge.poll(now_ms, False)
            self._read_ms = time.ticks_ms()
            if app.selftest.may_wake and not app.cartridge.busy:
                self._homing = True
                app.axis.home()
                app.drive.wake()
        if time.ticks_diff(now_ms, self._served_ms) >= _SERVE_MS:
            self._served_ms = now_ms
            if self._homing:
                app.axis.poll(now_ms, app.drive.awake)
            app.host.serve(now_ms)

    # ------------------------------------------------------------------ run
    def _start(self, now_ms):
        """Mark the cartridge while the drive wakes, then drive; called in each pass until both are done."""
        app = self._app
        fault = NONE
        new_session = not app.cartridge.marked
        app.last_refusal = app.cartridge.mark_used() or ""
        if app.last_refusal:
            fault = CARTRIDGE_MARK
        else:
            if new_session:
                app.monitor.new_session()
                app.store.count_session()
            if not app.drive.woken:
                return
            app.last_refusal = app.drive.start() or ""
            fault = app.drive.start_fault
        if fault == NONE:
            self._note = NOTE_NONE
            self._started_ms = now_ms
            app.store.log.begin_run()
        app.supervisor.started(fault, now_ms)

    def _run(self, now_ms):
        """While the motor should turn: settle, end it for a good reason, or find out why it ended."""
        app = self._app
        if app.drive.running:
            app.drive.settle()
            note = app.commands.stop_note or app.monitor.stop_note or app.cartridge.stop_note
            if note and not self._note:
                self._note = note
                app.drive.stop()
            return
        fault = app.drive.stop_fault()
        if fault == DEPTH_RUNAWAY:
            fault = app.axis.stopped_fault()
        ordinary = fault == NONE and not self._note
        app.trigger.demand_release(time.ticks_ms(), STOP_RELEASE_MS if ordinary else SR11_RELEASE_MS)
        app.supervisor.stopped(fault, self._note or NOTE_RELEASED, now_ms)

    def _ended(self, now_ms):
        """A run is over: count it, and put it into the log as one record."""
        app = self._app
        run_ms = time.ticks_diff(now_ms, self._started_ms)
        strokes = state[EDGES] >> 2
        app.commands.stop_note = NOTE_NONE
        app.store.count_run(strokes, run_ms)
        heat = app.monitor.heat
        app.store.keep_heat(100 * (heat >> 8), 100 * (heat & 255))
        s = app.supervisor
        if s.fault:
            app.store.log.end_run(EVENT_FAULT, s.fault, run_ms, strokes)
        else:
            app.store.log.end_run(EVENT_RUN_ENDED, s.note, run_ms, strokes)

    def _note_cartridge(self):
        """Which cartridge the pen is armed with, once for each; alone, so that a power cut loses no second event."""
        cartridge, log = self._app.cartridge, self._app.store.log
        if cartridge.rom != self._rom and not log.pending:
            self._rom = cartridge.rom
            high, low = struct.unpack(">ii", cartridge.rom)
            log.add(EVENT_CARTRIDGE_ACCEPTED, cartridge.needles, low, high)

    # ------------------------------------------------------------------ states
    def _entered(self, now_ms):
        """The supervisor is in another state than at the last pass."""
        app, s = self._app, self._app.supervisor
        before, self._state = self._state, s.state
        app.look_around()
        app.store.log.state = s.state
        if before == RUNNING:
            self._ended(now_ms)
            self._park_ms = _TURNING
        elif before == STOPPING:
            app.collect()  # now nobody waits
        if s.state in (SAFE, LOCKED_OUT):
            self._tests = None
            app.drive.stop()
            app.axis.retract()
            if before != RUNNING:
                app.store.log.fault(s.fault)
            black_box.note(now_ms, app.axis.measured_um, s.state, s.fault)
        elif s.state == ARMED:
            app.store.log.note_state()
        if (
            pen_shelf.came
            and not app.job
            and (s.state == IDLE or (s.state == SAFE and pen_shelf.came != _TRIAL))
        ):
            app.job = _settling(app)
        elif black_box.frozen and not app.job and s.state in (IDLE, SAFE, LOCKED_OUT):
            app.job = _keeping(app, now_ms)
        app.led(1 if s.state >= IDLE else 0)


def _settling(app):
    """Generator: the pen is ready after an update, a roll-back or a damage; what is to be done then (pen.settle)."""
    store = app.store
    from pen.settle import settle

    yield
    how = (pen_shelf.program, pen_shelf.came, store.log, pen_shelf.settled)
    yield from settle(store.files, unique_id(), *how)
    pen_shelf.forget("settle")


def _keeping(app, now_ms):
    """Generator: a fault has come; what led to it is to be stored."""
    from pen.black_box_keep import keep

    yield
    yield from keep(app, now_ms, black_box, unique_id(), APPLICATION_HASH)
    pen_shelf.forget("black_box_keep")
