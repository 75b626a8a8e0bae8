# C types for pen_state.py, used when it is compiled.

cdef class PenState:
    cdef public double t_ns, theta_rad, omega_rad_s, current_a, polarisation_v, cut_m, heat_a2s, charge_as
    cdef public bint standing, settled
    cdef public double needle_mm, supply_v, peak_current_a

    cdef void copy_to(self, PenState other) noexcept
