"""What the pen says to a host and does for it. Each request gets exactly one answer."""

import gc
import time

import machine
from micropython import const

from pen.board import BOARD_NAME, PWM_N_PERIOD_CLOCKS
from pen.build_info import APPLICATION_HASH, BUILD_KIND, VERSION
from pen.control import state
from pen.limits import PR01_RATE_MAX_HZ, PR01_RATE_MIN_HZ, PR01_RATE_STEP_HZ
from pen.link import messages as m
from pen.link.port import Port
from pen.places import (
    CELL_MV,
    COST_US,
    CURRENT_MA,
    DRIVE,
    JITTER_US,
    ON_COUNTS,
    RATE_MHZ,
    REJECTED,
    SET_MHZ,
    STOP_REASON,
    TARGET_MHZ,
    TICKS,
    TURN_US,
)

_SHORTEST_PERIOD_MS = const(10)
_LONGEST_LEASE_MS = const(60_000)


class Host:
    def __init__(self, app):
        self._app = app
        self._port = Port()
        self._period_ms = 0
        self._next_ms = 0
        self._lease_end_ms = 0
        self._answers = {
            m.HELLO: self._hello,
            m.SET_RATE: self._set_rate,
            m.ACKNOWLEDGE: self._acknowledge,
            m.SUBSCRIBE: self._subscribe,
            m.GET_STATISTICS: self._statistics,
            m.CLEAR_STATISTICS: self._clear_statistics,
        }

    @property
    def quiet(self):
        """True while no byte has come and no telemetry is wanted."""
        return not self._period_ms and not self._port.waiting

    def serve(self, now_ms):
        """One pass: at most one request, and telemetry when it is due and wanted."""
        frame = self._port.receive()
        if frame:
            self._answer(*frame)
        if self._period_ms and time.ticks_diff(now_ms, self._next_ms) >= 0:
            if time.ticks_diff(now_ms, self._lease_end_ms) > 0:
                self._period_ms = 0
                return
            self._next_ms = time.ticks_add(self._next_ms, self._period_ms)
            if time.ticks_diff(now_ms, self._next_ms) > 0:  # fell behind: do not send a burst
                self._next_ms = time.ticks_add(now_ms, self._period_ms)
            self._port.offer(m.TELEMETRY, self._telemetry(now_ms))

    def _answer(self, kind, sequence, body):
        if kind not in self._answers:
            self._result(sequence, "unknown request")
            return
        fields = m.unpack(kind, body)
        if fields is None:
            self._result(sequence, "request has the wrong length")
            return
        self._answers[kind](sequence, fields)

    def _result(self, sequence, refused):
        reason = (refused or "").encode()[:48]
        self._port.answer(m.RESULT, m.pack(m.RESULT, sequence, 1 if refused else 0, reason))

    def _hello(self, sequence, fields):
        self._port.forget()
        if fields["protocol_version"] != m.PROTOCOL_VERSION:
            self._result(sequence, "pen speaks protocol %d" % m.PROTOCOL_VERSION)
            return
        development = 1 if BUILD_KIND == "development" else 0
        self._port.answer(
            m.IDENTITY,
            m.pack(
                m.IDENTITY,
                m.PROTOCOL_VERSION,
                machine.unique_id(),
                BOARD_NAME.encode(),
                VERSION.encode(),
                APPLICATION_HASH[:12].encode(),
                development,
            ),
        )

    def _set_rate(self, sequence, fields):
        rate_hz = fields["rate_hz"]
        if not PR01_RATE_MIN_HZ <= rate_hz <= PR01_RATE_MAX_HZ:
            self._result(sequence, "rate outside %d-%d Hz" % (PR01_RATE_MIN_HZ, PR01_RATE_MAX_HZ))
        elif rate_hz % PR01_RATE_STEP_HZ:
            self._result(sequence, "rate not a multiple of %d Hz" % PR01_RATE_STEP_HZ)
        else:
            self._app.drive.set_rate_hz(rate_hz)
            self._result(sequence, None)

    def _acknowledge(self, sequence, fields):
        self._result(sequence, self._app.acknowledge())

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
        self._result(sequence, None)

    def _statistics(self, sequence, fields):
        self._port.answer(
            m.STATISTICS,
            m.pack(
                m.STATISTICS,
                state[TICKS],
                state[COST_US],
                state[JITTER_US],
                gc.mem_free(),
                gc.mem_alloc(),
                self._app.ready_ms,
                self._port.dropped & 0xFFFF,
                self._app.longest_loop_ms & 0xFFFF,
            ),
        )

    def _clear_statistics(self, sequence, fields):
        state[COST_US] = 0
        state[JITTER_US] = 0
        self._app.longest_loop_ms = 0
        self._result(sequence, None)

    def _telemetry(self, now_ms):
        turn_us = state[TURN_US]
        estimate_mhz = max(0, state[RATE_MHZ])
        return m.pack(
            m.TELEMETRY,
            now_ms & 0xFFFFFFFF,
            self._app.session.state,
            self._app.session.fault,
            state[STOP_REASON],
            state[SET_MHZ] if state[DRIVE] else state[TARGET_MHZ],
            1_000_000_000 // turn_us if turn_us > 0 and not state[REJECTED] else estimate_mhz,
            estimate_mhz,
            state[CURRENT_MA],
            state[CELL_MV],
            1000 * state[ON_COUNTS] // PWM_N_PERIOD_CLOCKS if state[DRIVE] else 0,
        )
