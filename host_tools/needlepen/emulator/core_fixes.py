"""Flags that rp2040py's core gets wrong at the edges of the range, for the engine that uses that core.

ADCS and SBCS set V wrongly when the carry takes an operand over the edge; shifts by a register set C for an
amount of 0, or wrongly for more than 32; BLX LR jumps to the address it has just made (ARMv6-M manual,
A2.2.1 and A6.7).
"""

from __future__ import annotations

from typing import Any

_LSLS, _LSRS, _ASRS, _ADCS, _SBCS, _RORS = 0x102, 0x103, 0x104, 0x105, 0x106, 0x107
_BLX_LR = 0x47F0


def concerns(opcode: int) -> bool:
    """True for the instructions that `execute` has to do in place of the core."""
    return _LSLS <= opcode >> 6 <= _RORS or opcode == _BLX_LR


def rotates(opcode: int) -> bool:
    """True for RORS."""
    return opcode >> 6 == _RORS


def execute(core: Any, opcode: int) -> int:
    """Do one of these instructions on the core's registers and return its cycles."""
    if opcode == _BLX_LR:
        target = core.lr
        core.lr = (core.pc + 2) | 1
        core.pc = target & ~1
        return 2
    registers = core.registers
    target, kind = opcode & 7, opcode >> 6
    value, operand = registers[target], registers[(opcode >> 3) & 7]
    if kind in (_ADCS, _SBCS):
        result = _add(core, value, operand if kind == _ADCS else ~operand & 0xFFFFFFFF)
    else:
        result = _shift(core, kind, value, operand & 0xFF)
    registers[target] = result
    core.n = bool(result >> 31)
    core.z = result == 0
    core.pc = core.pc + 2
    core.cycles += 1
    return 1


def _add(core: Any, a: int, b: int) -> int:
    total = a + b + (1 if core.c else 0)
    result = total & 0xFFFFFFFF
    core.c = total > 0xFFFFFFFF
    core.v = bool((~(a ^ b) & (a ^ result)) >> 31 & 1)
    return result


def _shift(core: Any, kind: int, value: int, amount: int) -> int:
    if amount == 0:
        return value
    if kind == _LSLS:
        core.c = amount <= 32 and bool(value >> (32 - amount) & 1)
        return (value << amount) & 0xFFFFFFFF if amount < 32 else 0
    if kind == _LSRS:
        core.c = amount <= 32 and bool(value >> (amount - 1) & 1)
        return value >> amount if amount < 32 else 0
    if kind == _ASRS:
        signed = value - 0x100000000 if value >> 31 else value
        core.c = bool(signed >> min(amount - 1, 31) & 1)
        return (signed >> min(amount, 31)) & 0xFFFFFFFF
    amount &= 31
    result = (value >> amount | value << (32 - amount)) & 0xFFFFFFFF
    core.c = bool(result >> 31)
    return result
