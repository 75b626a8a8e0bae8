"""All records of the pen as one part of the program.

    store = open_store(lambda: not drive.awake, watchdog_ms)     # pen.store.device; before the drive first wakes
    store.boot(machine.reset_cause())                             # once; then keys, calibration, settings are known
    store.log.state = supervisor.state                            # whenever it changes
    store.poll(now_ms, drive.awake)                               # each full pass; at most one write per call
    store.log.add(RATE_SET, 120)                                  # any time; stored as soon as that is allowed
    store.flush()                                                 # before the drive wakes: nothing is only in RAM then
    store.log.begin_run() ... store.log.end_run(FAULT, fault, run_ms, strokes); store.count_run(strokes, run_ms)
    refused = store.change(rate_hz=120); refused = store.set_time(seconds)    # None, or the reason as text

`fault`, `blockers`, `warnings`, `busy` as of every part. `calibration`: a Calibration or None, `calibration_reason`
says why. `check`: the last daily check (day, worst error in um, passed) or None. `keys`: Keys or None. `seconds`: the
date in s since 2000-01-01 or None, `day` in days. What only a host changes is in pen.calibration_records and
pen.access_records. Pure: `files` does all hardware.
"""

from micropython import const

from pen.events import (
    BOOT,
    LOG_SEGMENT_SET_ASIDE,
    RECORD_NOT_STORED,
    RECORD_REFUSED,
    RECORD_SET_ASIDE,
    SETTINGS_CHANGED,
    TIME_SET,
    WRITE_BLOCKED,
)
from pen.faults import NONE, STORE
from pen.states import (
    BLOCK_CALIBRATION_EXPIRED,
    BLOCK_CALIBRATION_MISSING,
    BLOCK_CALIBRATION_REFUSED,
    BLOCK_KEYS_MISSING,
    BLOCK_STORE,
    WARN_CALIBRATION_DUE,
    WARN_CHECK_DUE,
    WARN_CLOCK_UNKNOWN,
    WARN_LOG_GAP,
    WARN_SETTINGS_DEFAULTED,
)
from pen.store import calibration as calibrations, counters as counter_records, keys, settings
from pen.store.auth import role_key
from pen.store.log import Log
from pen.store.numbers import (
    CALIBRATION_FORMAT,
    CHECK_FORMAT,
    COUNTERS_FORMAT,
    EMPTY,
    KEYS_FORMAT,
    KIND_CALIBRATION,
    KIND_CHECK,
    KIND_COUNTERS,
    KIND_KEYS,
    KIND_SETTINGS,
    MISSING,
    NOT_NOW,
    OK,
    SETTINGS_FORMAT,
    WITHDRAWN,
    WRITE_FAILED,
)
from pen.store.pair import Pair
from pen.store.reason_texts import text

# after the last of a series of button presses: one write, and none is pressed during it
_SETTINGS_DELAY_MS = const(1_000)
_QUIET_MS = const(2_000)  # without an event, before the journal is moved, which takes up to 100 ms
_RETRY_MS = const(2_000)  # a flash that fails takes its time each try
_DAY_S = const(86_400)
_TECHNICIAN = const(2)
_TICKS_MASK = const((1 << 30) - 1)  # time.ticks_ms wraps there


