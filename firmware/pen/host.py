"""What the pen does for a host: one answer to each request; telemetry and status flow while they are wanted."""

import time

import machine
import pen_shelf
from micropython import const

from pen import reports
from pen.access import Access
from pen.board import BOARD_NAME
from pen.build_info import APPLICATION_HASH, BUILD_KIND, VERSION
from pen.limits import PR01_RATE_MAX_HZ, PR01_RATE_MIN_HZ, PR01_RATE_STEP_HZ
from pen.link import messages as m
from pen.link.kinds import (
    ABORT_UPDATE,
    ABOUT,
    ACKNOWLEDGE,
    BEGIN_UPDATE,
    CARTRIDGE,
    CLEAR_STATISTICS,
    CLOSE_SERVICE,
    COMMIT_CALIBRATION,
    COUNTERS,
    ENTER_BOOTSEL,
    EVENTS,
    GET_ABOUT,
    GET_CALIBRATION,
    GET_CARTRIDGE,
    GET_COUNTERS,
    GET_SETTINGS,
    GET_STATISTICS,
    HELLO,
    IDENTITY,
    NOT_GREETED,
    OPEN_SERVICE,
    PROTOCOL_VERSION,
    PUT_CALIBRATION,
    READ_LOG,
    RESTART,
    RESULT,
    SELECT_PROFILE,
    SET_DEPTH,
    SET_RATE,
    SET_TIME,
    SET_VOLUME,
    SETTINGS,
    STATISTICS,
    STATUS,
    STOP,
    SUBSCRIBE,
    TELEMETRY,
)
from pen.link.port import Port

_SHORTEST_PERIOD_MS = const(10)
_LONGEST_LEASE_MS = const(60_000)
_STATUS_MS = const(500)
_OWED_MS = const(400)  # older telemetry is not made up for
_FRAMES_A_PASS = const(2)
_SOF_RD = const(0x5011_0048)
_FRAME = const(0x7FF)


