"""The messages of the link, declared once: the pen and the host both pack and unpack by this table.

kind: (name, struct format, field names with their unit). Little-endian, no padding.
The names are one text, since the pen keeps each name of its own for ever.
The comment above a message is its description in host_tools/docs/protocol.md.
"""

import struct

from pen.link.kinds import (
    ABORT_UPDATE,
    ABOUT,
    ACKNOWLEDGE,
    BEGIN_UPDATE,
    CARTRIDGE,
    CHALLENGE,
    CLEAR_STATISTICS,
    CLOSE_SERVICE,
    COMMIT_CALIBRATION,
    COMMIT_UPDATE,
    COUNTERS,
    ENTER_BOOTSEL,
    EVENTS,
    GET_ABOUT,
    GET_BLACK_BOX,
    GET_CALIBRATION,
    GET_CARTRIDGE,
    GET_CHALLENGE,
    GET_COUNTERS,
    GET_SETTINGS,
    GET_STATISTICS,
    GET_UPDATE,
    HELLO,
    IDENTITY,
    LOCK,
    NOTE_CHECK,
    OPEN_REPL,
    OPEN_SERVICE,
    PROVISION,
    PUT_CALIBRATION,
    PUT_DATA,
    READ_LOG,
    RECORD_PART,
    RESTART,
    RESULT,
    SEEN,
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
    TRY_CALIBRATION,
    UNLOCK,
    UPDATE,
)

