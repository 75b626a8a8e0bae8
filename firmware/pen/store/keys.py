"""The keys of a pen: its own for calibration and access, one that signs cartridges, one that verifies firmware.

The RP2040 has no secure storage: whoever opens the pen and reads its flash has the keys. The development keys are
published with the sources (pen.access_records). A production build refuses them, and a development build takes no
others: no treatment cartridge arms it.
"""

import hashlib
import struct

from pen.store.numbers import OK, OTHER_BUILD, OUT_OF_RANGE, WRONG_LENGTH

_FORMAT = "<32s32s32s"
_PUBLISHED = b"n\xadg\xdew\x0e7a"  # start of the SHA-256 of the published cartridge key


class Keys:
    """`pen`, `cartridge`, `release` (Ed25519, public): 32 bytes each; `development`: the published ones."""

    def __init__(self, pen, cartridge, release):
        self.pen = pen
        self.cartridge = cartridge
        self.release = release
        self.development = hashlib.sha256(cartridge).digest()[:8] == _PUBLISHED

    def pack(self):
        return struct.pack(_FORMAT, self.pen, self.cartridge, self.release)


def unpack(payload, development):
    """(reason, Keys or None) for a build of this kind."""
    if len(payload) != struct.calcsize(_FORMAT):
        return WRONG_LENGTH, None
    keys = Keys(*struct.unpack(_FORMAT, payload))
    if bytes(32) in (keys.pen, keys.cartridge, keys.release):
        return OUT_OF_RANGE, None
    return (OK, keys) if keys.development == development else (OTHER_BUILD, None)
