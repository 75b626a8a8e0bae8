"""Why a record is refused, in words for the operator. At most 48 bytes each: they go into a frame."""

from pen.store.numbers import (
    DAMAGED,
    DATES_WRONG,
    EMPTY,
    FOREIGN,
    HOURS_UNKNOWN,
    MISSING,
    NEWER_FORMAT,
    NO_KEY,
    NOT_A_RECORD,
    NOT_AUTHENTIC,
    NOT_NOW,
    NOT_READ_BACK,
    OK,
    OTHER_BUILD,
    OUT_OF_RANGE,
    POINTS_IMPLAUSIBLE,
    POINTS_NOT_RISING,
    TOO_LONG,
    TRUNCATED,
    UNKNOWN_FORMAT,
    WRITE_FAILED,
    WRONG_KIND,
    WRONG_LENGTH,
)

_TEXTS = {
    MISSING: "not there",
    EMPTY: "empty: its first writing was interrupted",
    TRUNCATED: "cut short",
    NOT_A_RECORD: "not a record of this pen's format",
    TOO_LONG: "longer than it says",
    DAMAGED: "damaged: checksum wrong",
    WRONG_KIND: "a record of another kind",
    NEWER_FORMAT: "written by newer firmware: update",
    UNKNOWN_FORMAT: "unknown format version",
    FOREIGN: "belongs to another pen",
    WRONG_LENGTH: "its length does not fit its contents",
    OUT_OF_RANGE: "holds a value that the pen cannot have",
    NOT_AUTHENTIC: "not signed with this pen's key",
    NO_KEY: "the pen has no key to check it",
    POINTS_NOT_RISING: "its points do not rise steadily",
    POINTS_IMPLAUSIBLE: "its points are no depth axis",
    NOT_READ_BACK: "could not be read back as written",
    WRITE_FAILED: "could not be written",
    NOT_NOW: "the motor may turn: nothing is written",
    DATES_WRONG: "its dates do not follow each other",
    HOURS_UNKNOWN: "running hours were lost: calibrate",
    OTHER_BUILD: "keys for another kind of build",
}


def text(reason):
    """What a reason means; empty for OK."""
    return _TEXTS[reason] if reason in _TEXTS else "" if reason == OK else "reason %d" % reason
