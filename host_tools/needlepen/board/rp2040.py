"""What the pins of an RP2040, and of the Pico module around it, can do (RP2040 and Pico datasheets)."""

from __future__ import annotations

GPIO_COUNT = 30
ADC_FIRST_GPIO = 26
PIO_BLOCKS = 2
PIO_INSTRUCTIONS = 32  # instruction memory of one block, shared by its 4 machines
PIO_MAX_DIVIDER = 65536
PWM_MAX_TOP = 65535
PWM_MAX_DIVIDER = 256

# GPIOs that the Pico does not bring out, with the only use that its own circuit leaves (None: no use).
PICO_INTERNAL: dict[int, tuple[str | None, str]] = {
    23: (None, "it controls the power-save pin of the Pico's own regulator"),
    24: ("in", "the Pico wires it to its VBUS sense divider"),
    25: ("out", "the Pico wires it to its LED"),
    29: ("adc", "the Pico wires it to its VSYS / 3 divider"),
}


def adc_channel(gpio: int) -> int | None:
    """The ADC channel 0-3 of a GPIO, None where it has none."""
    return gpio - ADC_FIRST_GPIO if ADC_FIRST_GPIO <= gpio < GPIO_COUNT else None


def use_problem(gpio: int, direction: str, function: str) -> str | None:
    """Why a signal of this direction and function cannot be on this GPIO of a Pico; None if it can."""
    if not 0 <= gpio < GPIO_COUNT:
        return f"the RP2040 has no GP{gpio}; use GP0 to GP{GPIO_COUNT - 1}"
    if gpio in PICO_INTERNAL:
        only, why = PICO_INTERNAL[gpio]
        if only is None:
            return f"GP{gpio} is not brought out on the Pico: {why}; use another GPIO"
        if only not in (direction, function):
            return f"GP{gpio} can only be '{only}' on the Pico: {why}; use another GPIO"
    if function == "adc" and adc_channel(gpio) is None:
        return f"GP{gpio} has no ADC; use GP26 to GP29 or another function"
    return None
