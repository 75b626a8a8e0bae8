"""Text of the firmware's `pen/board.py`: the board description as constants in the firmware's units.

The module is plain assignments: `const()` acts only inside the module that holds it, so here it would do
nothing. The build folds these constants into the modules that import them (see needlepen.build.fold).
"""

from __future__ import annotations

from needlepen.board.model import Board, LinearConverter

Constant = int | float | str | tuple[int, ...] | tuple[tuple[int, ...], ...]
_PULL = {None: 0, "up": 1, "down": 2}  # 1 and 2: machine.Pin.PULL_UP and PULL_DOWN of the rp2 port
_MILLI = {"A": ("MA", 1e3), "V": ("MV", 1e3), "mm": ("UM", 1e3)}
Q16 = 1 << 16


def board_module(board: Board) -> str:
    """Source of pen/board.py; it imports on MicroPython and on CPython."""
    lines = [f"# Generated from the board description {board.name!r}: change the values there."]
    for title, constants in _sections(board):
        lines += ["", f"# {title}", *(f"{name} = {value!r}" for name, value in constants.items())]
    return "\n".join(lines) + "\n"


def board_constants(board: Board) -> dict[str, Constant]:
    """All constants of pen/board.py by name."""
    return {name: value for _, constants in _sections(board) for name, value in constants.items()}


def _sections(board: Board) -> list[tuple[str, dict[str, Constant]]]:
    return [
        ("board", _identity(board)),
        ("GPIO numbers", {f"PIN_{name}": pin.gpio for name, pin in board.pins.items()}),
        ("levels: what the name says, and what is harmless", _levels(board)),
        (
            "set before anything else: (GPIO, safe level); PWM and PIO pins too",
            {"SAFE_OUTPUTS": _safe_outputs(board)},
        ),
        (
            "inputs: (GPIO, pull) with 0 none, 1 up, 2 down; mask of those that people and plugs move",
            {"INPUTS": _inputs(board), "INPUT_MASK": _input_mask(board)},
        ),
        ("PWM", _pwm(board)),
        ("ADC: value = raw x LSB_Q16 / 65536 + OFFSET", _adc(board)),
        ("PIO: number for rp2.StateMachine, block, clock", _pio(board)),
        ("hardware protection", _protection(board)),
        ("mechanics", _mechanics(board)),
        ("drive, nominal", _drive(board)),
    ]


def _identity(board: Board) -> dict[str, Constant]:
    return {
        "BOARD_NAME": board.name,
        "MICROPYTHON_VERSION": board.micropython.version,
        "SYS_CLOCK_HZ": board.board.sys_clock_hz,
        "FLASH_RUNTIME_BYTES": board.flash.filesystem_offset,
        "FLASH_BLOCK_BYTES": board.flash.block_bytes,
        "FLASH_BLOCKS": board.flash.filesystem_blocks,
    }


def _levels(board: Board) -> dict[str, Constant]:
    levels: dict[str, Constant] = {}
    for name, pin in board.pins.items():
        if pin.active:
            levels[f"{name}_ACTIVE"] = pin.active_level
        if pin.safe_level is not None:
            levels[f"{name}_SAFE"] = pin.safe_level
    return levels


def _safe_outputs(board: Board) -> tuple[tuple[int, ...], ...]:
    return tuple((pin.gpio, pin.safe_level) for pin in board.pins.values() if pin.safe_level is not None)


def _inputs(board: Board) -> tuple[tuple[int, ...], ...]:
    return tuple(
        (p.gpio, _PULL[p.pull]) for p in board.pins.values() if not p.is_driven and p.function != "adc"
    )


def _input_mask(board: Board) -> int:
    turning = ("INDEX", "TDC")
    return sum(
        1 << pin.gpio
        for name, pin in board.pins.items()
        if pin.direction == "in" and pin.function == "sio" and name not in turning
    )


def _pwm(board: Board) -> dict[str, Constant]:
    constants: dict[str, Constant] = {}
    for name, pin in board.pins.items():
        if pin.pwm_hz:
            constants[f"{name}_HZ"] = pin.pwm_hz
            constants[f"{name}_PERIOD_CLOCKS"] = board.board.sys_clock_hz // pin.pwm_hz
            constants[f"{name}_SLICE"] = pin.pwm_slice
            constants[f"{name}_CHANNEL"] = pin.pwm_channel
    return constants


