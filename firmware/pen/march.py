# mypy: ignore-errors
"""March C- on blocks of memory, in registers only. Its words are MicroPython's assembler: no type checker knows them.

The memory tested may be anything but this code and the save area: a block is put aside with interrupts off, tested and
put back before anybody looks. RamTest loads this module twice, so that each copy can be tested by the other.
"""

import micropython


@micropython.asm_thumb
def march(r0, r1, r2, r3):
    """Test r1 blocks of 8 words from address r0 on with the word r2 and its complement; r3: save area of 8 words.

    Returns 0, or the address of a word that did not keep its value. With r1 = 0: an address inside this code. Elements:
    up(w0) up(r0,w1) up(r1,w0) down(r0,w1) down(r1,w0) down(r0). Interrupts are off for 5 us, then on between blocks.
    """
    cmp(r1, 0)
    bne(begin)
    mov(r0, pc)
    b(done)
    label(begin)
    mov(r4, r8)
    push({r4})
    mov(r8, r1)
    mvn(r7, r2)
    label(block)
    mov(r5, r0)
    add(r5, 32)
    cpsid(i)
    mov(r4, r0)
    label(save)
    ldr(r6, [r4, 0])
    str(r6, [r3, 0])
    add(r3, 4)
    add(r4, 4)
    cmp(r4, r5)
    blt(save)

    mov(r4, r0)
    label(up_w0)
    str(r2, [r4, 0])
    add(r4, 4)
    cmp(r4, r5)
    blt(up_w0)

    mov(r4, r0)
    label(up_r0_w1)
    ldr(r6, [r4, 0])
    cmp(r6, r2)
    bne(bad)
    str(r7, [r4, 0])
    add(r4, 4)
    cmp(r4, r5)
    blt(up_r0_w1)

    mov(r4, r0)
    label(up_r1_w0)
    ldr(r6, [r4, 0])
    cmp(r6, r7)
    bne(bad)
    str(r2, [r4, 0])
    add(r4, 4)
    cmp(r4, r5)
    blt(up_r1_w0)

    label(down_r0_w1)
    sub(r4, 4)
    ldr(r6, [r4, 0])
    cmp(r6, r2)
    bne(bad)
    str(r7, [r4, 0])
    cmp(r4, r0)
    bgt(down_r0_w1)

    mov(r4, r5)
    label(down_r1_w0)
    sub(r4, 4)
    ldr(r6, [r4, 0])
    cmp(r6, r7)
    bne(bad)
    str(r2, [r4, 0])
    cmp(r4, r0)
    bgt(down_r1_w0)

    mov(r4, r5)
    label(down_r0)
    sub(r4, 4)
    ldr(r6, [r4, 0])
    cmp(r6, r2)
    bne(bad)
    cmp(r4, r0)
    bgt(down_r0)
    mov(r1, 0)
    b(restore)

    label(bad)
    mov(r1, r4)
    label(restore)
    mov(r4, r5)
    label(put_back)
    sub(r4, 4)
    sub(r3, 4)
    ldr(r6, [r3, 0])
    str(r6, [r4, 0])
    cmp(r4, r0)
    bgt(put_back)
    cpsie(i)
    cmp(r1, 0)
    bne(end)
    mov(r0, r5)
    mov(r6, r8)
    sub(r6, 1)
    mov(r8, r6)
    bne(block)
    label(end)
    pop({r4})
    mov(r8, r4)
    mov(r0, r1)
    label(done)


@micropython.asm_thumb
def aliased(r0, r1):
    """Whether writing the word at address r1 changes the one at r0 (1) or not (0): a broken address line.

    Both keep their values. Interrupts are off for 0.3 us. With r0 = r1: an address inside this code, which r1 must
    not hit.
    """
    cmp(r0, r1)
    bne(begin)
    mov(r0, pc)
    b(done)
    label(begin)
    cpsid(i)
    ldr(r4, [r0, 0])
    ldr(r5, [r1, 0])
    mvn(r6, r4)
    str(r4, [r0, 0])
    str(r6, [r1, 0])
    ldr(r7, [r0, 0])
    str(r5, [r1, 0])
    str(r4, [r0, 0])
    cpsie(i)
    eor(r4, r7)
    mov(r0, 0)
    cmp(r4, 0)
    beq(apart)
    mov(r0, 1)
    label(apart)
    label(done)