class Store:
    """See the module. `development`: the build takes the published development keys and no others."""

    def __init__(self, files, unique_id, development=True):
        self.fault = NONE
        self.blockers = 0
        self.warnings = 0
        self.keys = None
        self.calibration = None
        self.calibration_reason = MISSING
        self.check = None
        self.settings = settings.Settings()
        self.counters = counter_records.Counters()
        self.log = Log(files, unique_id)
        self.files = self._files = files
        self._unique_id = unique_id
        self._development = development
        self._now_ms = 0
        self._date_s = 0
        self._date_ms = 0  # uptime at which the host gave the date
        self._settings_ms = -1  # uptime of the newest change, if it is not stored
        self._counters_changed = False
        self._run_ms = 0  # part of a second that is not counted yet
        self._log_read = False  # without knowing what is there nothing is added: it would overwrite
        self._log_failed = False
        self._failed_ms = 0
        self._log_gap = False
        self._pairs = {
            kind: Pair(files, kind, version, unique_id)
            for kind, version in (
                (KIND_KEYS, KEYS_FORMAT),
                (KIND_SETTINGS, SETTINGS_FORMAT),
                (KIND_COUNTERS, COUNTERS_FORMAT),
                (KIND_CALIBRATION, CALIBRATION_FORMAT),
                (KIND_CHECK, CHECK_FORMAT),
            )
        }

    # ------------------------------------------------------------------ start
    def boot(self, reset_cause, now_ms=0):
        """Read all records, report what is wrong with them. Nothing is written but damaged log files set aside."""
        self._now_ms = now_ms
        log = self.log
        log.uptime_ms = now_ms
        aside = self._try_to_load_log()
        self.read_keys()
        self.counters = self._load(KIND_COUNTERS, counter_records.unpack) or self.counters
        log.boot = self.counters.boots = max(self.counters.boots, log.boot) + 1
        self._counters_changed = True
        log.add(BOOT, reset_cause, 1 if log.was_armed else 0, log.last_uptime_ms)
        for segment, sound, damaged in aside:
            log.add(LOG_SEGMENT_SET_ASIDE, segment, sound, damaged)
        self._log_gap = bool(aside)
        self.settings = self._load(KIND_SETTINGS, settings.unpack) or self.settings
        self.check = self._load(KIND_CHECK, calibrations.unpack_check)
        for kind, pair in self._pairs.items():
            for copy, reason in enumerate(pair.reasons):
                if reason not in (OK, MISSING):
                    log.add(RECORD_REFUSED, kind, copy, reason)
        del self._pairs[KIND_CHECK]  # pen.calibration_records makes it again
        self._judge()

    def _try_to_load_log(self):
        try:
            self._files.begin()
            self._files.make_folder("/data")
            aside = self.log.load()
            self._log_read = True
            return aside
        except OSError:
            self._log_failed = True
            return []
        finally:
            self._files.end()

    def _load(self, kind, unpack, *arguments):
        """The newest copy of a record that is sound through and through, or None."""
        pair = self._pairs[kind]
        payload = pair.load()
        while payload is not None:
            reason, record = unpack(payload, *arguments)
            if record is not None:
                return record
            payload = pair.refuse(reason)
        return None

    def read_keys(self):
        """Keys, and the calibration, which counts only if it was signed with them."""
        self.keys = self._load(KIND_KEYS, keys.unpack, self._development)
        self._load_calibration()

    def _load_calibration(self):
        record = self._load(KIND_CALIBRATION, calibrations.unpack, self._technician_key(), self._unique_id)
        self.calibration_reason = self._pairs[KIND_CALIBRATION].reason
        if record is not None and record.status == calibrations.WITHDRAWN:
            record, self.calibration_reason = None, WITHDRAWN
        self.calibration = record

    def _technician_key(self):
        """What signs calibrations; None without keys."""
        return None if self.keys is None else role_key(self.keys.pen, _TECHNICIAN)

    # ------------------------------------------------------------------ time
    @property
    def seconds(self):
        """The date in s since 2000-01-01, None until the host has given it."""
        return self._date_s + (self.log.uptime_ms - self._date_ms) // 1000 if self._date_s else None

    @property
    def day(self):
        """Days since 2000-01-01, None until the host has given the date."""
        seconds = self.seconds
        return None if seconds is None else seconds // _DAY_S

    def set_time(self, seconds):
        """The host gives the date, in s since 2000-01-01. Returns None or the refusal."""
        if not 0 < seconds < 1 << 32:
            return "no date of the years 2000 to 2136"
        before = self.seconds
        self._date_s = seconds
        self._date_ms = self.log.uptime_ms
        self.log.date_s = seconds
        correction_s = 0 if before is None else seconds - before
        self.log.add(TIME_SET, max(-(1 << 31), min(correction_s, (1 << 31) - 1)))
        self._judge()
        return None

    # ------------------------------------------------------------------ change
    def change(self, rate_hz=None, depth_um=None, volume=None, profile=None):
        """Change settings; they are stored within about a second at rest. Returns None or the refusal."""
        now = self.settings
        wanted = settings.Settings(
            now.rate_hz if rate_hz is None else rate_hz,
            now.depth_um if depth_um is None else depth_um,
            now.volume if volume is None else volume,
            now.profile if profile is None else profile,
        )
        reason = wanted.check()
        if reason != OK:
            return text(reason)
        if wanted.pack() != now.pack():
            self.settings = wanted
            self._settings_ms = self.log.uptime_ms
        return None

    def count_run(self, strokes, run_ms):
        """A run is over."""
        c = self.counters
        c.strokes = min(c.strokes + strokes, 0xFFFF_FFFF)
        self._run_ms += run_ms
        c.run_s = min(c.run_s + self._run_ms // 1000, 0xFFFF_FFFF)
        self._run_ms %= 1000
        self._counters_changed = True
        self._judge()

    def count_session(self):
        """A cartridge was used for the first time."""
        self.counters.sessions = min(self.counters.sessions + 1, 0xFFFF_FFFF)
        self._counters_changed = True

    def keep_heat(self, winding_ck, housing_ck):
        """How much warmer than the room winding and housing are, in 0.01 K; stored with the counters."""
        self.counters.winding_ck = winding_ck
        self.counters.housing_ck = housing_ck
        self._counters_changed = True

    # ------------------------------------------------------------------ store
    @property
    def _tidies(self):
        """True when the journal should be moved, and nobody does anything of which the log tells."""
        return self.log.untidy and self.log.uptime_ms - self.log.added_ms >= _QUIET_MS

    @property
    def busy(self):
        """True while something waits to be written, and it is time to try."""
        if self._log_failed:
            return self._log_read and self.log.uptime_ms - self._failed_ms >= _RETRY_MS
        waits = self.log.pending or self._tidies or self._counters_changed or self._settings_ms >= 0
        return bool(waits or self._files.blocked)

    def poll(self, now_ms, awake):
        """One pass: keeps the time, and writes one thing if the drive rests."""
        log = self.log
        log.uptime_ms += (now_ms - self._now_ms) & _TICKS_MASK
        self._now_ms = now_ms
        log.date_s = self.seconds or 0
        log.note_state()
        allowed = self._files.may_write  # asked in every pass: the guard has to see each drive
        if awake or not allowed or not self.busy:
            return
        if self._files.blocked:
            self._recover()
        elif log.pending or self._tidies or self._log_failed:
            self._write_log()
        elif self._counters_changed:
            self._counters_changed = False
            self._save(KIND_COUNTERS, self.counters.pack())
        elif log.uptime_ms - self._settings_ms >= _SETTINGS_DELAY_MS:
            self._settings_ms = -1
            if self._save(KIND_SETTINGS, self.settings.pack()) == OK:
                log.add(SETTINGS_CHANGED)
        self._judge()

    def keep_watch(self):
        """In every pass while the drive is awake: the guard sees whether the motor has permission."""
        return self._files.may_write

    def flush(self):
        """Store every waiting event now. Returns None, or the reason why they are not stored."""
        while self.log.pending:
            if not self._files.may_write:
                return text(NOT_NOW)
            if not self._log_read:
                return text(WRITE_FAILED)
            self._write_log()
            if self._log_failed:
                self._judge()
                return text(WRITE_FAILED)
        return None

    def _write_log(self):
        """One flush, or the move of the journal when no event waits."""
        self._files.begin()
        try:
            if self.log.pending:
                self.log.flush()
            else:
                self.log.settle()
            self._log_failed = False
        except OSError:
            self._log_failed = True
            self._failed_ms = self.log.uptime_ms
        finally:
            self._files.end()

    def _save(self, kind, payload, both=False):
        pair = self._pairs[kind]
        aside = pair.set_aside
        self._files.begin()
        try:
            reason = pair.save_both(payload) if both else pair.save(payload)
        finally:
            self._files.end()
        if pair.set_aside != aside:
            self.log.add(RECORD_SET_ASIDE, kind, pair.set_aside - aside)
        if reason != OK:
            self.log.add(RECORD_NOT_STORED, kind, reason)
        return reason

    def _recover(self):
        """Somebody tried to write while that was forbidden."""
        self.log.add(WRITE_BLOCKED, self._files.blocked)
        try:
            self._files.recover()
        except OSError:
            self._log_failed = True

    # ------------------------------------------------------------------ judge
    def _judge(self):
        """Fault, blockers and warnings from what is known now."""
        self.fault = STORE if self._log_failed else NONE
        blockers = BLOCK_STORE if self._log_failed else 0
        warnings = WARN_LOG_GAP if self._log_gap or self.log.lost else 0
        if self.keys is None:
            blockers |= BLOCK_KEYS_MISSING
        day = self.day
        if day is None:
            warnings |= WARN_CLOCK_UNKNOWN
        elif self.check is not None and calibrations.check_due(self.check, day):
            warnings |= WARN_CHECK_DUE
        if self._pairs[KIND_SETTINGS].reason not in (OK, MISSING):
            warnings |= WARN_SETTINGS_DEFAULTED
        if self.calibration is None:
            missing = self.calibration_reason in (MISSING, EMPTY)
            blockers |= BLOCK_CALIBRATION_MISSING if missing else BLOCK_CALIBRATION_REFUSED
        else:
            age = self.calibration.age(day, self.counters.run_s)
            if self.counters.hours_unknown or age == calibrations.EXPIRED:
                blockers |= BLOCK_CALIBRATION_EXPIRED
            elif age == calibrations.DUE:
                warnings |= WARN_CALIBRATION_DUE
        self.blockers = blockers
        self.warnings = warnings
