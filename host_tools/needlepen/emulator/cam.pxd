# C types for cam.py, used when it is compiled.

cdef class Cam:
    cdef public double needles, protrusion_m, drag_nm
    cdef public bint contact
    cdef readonly double moment_kg_m2, slope_kg_m2
    cdef double inertia_kg_m2, mass_e2_kg_m2, ecc_m, preload_n, spring_n_m, bearing_nm, guide_n
    cdef double reached_m, until_m, yield_m, puncture_n, residual_n, in_n_m, out_n_m, bulk_n_m, bulk_return

    cdef double depth_m(self, double theta_rad) noexcept
    cdef double skin_n(self, double cut_m, double depth_m, bint inward) noexcept
    cdef double torque_nm(self, double cut_m, double theta_rad, double direction) noexcept
