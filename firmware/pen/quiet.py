# mypy: disable-error-code="arg-type"
"""The quick look at a pen that lies at rest: has anything changed that the main loop should know? 10 us, no objects."""

import micropython


@micropython.viper
def depth_code() -> int:
    """One conversion of the depth sensor, while the converter does nothing else."""
    adc = ptr32(0x4004C000)
    adc[0] = 0x1001
    adc[0] = 0x1005  # input 1, start once
    while not adc[0] & 0x100:
        pass
    return adc[1]


@micropython.viper
def nothing_new(mask: int, levels: int, low_code: int, high_code: int) -> bool:
    """True while the lines in `mask` have their `levels` and the depth sensor reads within its window."""
    if int(ptr32(0xD0000004)[0]) & mask != levels:
        return False
    code = int(depth_code())
    return code >= low_code and code <= high_code


@micropython.viper
def lines(mask: int) -> int:
    """Present levels of the lines in `mask`."""
    return int(ptr32(0xD0000004)[0]) & mask
