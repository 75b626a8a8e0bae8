"""What the operator set: it survives switching off. A value that the pen cannot have makes the whole record refused."""

import struct

from micropython import const

from pen.limits import (
    PR01_RATE_DEFAULT_HZ,
    PR01_RATE_MAX_HZ,
    PR01_RATE_MIN_HZ,
    PR01_RATE_STEP_HZ,
    PR05_DEPTH_MAX_MM,
    PR05_DEPTH_STEP_MM,
)
from pen.store.numbers import OK, OUT_OF_RANGE, WRONG_LENGTH

VOLUME_MAX = const(3)
_FORMAT = "<HHB16s"
_DEPTH_MAX_UM = round(1000 * PR05_DEPTH_MAX_MM)
_DEPTH_STEP_UM = round(1000 * PR05_DEPTH_STEP_MM)
_PROFILE_BYTES = const(16)


class Settings:
    """`rate_hz`, `depth_um`, `volume` (buzzer, 0 = off), `profile` (name of a treatment profile, "" = the default one).

    The defaults are the safe ones: needles in, the default rate. Whether a depth or rate is allowed now is for the
    depth axis and the cartridge to say: they ask again whenever a setting is used.
    """

    def __init__(self, rate_hz=PR01_RATE_DEFAULT_HZ, depth_um=0, volume=2, profile=""):
        self.rate_hz = rate_hz
        self.depth_um = depth_um
        self.volume = volume
        self.profile = profile

    def check(self):
        """OK, or OUT_OF_RANGE."""
        rate_fits = (
            PR01_RATE_MIN_HZ <= self.rate_hz <= PR01_RATE_MAX_HZ and not self.rate_hz % PR01_RATE_STEP_HZ
        )
        depth_fits = 0 <= self.depth_um <= _DEPTH_MAX_UM and not self.depth_um % _DEPTH_STEP_UM
        fits = rate_fits and depth_fits and 0 <= self.volume <= VOLUME_MAX
        name = self.profile.encode()
        printable = len(name) <= _PROFILE_BYTES and all([0x20 <= b < 0x7F for b in name])
        return OK if fits and printable else OUT_OF_RANGE

    def pack(self):
        return struct.pack(_FORMAT, self.rate_hz, self.depth_um, self.volume, self.profile.encode())


def unpack(payload):
    """(reason, Settings or None)."""
    if len(payload) != struct.calcsize(_FORMAT):
        return WRONG_LENGTH, None
    rate_hz, depth_um, volume, profile = struct.unpack(_FORMAT, payload)
    name = profile.rstrip(b"\0")
    if not all([0x20 <= b < 0x7F for b in name]):
        return OUT_OF_RANGE, None
    settings = Settings(rate_hz, depth_um, volume, name.decode())
    reason = settings.check()
    return reason, settings if reason == OK else None
