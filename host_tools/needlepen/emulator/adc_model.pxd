# C types for adc_model.py, used when it is compiled.
import cython

cdef int CHANNELS, TEMPERATURE_CHANNEL, CONVERSION_CYCLES, CODE_AT_27_C, FIFO_DEPTH, DREQ_ADC, ADC_IRQ
cdef double CYCLE_NS, CONVERSION_NS
cdef unsigned int CS, RESULT, FCS, FIFO, DIV, INTR, INTE, INTF, INTS, FIFO_ADDRESS
cdef long long SRAM_BASE, SRAM_SIZE
cdef unsigned int BUSY, BSWAP, RING_SEL, INCR_READ, INCR_WRITE
cdef unsigned int CS_EN, CS_TS_EN, CS_START_ONE, CS_START_MANY, CS_READY, CS_WRITABLE
cdef unsigned int FCS_EN, FCS_SHIFT, FCS_DREQ_EN, FCS_EMPTY, FCS_FULL, FCS_UNDER, FCS_OVER, FCS_WRITABLE


cdef class AdcBlock:
    cdef public object rp2040, clock
    cdef unsigned char[:] sram
    cdef public str name
    cdef public long long raw_write_value, fast_conversions
    cdef public list sources, fifo
    cdef public unsigned int cs, fcs, divider, int_enable, int_force, result, held
    cdef public bint is_busy
    cdef object start_alarm, done_alarm

    @cython.locals(channel=cython.int, now_ns=cython.double, cycles=cython.double)
    cpdef int start(self) except -1
    @cython.locals(channel=cython.int, mask=cython.uint)
    cpdef int done(self) except -1
    cdef int deliver(self, unsigned int value) except -1
    cdef unsigned int threshold(self) noexcept
    @cython.locals(control=cython.uint, ring=cython.uint, following=cython.longlong, offset=cython.longlong,
                   address=cython.longlong, size=cython.int, count=cython.longlong, index=cython.int)
    cdef bint straight_to_sram(self, unsigned int value) except -1
    cdef int update_requests(self) except -1
    cdef unsigned int int_raw(self) except? 0xFFFFFFFF
    cdef unsigned int int_status(self) except? 0xFFFFFFFF
