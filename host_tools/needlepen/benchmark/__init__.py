"""How fast the emulation is, against stock rp2040py on the same work, and what the firmware costs.

Results are ratios and device times; wall times stand only in the ratio device seconds per wall second, and for what
a person waits for: `needlepen --help`, and a whole calibration.
"""

from needlepen.benchmark.report import Result, run

__all__ = ["Result", "run"]
