# C types for pio_machine.py, used when it is compiled.
import cython

cdef long long WORD, EXEC_STALLED
cdef int NO_OPCODE, FIFO_DEPTH, CLKDIV, EXECCTRL, SHIFTCTRL, ADDR, INSTR, PINCTRL
cdef unsigned int DEBUG_TXSTALL, DEBUG_TXOVER, DEBUG_RXUNDER, DEBUG_RXSTALL

cdef unsigned int reversed_bits(unsigned long long value) noexcept


cdef class PioShared:
    cdef public list instructions
    cdef public unsigned int inputs, pin_values, pin_directions
    cdef public unsigned int irq, irq_before, debug
    cdef public long long irq_cycle
    cdef public bint irq_changed, fifo_changed

    cpdef unsigned int visible_irq(self, long long cycle) noexcept
    cpdef void change_irq(self, unsigned int raised, unsigned int cleared, long long cycle) noexcept
    @cython.locals(mask=cython.ulonglong)
    cdef void write_pins(self, unsigned long long value, unsigned int base, unsigned int count, bint directions) noexcept


cdef class PioMachine:
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
    @cython.locals(opcode=cython.int, previous=cython.int, delay=cython.longlong, was_forced=cython.bint)
    cpdef int step(self, long long cycle) except -1
    cpdef int force(self, unsigned int opcode, long long cycle) except -1
    @cython.locals(behind_fp=cython.longlong)
    cpdef int poke(self, long long visible_cycle) except -1
    @cython.locals(kind=cython.uint, argument=cython.uint, done=cython.bint)
    cdef bint execute(self, unsigned int opcode, long long cycle) except -1
    @cython.locals(count=cython.uint, value=cython.uint)
    cdef void set_sides(self, unsigned int field) noexcept
    @cython.locals(condition=cython.uint, taken=cython.bint)
    cdef bint jump(self, unsigned int argument) noexcept
    @cython.locals(polarity=cython.uint, source=cython.uint, mask=cython.uint, level=cython.uint, pin=cython.uint)
    cdef bint wait(self, unsigned int argument, long long cycle) noexcept
    @cython.locals(count=cython.uint, pushes=cython.bint, value=cython.ulonglong)
    cdef bint shift_in(self, unsigned int argument) except -1
    @cython.locals(count=cython.uint, value=cython.uint)
    cdef bint shift_out(self, unsigned int argument) except -1
    cdef bint push_or_pull(self, unsigned int argument) except -1
    @cython.locals(value=cython.uint, operation=cython.uint)
    cdef bint move(self, unsigned int argument) except -1
    @cython.locals(mask=cython.uint)
    cdef bint interrupt(self, unsigned int argument, long long cycle) noexcept
    cdef void assign(self, unsigned int argument) noexcept
    @cython.locals(value=cython.ulonglong, base=cython.uint)
    cdef unsigned int in_pins(self) noexcept
    cdef unsigned int value_of(self, unsigned int source) except? 0xFFFFFFFF
    cdef void store(self, unsigned int destination, unsigned int value, unsigned int count, bint is_move) noexcept
    cdef unsigned int irq_mask(self, unsigned int field) noexcept
    cdef unsigned int take_word(self) except? 0xFFFFFFFF
    cdef int put_word(self, unsigned int value) except -1
    @cython.locals(has_room=cython.bint, has_word=cython.bint)
    cpdef int publish(self) except -1