class Host:
    def __init__(self, app):
        self._app = app
        self._port = Port()
        self.heard = self._port.heard
        self._period_ms = 0
        self._next_ms = 0
        self._lease_end_ms = 0
        self._told = None  # of what status frames say, that which is told at once
        self._status_ms = 0
        self.calibration = None  # a record that comes in parts
        self._session = None  # of an update
        self.access = Access(BUILD_KIND == "development")
        self._greeted = False  # by a host that speaks our protocol
        self._answers = {
            HELLO: self._hello,
            SET_RATE: self._set_rate,
            ACKNOWLEDGE: self._acknowledge,
            SUBSCRIBE: self._subscribe,
            GET_STATISTICS: self._statistics,
            CLEAR_STATISTICS: self._clear_statistics,
            SET_DEPTH: self._set_depth,
            SELECT_PROFILE: self._select_profile,
            SET_TIME: self._set_time,
            SET_VOLUME: self._set_volume,
            STOP: self._stop,
            OPEN_SERVICE: self._open_service,
            CLOSE_SERVICE: self._close_service,
            GET_ABOUT: self._get_about,
            GET_CARTRIDGE: self._get_cartridge,
            GET_COUNTERS: self._get_counters,
            GET_SETTINGS: self._get_settings,
            READ_LOG: self._read_log,
            ENTER_BOOTSEL: self._enter_bootsel,
            RESTART: self._restart,
        }

    @property
    def waiting(self):
        """True if a byte has come, or an answer waits to be sent."""
        return self._port.waiting

    @property
    def is_telling(self):
        """True while telemetry is wanted."""
        return self._period_ms > 0

    def due_ms(self, latest_ms):
        """When telemetry is due, `latest_ms` if that is earlier, none is wanted or there is no room for it."""
        if self._period_ms and self._port.has_room and time.ticks_diff(self._next_ms, latest_ms) < 0:
            return self._next_ms
        return latest_ms

    def watch(self, now_ms):
        """Is the host that holds a role still there? Asked some times a second."""
        self.access.watch(now_ms, machine.mem32[_SOF_RD] & _FRAME)

    def serve(self, now_ms):
        """One pass: at most one request, and telemetry when it is due and wanted. True if there was a request."""
        self.watch(now_ms)
        frame = self._port.receive()
        if frame:
            self._answer(frame)
        if self._period_ms and time.ticks_diff(now_ms, self._next_ms) >= 0:
            self._tell(now_ms)
        return frame is not None

    def _tell(self, now_ms):
        """Telemetry that is due: one frame for each period, also for those that a collection of garbage or a slow host
        held up, but no burst.
        """
        if time.ticks_diff(now_ms, self._lease_end_ms) > 0:
            self._period_ms = 0
            return
        if time.ticks_diff(now_ms, self._next_ms) > _OWED_MS:
            self._next_ms = now_ms
        self._offer_status(now_ms)
        for _ in range(_FRAMES_A_PASS):
            if not self._port.has_room:
                return
            self._port.offer(TELEMETRY, reports.telemetry(self._app, now_ms))
            self._next_ms = time.ticks_add(self._next_ms, self._period_ms)
            if time.ticks_diff(now_ms, self._next_ms) < 0:
                return

    def _offer_status(self, now_ms):
        app = self._app
        told = (
            app.supervisor.blockers,
            app.warnings,
            app.supervisor.note,
            app.profile,
            app.cartridge.needles,
        )
        due = time.ticks_diff(now_ms, self._status_ms) >= _STATUS_MS
        if (due or told != self._told) and self._port.offer(STATUS, reports.status(app, now_ms)):
            self._told = told
            self._status_ms = now_ms

    def _answer(self, frame):
        kind, sequence, body = frame
        if kind == HELLO:
            self._port.forget()
            self.access.drop(False)
        if not self._port.is_new(frame):
            return
        refused = self.access.may(kind, time.ticks_ms())
        if not self._greeted and kind != HELLO:
            refused = NOT_GREETED
        fields = m.unpack(kind, body)
        if refused:
            self._result(sequence, refused)
        elif fields is None:
            self._result(sequence, "request has the wrong length")
        elif kind in self._answers:
            self._answers[kind](sequence, fields)
        else:
            self._answer_rarely(kind, sequence, fields)

    def _answer_rarely(self, kind, sequence, fields):
        """By pen.unlocking or pen.calibrating, in memory for one request alone; a running motor cannot wait for it."""
        if self._app.drive.awake:
            self._result(sequence, "the motor may turn: not now")
            return
        if BEGIN_UPDATE <= kind <= ABORT_UPDATE:
            self._update(kind, sequence, fields)
            return
        files = self._app.store.files
        files.begin()  # with the import it may take longer than the watchdog waits
        try:
            if kind >= GET_CALIBRATION or PUT_CALIBRATION <= kind <= COMMIT_CALIBRATION:
                from pen.calibrating import ANSWERS
            else:
                from pen.unlocking import ANSWERS
            if kind in ANSWERS:
                ANSWERS[kind](self._app, sequence, fields)
            else:
                self._result(sequence, "unknown request")
        finally:
            pen_shelf.forget("unlocking", "access_records", "calibrating", "calibration_records")
            files.end()

    def _result(self, sequence, refused):
        """Answer a request: done, or why it is refused."""
        reason = (refused or "").encode()[:60]
        self._port.answer(RESULT, m.pack(RESULT, sequence, 1 if refused else 0, reason))

    def _hello(self, sequence, fields):
        self._greeted = fields["protocol_version"] == PROTOCOL_VERSION
        if not self._greeted:
            self._result(sequence, "pen speaks protocol %d" % PROTOCOL_VERSION)
            return
        self.access.drop(True)
        development = 1 if BUILD_KIND == "development" else 0
        self._port.answer(
            IDENTITY,
            m.pack(
                IDENTITY,
                PROTOCOL_VERSION,
                machine.unique_id(),
                BOARD_NAME.encode(),
                VERSION.encode(),
                APPLICATION_HASH[:12].encode(),
                development,
            ),
        )

    # ------------------------------------------------------------------ operating
    def _set_rate(self, sequence, fields):
        rate_hz = fields["rate_hz"]
        if not PR01_RATE_MIN_HZ <= rate_hz <= PR01_RATE_MAX_HZ:
            self._result(sequence, "rate outside %d-%d Hz" % (PR01_RATE_MIN_HZ, PR01_RATE_MAX_HZ))
        elif rate_hz % PR01_RATE_STEP_HZ:
            self._result(sequence, "rate not a multiple of %d Hz" % PR01_RATE_STEP_HZ)
        else:
            self._result(sequence, self._app.commands.set_rate_hz(rate_hz))

    def _set_depth(self, sequence, fields):
        self._result(sequence, self._app.commands.set_depth_um(fields["depth_um"]))

    def _select_profile(self, sequence, fields):
        self._result(sequence, self._app.commands.select_profile(fields["profile"]))

    def _set_volume(self, sequence, fields):
        self._result(sequence, self._app.commands.set_volume(fields["volume"]))

    def _set_time(self, sequence, fields):
        self._result(sequence, self._app.commands.set_time(fields["time_s"]))

    def _stop(self, sequence, fields):
        self._result(sequence, self._app.commands.stop())

    def _acknowledge(self, sequence, fields):
        self._result(sequence, self._app.commands.acknowledge())

    # ------------------------------------------------------------------ reading
    def _subscribe(self, sequence, fields):
        period_ms, lease_ms = fields["period_ms"], fields["lease_ms"]
        if (period_ms and period_ms < _SHORTEST_PERIOD_MS) or lease_ms > _LONGEST_LEASE_MS:
            self._result(sequence, "period under 10 ms or lease over 60 s")
            return
        now_ms = time.ticks_ms()
        if not self._period_ms:
            self._next_ms = now_ms
        self._period_ms = period_ms
        self._lease_end_ms = time.ticks_add(now_ms, lease_ms)
        self._told = None
        self._result(sequence, None)

    def _statistics(self, sequence, fields):
        self._port.answer(STATISTICS, reports.statistics(self._app, self._port))

    def _clear_statistics(self, sequence, fields):
        reports.clear_statistics(self._app)
        self._result(sequence, None)

    def _get_about(self, sequence, fields):
        from pen import about

        self._port.answer(ABOUT, about.body(self._app))
        pen_shelf.forget("about")

    def _get_cartridge(self, sequence, fields):
        self._port.answer(CARTRIDGE, reports.cartridge(self._app))

    def _get_counters(self, sequence, fields):
        self._port.answer(COUNTERS, reports.counters(self._app))

    def _get_settings(self, sequence, fields):
        self._port.answer(SETTINGS, reports.settings(self._app))

    def _read_log(self, sequence, fields):
        if self._app.drive.awake:  # it takes tens of ms when the log is full
            self._result(sequence, "not while the motor runs")
            return
        self._port.answer(EVENTS, reports.events(self._app, fields["sequence"]))

    # ------------------------------------------------------------------ service
    def _open_service(self, sequence, fields):
        self._result(sequence, self._app.commands.open_service())

    def _close_service(self, sequence, fields):
        refused = self._app.commands.may_close_service()
        self._result(sequence, refused)
        if not refused:
            self._app.commands.restart()

    def _enter_bootsel(self, sequence, fields):
        self._leave(sequence, True)

    def _restart(self, sequence, fields):
        self._leave(sequence, False)

    def _leave(self, sequence, to_bootsel):
        refused = self._app.commands.may_leave(to_bootsel)
        self._result(sequence, refused)
        if not refused:
            self._app.commands.restart(to_bootsel)

    def _update(self, kind, sequence, fields):
        """A session of its own, with modules that are there only meanwhile."""
        app = self._app
        goes_on = False
        if app.drive.awake or (app.job and self._session is None):
            self._result(sequence, "not now: the pen is busy")
            return
        try:
            if self._session is None:
                app.store.files.begin()  # the import takes longer than the watchdog waits
                from pen import update_session

                self._session = update_session.Session(app, self._port, self._result)
                app.store.files.end()
            goes_on = self._session.answer(kind, sequence, fields)
        except MemoryError:
            app.store.files.end()
            self._result(sequence, "out of memory: restart the pen, try again")
        if not goes_on and self._session is not None:
            self._session.forget()
            self._session = None
