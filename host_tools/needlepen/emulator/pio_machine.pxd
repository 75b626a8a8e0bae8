# C types for pio_machine.py, used when it is compiled.
import cython


cdef class PioShared:
    cdef public list instructions
    cdef public unsigned int inputs, pin_values, pin_directions
    cdef public unsigned int irq, irq_before, debug
    cdef public long long irq_cycle
    cdef public bint irq_changed, fifo_changed

    cpdef unsigned int visible_irq(self, long long cycle) noexcept
    cpdef void change_irq(self, unsigned int raised, unsigned int cleared, long long cycle) noexcept
    @cython.locals(mask=cython.uint)
    cdef void write_pins(self, unsigned int value, unsigned int base, unsigned int count, bint directions) noexcept


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
    cpdef int step(self, long long cycle) except -1
    cpdef int force(self, unsigned int opcode, long long cycle) except -1
    cpdef int poke(self, long long visible_cycle) except -1
    cdef bint execute(self, unsigned int opcode, long long cycle) except -1
    cdef void set_sides(self, unsigned int field) noexcept
    cdef bint jump(self, unsigned int argument) noexcept
    cdef bint wait(self, unsigned int argument, long long cycle) noexcept
    cdef bint shift_in(self, unsigned int argument) except -1
    cdef bint shift_out(self, unsigned int argument) except -1
    cdef bint push_or_pull(self, unsigned int argument) except -1
    cdef bint move(self, unsigned int argument) except -1
    cdef bint interrupt(self, unsigned int argument, long long cycle) noexcept
    cdef void assign(self, unsigned int argument) noexcept
    cdef unsigned int in_pins(self) noexcept
    cdef unsigned int value_of(self, unsigned int source) except? 0xFFFFFFFF
    cdef void store(self, unsigned int destination, unsigned int value, unsigned int count, bint is_move) noexcept
    cdef unsigned int irq_mask(self, unsigned int field) noexcept
    cdef unsigned int take_word(self) except? 0xFFFFFFFF
    cdef int put_word(self, unsigned int value) except -1
    cpdef int publish(self) except -1
