# cython: infer_types=True, annotation_typing=False
"""The state of the pen at one instant. Runs plain and compiled (with pen_state.pxd)."""

from __future__ import annotations

import math


class PenState:
    """What the integration carries on, and below what follows from it. Callers read it and never write it."""

    def __init__(self) -> None:
        self.t_ns = 0.0
        self.theta_rad = math.pi  # cumulative; 0 = bottom dead centre
        self.omega_rad_s = 0.0
        self.current_a = 0.0  # motor, mean over the PWM period
        self.polarisation_v = 0.0  # of the cell's slow R1//C1
        self.cut_m = 0.0  # how deep this insertion of the needles has cut already
        self.heat_a2s = 0.0  # squared current of the winding, with its ripple, summed over time
        self.charge_as = 0.0  # what the motor has taken from the cell
        self.standing = True  # held by friction or by a jam
        self.settled = False  # standing with a constant current: nothing happens until an input changes
        # Filled in by PenPhysics.peek and PenPhysics.advance only.
        self.needle_mm = 0.0  # tip beyond the nose plane, negative inside the nose
        self.supply_v = 0.0  # at the terminals of the cell
        self.peak_current_a = 0.0  # top of the PWM ripple

    def copy_to(self, other: PenState) -> None:
        """Copy what the integration carries on."""
        other.t_ns = self.t_ns
        other.theta_rad = self.theta_rad
        other.omega_rad_s = self.omega_rad_s
        other.current_a = self.current_a
        other.polarisation_v = self.polarisation_v
        other.cut_m = self.cut_m
        other.heat_a2s = self.heat_a2s
        other.charge_as = self.charge_as
        other.standing = self.standing
        other.settled = self.settled

    @property
    def rate_hz(self) -> float:
        """Stroke rate: revolutions per second, negative backwards."""
        return self.omega_rad_s / (2.0 * math.pi)

    @property
    def strokes(self) -> float:
        """Revolutions since angle 0 (bottom dead centre)."""
        return self.theta_rad / (2.0 * math.pi)
