"""What pen.cpu_patterns has to return, word for word. Computed by the model in hil_tests/unit/test_cpu_patterns.py."""

# (r0, result)
REGISTERS = (
    (0x55555555, 0x55555589),
    (0xAAAAAAAA, 0xAAAAAAE0),
    (0x00000000, 0x00000032),
    (0xFFFFFFFF, 0x00000037),
)
# (r0, r1, shift, result)
ARITHMETIC = (
    (0x12345678, 0x9ABCDEF1, 13, 0xAD1DFE5D),
    (0xFFFFFFFF, 0x00000001, 31, 0x51BF1DFC),
    (0x7FFFFFFF, 0x80000000, 1, 0x7DD8BD19),
    (0x55555555, 0xAAAAAAAA, 16, 0xAB2AC2DC),
    (0xAAAAAAAA, 0x55555555, 5, 0x8CDCB29A),
    (0xDEADBEEF, 0xDEADBEEF, 8, 0xA0E66A6E),
)
# (dividend, divisor, quotient, remainder): the divider sits beside the CPU
DIVISIONS = (
    (1_000_003, 997, 1003, 12),
    (0x2AAAAAAB, 0x155, 0x200802, 1),
    (0x15555555, 3, 0x071C71C7, 0),
    (123_456_789, 10_000, 12_345, 6_789),
)
