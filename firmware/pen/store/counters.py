"""What the pen has done in its life. Written after each run; a power cut loses at most the run that it cut."""

import struct

from pen.store.numbers import OK, OUT_OF_RANGE, WRONG_LENGTH

_FORMAT = "<IIIIHHB"


class Counters:
    """`boots`, `strokes`, `run_s` (time with the motor running), `sessions` (cartridges used).

    `winding_ck`, `housing_ck`: how much warmer than the room winding and housing were when last written, in 0.01 K,
    so that switching off and on does not forget the heat. `hours_unknown`: the counters were lost, so that nobody
    knows for how long the calibration was used; the next calibration clears it.
    """

    def __init__(
        self, boots=0, strokes=0, run_s=0, sessions=0, winding_ck=0, housing_ck=0, hours_unknown=True
    ):
        self.boots = boots
        self.strokes = strokes
        self.run_s = run_s
        self.sessions = sessions
        self.winding_ck = winding_ck
        self.housing_ck = housing_ck
        self.hours_unknown = hours_unknown

    def pack(self):
        return struct.pack(
            _FORMAT,
            self.boots,
            self.strokes,
            self.run_s,
            self.sessions,
            min(self.winding_ck, 0xFFFF),
            min(self.housing_ck, 0xFFFF),
            1 if self.hours_unknown else 0,
        )


def unpack(payload):
    """(reason, Counters or None)."""
    if len(payload) != struct.calcsize(_FORMAT):
        return WRONG_LENGTH, None
    boots, strokes, run_s, sessions, winding_ck, housing_ck, unknown = struct.unpack(_FORMAT, payload)
    if unknown > 1:
        return OUT_OF_RANGE, None
    return OK, Counters(boots, strokes, run_s, sessions, winding_ck, housing_ck, unknown == 1)
