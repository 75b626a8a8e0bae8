# cython: infer_types=True, annotation_typing=False
"""The electrical side of the pen: cell, supply switch, bridge, shunt and motor winding as one circuit.

Runs plain and compiled (with motor_circuit.pxd). Currents are means over a PWM period: in slow decay both
phases conduct, so that the mean is linear in the duty. The ripple is that of the periodic steady state, in
closed form.
"""

from __future__ import annotations

from cython.cimports.libc.math import exp, expm1, fabs, floor, log  # type: ignore[import-untyped]

from needlepen.emulator.parameters import PenParameters

COAST = 0  # bridge open
BRAKE = 1  # motor shorted: IN2 held high
DRIVE = 2  # IN2 pulsed: driven for `duty` of the PWM period, braked for the rest


class MotorCircuit:
    """What the inputs make of the circuit; call `configure` after changing them.

    The mean current settles at (gain * cell_v - emf * omega) / ohm with the time constant tau_s, unless
    `coasting`: then it dies through the body diodes, see `coast_a`.
    """

    def __init__(self, parameters: PenParameters) -> None:
        p = parameters
        self.parameters = p
        self.mode = BRAKE
        self.duty = 0.0
        self.period_s = 40e-6
        self.origin_ns = 0.0
        self.ocv_v = p.cell_ocv_v
        self.supply = False
        self.high_side_short = False
        self.winding_short = False
        self.winding_ohm = p.winding_ohm
        self.diode_v = p.diode_v
        self.amplifier_s = p.amplifier_s
        self.mean_a = 0.0
        self.configure()

    def configure(self) -> None:
        """Derive the circuit from the inputs."""
        p = self.parameters
        turns = p.shorted_turns_left if self.winding_short else 1.0
        self.kt = p.torque_constant_nm_a * turns
        self.emf = self.kt
        self.ohm = p.drive_ohm - p.winding_ohm
        self.ohm += p.shorted_winding_ohm if self.winding_short else self.winding_ohm
        self.gain = self.cell_share = self.cell_extra_s = self.ripple = self.ripple_square = 0.0
        driving = self.mode == DRIVE
        duty = 1.0 if driving and self.high_side_short else self.duty
        self.coasting = self.mode == COAST or (driving and duty == 1.0 and not self.supply)
        self.shoot_through = self.supply and self.mode == BRAKE and self.high_side_short
        if self.supply and driving:
            self.gain = self.cell_share = duty
            self.ohm += duty * p.cell_r0_ohm
        elif self.shoot_through:
            # Both transistors of one half bridge conduct: the motor sees the point between them.
            half_ohm = 0.5 * p.bridge_ohm
            self.cell_extra_s = 1.0 / (p.cell_r0_ohm + p.bridge_ohm)
            self.gain = half_ohm * self.cell_extra_s
            self.ohm -= half_ohm - half_ohm * (p.cell_r0_ohm + half_ohm) * self.cell_extra_s
        elif driving:
            self.emf *= 1.0 - duty  # no supply: the braked part of the period alone closes the circuit
        self.tau_s = p.winding_h * turns * turns / self.ohm
        if self.supply and driving and 0.0 < duty < 1.0:
            self._add_ripple(p.cell_r0_ohm)

    def _add_ripple(self, r0_ohm: float) -> None:
        self.top = self.wave_top(self.tau_s)
        self.top_amplifier = self.wave_top(self.amplifier_s)
        self.ripple = self.top - self.duty
        # The cell delivers the current of the driven part, which lies above the mean.
        self.cell_extra_s = self.duty * self.wave_while_driven(self.tau_s, self.top) / self.ohm
        self.gain -= self.cell_extra_s * r0_ohm
        self.ripple_square = self.wave_square(self.tau_s, self.top) - self.duty * self.duty

    def wave_top(self, tau_s: float) -> float:
        """Top of the periodic response of one pole to the PWM wave (0 to 1)."""
        return expm1(-self.duty * self.period_s / tau_s) / expm1(-self.period_s / tau_s)

    def wave_while_driven(self, tau_s: float, top: float) -> float:
        """Mean of that response over the driven part, less its mean over the period."""
        driven_s = self.duty * self.period_s
        bottom = top * exp(-(1.0 - self.duty) * self.period_s / tau_s)
        return 1.0 + (1.0 - bottom) * tau_s / driven_s * expm1(-driven_s / tau_s) - self.duty

    def wave_square(self, tau_s: float, top: float) -> float:
        """Mean square of that response over the period."""
        driven_s = self.duty * self.period_s
        braked_s = self.period_s - driven_s
        missing = 1.0 - top * exp(-braked_s / tau_s)  # what the driven part begins with and lets die
        square_s = driven_s + 2.0 * missing * tau_s * expm1(-driven_s / tau_s)
        square_s -= 0.5 * missing * missing * tau_s * expm1(-2.0 * driven_s / tau_s)
        square_s -= 0.5 * top * top * tau_s * expm1(-2.0 * braked_s / tau_s)
        return square_s / self.period_s

    def wave(self, top: float, tau_s: float, phase_s: float) -> float:
        """That response at a time in the period, which begins with its braked part."""
        braked_s = (1.0 - self.duty) * self.period_s
        if phase_s <= braked_s:
            return top * exp(-phase_s / tau_s)
        return 1.0 - (1.0 - top * exp(-braked_s / tau_s)) * exp(-(phase_s - braked_s) / tau_s)

    def cell_a(self, motor_a: float, cell_v: float) -> float:
        """Current out of the cell, mean over the period; `cell_v` is its voltage without load."""
        return self.cell_share * motor_a + self.cell_extra_s * cell_v

    def peak_a(self, mean_a: float, cell_v: float) -> float:
        """Top of the ripple."""
        return mean_a + self.ripple * cell_v / self.ohm

    def ripple_square_a2(self, cell_v: float) -> float:
        """Mean square of the ripple: what it adds to the square of the mean current."""
        amplitude_a = cell_v / self.ohm
        return self.ripple_square * amplitude_a * amplitude_a

    def sensed_ripple_a(self, t_ns: float, cell_v: float) -> float:
        """What the ripple adds to the mean at an instant, behind the pole of the current amplifier."""
        if self.ripple == 0.0:
            return 0.0
        tau = self.tau_s
        pole = self.amplifier_s
        if fabs(tau - pole) < 1e-3 * pole:
            tau = 1.001 * pole  # the response of the two poles has a removable singularity there
        phase_s = (t_ns - self.origin_ns) * 1e-9
        phase_s -= floor(phase_s / self.period_s) * self.period_s
        seen = tau * self.wave(self.top, tau, phase_s) - pole * self.wave(self.top_amplifier, pole, phase_s)
        return cell_v / self.ohm * (seen / (tau - pole) - self.duty)

    def coast_a(
        self, start_a: float, omega_rad_s: float, cell_v: float, decay: float, phi: float, step_s: float
    ) -> float:
        """Current at the end of a step with the bridge open; its mean over the step in `mean_a`.

        `decay` is exp(-step/tau), `phi` its mean over the step.
        """
        self.mean_a = 0.0
        if start_a == 0.0:
            return 0.0
        clamp_v = -self.diode_v
        if start_a < 0.0:
            clamp_v = cell_v + self.diode_v  # back into the cell
        target_a = (clamp_v - self.emf * omega_rad_s) / self.ohm
        end_a = target_a + (start_a - target_a) * decay
        if (end_a > 0.0) == (start_a > 0.0):
            self.mean_a = target_a + (start_a - target_a) * phi
            return end_a
        gone_s = self.tau_s * log((start_a - target_a) / -target_a)
        self.mean_a = (target_a * gone_s + self.tau_s * start_a) / step_s
        return 0.0
