"""The cartridge as a part of the pen: presence, reading, used mark, time of use (SR-14, SR-15, SR-16, SR-24).

How the App uses it:

    chip = Ds2431(OneWire(Pin(PIN_CARTRIDGE_BUS)))
    cartridge = Cartridge(chip, Pin(PIN_CARTRIDGE_N, Pin.IN, Pin.PULL_UP), control.state, time.ticks_diff,
                          machine.unique_id(), clock_s, keys)
    cartridge.poll(now_ms, drive.awake)    while awake every 200 ms or oftener; at rest every 2 s or oftener, each pass
                                           while `busy`, and at once when CARTRIDGE_N moves

`fault`, `blockers`, `warnings`, `busy` as of every part. `stop_note` while a run has to end because the time is over.
The way of every press: no blockers -> `refused = cartridge.mark_used()` -> only if None: drive.start(). The first press
with a cartridge takes 20.5 ms there, with interrupts off for up to 70 us at a time: the tick, if it runs, jitters then.
Later ones return at once, and tell the part that its time of use goes on. `marked` becomes True: monitor.new_session().
The bus is never touched while awake, except by mark_used(). `minimum_rate_hz(depth_um)`: for RATE_TOO_LOW.
For the host: `rom`, `record` (None or type_number, needles, depth_limit_um, expiry_day, lot), `reason`, `use`.
Losing the cartridge while the motor turns is seen by the tick; here the fault stands until the contact is quiet again.
"""

import time

from micropython import const

from pen import cartridge_record as layout
from pen.board import PIN_CARTRIDGE_N
from pen.cartridge_use import WHOLE_MS, Use
from pen.ds2431 import MEMORY_BYTES, ChipError
from pen.faults import CARTRIDGE_LOST, CARTRIDGE_MARK, NONE
from pen.places import DRIVE, STOP_LINE, STOP_REASON, STOPPED_LINES, TICKS
from pen.states import (
    BLOCK_CARTRIDGE_ABSENT,
    BLOCK_CARTRIDGE_EXPIRED,
    BLOCK_CARTRIDGE_READING,
    BLOCK_CARTRIDGE_UNREADABLE,
    BLOCK_CARTRIDGE_USED,
    BLOCK_KEYS_MISSING,
    NOTE_CARTRIDGE_TIME,
    NOTE_NONE,
    WARN_CARTRIDGE_TIME,
)

_ABSENT = const(0)
_SETTLING = const(1)
_READING = const(2)
_REFUSED = const(3)
_FRESH = const(4)  # the mark waits in the scratchpad
_MARKED = const(5)  # it is written, the session runs

_SETTLE_MS = const(50)  # a contact bounces for some ms while the cartridge clicks in
_QUIET_MS = const(1000)
_COUNT_MS = const(100)
_CHECK_MS = const(2000)
_SLICE_US = const(2000)  # the last piece takes up to 1.3 ms more, the rest of a pass 0.5 ms
_TRIES = const(3)
_WARN_MS = const(300_000)
_DAY_S = const(86_400)
_LOOK_AGAIN = BLOCK_CARTRIDGE_UNREADABLE | BLOCK_KEYS_MISSING  # what may be mended without taking it out


