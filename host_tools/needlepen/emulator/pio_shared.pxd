# C types for pio_shared.py, used when it is compiled.
import cython

cdef long long WORD


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
