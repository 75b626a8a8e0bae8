"""Kinds of messages, and what limits them. Numbers only: the build writes them into the modules that import them.

Kinds below 0x80 go from host to pen, the others from pen to host.
"""

PROTOCOL_VERSION = 2

HELLO = 0x01
SET_RATE = 0x02
ACKNOWLEDGE = 0x03
SUBSCRIBE = 0x04
SEEN = 0x05
GET_STATISTICS = 0x06
CLEAR_STATISTICS = 0x07
SET_DEPTH = 0x08
SELECT_PROFILE = 0x09
SET_TIME = 0x0A
STOP = 0x0B
OPEN_SERVICE = 0x0C
CLOSE_SERVICE = 0x0D
GET_CARTRIDGE = 0x0E
GET_COUNTERS = 0x0F
READ_LOG = 0x10
PUT_CALIBRATION = 0x11
COMMIT_CALIBRATION = 0x12

RESULT = 0x80
IDENTITY = 0x81
STATISTICS = 0x82
CARTRIDGE = 0x83
COUNTERS = 0x84
EVENTS = 0x85
TELEMETRY = 0x90
STATUS = 0x91

WINDOW_BYTES = 200  # the pen's USB buffer holds 256: a silent host never blocks a write
