"""Test of the CPU (SR-26): registers, arithmetic, flags, stack and divider against words computed elsewhere.

A CPU that is badly broken does not come as far as this; then the watchdogs act. This finds the single wrong bit that
lets the program go on with wrong numbers.
"""

from pen.cpu_expected import ARITHMETIC, DIVISIONS, REGISTERS
from pen.cpu_patterns import arithmetic, registers


class CpuTest:
    """`failed`: a pattern came out wrong. `step` tries all in 0.5 ms and returns True, the end of a round."""

    def __init__(self):
        self.failed = False

    def step(self):
        for pattern, expected in REGISTERS:
            if registers(pattern) != expected:
                self.failed = True
        for a, b, shift, expected in ARITHMETIC:
            if arithmetic(a, b, shift) != expected:
                self.failed = True
        for dividend, divisor, quotient, remainder in DIVISIONS:
            if dividend // divisor != quotient or dividend % divisor != remainder:
                self.failed = True
        return True
