# C types for sio_block.py, used when it is compiled.
import cython

cdef unsigned int CPUID, GPIO_IN, GPIO_HI_IN, GPIO_OUT, GPIO_OE
cdef unsigned int UDIVIDEND, UDIVISOR, SDIVIDEND, SDIVISOR, QUOTIENT, REMAINDER, DIV_CSR
cdef unsigned int SPINLOCK_STATUS, SPINLOCK0, SPINLOCK_END, GPIO_MASK
cdef long long SIGN, WORD


cdef class SioBlock:
    cdef public object rp2040, rare
    cdef public unsigned int inputs, gpio_value, gpio_output_enable, spin_lock
    cdef public unsigned int dividend, divisor, quotient, remainder, divider_status

    @cython.locals(mask=cython.uint)
    cpdef unsigned int read(self, unsigned int offset) except? 0xFFFFFFFF
    cpdef int write(self, unsigned int offset, unsigned int value) except -1
    @cython.locals(dividend=cython.longlong, divisor=cython.longlong, quotient=cython.longlong,
                   remainder=cython.longlong, is_negative=cython.bint, differs=cython.bint)
    cdef void divide(self, bint signed) noexcept
    @cython.locals(values=cython.uint, enables=cython.uint, now=cython.uint, action=cython.uint, changed=cython.uint)
    cdef int write_gpio(self, unsigned int offset, unsigned int value) except -1
    @cython.locals(gpio=cython.int)
    cdef int show_pins(self, unsigned int changed) except -1
