# C types for motor_circuit.py, used when it is compiled.

cdef class MotorCircuit:
    cdef readonly object parameters
    cdef public int mode
    cdef public double duty, period_s, origin_ns, ocv_v, winding_ohm
    cdef public bint supply, high_side_short, winding_short
    cdef readonly bint coasting, shoot_through
    cdef readonly double kt, gain, emf, ohm, tau_s, cell_share, cell_extra_s, ripple, ripple_square, mean_a
    cdef double top, top_amplifier, amplifier_s, diode_v

    cdef double wave_top(self, double tau_s) noexcept
    cdef double wave_while_driven(self, double tau_s, double top) noexcept
    cdef double wave_square(self, double tau_s, double top) noexcept
    cdef double ripple_square_a2(self, double cell_v) noexcept
    cdef double wave(self, double top, double tau_s, double phase_s) noexcept
    cdef double cell_a(self, double motor_a, double cell_v) noexcept
    cdef double peak_a(self, double mean_a, double cell_v) noexcept
    cdef double sensed_ripple_a(self, double t_ns, double cell_v) noexcept
    cdef double coast_a(self, double start_a, double omega_rad_s, double cell_v, double decay, double phi,
                         double step_s) noexcept
