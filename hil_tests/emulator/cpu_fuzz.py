"""Runs in a process of its own, with the engine of NEEDLEPEN_ENGINE: random straight-line Thumb code, state after each.

The compiled engine runs our interpreter, the other one rp2040py's core, which is an independent implementation.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

from needlepen.emulator.chip import Chip

CODE, DATA, STACK = 0x20001000, 0x20004000, 0x20008000
LOOP = 0xE7FE
EDGES = (0, 1, 31, 32, 33, 255, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFFF, 0xFFFFFFFE, 0x55AA)


def instruction(rng: random.Random) -> list[int]:
    """One instruction that stays in memory: loads and stores use r7 (data) and SP, jumps only skip the next one."""
    low = rng.randrange(7)
    any_low = rng.randrange(8)
    offset = rng.randrange(32)
    kind = rng.randrange(18)
    if kind < 3:
        return [rng.randrange(3) << 11 | offset << 6 | any_low << 3 | low]  # shifts by a number
    if kind < 5:
        return [0x1800 | rng.randrange(32) << 6 | any_low << 3 | low]  # ADDS and SUBS
    if kind < 7:
        return [0x2000 | rng.randrange(4) << 11 | low << 8 | rng.randrange(256)]
    if kind < 11:
        return [0x4000 | rng.randrange(16) << 6 | any_low << 3 | low]
    if kind == 11:
        return [rng.choice((0x4400, 0x4500, 0x4600)) | rng.choice((0, 1, 2, 8, 9, 10, 11, 12)) << 3 | low]
    if kind == 12:
        return [rng.choice((0x6000, 0x6800, 0x7000, 0x7800, 0x8000, 0x8800)) | offset << 6 | 7 << 3 | low]
    if kind == 13:
        return [rng.choice((0x9000, 0x9800, 0xA800)) | low << 8 | rng.randrange(64)]
    if kind == 14:
        return [rng.choice((0xB200, 0xB240, 0xB280, 0xB2C0, 0xBA00, 0xBA40, 0xBAC0)) | any_low << 3 | low]
    if kind == 15:
        registers = rng.randrange(1, 128)
        return [0xB400 | registers, 0xBC00 | registers]
    if kind == 16:
        return [
            0xD000 | rng.randrange(14) << 8,
            rng.randrange(4) << 11 | 0x2000 | low << 8,
        ]  # branch over one
    registers = rng.randrange(1, 128)
    many = rng.choice((0xC700, 0xCF00)) | registers  # STMIA or LDMIA r7!, then r7 back
    return [many, 0x3F00 | registers.bit_count() * 4]


def block(rng: random.Random) -> list[int]:
    code: list[int] = []
    while len(code) < 40:
        code += instruction(rng)
    return [*code, LOOP]


def main(runtime: str, seed: int, blocks: int) -> None:
    chip = Chip(Path(runtime))
    rng = random.Random(seed)
    core = chip.mcu.core
    states = []
    for _ in range(blocks):
        chip.halt_cpu()
        chip.run_for(16)
        for index, opcode in enumerate(block(rng)):
            chip.mcu.write_uint16(CODE + 2 * index, opcode)
        for register in range(13):
            core.registers[register] = rng.choice(EDGES) if rng.random() < 0.5 else rng.randrange(1 << 32)
        core.registers[7] = DATA
        core.sp = STACK
        core.apsr = rng.randrange(16) << 28
        core.pc = CODE
        done = chip.stats.instructions
        chip.resume_cpu()
        chip.run_for(4_000)
        states.append(
            [*core.registers, core.apsr, chip.stats.instructions - done, sum(chip.mcu.sram[0x4000:0x4100])]
        )
    json.dump(states, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
