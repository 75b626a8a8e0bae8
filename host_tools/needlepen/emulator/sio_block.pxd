# C types for sio_block.py, used when it is compiled.
import cython


cdef class SioBlock:
    cdef public object rp2040, rare
    cdef public unsigned int inputs, gpio_value, gpio_output_enable, spin_lock
    cdef public unsigned int dividend, divisor, quotient, remainder, divider_status

    cpdef unsigned int read(self, unsigned int offset) except? 0xFFFFFFFF
    cpdef int write(self, unsigned int offset, unsigned int value) except -1
    cdef void divide(self, bint signed) noexcept
    @cython.locals(values=cython.uint, enables=cython.uint)
    cdef int write_gpio(self, unsigned int offset, unsigned int value) except -1
    @cython.locals(gpio=cython.int)
    cdef int show_pins(self, unsigned int changed) except -1
