# C types for pio_machine.py, used when it is compiled.
import cython

from needlepen.emulator.pio_state cimport PioState

cdef long long WORD, EXEC_STALLED
cdef int NO_OPCODE
cdef unsigned int DEBUG_TXSTALL, DEBUG_RXSTALL

cdef unsigned int reversed_bits(unsigned long long value) noexcept


cdef class PioMachine(PioState):
    @cython.locals(opcode=cython.int, previous=cython.int, delay=cython.longlong, was_forced=cython.bint)
    cpdef int step(self, long long cycle) except -1
    cpdef int force(self, unsigned int opcode, long long cycle) except -1
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
