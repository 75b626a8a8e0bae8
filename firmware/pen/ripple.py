"""What PWM does to the motor current: heat that its mean does not show, and what the amplifier reads of it. Pure.

In slow decay the current of a PWM period is a rising and a falling exponential around its mean, with the time constant
L / R of motor and bridge. It is larger than the mean: 1.3 A from top to bottom at 100 Hz, where a free motor takes
0.09 A. The amplifier sees only currents above zero, so that it reads 0.25 A there.
Duties are fractions of the PWM period, 0 to 1.
"""

from math import exp, log

from pen.board import LOOP_R_MOHM, MOTOR_L_NH, PWM_N_HZ

_PERIOD = LOOP_R_MOHM / MOTOR_L_NH * 1e6 / PWM_N_HZ  # in time constants: mOhm / nH = 1 / us
_LOOP_OHM = LOOP_R_MOHM / 1000


def _shape(duty):
    """Decay over the braked part, and top of the wave that a unit voltage makes of one time constant."""
    braked = exp(-(1 - duty) * _PERIOD)
    driven = exp(-duty * _PERIOD)
    return braked, (1 - driven) / (1 - braked * driven)


def heat_a2(duty, cell_v):
    """Mean square of the ripple around the mean current, in A2."""
    if not 0 < duty < 1:
        return 0.0
    braked, top = _shape(duty)
    driven_part = duty * _PERIOD
    missing = 1 - top * braked  # to the final value, at the start of the driven part
    left = 1 - top  # and at its end
    square = top * top * (1 - braked * braked) / 2
    square += driven_part - 2 * (missing - left) + (missing * missing - left * left) / 2
    amplitude_a = cell_v / _LOOP_OHM
    return (square / _PERIOD - duty * duty) * amplitude_a * amplitude_a


def seen_a(mean_a, duty, cell_v):
    """What the amplifier reads, averaged over PWM periods, of a mean current in A: the part above zero."""
    amplitude_a = cell_v / _LOOP_OHM
    if not 0 < duty < 1:
        return max(0.0, mean_a)
    zero = duty - mean_a / amplitude_a  # level of the wave at which the current is zero
    braked, top = _shape(duty)
    bottom = top * braked
    if zero <= bottom:
        return mean_a
    if zero >= top:
        return 0.0
    area = top - zero - zero * log(top / zero)
    area += (1 - zero) * (duty * _PERIOD - log((1 - bottom) / (1 - zero))) - (1 - zero) + (1 - top)
    return amplitude_a * area / _PERIOD
