# C types for front_end.py, used when it is compiled.
import cython

from needlepen.emulator.physics cimport PenPhysics

cdef int CODES, NOISE_SAMPLES, SENSOR_NOISE_SAMPLES


cdef class CurrentAmplifier:
    cdef PenPhysics _physics
    cdef double _gain_v_a, _slew_v_ns, _rail_v, _last_v
    cdef public double last_ns

    @cython.locals(wanted_v=cython.double, reach_v=cython.double)
    cpdef double volts(self, double t_ns) except? -1e300


cdef class AdcModel:
    cdef double _lsb_per_v
    cdef list _dwell_at, _lag, _noise
    cdef int _next

    @cython.locals(position=cython.double, begin=cython.double, lagging=cython.double, least=cython.double,
                   passed=cython.int)
    cpdef double ideal_code(self, double volts) except? -1e300
    cpdef int code(self, double volts) except -1


cdef class SensorInput:
    cdef public double volts
    cdef AdcModel _adc
    cdef list _noise
    cdef int _next

    cpdef int code(self, double _t_ns) except -1
