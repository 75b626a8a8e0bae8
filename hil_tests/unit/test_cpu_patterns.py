"""What the CPU test of the firmware has to return, computed by a model that shares no line with it."""

from __future__ import annotations

from needlepen.firmware_modules import firmware_module

WORD = 0xFFFFFFFF
expected = firmware_module("pen.cpu_expected")


def _signed(value: int) -> int:
    return value - (1 << 32) if value >> 31 else value


def _turned(value: int, by: int) -> int:
    by %= 32
    return (value >> by | value << (32 - by)) & WORD


def registers(pattern: int) -> int:
    """The chain: high registers from the negative pattern on in steps, then each low one from the complement before."""
    value = -pattern & WORD
    chain = [value]
    for step in (2, 3, 4, 5):
        chain.append((chain[-1] + step) & WORD)
    low = [chain[-1]]
    for step in range(6, 12):
        low.append((~low[-1] + step) & WORD)
    return (sum(chain) + sum(low) + (~low[-1] & WORD)) & WORD


def arithmetic(a: int, b: int, shift: int) -> int:
    """The same operations in the same order, in unbounded integers."""
    results = [
        a + b,
        a + b + (a + b > WORD),
        a - b,
        b - a - (a < b),
        a * b,
        a & b,
        a | b,
        a ^ b,
        a & ~b,
        -b,
        a << shift,
        a >> shift,
        _signed(b) >> shift,
        _turned(b, shift),
        a >> 8 & 0xFF,
        b >> 16,
    ]
    signature = 0
    for result in results:
        signature = (_turned(signature, 7) + result) & WORD
    difference = (a - b) & WORD
    signed = _signed(a) - _signed(b)
    overflow = not -(1 << 31) <= signed < 1 << 31
    conditions = (a == b, a < b, difference >> 31, not overflow, signed >= 0, signed <= 0, a <= b)
    return (signature + sum(1 << bit for bit, holds in enumerate(conditions) if holds)) & WORD


def test_the_expected_words_of_the_firmware_are_those_of_the_model() -> None:
    assert [(p, registers(p)) for p, _ in expected.REGISTERS] == list(expected.REGISTERS)
    assert [(*args, arithmetic(*args)) for *args, _ in expected.ARITHMETIC] == list(expected.ARITHMETIC)
    assert all(a // b == q and a % b == r for a, b, q, r in expected.DIVISIONS)


def test_the_patterns_put_every_bit_of_every_operand_at_both_levels() -> None:
    for column in (0, 1):
        ones = zeros = 0
        for row in expected.ARITHMETIC:
            ones |= row[column]
            zeros |= ~row[column] & WORD
        assert ones == zeros == WORD