def _adc(board: Board) -> dict[str, Constant]:
    adc, channels = board.adc, len(board.converters)
    constants: dict[str, Constant] = {
        "ADC_CHANNELS": channels,
        "ADC_ROUND_ROBIN_MASK": sum(1 << converter.channel for converter in board.converters.values()),
        "ADC_CYCLES_PER_CONVERSION": adc.cycles_per_conversion,
        "ADC_REFERENCE_UV": round(adc.reference_v * 1e6),
        "ADC_SAMPLE_PERIOD_NS": round(channels * adc.conversion_us * 1000),
        "ADC_SAMPLES_PER_MEAN": adc.samples_per_mean,
        "ADC_RING_SAMPLES": adc.ring_samples,
        "ADC_RING_BYTES": 2 * adc.ring_samples,
        "ADC_RING_SIZE_BITS": (2 * adc.ring_samples).bit_length() - 1,
        "ADC_JUMP_CODES": adc.jump_codes,
        "ADC_JUMP_Q4": round(16 * adc.jump_lsb),
    }
    for name, converter in board.converters.items():
        constants[f"ADC_{name}_CHANNEL"] = converter.channel
        if isinstance(converter, LinearConverter):
            suffix, factor = _MILLI[converter.unit]
            scale = converter.units_per_v * factor
            constants[f"ADC_{name}_{suffix}_PER_LSB_Q16"] = round(scale * adc.volts_per_lsb * Q16)
            constants[f"ADC_{name}_OFFSET_{suffix}"] = round(-converter.zero_v * scale)
            for edge, volts in (("MIN", converter.valid_min_v), ("MAX", converter.valid_max_v)):
                if volts is not None:
                    constants[f"ADC_{name}_VALID_{edge}_RAW"] = round(volts / adc.volts_per_lsb)
        else:
            constants[f"ADC_{name}_R25_OHM"] = converter.r25_ohm
            constants[f"ADC_{name}_BETA_K"] = converter.beta_k
            constants[f"ADC_{name}_DIVIDER_OHM"] = converter.divider_ohm
            for edge, valid_c in (("MIN", converter.valid_max_c), ("MAX", converter.valid_min_c)):
                volts = converter.volts(valid_c, adc.reference_v)
                constants[f"ADC_{name}_VALID_{edge}_RAW"] = round(volts / adc.volts_per_lsb)
    return constants


def _pio(board: Board) -> dict[str, Constant]:
    constants: dict[str, Constant] = {}
    for name, program in board.pio.items():
        prefix = f"PIO_{name.upper()}"
        constants |= {f"{prefix}_SM": program.state_machine, f"{prefix}_BLOCK": program.block,
                      f"{prefix}_HZ": program.clock_hz}  # fmt: skip
    return constants


def _protection(board: Board) -> dict[str, Constant]:
    protection = board.protection
    return {
        "OVERCURRENT_MA": round(protection.overcurrent_a * 1e3),
        "SUPPLY_OPEN_NS": round(protection.supply_open_us * 1e3),
        "LATCH_BRAKE_DELAY_NS": round(protection.latch_brake_delay_us * 1e3),
        "WATCHDOG_MIN_US": round(protection.watchdog_min_ms * 1e3),
        "WATCHDOG_MAX_US": round(protection.watchdog_max_ms * 1e3),
    }


def _mechanics(board: Board) -> dict[str, Constant]:
    mechanics = board.mechanics
    return {
        "INDEX_PER_REV": mechanics.index_pulses_per_rev,
        "TDC_PER_REV": mechanics.tdc_pulses_per_rev,
        "ECCENTRIC_UM": round(mechanics.eccentric_mm * 1e3),
        "PROTRUSION_MAX_UM": round(mechanics.protrusion_max_mm * 1e3),
        "HARD_STOP_UM": round(mechanics.hard_stop_mm * 1e3),
        "DEPTH_STEP_UM": round(mechanics.depth_step_mm * 1e3),
        "DEPTH_STEP_RATE_HZ": mechanics.depth_step_rate_hz,
        "DEPTH_START_RATE_HZ": mechanics.depth_start_rate_hz,
        "DEPTH_ACCELERATION_HZ_S": round(mechanics.depth_acceleration_hz_s),
        "DEPTH_BACKLASH_UM": round(mechanics.depth_backlash_um),
        "DEPTH_BEHIND_HOME_UM": round(mechanics.depth_behind_home_um),
    }


def _drive(board: Board) -> dict[str, Constant]:
    motor, bridge, cell = board.motor, board.bridge, board.cell
    friction_nm = motor.friction_nm + motor.cam_friction_nm
    return {
        "MOTOR_R_OHM": motor.resistance_ohm,
        "MOTOR_KT_NM_A": motor.torque_constant_nm_a,
        "MOTOR_KE_V_PER_HZ": motor.ke_v_per_hz,
        "MOTOR_J_KG_M2": motor.inertia_kg_m2,
        "MOTOR_FRICTION_A": friction_nm / motor.torque_constant_nm_a,
        "LOOP_R_OHM": motor.resistance_ohm + bridge.total_ohm,
        "MOTOR_R_MOHM": round(motor.resistance_ohm * 1e3),
        "MOTOR_L_NH": round(motor.inductance_h * 1e9),
        "MOTOR_KE_UV_PER_HZ": round(motor.ke_v_per_hz * 1e6),
        "MOTOR_FRICTION_MA": round(friction_nm / motor.torque_constant_nm_a * 1e3),
        "MOTOR_NO_LOAD_MA": round(motor.no_load_current_a * 1e3),
        "LOOP_R_MOHM": round((motor.resistance_ohm + bridge.total_ohm) * 1e3),
        "WINDING_REFERENCE_C": motor.winding_reference_c,
        "WINDING_PER_K": motor.winding_per_k,
        "WINDING_RTH_K_W": motor.winding_rth_k_w,
        "WINDING_TAU_S": motor.winding_tau_s,
        "HOUSING_RTH_K_W": motor.housing_rth_k_w,
        "HOUSING_TAU_S": motor.housing_tau_s,
        "NOSE_SHARE": board.nose.housing_share,
        "NOSE_TAU_S": board.nose.tau_s,
        "SHUNT_MOHM": round(bridge.shunt_ohm * 1e3),
        "CELL_MIN_MV": round(cell.min_v * 1e3),
        "CELL_NOMINAL_MV": round(cell.nominal_v * 1e3),
        "CELL_MAX_MV": round(cell.max_v * 1e3),
    }