MESSAGES = {
    # The first request on a connection. Answered by IDENTITY; another protocol version is refused with the pen's own.
    # HELLO and RESULT are the same in every version.
    HELLO: ("hello", "<B", "protocol_version"),
    # Stroke rate, in the range and steps of PR-01.
    SET_RATE: ("set_rate", "<H", "rate_hz"),
    # Acknowledges a fault whose cause has gone; the trigger has to be released.
    ACKNOWLEDGE: ("acknowledge", "<", ""),
    # TELEMETRY every period_ms (10 or more; 0 ends it) for lease_ms (at most 60,000) after the last SUBSCRIBE: a host
    # that went away costs nothing.
    SUBSCRIBE: ("subscribe", "<HH", "period_ms lease_ms"),
    # Credit: confirms this frame of the pen and all before it. Not a request, and not answered.
    SEEN: ("seen", "<B", "sequence"),
    # Answered by STATISTICS. The pen collects its garbage for it, which takes 24 ms.
    GET_STATISTICS: ("get_statistics", "<", ""),
    # Cost and jitter of the tick and the longest pass of the main loop begin anew.
    CLEAR_STATISTICS: ("clear_statistics", "<", ""),
    # Needle protrusion; refused above the smallest limit of pen, cartridge, profile and calibration.
    SET_DEPTH: ("set_depth", "<H", "depth_um"),
    # Treatment profile by its number.
    SELECT_PROFILE: ("select_profile", "<B", "profile"),
    # Seconds since 2000-01-01 00:00 UTC; the pen has no clock that survives a power cut.
    SET_TIME: ("set_time", "<I", "time_s"),
    # Ends the run; the operator starts the next one.
    STOP: ("stop", "<", ""),
    # Opens the pen for service.
    OPEN_SERVICE: ("open_service", "<", ""),
    # Ends the service; the pen restarts after its answer.
    CLOSE_SERVICE: ("close_service", "<", ""),
    # Answered by CARTRIDGE.
    GET_CARTRIDGE: ("get_cartridge", "<", ""),
    # Answered by COUNTERS.
    GET_COUNTERS: ("get_counters", "<", ""),
    # Answered by EVENTS: events from this sequence number on, two in an answer; an answer without any is the end.
    READ_LOG: ("read_log", "<I", "sequence"),
    # A calibration record comes in parts and is checked as a whole before anything is written. Service only.
    PUT_CALIBRATION: ("put_calibration", "<H64s", "offset part"),
    # Checks the parts that were put and takes them over as the pen's calibration. Service only.
    COMMIT_CALIBRATION: ("commit_calibration", "<H", "length"),
    # At rest only. The pen answers, then leaves the bus and comes back as the drive of its boot ROM.
    ENTER_BOOTSEL: ("enter_bootsel", "<", ""),
    # At rest only. The pen answers, then restarts.
    RESTART: ("restart", "<", ""),
    # Answered by SETTINGS.
    GET_SETTINGS: ("get_settings", "<", ""),
    # Of the buzzer: 0 silent to 3; alarms are always loud.
    SET_VOLUME: ("set_volume", "<B", "volume"),
    # Asks for a role (1 operator, 2 technician, 3 engineer). Answered by CHALLENGE.
    GET_CHALLENGE: ("get_challenge", "<B", "role"),
    # The answer to the last challenge: HMAC-SHA256 under the key of the role, see pen.unlocking.
    UNLOCK: ("unlock", "<B32s", "role answer"),
    # Gives the role up.
    LOCK: ("lock", "<", ""),
    # The pen stops for good and leaves its port to MicroPython; a reset starts it again.
    OPEN_REPL: ("open_repl", "<", ""),
    # Keys, once in the life of a pen; nothing ever reads them back. `release` is a public key.
    PROVISION: ("provision", "<32s32s32s", "pen cartridge release"),
    # Answered by ABOUT.
    GET_ABOUT: ("get_about", "<", ""),
    # Answered by RECORD_PART: the stored calibration record from a byte on, whatever the pen says of it. At rest.
    GET_CALIBRATION: ("get_calibration", "<H", "offset"),
    # Checks the parts that were put as COMMIT_CALIBRATION does, and goes by them until the pen restarts. Nothing is
    # stored, and the motor does not start meanwhile. Service only.
    TRY_CALIBRATION: ("try_calibration", "<H", "length"),
    # A daily check with a gauge: days since 2000-01-01, worst error of the protrusion, whether that passed. At rest.
    NOTE_CHECK: ("note_check", "<HhB", "day worst_error_um passed"),
    # Answered by RECORD_PART: the record of the last seconds before the last fault, from a byte on. At rest.
    GET_BLACK_BOX: ("get_black_box", "<H", "offset"),
    # A new program comes: first its list and its signature (64 bytes or none), as one stream. Service only.
    BEGIN_UPDATE: ("begin_update", "<HB", "list_bytes signature_bytes"),
    # The next part of the list with its signature, then of the files that the pen lacks, in the order of the list.
    PUT_DATA: ("put_data", "<I768s", "offset data"),
    # All has come: the pen restarts and tries the new program.
    COMMIT_UPDATE: ("commit_update", "<", ""),
    # Answered by UPDATE, or by a refusal that says why the list or its signature was refused.
    GET_UPDATE: ("get_update", "<", ""),
    # Ends the session; what has come is removed.
    ABORT_UPDATE: ("abort_update", "<", ""),
    # Done (refused 0), or not, and why.
    RESULT: ("result", "<BB60s", "of_sequence refused reason"),
    # Who the pen is.
    IDENTITY: (
        "identity",
        "<B8s16s16s12sB",
        "protocol_version unique_id board version application_hash development",
    ),
    # What the program costs. main_loop_ms: the longest pass since CLEAR_STATISTICS.
    STATISTICS: (
        "statistics",
        "<IHHIIIHH",
        "ticks tick_cost_us tick_jitter_us heap_free_bytes heap_used_bytes ready_ms "
        "frames_dropped main_loop_ms",
    ),
    # The seated cartridge; all zero without a readable one.
    CARTRIDGE: ("cartridge", "<8sBBHHH48s", "rom accepted needles depth_limit_um used_s left_s reason"),
    # What the pen has done in its life.
    COUNTERS: ("counters", "<IIIII", "boots strokes run_s sessions calibration_run_s"),
    # stage: 0 closed, 1 list, 2 checking, 3 files; came: 0 ordinary, 1 on trial, 2 rolled back, 3 after damage;
    # verify_ms: what the last signature took; program: the one that runs; lacking: a bit for each file of the list.
    UPDATE: (
        "update",
        "<BBHIIII8s32s",
        "stage came verify_ms received_bytes wanted_bytes counter loader_crc program lacking",
    ),
    # Up to two events of 32 bytes each.
    EVENTS: ("events", "<IB64s", "next_sequence count events"),
    # As they are now: the depth is where the axis was sent, the profile a number of pen.profiles.
    SETTINGS: ("settings", "<HHBB", "rate_hz depth_um volume profile"),
    # A nonce to answer with UNLOCK. wait_s: the pen is locked for so long, and there is no nonce.
    CHALLENGE: ("challenge", "<B16sB", "role nonce wait_s"),
    # The pen in detail. calibration: 0 none, 1 valid, 2 due, 3 expired, 4 refused; role: 0 none to 3 engineer.
    ABOUT: (
        "about",
        "<8s20sBBBBII48s",
        "micropython revision role calibration provisioned development uptime_s boots reason",
    ),
    # Of `total` bytes (0: the pen has no record) the `bytes` that were asked for, up to 64.
    RECORD_PART: ("record_part", "<HB64s", "total bytes part"),
    # The fast values, unasked, once for each period.
    TELEMETRY: (
        "telemetry",
        "<IBBBIIIhHHHh",
        "time_ms state fault stop_reason set_mhz rate_mhz estimate_mhz current_ma cell_mv "
        "duty_pm depth_set_um depth_um",
    ),
    # The slow values, unasked: when something in them changes, and every 500 ms, together with telemetry.
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
