"""The keys of a pen: its own, for its calibration and (part C) for access, and the one that signs cartridges.

The RP2040 has no secure storage: whoever opens the pen and reads its flash has the keys. `development` marks the
published keys that everybody knows; a production build refuses them.
"""

import struct

from pen.store.numbers import OK, OUT_OF_RANGE, WRONG_LENGTH

_FORMAT = "<B32s32s"


class Keys:
    """`pen`, `cartridge`: 32 bytes each; `development`: True for the published ones."""

    def __init__(self, pen, cartridge, development):
        self.pen = pen
        self.cartridge = cartridge
        self.development = development

    def pack(self):
        return struct.pack(_FORMAT, 1 if self.development else 0, self.pen, self.cartridge)


def unpack(payload):
    """(reason, Keys or None)."""
    if len(payload) != struct.calcsize(_FORMAT):
        return WRONG_LENGTH, None
    flags, pen, cartridge = struct.unpack(_FORMAT, payload)
    if flags > 1 or pen == bytes(32) or cartridge == bytes(32):
        return OUT_OF_RANGE, None
    return OK, Keys(pen, cartridge, flags == 1)
