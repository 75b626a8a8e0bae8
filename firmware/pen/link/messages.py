"""The messages of the link, declared once: the pen and the host both pack and unpack by this table.

kind: (name, struct format, (field names with their unit)). Little-endian, no padding.
Kinds below 0x80 go from host to pen, the others from pen to host.
"""

import struct

PROTOCOL_VERSION = 1

HELLO = 0x01
SET_RATE = 0x02
ACKNOWLEDGE = 0x03
SUBSCRIBE = 0x04
SEEN = 0x05
GET_STATISTICS = 0x06
CLEAR_STATISTICS = 0x07

RESULT = 0x80
IDENTITY = 0x81
STATISTICS = 0x82
TELEMETRY = 0x90

MESSAGES = {
    HELLO: ("hello", "<B", ("protocol_version",)),
    SET_RATE: ("set_rate", "<H", ("rate_hz",)),
    ACKNOWLEDGE: ("acknowledge", "<", ()),
    # Telemetry flows for lease_ms after the last SUBSCRIBE: a host that went away costs nothing.
    SUBSCRIBE: ("subscribe", "<HH", ("period_ms", "lease_ms")),
    # Credit: the pen keeps at most WINDOW_BYTES that the host has not seen.
    SEEN: ("seen", "<B", ("sequence",)),
    GET_STATISTICS: ("get_statistics", "<", ()),
    CLEAR_STATISTICS: ("clear_statistics", "<", ()),
    RESULT: ("result", "<BB48s", ("of_sequence", "refused", "reason")),
    IDENTITY: (
        "identity",
        "<B8s16s16s12sB",
        ("protocol_version", "unique_id", "board", "version", "application_hash", "development"),
    ),
    STATISTICS: (
        "statistics",
        "<IHHIIIHH",
        (
            "ticks",
            "tick_cost_us",
            "tick_jitter_us",
            "heap_free_bytes",
            "heap_used_bytes",
            "ready_ms",
            "frames_dropped",
            "main_loop_ms",
        ),
    ),
    TELEMETRY: (
        "telemetry",
        "<IBBBIIIhHH",
        (
            "time_ms",
            "state",
            "fault",
            "stop_reason",
            "set_mhz",
            "rate_mhz",
            "estimate_mhz",
            "current_ma",
            "cell_mv",
            "duty_pm",
        ),
    ),
}

WINDOW_BYTES = 200  # the pen's USB buffer holds 256: a silent host never blocks a write


def pack(kind, *values):
    return struct.pack(MESSAGES[kind][1], *values)


def unpack(kind, body):
    """Values of `body` as a dict by field name; None if the length is wrong or the kind unknown."""
    declared = MESSAGES.get(kind)
    if declared is None or struct.calcsize(declared[1]) != len(body):
        return None
    return dict(zip(declared[2], struct.unpack(declared[1], body)))
