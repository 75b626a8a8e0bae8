"""The messages of the link, declared once: the pen and the host both pack and unpack by this table.

kind: (name, struct format, field names with their unit). Little-endian, no padding.
The names are one text, since the pen keeps each name of its own for ever.
"""

import struct

from pen.link.kinds import (
    ABORT_UPDATE,
    ACKNOWLEDGE,
    BEGIN_UPDATE,
    CARTRIDGE,
    CLEAR_STATISTICS,
    CLOSE_SERVICE,
    COMMIT_CALIBRATION,
    COMMIT_UPDATE,
    COUNTERS,
    EVENTS,
    GET_CARTRIDGE,
    GET_COUNTERS,
    GET_STATISTICS,
    GET_UPDATE,
    HELLO,
    IDENTITY,
    OPEN_SERVICE,
    PUT_CALIBRATION,
    PUT_DATA,
    READ_LOG,
    RESULT,
    SEEN,
    SELECT_PROFILE,
    SET_DEPTH,
    SET_RATE,
    SET_TIME,
    STATISTICS,
    STATUS,
    STOP,
    SUBSCRIBE,
    TELEMETRY,
    UPDATE,
)

MESSAGES = {
    HELLO: ("hello", "<B", "protocol_version"),
    SET_RATE: ("set_rate", "<H", "rate_hz"),
    ACKNOWLEDGE: ("acknowledge", "<", ""),
    # Telemetry flows for lease_ms after the last SUBSCRIBE: a host that went away costs nothing.
    SUBSCRIBE: ("subscribe", "<HH", "period_ms lease_ms"),
    # Credit: the pen keeps at most WINDOW_BYTES that the host has not seen.
    SEEN: ("seen", "<B", "sequence"),
    GET_STATISTICS: ("get_statistics", "<", ""),
    CLEAR_STATISTICS: ("clear_statistics", "<", ""),
    SET_DEPTH: ("set_depth", "<H", "depth_um"),
    SELECT_PROFILE: ("select_profile", "<B", "profile"),
    # Seconds since 2000-01-01 00:00 UTC; the pen has no clock that survives a power cut.
    SET_TIME: ("set_time", "<I", "time_s"),
    STOP: ("stop", "<", ""),
    OPEN_SERVICE: ("open_service", "<", ""),
    CLOSE_SERVICE: ("close_service", "<", ""),
    GET_CARTRIDGE: ("get_cartridge", "<", ""),
    GET_COUNTERS: ("get_counters", "<", ""),
    # Events from this sequence number on, two in an answer; an answer without any is the end.
    READ_LOG: ("read_log", "<I", "sequence"),
    # A calibration record comes in parts and is checked as a whole before anything is written. Service only.
    PUT_CALIBRATION: ("put_calibration", "<H64s", "offset part"),
    COMMIT_CALIBRATION: ("commit_calibration", "<H", "length"),
    # A new program: its list and signature, then the files that the pen lacks (bits of `lacking` in the order of the
    # list), each as one stream in parts. Service only.
    BEGIN_UPDATE: ("begin_update", "<HB", "list_bytes signature_bytes"),
    PUT_DATA: ("put_data", "<I768s", "offset data"),
    COMMIT_UPDATE: ("commit_update", "<", ""),
    GET_UPDATE: ("get_update", "<", ""),
    ABORT_UPDATE: ("abort_update", "<", ""),
    RESULT: ("result", "<BB60s", "of_sequence refused reason"),
    IDENTITY: (
        "identity",
        "<B8s16s16s12sB",
        "protocol_version unique_id board version application_hash development",
    ),
    STATISTICS: (
        "statistics",
        "<IHHIIIHH",
        "ticks tick_cost_us tick_jitter_us heap_free_bytes heap_used_bytes ready_ms "
        "frames_dropped main_loop_ms",
    ),
    CARTRIDGE: ("cartridge", "<8sBBHHH48s", "rom accepted needles depth_limit_um used_s left_s reason"),
    COUNTERS: ("counters", "<IIIII", "boots strokes run_s sessions calibration_run_s"),
    UPDATE: (
        "update",
        "<BBHIIII8s32s",
        "stage came verify_ms received_bytes wanted_bytes counter loader_crc program lacking",
    ),
    EVENTS: ("events", "<IB64s", "next_sequence count events"),
    TELEMETRY: (
        "telemetry",
        "<IBBBIIIhHHHh",
        "time_ms state fault stop_reason set_mhz rate_mhz estimate_mhz current_ma cell_mv "
        "duty_pm depth_set_um depth_um",
    ),
    # Sent when something in it changes and every 500 ms, together with telemetry.
    STATUS: (
        "status",
        "<IIHBBhhHBHHB",
        "time_ms blockers warnings note profile nose_dc winding_dc depth_cap_um needles "
        "cartridge_left_s session_left_s service",
    ),
}


def pack(kind, *values):
    return struct.pack(MESSAGES[kind][1], *values)


def unpack(kind, body):
    """Values of `body` as a dict by field name; None if the length is wrong or the kind unknown."""
    declared = MESSAGES.get(kind)
    if declared is None or struct.calcsize(declared[1]) != len(body):
        return None
    return dict(zip(declared[2].split(), struct.unpack(declared[1], body)))
