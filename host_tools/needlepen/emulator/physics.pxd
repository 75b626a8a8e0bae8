# C types for physics.py, used when it is compiled.
import cython

from needlepen.emulator.cam cimport Cam
from needlepen.emulator.motor_circuit cimport MotorCircuit
from needlepen.emulator.pen_state cimport PenState


cdef double TWO_PI, SETTLED_STEP_NS, SETTLED_A, LOOK_AHEAD_NS, ROOT_NS, NEVER
cdef int SPENT, FORWARD, BACKWARD, RISE, FALL, STOP


cdef class PenPhysics:
    cdef readonly object parameters
    cdef readonly PenState now
    cdef readonly list damage
    cdef Cam _cam
    cdef MotorCircuit _circuit
    cdef list _edges, _track
    cdef Py_ssize_t _head, _end, _cursor, _above
    cdef double _turn, _grid_ns, _grid_s, _decay, _phi
    cdef double _r0_ohm, _r1_ohm, _r1c1_s, _threshold_a, _amplifier_ns
    cdef bint _jammed
    cdef PenState _probe, _start, _last

    cpdef void advance(self, double t_ns) except *
    cpdef double supply_v(self, double t_ns) except? -1e300
    cpdef double sensed_current_a(self, double t_ns) except? -1e300
    @cython.locals(a=PenState, b=PenState, start=PenState, above=cython.Py_ssize_t, last=cython.Py_ssize_t,
                   up_rad=cython.double, down_rad=cython.double)
    cpdef tuple next_crossing(self, double t_from_ns, double t_until_ns)
    @cython.locals(base=PenState)
    cdef void _split(self, double t_ns) except *
    @cython.locals(base=PenState)
    cdef void _changed(self) except *
    @cython.locals(a=PenState, b=PenState)
    cdef Py_ssize_t _locate(self, double t_ns) except -1
    cdef double _next_grid(self, PenState a) noexcept
    @cython.locals(a=PenState)
    cdef void _view(self, double t_ns, PenState out) except *
    cdef void _derive(self, PenState s) noexcept
    @cython.locals(angle_rad=cython.double)
    cdef void _sector(self, double theta_rad) except *
    cdef double _peak(self, PenState s) noexcept
    cdef double _excess(self, PenState s, int what, double bound) noexcept
    @cython.locals(side=cython.int)
    cdef double _root(self, PenState a, int what, double bound, double low_ns, double high_ns) except? -1e300
    @cython.locals(stopped=PenState)
    cdef bint _rests_after(self, PenState a) except -1
    cdef double _push(self, PenState a, double motor_nm, double step_s) noexcept
    @cython.locals(h=cython.double, decay=cython.double, phi=cython.double)
    cdef void _step(self, PenState a, PenState b, double t_ns) noexcept