class Cartridge:
    """`seated_n()`: 0 = seated; `clock_s()`: seconds since 2000-01-01, or None; `keys.cartridge`: 32 bytes; or None."""

    def __init__(self, chip, seated_n, state, elapsed_ms, pen_id, clock_s, keys):
        self.fault = NONE
        self.blockers = BLOCK_CARTRIDGE_ABSENT
        self.warnings = 0
        self.busy = False
        self.stop_note = NOTE_NONE
        self.rom = None
        self.record = None
        self.reason = ""
        self.use = Use()
        self._chip = chip
        self._seated_n = seated_n
        self._drive_state = state
        self._elapsed_ms = elapsed_ms
        self._pen_id = pen_id
        self._clock_s = clock_s
        self.keys = keys
        self._phase = _ABSENT
        self._job = None
        self._tries = 0
        self._refusal = 0
        self._mark = b""
        self._seen = b""
        self._running = False
        self._started = False  # since the last count
        self._in_run = False  # from a start until the motor was seen to be off
        self._ticks = 0
        self._last_ms = self._moved_ms = self._checked_ms = 0

    # ------------------------------------------------------------------ what others ask
    @property
    def present(self):
        return self._phase != _ABSENT

    @property
    def accepted(self):
        """True if nothing about the cartridge stands against a start."""
        return self.blockers == 0

    @property
    def marked(self):
        """True from the first start with this cartridge on."""
        return self._phase == _MARKED

    @property
    def left_ms(self):
        """Time of use that is left; 0 for a cartridge that may not be used."""
        return self.use.left_ms if self._phase == _MARKED else WHOLE_MS if self._phase == _FRESH else 0

    @property
    def needles(self):
        return self.record.needles if self.record else 0

    @property
    def depth_limit_um(self):
        """0 without a readable cartridge."""
        return self.record.depth_limit_um if self.record else 0

    def minimum_rate_hz(self, depth_um):
        """Lowest rate that may be started with this cartridge at this protrusion (SR-24)."""
        return layout.minimum_rate_hz(self.needles, depth_um)

    # ------------------------------------------------------------------ main loop
    def poll(self, now_ms, awake):
        state = self._drive_state
        running = state[DRIVE] == 1
        elapsed_ms = self._elapsed_ms(now_ms, self._last_ms)
        counts = running != self._running or elapsed_ms >= _COUNT_MS
        if counts:
            self._last_ms = now_ms
            self.use.pass_time(elapsed_ms, self._clock_s())
            self._count(running, state[TICKS])
        if not running:  # while it runs the tick judges the contact
            if self._seated_n():
                self._removed(now_ms)
            self._in_run = False
        if awake:
            self._job = None
            if counts or self._phase == _ABSENT:
                self._conclude()
            self.busy = False  # the bus is used at rest only
            return
        if not self._seated_n():
            self._serve(now_ms)
        if self.fault == CARTRIDGE_LOST:
            self._forget_loss(now_ms)
        self._conclude()

    def _count(self, running, ticks):
        """Add the time of use since the last call: that for which the tick ran, if the motor turned in it.

        The tick counts from 0 after each waking. A run that began and ended between two calls had its mark_used().
        """
        if running or self._running or self._started:
            self.use.add(ticks - self._ticks if ticks >= self._ticks else ticks)
        self._running, self._ticks, self._started = running, ticks, False

    def _forget_loss(self, now_ms):
        """The cause of a loss is gone when the contact has been quiet for a while."""
        if self._elapsed_ms(now_ms, self._moved_ms) >= _QUIET_MS:
            self.fault = NONE

    def _removed(self, now_ms):
        if self._phase != _ABSENT:
            self._enter(_ABSENT)
            self._tries = 0
            self._seen = b""
            self._moved_ms = now_ms
            self.record = self.rom = None
            self.reason = ""
            if self.fault == CARTRIDGE_MARK:
                self.fault = NONE
        state = self._drive_state
        if self._in_run and state[STOP_REASON] == STOP_LINE and state[STOPPED_LINES] & 1 << PIN_CARTRIDGE_N:
            self.fault = CARTRIDGE_LOST

    def _enter(self, phase):
        self._phase = phase
        self._job = None

    def _serve(self, now_ms):
        phase = self._phase
        if phase == _ABSENT:
            self._enter(_SETTLING)
            self._moved_ms = now_ms
        elif phase == _SETTLING:
            if self._elapsed_ms(now_ms, self._moved_ms) >= _SETTLE_MS:
                self._enter(_READING)
        elif self._job is None:
            self._job = self._next_job(now_ms)
        if self._job:
            self._work(self._job, now_ms)

    def _next_job(self, now_ms):
        phase = self._phase
        if phase == _READING:
            return self._read()
        if self._minutes_due():
            return self._write_minutes()
        if not self._tries and self._elapsed_ms(now_ms, self._checked_ms) < _CHECK_MS:
            return None
        if phase == _MARKED:
            return self._check_mark()
        if phase == _FRESH and self._new_mark() == self._mark:
            return self._chip.verify(layout.MARK_ADDRESS, self._mark)
        if phase == _FRESH:  # the date has become known, or another
            self._enter(_READING)
            return self._read()
        if self._refusal & _LOOK_AGAIN and not self.fault:
            return self._read() if self._elapsed_ms(now_ms, self._checked_ms) >= _CHECK_MS else None
        return None

    def _work(self, job, now_ms):
        """One slice of the job: up to 4 ms."""
        phase = self._phase
        begun_us = time.ticks_us()
        try:
            while not next(job) and time.ticks_diff(time.ticks_us(), begun_us) < _SLICE_US:
                pass
        except StopIteration:
            self._job = None
            self._checked_ms = now_ms
            if phase >= _FRESH:
                self._tries = 0
        except ChipError as error:
            self._job = None
            self._checked_ms = now_ms
            self._tries += 1
            if self._tries >= _TRIES or phase == _REFUSED:
                self._refuse(BLOCK_CARTRIDGE_UNREADABLE, str(error))
            else:
                self._enter(_READING)

    def _refuse(self, blocker, reason):
        self._enter(_REFUSED)
        self._refusal = blocker
        self.reason = reason

    def _conclude(self):
        left_ms = self.use.left_ms
        over = self._phase == _MARKED and left_ms == 0
        self.stop_note = NOTE_CARTRIDGE_TIME if over and self._running else NOTE_NONE
        self.warnings = WARN_CARTRIDGE_TIME if self._phase == _MARKED and left_ms < _WARN_MS else 0
        self.busy = self._job is not None or self._phase in (_SETTLING, _READING) or self._minutes_due()
        if self._phase == _ABSENT:
            self.blockers = BLOCK_CARTRIDGE_ABSENT
        elif self._phase == _REFUSED:
            self.blockers = self._refusal
        elif self._phase < _REFUSED or self._tries:
            self.blockers = BLOCK_CARTRIDGE_READING
        else:
            self.blockers = BLOCK_CARTRIDGE_EXPIRED if over or self._expired() else 0

    def _expired(self):
        """By the date, where the pen knows it."""
        clock_s = self._clock_s()
        return clock_s is not None and self.record is not None and clock_s // _DAY_S > self.record.expiry_day

    # ------------------------------------------------------------------ jobs
    def _read(self):
        """Everything in one stream: its end, the protection bytes, proves that the chip was there all the time."""
        chip = self._chip
        rom = yield from chip.identify()
        memory = yield from chip.read(0, MEMORY_BYTES)
        yield True
        key = self.keys.cartridge if self.keys else None
        refusal, reason, record = layout.unpack(memory, rom, key)
        if reason is layout.COUNTERFEIT and self.keys.development:
            reason = "development build: no treatment cartridges"
        yield True
        mark, minutes = layout.use_of(memory)
        fresh = mark == layout.UNUSED_ROW and minutes == layout.UNUSED_ROW
        if not refusal and not fresh and not self.use.continues(rom, mark, minutes, layout.minutes_row):
            refusal, reason = BLOCK_CARTRIDGE_USED, "used in another session"
        if refusal and memory != self._seen:
            self._seen = memory
            raise ChipError(reason)  # only what reads alike twice is refused for good
        self.rom, self.record, self.reason = rom, record, reason
        if refusal:
            self._refuse(refusal, reason)
            return
        self._seen = b""
        if fresh:
            self._mark = self._new_mark()
            yield from chip.prepare(layout.MARK_ADDRESS, self._mark)
            self._tries = 0
            self._enter(_FRESH)
        else:
            self._enter(_MARKED)

    def _new_mark(self):
        clock_s = self._clock_s()
        return layout.mark_row(None if clock_s is None else clock_s // _DAY_S, self._pen_id)

    def _minutes(self):
        return min(layout.MOST_MINUTES, self.use.minutes)

    def _minutes_due(self):
        return self._phase == _MARKED and self.use.minutes_written < self._minutes()

    def _check_mark(self):
        if (yield from self._chip.read(layout.MARK_ADDRESS, 4)) != layout.MARK:
            raise ChipError("the used mark is not there")

    def _write_minutes(self):
        minutes = self._minutes()
        yield from self._chip.write(layout.MINUTES_ADDRESS, layout.minutes_row(minutes))
        self.use.minutes_written = minutes

    def _begin_run(self):
        ticks = self._drive_state[TICKS]
        if ticks < self._ticks:  # they began anew
            self._ticks = 0
        self._started = self._in_run = True

    def mark_used(self):
        """Write the used mark and read it back, before the first motor pulse. Blocks for 20.5 ms the first time.

        Returns None: marked, now or earlier in this session. Otherwise why not; no start then.
        """
        if self.blockers or self._seated_n():
            return "the cartridge is not ready"
        self._begin_run()
        if self._phase == _MARKED:
            return None
        self._job = None
        try:
            self._chip.copy_now(layout.MARK_ADDRESS, layout.MARK)
        except ChipError as error:
            self._refuse(BLOCK_CARTRIDGE_UNREADABLE, "used mark: " + str(error))
            self.fault = CARTRIDGE_MARK
            self._conclude()
            return self.reason
        self.use.open(self.rom, self._mark, self._clock_s())
        self._enter(_MARKED)
        self._conclude()
        return None
