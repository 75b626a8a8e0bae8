# C types for pio_block.py, used when it is compiled.
import cython

cdef long long NEVER
cdef int CTRL, FSTAT, FDEBUG, FLEVEL, TXF0, RXF0, IRQ, IRQ_FORCE, SYNC_BYPASS, DBG_PADOUT, DBG_PADOE, DBG_CFGINFO
cdef int INSTR_MEM0, SM0, SM_SIZE, SM_INSTR, INTR, IRQ0_INTE, IRQ0_INTF, IRQ0_INTS, IRQ1_INTE, IRQ1_INTF, IRQ1_INTS

from needlepen.emulator.pio_machine cimport PioMachine
from needlepen.emulator.pio_shared cimport PioShared


cdef class PioBlock:
    cdef public object rp2040
    cdef public str name
    cdef public unsigned int index, first_irq, raw_write_value
    cdef public PioShared shared
    cdef public list machines
    cdef public long long due_cycle
    cdef public unsigned int int_enable0, int_force0, int_enable1, int_force1
    cdef public unsigned int old_values, old_directions

    @cython.locals(machine=PioMachine, due_fp=cython.longlong)
    cpdef int run_due(self, long long cycle) except -1
    @cython.locals(machine=PioMachine, due_fp=cython.longlong)
    cpdef int plan(self) except -1
    @cython.locals(machine=PioMachine, shared=PioShared)
    cdef int settle(self, long long visible_cycle) except -1
    @cython.locals(machine=PioMachine)
    cpdef int input_changed(self, unsigned int inputs, long long cycle) except -1
    @cython.locals(changed=cython.uint, gpio=cython.int)
    cdef int show_pins(self) except -1
    @cython.locals(raw=cython.uint)
    cdef int check_interrupts(self) except -1
    @cython.locals(machine=PioMachine, raw=cython.uint)
    cdef unsigned int raw_interrupts(self) except? 0xFFFFFFFF
