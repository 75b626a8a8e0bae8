# C types for thumb.pyx.
cimport cython
from needlepen.emulator.sio_block cimport SioBlock
from needlepen.emulator.timer_block cimport TimerBlock
from rp2040py.native._cortex_m0_core cimport CortexM0Core
from rp2040py.native._rp2040 cimport RP2040
from rp2040py.native._simulation_clock cimport SimulationClock


@cython.final
cdef class ThumbCpu:
    cdef CortexM0Core core
    cdef RP2040 mcu
    cdef SimulationClock clock
    cdef SioBlock sio
    cdef TimerBlock timer
    cdef unsigned char* sram
    cdef unsigned char* flash
    cdef unsigned char* rom
    cdef unsigned int* r
    cdef public long long ready
    cdef public long long instructions
    cdef bint has_reached_out
    cdef public unsigned int broken_kind, stuck_bits

    cdef unsigned int read32(self, unsigned int address) except? 0xFFFFFFFF
    cdef unsigned int read16(self, unsigned int address) except? 0xFFFFFFFF
    cdef unsigned int read8(self, unsigned int address) except? 0xFFFFFFFF
    cdef int write32(self, unsigned int address, unsigned int value) except -1
    cdef int write16(self, unsigned int address, unsigned int value) except -1
    cdef int write8(self, unsigned int address, unsigned int value) except -1
    cdef int run(self, long long stop_cycle) except -1
    cdef int execute(self, unsigned int opcode, unsigned int pc) except -1
    cdef int execute_data(self, unsigned int opcode) noexcept
    cdef int execute_high(self, unsigned int opcode) except -1
    cdef int execute_misc(self, unsigned int opcode) except -1
    cdef int execute_wide(self, unsigned int opcode, unsigned int pc) except -1
    cdef int push(self, unsigned int opcode) except -1
    cdef int pop(self, unsigned int opcode) except -1
    cdef int transfer_many(self, unsigned int opcode) except -1
    cdef int branch_exchange(self, unsigned int target) except -1
    cdef unsigned int outside_read(self, unsigned int address, int size) except? 0xFFFFFFFF
    cdef int outside_write(self, unsigned int address, unsigned int value, int size) except -1
