"""The black box of a pen: its last seconds before a fault, read, told, and made into a scenario that replays them."""

from needlepen.black_box.causes import candidates
from needlepen.black_box.record import BlackBox, Sample, decode
from needlepen.black_box.scenario import scenario

__all__ = ["BlackBox", "Sample", "candidates", "decode", "scenario"]
