# C types for pio_state.py, used when it is compiled.
import cython

from needlepen.emulator.pio_shared cimport PioShared

cdef long long WORD, EXEC_STALLED
cdef int NO_OPCODE, CLKDIV, EXECCTRL, SHIFTCTRL, ADDR, INSTR, PINCTRL
cdef unsigned int DEBUG_TXOVER, DEBUG_RXUNDER


cdef class PioState:
    cdef public PioShared shared
    cdef public unsigned int index, dreq_tx, dreq_rx, wait_type, wait_index
    cdef public object dma
    cdef public bint enabled, waiting, is_tx_told, is_rx_told
    cdef public long long next_fp, divider_fp
    cdef public bint is_asleep, is_irq_raised, has_jumped, is_loading
    cdef public int forced, stalled_force
    cdef public unsigned int pc, x, y, isr, osr, isr_count, osr_count
    cdef public unsigned int clock_register, exec_register, shift_register, pin_register
    cdef public list tx, rx
    cdef public unsigned int tx_depth, rx_depth

    cdef public unsigned int side_count, side_base, set_count, set_base, out_count, out_base, in_base
    cdef public unsigned int wrap_top, wrap_bottom, jump_pin, push_threshold, pull_threshold
    cdef public bint autopush, autopull, in_right, out_right, side_optional, side_directions

    cdef void decode(self) noexcept
    cdef bint is_ready(self) noexcept
    @cython.locals(behind_fp=cython.longlong)
    cpdef int poke(self, long long visible_cycle) except -1
    cdef unsigned int take_word(self) except? 0xFFFFFFFF
    cdef int put_word(self, unsigned int value) except -1
    @cython.locals(has_room=cython.bint, has_word=cython.bint)
    cpdef int publish(self) except -1
