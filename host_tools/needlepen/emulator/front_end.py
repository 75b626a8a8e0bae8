# cython: infer_types=True, annotation_typing=False
"""From the motor current, the cell and the sensors to the codes of the RP2040's converter.

Runs plain and compiled (with front_end.pxd).
"""

from __future__ import annotations

import random

from needlepen.emulator.parameters import PenParameters
from needlepen.emulator.physics import PenPhysics

CODES = 4096
JUMP_CODES = (512, 1536, 2560, 3584)  # RP2040-E11
NOISE_SAMPLES = 8191  # prime, so that no periodic sampling pattern meets the same noise again
SENSOR_NOISE_SAMPLES = 4093  # another one, so that the two do not repeat together


class CurrentAmplifier:
    """INA180A1 on the motor shunt: single pole, slew rate, output between the rails. Read it at rising
    times; `last_ns` is that of the last reading."""

    def __init__(self, physics: PenPhysics) -> None:
        p = physics.parameters
        self._physics = physics
        self._gain_v_a = p.amplifier_v_a
        self._slew_v_ns = p.amplifier_slew_v_us * 1e-3
        self._rail_v = p.adc_reference_v
        self.last_ns = 0.0
        self._last_v = 0.0

    def volts(self, t_ns: float) -> float:
        """Output voltage; a braking current flows backwards and reads 0.

        The slew rate is counted from the last reading, which is exact as long as readings are farther apart
        than the 1.7 us that the output needs from rail to rail.
        """
        wanted_v = min(self._rail_v, max(0.0, self._gain_v_a * self._physics.sensed_current_a(t_ns)))
        reach_v = self._slew_v_ns * (t_ns - self.last_ns)
        self._last_v = min(self._last_v + reach_v, max(self._last_v - reach_v, wanted_v))
        self.last_ns = t_ns
        return self._last_v


def battery_adc_volts(physics: PenPhysics, t_ns: float) -> float:
    """Voltage of the battery divider (VSYS / 3) at the converter's input."""
    return physics.supply_v(t_ns) / float(physics.parameters.battery_divider)


class AdcModel:
    """RP2040 converter: volts to 12-bit code, with its noise and the jumps of erratum RP2040-E11.

    At four codes the converter dwells for 10 to 15 LSB of input; between them its steps are that much
    narrower, so that both ends of the range are right. The noise alone gives the datasheet's effective bits
    and the jumps come on top: pessimistic. The same seed gives the same converter and the same noise.
    """

    def __init__(self, parameters: PenParameters, seed: int) -> None:
        draw = random.Random(f"converter {seed}")
        p = parameters
        jumps = [draw.uniform(p.adc_jump_min_lsb, p.adc_jump_max_lsb) for _ in JUMP_CODES]
        self._lsb_per_v = (CODES + sum(jumps)) / p.adc_reference_v
        # Input positions (in narrowed steps) where each dwell begins, and how far codes lag behind after it.
        self._dwell_at: list[float] = []
        self._lag: list[float] = [0.0]
        lag = 0.0
        for code, jump in zip(JUMP_CODES, jumps, strict=True):
            self._dwell_at.append(code + lag)
            lag += jump
            self._lag.append(lag)
        noise_lsb = CODES / (2.0**p.adc_effective_bits * 12.0**0.5)
        self._noise = [draw.gauss(0.0, noise_lsb) for _ in range(NOISE_SAMPLES)]
        self._next = 0

    def ideal_code(self, volts: float) -> float:
        """Code before noise and rounding: the transfer curve with its dwells."""
        position = volts * self._lsb_per_v
        passed = 0
        for begin in self._dwell_at:
            if position < begin:
                break
            passed += 1
        if passed == 0:
            return position
        lagging: float = position - self._lag[passed]
        least: float = JUMP_CODES[passed - 1]
        return max(lagging, least)

    def code(self, volts: float) -> int:
        """One conversion."""
        self._next = (self._next + 1) % NOISE_SAMPLES
        return min(CODES - 1, max(0, int(self.ideal_code(volts) + self._noise[self._next])))


class SensorInput:
    """A slow sensor at the converter: its present output, and noise of its own on top of the converter's.

    Attributes:
        volts: output of the sensor; whoever moves it writes it.
    """

    def __init__(self, adc: AdcModel, volts: float, noise_v: float, seed: str) -> None:
        draw = random.Random(seed)
        self.volts = volts
        self._adc = adc
        self._noise = [draw.gauss(0.0, noise_v) for _ in range(SENSOR_NOISE_SAMPLES)]
        self._next = 0

    def code(self, _t_ns: float) -> int:
        """One conversion."""
        self._next = (self._next + 1) % SENSOR_NOISE_SAMPLES
        return self._adc.code(self.volts + self._noise[self._next])
