# C types for timer_block.py, used when it is compiled.
import cython

cdef unsigned int TIMEHR, TIMELR, ALARM0, ALARM3, ARMED, TIMERAWH, TIMERAWL, PAUSE, INTR, INTE, INTF, INTS
cdef int TIMER_IRQ0
cdef long long WORD


cdef class TimerBlock:
    cdef public object rp2040, clock
    cdef public str name
    cdef public long long raw_write_value
    cdef public list alarms, targets
    cdef public double epoch_ns
    cdef public long long latched_high
    cdef public unsigned int int_raw, int_enable, int_force

    cdef long long count_us(self) except? -1
    @cython.locals(count_us=cython.longlong)
    cpdef unsigned int read(self, unsigned int offset) except? 0xFFFFFFFF
