"""Numbers of the stored records, which stay what they are: kinds, formats, and why a record is refused.

Numbers only: the build writes them into the modules that import them.
"""

# ---- kinds of records
KIND_SETTINGS = 1
KIND_COUNTERS = 2
KIND_CALIBRATION = 3
KIND_KEYS = 4
KIND_ACCESS = 5
KIND_RELEASE = 6
KIND_CHECK = 7
KIND_BLACK_BOX = 8
# ---- formats that this firmware writes; they count from 1
SETTINGS_FORMAT = 1
COUNTERS_FORMAT = 1
CALIBRATION_FORMAT = 2  # 1 had no status and no certificate; only development pens had it
KEYS_FORMAT = 2  # 1 had no release key; only development pens had it
ACCESS_FORMAT = 1
RELEASE_FORMAT = 1
CHECK_FORMAT = 1
BLACK_BOX_FORMAT = 1
# ---- the black box: where it is kept, and a record of its ring (pen.black_box_keep)
BLACK_BOX_PATH = "/data/black_box"
BLACK_BOX_RECORD = "<HBBIIHHHHHhI"
BLACK_BOX_RECORD_BYTES = 28
BLACK_BOX_MARK = 0xB10C
# ---- sizes
ENVELOPE_BYTES = 24  # around the payload
EVENT_BYTES = 32
# ---- why a record is refused; the words are in reason_texts
OK = 0
MISSING = 1
EMPTY = 2
TRUNCATED = 3
NOT_A_RECORD = 4
TOO_LONG = 5
DAMAGED = 6
WRONG_KIND = 7
NEWER_FORMAT = 8
UNKNOWN_FORMAT = 9
FOREIGN = 10
WRONG_LENGTH = 11
OUT_OF_RANGE = 12
NOT_AUTHENTIC = 13
NO_KEY = 14
POINTS_NOT_RISING = 15
POINTS_IMPLAUSIBLE = 16
NOT_READ_BACK = 17
WRITE_FAILED = 18
NOT_NOW = 19
DATES_WRONG = 20
HOURS_UNKNOWN = 21
OTHER_BUILD = 22
WITHDRAWN = 23
