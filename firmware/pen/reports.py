"""What the pen says about itself: the bodies of telemetry, status and statistics frames."""

import gc

from pen.board import PWM_N_PERIOD_CLOCKS
from pen.control import state
from pen.link import messages as m
from pen.link.kinds import (
    CARTRIDGE,
    COUNTERS,
    EVENTS,
    SETTINGS,
    STATISTICS,
    STATUS,
    TELEMETRY,
)
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


def telemetry(app, now_ms):
    """The fast values. At rest the cell voltage is the monitor's: the tick does not run then."""
    turn_us = state[TURN_US]
    estimate_mhz = max(0, state[RATE_MHZ])
    awake = app.drive.awake
    return m.pack(
        TELEMETRY,
        now_ms & 0xFFFFFFFF,
        app.supervisor.state,
        app.supervisor.fault,
        state[STOP_REASON],
        state[SET_MHZ] if state[DRIVE] else state[TARGET_MHZ],
        1_000_000_000 // turn_us if turn_us > 0 and not state[REJECTED] else estimate_mhz,
        estimate_mhz,
        state[CURRENT_MA] if awake else 0,
        state[CELL_MV] if awake else app.monitor.cell_mv,
        1000 * state[ON_COUNTS] // PWM_N_PERIOD_CLOCKS if state[DRIVE] else 0,
        app.axis.depth_um,
        app.axis.measured_um,
    )


def status(app, now_ms):
    """The slow values. The time stands first, so that two frames compare equal without it."""
    cartridge, monitor = app.cartridge, app.monitor
    return m.pack(
        STATUS,
        now_ms & 0xFFFFFFFF,
        app.supervisor.blockers,
        app.warnings,
        app.supervisor.note,
        app.profile,
        monitor.nose_dc,
        monitor.winding_dc,
        app.commands.depth_cap_um(),
        cartridge.needles,
        min(0xFFFF, cartridge.left_ms // 1000),
        min(0xFFFF, max(0, monitor.session_limit_ms - monitor.session_ms) // 1000),
        1 if app.supervisor.service_open else 0,
    )


def cartridge(app):
    """The seated cartridge; all zero without a readable one."""
    c = app.cartridge
    return m.pack(
        CARTRIDGE,
        bytes(c.rom or bytes(8)),
        1 if c.accepted else 0,
        c.needles,
        c.depth_limit_um,
        min(0xFFFF, c.use.used_ms // 1000),
        min(0xFFFF, c.left_ms // 1000),
        c.reason.encode()[:48],
    )


def counters(app):
    """What the pen has done in its life."""
    c = app.store.counters
    calibration = app.store.calibration
    since_s = c.run_s - calibration.run_s if calibration else 0
    return m.pack(COUNTERS, c.boots, c.strokes, c.run_s, c.sessions, since_s)


def settings(app):
    """What the operator has set."""
    return m.pack(SETTINGS, app.drive.rate_hz, app.axis.target_um, app.panel.volume, app.profile)


def events(app, sequence):
    """Up to two events of the log from a sequence number on."""
    found = app.store.log.read(sequence, 2)
    following = sequence
    for raw in found:
        following = 1 + int.from_bytes(raw[:4], "little")
    return m.pack(EVENTS, following, len(found), b"".join(found))


def statistics(app, port):
    """Cost and jitter of the tick, heap that is free once it is collected, and how late things were."""
    gc.collect()
    return m.pack(
        STATISTICS,
        state[TICKS],
        state[COST_US],
        state[JITTER_US],
        gc.mem_free(),
        gc.mem_alloc(),
        app.ready_ms,
        port.dropped & 0xFFFF,
        app.longest_loop_ms & 0xFFFF,
    )


def clear_statistics(app):
    """Begin anew."""
    state[COST_US] = 0
    state[JITTER_US] = 0
    app.longest_loop_ms = 0
