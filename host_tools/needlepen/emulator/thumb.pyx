# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""An interpreter for the Cortex-M0+ that works on rp2040py's core: same registers, same cycle counts, much faster.

RAM, flash and ROM are read and written directly; everything else goes through rp2040py's bus at the exact device time
of the instruction, after which `run` returns so that the run loop can look at what has changed. Exceptions and
special registers are rp2040py's. Carry and overflow follow the ARMv6-M manual also where rp2040py's core does not
(ADCS and SBCS at the edges of the range, shifts by 0 or more than 31); `core_fixes.py` does the same for the twin.
"""
import sys

cimport cython
from libc.string cimport memcpy

if sys.byteorder != "little":
    raise ImportError("the compiled engine needs a little-endian machine")

cdef double CYCLE_NS = 8.0
cdef unsigned int SRAM_BASE = 0x20000000
cdef unsigned int SRAM_SIZE = 264 * 1024
cdef unsigned int ROM_SIZE = 16 * 1024
cdef int ENTRY_CYCLES = 15
cdef unsigned int NO_KIND = 16


cdef inline unsigned int load32(unsigned char* at) noexcept nogil:
    cdef unsigned int value
    memcpy(&value, at, 4)
    return value


cdef inline unsigned int load16(unsigned char* at) noexcept nogil:
    cdef unsigned short value
    memcpy(&value, at, 2)
    return value


cdef inline int io_cycles(unsigned int address, bint write) noexcept nogil:
    if address >> 28 == 0xD:
        return 0
    if address >> 28 == 4:
        return 4 if write else 3
    return 1


cdef inline unsigned int add_flags(CortexM0Core core, unsigned int a, unsigned int b, unsigned int carry) noexcept:
    cdef unsigned long long total = <unsigned long long>a + b + carry
    cdef unsigned int result = <unsigned int>total
    core.n = result >> 31
    core.z = result == 0
    core.c = (total >> 32) != 0
    core.v = (~(a ^ b) & (a ^ result)) >> 31
    return result


cdef inline unsigned int logic_flags(CortexM0Core core, unsigned int result) noexcept:
    core.n = result >> 31
    core.z = result == 0
    return result


cdef inline bint holds(CortexM0Core core, unsigned int condition) noexcept:
    cdef unsigned int base = condition >> 1
    cdef bint result
    if base == 0:
        result = core.z
    elif base == 1:
        result = core.c
    elif base == 2:
        result = core.n
    elif base == 3:
        result = core.v
    elif base == 4:
        result = core.c and not core.z
    elif base == 5:
        result = core.n == core.v
    elif base == 6:
        result = core.n == core.v and not core.z
    else:
        return True
    return result != (condition & 1)


@cython.final
cdef class ThumbCpu:
    def __init__(self, mcu):
        self.mcu = mcu
        self.core = mcu.core
        self.clock = mcu.clock
        self.sio = mcu.sio
        self.timer = mcu.timer
        self.sram = &self.mcu._sram[0]
        self.flash = &self.mcu._flash[0]
        self.rom = <unsigned char*>&self.mcu._bootrom[0]
        self.r = &self.core.registers[0]
        self.ready = self.instructions = 0
        self.broken_kind = NO_KIND
        self.stuck_bits = 0

    # bus

    cdef unsigned int outside_read(self, unsigned int address, int size) except? 0xFFFFFFFF:
        cdef double t_ns = self.ready * CYCLE_NS
        if t_ns > self.clock._nanos_counter:
            self.clock._nanos_counter = t_ns
        if size == 4 and address >> 28 == 0xD:
            return self.sio.read(address & 0x0FFFFFFF)  # has no effect on others
        if size == 4 and address >> 12 == 0x40054:
            return self.timer.read(address & 0xFFF)  # neither has this
        self.has_reached_out = True
        if size == 4:
            return self.mcu.read_uint32(address)
        return self.mcu.read_uint16(address) if size == 2 else self.mcu.read_uint8(address)

    cdef int outside_write(self, unsigned int address, unsigned int value, int size) except -1:
        cdef double t_ns = self.ready * CYCLE_NS
        if t_ns > self.clock._nanos_counter:
            self.clock._nanos_counter = t_ns
        if size == 4 and (address & 0xFFFFFFC0U) == 0xD0000040U:
            self.sio.write(address & 0x0FFFFFFF, value)  # the divider
            return 0
        self.has_reached_out = True
        if size == 4 and address >> 28 == 0xD:
            self.sio.write(address & 0x0FFFFFFF, value)
        elif size == 4:
            self.mcu.write_uint32(address, value)
        elif size == 2:
            self.mcu.write_uint16(address, value)
        else:
            self.mcu.write_uint8(address, value)
        return 0

    cdef unsigned int read32(self, unsigned int address) except? 0xFFFFFFFF:
        if address - SRAM_BASE < SRAM_SIZE:
            return load32(self.sram + (address - SRAM_BASE))
        if address >> 26 == 4:  # flash, four times
            return load32(self.flash + (address & 0xFFFFFF))
        if address < ROM_SIZE:
            return load32(self.rom + (address & ~3U))
        return self.outside_read(address, 4)

    cdef unsigned int read16(self, unsigned int address) except? 0xFFFFFFFF:
        if address - SRAM_BASE < SRAM_SIZE:
            return load16(self.sram + (address - SRAM_BASE))
        if address >> 24 == 0x10:
            return load16(self.flash + (address & 0xFFFFFF))
        if address < ROM_SIZE:
            return load16(self.rom + (address & ~1U))
        return self.outside_read(address, 2)

    cdef unsigned int read8(self, unsigned int address) except? 0xFFFFFFFF:
        if address - SRAM_BASE < SRAM_SIZE:
            return self.sram[address - SRAM_BASE]
        if address >> 24 == 0x10:
            return self.flash[address & 0xFFFFFF]
        if address < ROM_SIZE:
            return self.rom[address]
        return self.outside_read(address, 1)

    cdef int write32(self, unsigned int address, unsigned int value) except -1:
        if address - SRAM_BASE < SRAM_SIZE:
            memcpy(self.sram + (address - SRAM_BASE), &value, 4)
            return 0
        return self.outside_write(address, value, 4)

    cdef int write16(self, unsigned int address, unsigned int value) except -1:
        cdef unsigned short half = <unsigned short>value
        if address - SRAM_BASE < SRAM_SIZE:
            memcpy(self.sram + (address - SRAM_BASE), &half, 2)
            return 0
        return self.outside_write(address, half, 2)

    cdef int write8(self, unsigned int address, unsigned int value) except -1:
        if address - SRAM_BASE < SRAM_SIZE:
            self.sram[address - SRAM_BASE] = <unsigned char>value
            return 0
        return self.outside_write(address, value & 0xFF, 1)

    # running

    cdef int run(self, long long stop_cycle) except -1:
        """Run instructions that start before stop_cycle, until the core sleeps or has reached beyond memory."""
        cdef CortexM0Core core = self.core
        cdef unsigned int* r = self.r
        cdef unsigned char* flash = self.flash
        cdef unsigned char* sram = self.sram
        cdef unsigned int pc, opcode
        self.has_reached_out = False
        while self.ready < stop_cycle:
            if core.interrupts_updated:
                if self.ready * CYCLE_NS > self.clock._nanos_counter:
                    self.clock._nanos_counter = self.ready * CYCLE_NS
                if core.check_for_interrupts():
                    self.ready += ENTRY_CYCLES
                    continue
            pc = r[15] & ~1U
            if pc >> 24 == 0x10:
                opcode = load16(flash + (pc & 0xFFFFFF))
            elif pc - SRAM_BASE < SRAM_SIZE:
                opcode = load16(sram + (pc - SRAM_BASE))
            else:
                opcode = self.read16(pc)
            r[15] += 2
            self.instructions += 1
            self.ready += self.execute(opcode, pc)
            if self.has_reached_out or core.waiting:
                break
        return 0

    cdef int execute(self, unsigned int opcode, unsigned int pc) except -1:
        """Execute one instruction and return its cycles."""
        cdef CortexM0Core core = self.core
        cdef unsigned int* r = self.r
        cdef unsigned int top = opcode >> 11
        cdef unsigned int d = opcode & 7
        cdef unsigned int a = r[(opcode >> 3) & 7]
        cdef unsigned int imm5 = (opcode >> 6) & 0x1F
        cdef unsigned int imm8 = opcode & 0xFF
        cdef unsigned int d8 = (opcode >> 8) & 7
        cdef unsigned int address
        cdef int offset
        if top == 0:  # LSLS immediate
            if imm5:
                core.c = (a >> (32 - imm5)) & 1
            r[d] = logic_flags(core, a << imm5)
            return 1
        elif top == 1:  # LSRS immediate
            core.c = (a >> (imm5 - 1 if imm5 else 31)) & 1
            r[d] = logic_flags(core, a >> imm5 if imm5 else 0)
            return 1
        elif top == 2:  # ASRS immediate
            core.c = (a >> (imm5 - 1 if imm5 else 31)) & 1
            r[d] = logic_flags(core, <unsigned int>(<int>a >> (imm5 if imm5 else 31)))
            return 1
        elif top == 3:  # ADDS and SUBS, register or 3 bits
            address = (opcode >> 6) & 7
            if not opcode & 0x400:
                address = r[address]
            r[d] = add_flags(core, a, ~address, 1) if opcode & 0x200 else add_flags(core, a, address, 0)
            return 1
        elif top == 4:  # MOVS
            r[d8] = logic_flags(core, imm8)
            return 1
        elif top == 5:  # CMP
            add_flags(core, r[d8], ~imm8, 1)
            return 1
        elif top == 6:  # ADDS 8 bits
            r[d8] = add_flags(core, r[d8], imm8, 0)
            return 1
        elif top == 7:  # SUBS 8 bits
            r[d8] = add_flags(core, r[d8], ~imm8, 1)
            return 1
        elif top == 8:
            return self.execute_high(opcode) if opcode & 0x400 else self.execute_data(opcode)
        elif top == 9:  # LDR literal
            address = ((r[15] + 2) & ~3U) + (imm8 << 2)
            r[d8] = self.read32(address)
            return 1 + io_cycles(address, False)
        elif top == 10 or top == 11:  # register offset
            address = a + r[(opcode >> 6) & 7]
            offset = (opcode >> 9) & 7
            if offset == 0:
                self.write32(address, r[d])
            elif offset == 1:
                self.write16(address, r[d])
            elif offset == 2:
                self.write8(address, r[d])
            elif offset == 3:
                r[d] = <unsigned int><int><signed char>self.read8(address)
            elif offset == 4:
                r[d] = self.read32(address)
            elif offset == 5:
                r[d] = self.read16(address)
            elif offset == 6:
                r[d] = self.read8(address)
            else:
                r[d] = <unsigned int><int><short>self.read16(address)
            return 1 + io_cycles(address, offset < 3)
        elif top == 12:  # STR
            address = a + (imm5 << 2)
            self.write32(address, r[d])
            return 1 + io_cycles(address, True)
        elif top == 13:  # LDR
            address = a + (imm5 << 2)
            r[d] = self.read32(address)
            return 1 + io_cycles(address, False)
        elif top == 14:  # STRB
            address = a + imm5
            self.write8(address, r[d])
            return 1 + io_cycles(address, True)
        elif top == 15:  # LDRB
            address = a + imm5
            r[d] = self.read8(address)
            return 1 + io_cycles(address, False)
        elif top == 16:  # STRH
            address = a + (imm5 << 1)
            self.write16(address, r[d])
            return 1 + io_cycles(address, True)
        elif top == 17:  # LDRH
            address = a + (imm5 << 1)
            r[d] = self.read16(address)
            return 1 + io_cycles(address, False)
        elif top == 18:  # STR SP
            address = r[13] + (imm8 << 2)
            self.write32(address, r[d8])
            return 1 + io_cycles(address, True)
        elif top == 19:  # LDR SP
            address = r[13] + (imm8 << 2)
            r[d8] = self.read32(address)
            return 1 + io_cycles(address, False)
        elif top == 20:  # ADR
            r[d8] = (pc & ~3U) + 4 + (imm8 << 2)
            return 1
        elif top == 21:  # ADD from SP
            r[d8] = r[13] + (imm8 << 2)
            return 1
        elif top == 22 or top == 23:
            return self.execute_misc(opcode)
        elif top == 24 or top == 25:
            return self.transfer_many(opcode)
        elif top == 26 or top == 27:  # B conditional, UDF, SVC
            if (opcode >> 8) & 0xF == 15:
                core.pending_svcall = True
                core.interrupts_updated = True
                return 1
            if (opcode >> 8) & 0xF == 14:
                core.break_rewind = 2
                self.has_reached_out = True
                self.mcu.on_break(imm8)
                return 1
            if not holds(core, (opcode >> 8) & 0xF):
                return 1
            offset = <int><signed char>imm8
            r[15] = r[15] + 2 + <unsigned int>(offset * 2)
            return 2
        elif top == 28:  # B
            offset = <int>(opcode << 21) >> 20
            r[15] = r[15] + 2 + <unsigned int>offset
            return 2
        return self.execute_wide(opcode, pc)

    cdef int execute_data(self, unsigned int opcode) noexcept:
        """Register-to-register operations."""
        cdef CortexM0Core core = self.core
        cdef unsigned int* r = self.r
        cdef unsigned int d = opcode & 7
        cdef unsigned int m = r[(opcode >> 3) & 7]
        cdef unsigned int value = r[d]
        cdef unsigned int kind = (opcode >> 6) & 0xF
        cdef unsigned int shift = m & 0xFF
        if kind == 0:  # ANDS
            r[d] = logic_flags(core, value & m)
        elif kind == 1:  # EORS
            r[d] = logic_flags(core, value ^ m)
        elif kind == 2:  # LSLS
            if shift:
                core.c = (value >> (32 - shift)) & 1 if shift <= 32 else 0
            r[d] = logic_flags(core, value << shift if shift < 32 else 0)
        elif kind == 3:  # LSRS
            if shift:
                core.c = (value >> (shift - 1)) & 1 if shift <= 32 else 0
            r[d] = logic_flags(core, value >> shift if shift < 32 else 0)
        elif kind == 4:  # ASRS
            if shift:
                core.c = (value >> (shift - 1 if shift < 32 else 31)) & 1
            r[d] = logic_flags(core, <unsigned int>(<int>value >> (shift if shift < 32 else 31)))
        elif kind == 5:  # ADCS
            r[d] = add_flags(core, value, m, core.c)
        elif kind == 6:  # SBCS
            r[d] = add_flags(core, value, ~m, core.c)
        elif kind == 7:  # RORS
            if shift:
                shift &= 31
                if shift:
                    value = (value >> shift) | (value << (32 - shift))
                core.c = value >> 31
            r[d] = logic_flags(core, value)
        elif kind == 8:  # TST
            logic_flags(core, value & m)
        elif kind == 9:  # RSBS
            r[d] = add_flags(core, 0, ~m, 1)
        elif kind == 10:  # CMP
            add_flags(core, value, ~m, 1)
        elif kind == 11:  # CMN
            add_flags(core, value, m, 0)
        elif kind == 12:  # ORRS
            r[d] = logic_flags(core, value | m)
        elif kind == 13:  # MULS
            r[d] = logic_flags(core, value * m)
        elif kind == 14:  # BICS
            r[d] = logic_flags(core, value & ~m)
        else:  # MVNS
            r[d] = logic_flags(core, ~m)
        if kind == self.broken_kind:
            r[d] |= self.stuck_bits
        return 1

    cdef int execute_high(self, unsigned int opcode) except -1:
        """Operations on all registers, BX and BLX."""
        cdef unsigned int* r = self.r
        cdef unsigned int d = ((opcode >> 4) & 8) | (opcode & 7)
        cdef unsigned int m = (opcode >> 3) & 0xF
        cdef unsigned int kind = (opcode >> 8) & 3
        cdef unsigned int value = r[15] + 2 if m == 15 else r[m]
        if kind == 3:
            if opcode & 0x80:  # BLX
                value = r[m]
                r[14] = r[15] | 1
                r[15] = value & ~1U
            else:
                self.branch_exchange(r[m])
            return 2
        if kind == 1:  # CMP
            add_flags(self.core, r[d], ~r[m], 1)
            return 1
        if kind == 0:  # ADD
            value += r[15] + 2 if d == 15 else r[d]
        if d == 15:
            r[15] = value & ~1U
            return 2
        r[d] = value & ~3U if d == 13 else value
        return 1

    cdef int branch_exchange(self, unsigned int target) except -1:
        if self.core.current_mode == 1 and target >> 28 == 0xF:
            self.core.exception_return(target & 0x0FFFFFFF)
        else:
            self.r[15] = target & ~1U
        return 0

    cdef int execute_misc(self, unsigned int opcode) except -1:
        """SP arithmetic, extensions, reversals, stack, hints."""
        cdef CortexM0Core core = self.core
        cdef unsigned int* r = self.r
        cdef unsigned int kind = (opcode >> 8) & 0xF
        cdef unsigned int d = opcode & 7
        cdef unsigned int m = r[(opcode >> 3) & 7]
        cdef unsigned int which = (opcode >> 6) & 3
        if kind == 0:
            if opcode & 0x80:
                r[13] = (r[13] - ((opcode & 0x7F) << 2)) & ~3U
            else:
                r[13] = (r[13] + ((opcode & 0x7F) << 2)) & ~3U
        elif kind == 2:
            if which == 0:
                r[d] = <unsigned int><int><short>m
            elif which == 1:
                r[d] = <unsigned int><int><signed char>m
            elif which == 2:
                r[d] = m & 0xFFFF
            else:
                r[d] = m & 0xFF
        elif kind == 4 or kind == 5:
            return self.push(opcode)
        elif kind == 12 or kind == 13:
            return self.pop(opcode)
        elif kind == 10 and which != 2:
            if which == 0:
                r[d] = (m << 24) | ((m & 0xFF00) << 8) | ((m >> 8) & 0xFF00) | (m >> 24)
            elif which == 1:
                r[d] = ((m & 0x00FF00FF) << 8) | ((m >> 8) & 0x00FF00FF)
            else:
                r[d] = <unsigned int><int><short>(((m & 0xFF) << 8) | ((m >> 8) & 0xFF))
        elif opcode == 0xB672:  # CPSID
            core.pm = True
        elif opcode == 0xB662:  # CPSIE
            core.pm = False
            core.interrupts_updated = True
        elif opcode == 0xBF20:  # WFE
            if core.event_registered:
                core.event_registered = False
            else:
                core.waiting = True
            return 2
        elif opcode == 0xBF30:  # WFI
            core.waiting = True
            return 2
        elif opcode == 0xBF40:  # SEV
            core.event_registered = True
        elif kind == 14:  # BKPT
            core.break_rewind = 2
            self.has_reached_out = True
            self.mcu.on_break(opcode & 0xFF)
        elif opcode != 0xBF00 and opcode != 0xBF10:
            self.has_reached_out = True
            self.mcu.logger.warning("CortexM0Core", f"Instruction {opcode:x} is undefined")
        return 1

    cdef int push(self, unsigned int opcode) except -1:
        cdef unsigned int* r = self.r
        cdef unsigned int address = r[13]
        cdef unsigned int i
        cdef int cycles = 1
        for i in range(9):
            if opcode & (1 << i):
                address -= 4
        cdef unsigned int bottom = address
        for i in range(8):
            if opcode & (1 << i):
                self.write32(address, r[i])
                address += 4
                cycles += 1
        if opcode & 0x100:
            self.write32(address, r[14])
        r[13] = bottom & ~3U
        return cycles

    cdef int pop(self, unsigned int opcode) except -1:
        cdef unsigned int* r = self.r
        cdef unsigned int address = r[13]
        cdef unsigned int i
        cdef int cycles = 1
        for i in range(8):
            if opcode & (1 << i):
                r[i] = self.read32(address)
                address += 4
                cycles += 1
        if opcode & 0x100:
            r[13] = (address + 4) & ~3U
            self.branch_exchange(self.read32(address))
            return cycles + 2
        r[13] = address & ~3U
        return cycles

    cdef int transfer_many(self, unsigned int opcode) except -1:
        """STMIA and LDMIA."""
        cdef unsigned int* r = self.r
        cdef unsigned int n = (opcode >> 8) & 7
        cdef unsigned int address = r[n]
        cdef unsigned int i
        cdef int cycles = 1
        for i in range(8):
            if opcode & (1 << i):
                if opcode & 0x800:
                    r[i] = self.read32(address)
                else:
                    self.write32(address, r[i])
                address += 4
                cycles += 1
        if not opcode & (1 << n):
            r[n] = address
        return cycles

    cdef int execute_wide(self, unsigned int opcode, unsigned int pc) except -1:
        """The 32-bit instructions: BL, barriers, MRS, MSR."""
        cdef unsigned int* r = self.r
        cdef unsigned int low = self.read16(pc + 2)
        cdef unsigned int s, offset
        if opcode >> 11 == 0x1E and low >> 14 == 3 and low & 0x1000:  # BL
            s = (opcode >> 10) & 1
            offset = (0xFF000000U if s else 0) | ((1 - (s ^ ((low >> 13) & 1))) << 23)
            offset |= ((1 - (s ^ ((low >> 11) & 1))) << 22) | ((opcode & 0x3FF) << 12) | ((low & 0x7FF) << 1)
            r[14] = (r[15] + 2) | 1
            r[15] = r[15] + 2 + offset
            return 3
        if opcode == 0xF3BF and 0x8F40 <= (low & 0xFFF0) <= 0x8F60:  # DSB, DMB, ISB
            r[15] += 2
            return 3
        if opcode == 0xF3EF and low >> 12 == 8:  # MRS
            r[(low >> 8) & 0xF] = self.core.read_special_register(low & 0xFF)
            r[15] += 2
            return 3
        if opcode >> 4 == 0xF38 and low >> 8 == 0x88:  # MSR
            self.core.write_special_register(low & 0xFF, r[opcode & 0xF])
            r[15] += 2
            return 3
        self.has_reached_out = True
        self.mcu.logger.warning("CortexM0Core", f"Instruction {opcode:x} {low:x} is undefined")
        return 1
