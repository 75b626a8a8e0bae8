# cython: infer_types=True, annotation_typing=False
"""The mechanical side of the pen: cam, reciprocating mass, return spring, friction, needles and skin.

Runs plain and compiled (with cam.pxd). Angles are cam angles from bottom dead centre, where the needles are
farthest out; forces on the needles count as positive when they push the needles back into the nose.
"""

from __future__ import annotations

import math

from cython.cimports.libc.math import cos, fabs, sin  # type: ignore[import-untyped]

from needlepen.emulator.parameters import PenParameters


class Cam:
    """Torque on the cam and its moment of inertia, at an angle and in a direction of motion.

    The torque of the cam guide comes from a constant axial friction force, whose lever is the eccentricity
    times |sin theta|: nothing at the dead centres. `cam_friction_nm` is its mean over a revolution.
    """

    def __init__(self, parameters: PenParameters) -> None:
        p = parameters
        self.needles = 0.0
        self.protrusion_m = 0.0
        self.contact = False
        self.ecc_m = p.eccentric_mm * 1e-3
        self.inertia_kg_m2 = p.inertia_kg_m2
        self.mass_e2_kg_m2 = p.reciprocating_mass_kg * self.ecc_m * self.ecc_m
        self.preload_n = p.spring_preload_n
        self.spring_n_m = p.spring_n_m
        self.bearing_nm = p.bearing_friction_nm
        self.drag_nm = 0.0  # of a failing bearing or a fouled cam, on top
        self.guide_n = p.cam_friction_nm * math.pi / 2.0 / self.ecc_m  # the mean of |sin| is 2/pi
        self.reached_m = p.puncture_reached_mm * 1e-3
        self.until_m = p.puncture_until_mm * 1e-3
        self.yield_m = p.puncture_yield_mm * 1e-3
        self.puncture_n = p.puncture_n
        self.residual_n = p.puncture_n * p.puncture_residual
        self.in_n_m = p.friction_in_n_mm * 1e3
        self.out_n_m = p.friction_out_n_mm * 1e3
        self.bulk_n_m = p.bulk_n_mm * 1e3
        self.bulk_return = p.bulk_return
        self.moment_kg_m2 = self.inertia_kg_m2
        self.slope_kg_m2 = 0.0

    def depth_m(self, theta_rad: float) -> float:
        """Needle tip beyond the nose plane; negative inside the nose."""
        return self.protrusion_m - self.ecc_m * (1.0 - cos(theta_rad))

    def skin_n(self, cut_m: float, depth_m: float, inward: bool) -> float:
        """Force of the skin on all needles at a depth, going in or coming out.

        `cut_m` is the depth to which this insertion has cut already: only beyond it the needles puncture.
        """
        if not inward:
            return self.bulk_return * self.bulk_n_m * depth_m - self.needles * self.out_n_m * depth_m
        held_n = self.in_n_m * depth_m  # shaft friction in the hole that is there already
        if depth_m >= cut_m:
            yielded_n = self.residual_n + held_n
            if depth_m < self.reached_m:
                held_n = self.puncture_n * depth_m / self.reached_m
            elif depth_m < self.until_m:
                held_n = self.puncture_n
            elif depth_m < self.until_m + self.yield_m:
                fallen = (depth_m - self.until_m) / self.yield_m
                held_n = self.puncture_n + (yielded_n - self.puncture_n) * fallen
            else:
                held_n = yielded_n
        return self.needles * held_n + self.bulk_n_m * depth_m

    def torque_nm(self, cut_m: float, theta_rad: float, direction: float) -> float:
        """Torque at an angle when the cam moves forward (1) or backward (-1), without the motor's.

        Leaves the moment of inertia in `moment_kg_m2`, and half its derivative by the angle in `slope_kg_m2`.
        """
        sn = sin(theta_rad)
        cs = cos(theta_rad)
        self.moment_kg_m2 = self.inertia_kg_m2 + self.mass_e2_kg_m2 * sn * sn
        self.slope_kg_m2 = self.mass_e2_kg_m2 * sn * cs
        axial_n = self.preload_n + self.spring_n_m * self.ecc_m * (1.0 + cs)
        if self.contact and self.needles > 0.0:
            depth_m = self.protrusion_m - self.ecc_m * (1.0 - cs)
            if depth_m > 0.0:
                axial_n += self.skin_n(cut_m, depth_m, sn * direction < 0.0)
        friction_nm = self.bearing_nm + self.drag_nm + self.guide_n * self.ecc_m * fabs(sn)
        return axial_n * self.ecc_m * sn - direction * friction_nm
