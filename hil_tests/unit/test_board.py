"""A board file is taken only if its pen could work; otherwise every problem is named with its place."""

from __future__ import annotations

import copy
import json
import tomllib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from needlepen import board, paths, requirements
from needlepen.board.codegen import board_constants, board_module
from needlepen.board.lines import key_lines
from needlepen.board.wiring import wiring_part
from needlepen.cli.board import board as board_command
from needlepen.errors import ProductFailure, UsageError

REFERENCE = paths.boards_dir() / "pico_pen.toml"


@pytest.fixture
def data() -> dict[str, Any]:
    return tomllib.loads(REFERENCE.read_text())


def problems(data: dict[str, Any]) -> list[str]:
    try:
        board.parse(data, "b.toml")
    except board.BoardError as error:
        return error.problems
    return []


def put(dotted: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """A change of one key; None removes it."""

    def change(data: dict[str, Any]) -> None:
        *tables, key = dotted.split(".")
        for name in tables:
            data = data.setdefault(name, {})
        if value is None:
            data.pop(key)
        else:
            data[key] = value

    return change


def both(*changes: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        for one in changes:
            one(data)

    return change


# change, key that has to be named, words of the reason
WRONG = [
    ("unknown GPIO", put("pins.LED.gpio", 30), "pins.LED.gpio", "no GP30"),
    ("negative GPIO", put("pins.LED.gpio", -1), "pins.LED.gpio", "no GP-1"),
    ("reserved GPIO", put("pins.LED.gpio", 23), "pins.LED.gpio", "regulator"),
    ("VBUS sense as output", put("pins.PIXEL.gpio", 24), "pins.PIXEL.gpio", "VBUS"),
    ("LED pin as input", put("pins.HOME_N.gpio", 25), "pins.HOME_N.gpio", "LED"),
    ("GPIO used twice", put("pins.LED.gpio", 22), "pins.LED.gpio", "already used by PIXEL"),
    ("ADC pin without ADC", put("pins.BATTERY.gpio", 0), "pins.BATTERY.gpio", "no ADC"),
    ("missing safe level", put("pins.PWM_N.safe", None), "pins.PWM_N.safe", "missing safe level"),
    ("missing safe level of io", put("pins.CARTRIDGE_BUS.safe", None), "pins.CARTRIDGE_BUS.safe", "missing"),
    ("safe level of an input", put("pins.INDEX.safe", "low"), "pins.INDEX.safe", "input"),
    ("floating output", put("pins.LED.safe", "float"), "pins.LED.safe", "float"),
    ("unsafe in reset", put("pins.PWM_N.external_pull", "down"), "pins.PWM_N.external_pull", "in reset"),
    ("missing active level", put("pins.RUN_N.active", None), "pins.RUN_N.active", "missing"),
    ("active level against the name", put("pins.RUN_N.active", "high"), "pins.RUN_N.active", "active low"),
    (
        "active level the firmware cannot use",
        put("pins.SUPPLY_EN.active", "low"),
        "pins.SUPPLY_EN.active",
        "high",
    ),
    ("missing signal", put("pins.TRIP_N", None), "pins.TRIP_N", "missing signal"),
    (
        "signal the wrong way",
        put("pins.TRIGGER_N.direction", "out"),
        "pins.TRIGGER_N.direction",
        "needs 'in'",
    ),
    (
        "PWM input",
        both(put("pins.TDC.function", "pwm"), put("pins.TDC.pwm_hz", 1000)),
        "pins.TDC.direction",
        "pwm",
    ),
    ("PWM without frequency", put("pins.PWM_N.pwm_hz", None), "pins.PWM_N.pwm_hz", "add the frequency"),
    ("frequency without PWM", put("pins.LED.pwm_hz", 50), "pins.LED.pwm_hz", "function 'pwm'"),
    ("PWM too slow", put("pins.BUZZER.pwm_hz", 7), "pins.BUZZER.pwm_hz", "cannot be made"),
    (
        "PWM slice with two frequencies",
        both(put("pins.BUZZER.gpio", 19), put("pins.DEPTH_DOWN_N.gpio", 21)),
        "pins.BUZZER.pwm_hz",
        "slice 1 has one frequency",
    ),
    (
        "PWM output twice",
        both(put("pins.BUZZER.gpio", 18), put("pins.CARTRIDGE_BUS.gpio", 21)),
        "pins.BUZZER.gpio",
        "slice 1 channel A",
    ),
    (
        "ADC channel twice",
        put("converters.BATTERY.channel", 0),
        "converters.BATTERY.channel",
        "already read by",
    ),
    (
        "ADC channel of another pin",
        put("converters.BATTERY.channel", 1),
        "converters.BATTERY.channel",
        "GP27",
    ),
    ("converter without signal", put("pins.BATTERY", None), "converters.BATTERY", "no signal"),
    (
        "ADC signal without scale",
        put("converters.DEPTH_POSITION", None),
        "pins.DEPTH_POSITION",
        "without a scale",
    ),
    (
        "sampling in step with the PWM",
        put("adc.cycles_per_conversion", 1920),
        "adc.cycles_per_conversion",
        "duty",
    ),
    ("ring too small", put("adc.ring_samples", 16), "adc.ring_samples", "= 32"),
    ("machine twice", put("pio.heartbeat.machine", 0), "pio.heartbeat.machine", "already runs cut_trip"),
    ("machine 4", put("pio.tick.machine", 4), "pio.tick.machine", "less than or equal to 3"),
    ("PIO clock too slow", put("pio.tick.clock_hz", 1907), "pio.tick.clock_hz", "cannot be made"),
    ("PIO clock too fast", put("pio.tick.clock_hz", 125_000_001), "pio.tick.clock_hz", "cannot be made"),
    (
        "PIO output of the other block",
        put("pins.RUN_N.function", "pio1"),
        "pio.cut_trip.outputs",
        "cannot move",
    ),
    (
        "PIO output nobody moves",
        put("pio.index_debounce.outputs", []),
        "pins.INDEX_CLEAN.function",
        "no [pio]",
    ),
    ("PIO signal unknown", put("pio.tick.inputs", ["NOTHING"]), "pio.tick.inputs", "no signal 'NOTHING'"),
    (
        "outputs not adjacent",
        both(put("pins.SUPPLY_EN.gpio", 6), put("pins.LATCH_CLR.gpio", 4)),
        "pio.cut_trip.outputs",
        "not adjacent",
    ),
    (
        "outputs in the wrong order",
        put("pio.cut_trip.outputs", ["SUPPLY_EN", "RUN_N"]),
        "pio.cut_trip.outputs",
        "first",
    ),
    ("program missing", put("pio.heartbeat", None), "pio.heartbeat", "missing program"),
    (
        "file system behind the flash",
        put("flash.filesystem_blocks", 353),
        "flash.filesystem_blocks",
        "4096 bytes",
    ),
    (
        "latch brakes too early",
        put("protection.latch_brake_delay_us", 5.0),
        "protection.latch_brake_delay_us",
        "open",
    ),
    (
        "watchdog without window",
        put("protection.watchdog_min_ms", 30.0),
        "protection.watchdog_min_ms",
        "window",
    ),
    ("hard stop inside the range", put("mechanics.hard_stop_mm", 2.5), "mechanics.hard_stop_mm", "beyond"),
    (
        "stepper starts faster than it runs",
        put("mechanics.depth_start_rate_hz", 401),
        "mechanics.depth_start_rate_hz",
        "above depth_step_rate_hz",
    ),
    (
        "coils not adjacent",
        both(put("pins.DEPTH_B2.gpio", 14), put("pins.DEPTH_SLEEP_N.gpio", 13)),
        "pio.depth_steps.outputs",
        "not adjacent",
    ),
    ("cell voltages", put("cell.nominal_v", 4.3), "cell.nominal_v", "between"),
    ("unknown table", put("pens", {}), "pens", "did you mean 'pins'"),
    ("misspelt key", put("pins.LED.save", "low"), "pins.LED.save", "did you mean 'safe'"),
    ("misspelt converter key", put("converters.BATTERY.zero", 0.0), "converters.BATTERY.zero", "zero_v"),
    ("wrong type", put("motor.resistance_ohm", "1.1"), "motor.resistance_ohm", "number"),
    ("bool for a number", put("pins.LED.gpio", True), "pins.LED.gpio", "integer"),
    ("not a number", put("motor.resistance_ohm", float("nan")), "motor.resistance_ohm", "nan"),
    ("zero resistance", put("motor.resistance_ohm", 0.0), "motor.resistance_ohm", "greater than 0"),
    ("other chip", put("board.mcu", "stm32"), "board.mcu", "rp2040"),
    ("impossible level", put("pins.LED.safe", "off"), "pins.LED.safe", "'low'"),
    ("signal name in lower case", put("pins.led", {}), "pins.led", "fit"),
    ("converter kind", put("converters.BATTERY.kind", "magic"), "converters.BATTERY.kind", "linear"),
    ("assumption that names nothing", put("cell.assumed", ["r9_ohm"]), "cell", "r9_ohm"),
    ("table missing", put("motor", None), "motor", "missing"),
]


@pytest.mark.parametrize(
    ("change", "key", "reason"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG]
)
def test_a_wrong_board_is_refused_with_key_and_reason(
    data: dict[str, Any], change: Callable[[dict[str, Any]], None], key: str, reason: str
) -> None:
    change(data)
    found = problems(data)
    assert any(line.startswith(f"b.toml: {key}: ") and reason in line for line in found), found


def test_the_reference_board_is_accepted(data: dict[str, Any]) -> None:
    assert problems(data) == []


@pytest.mark.parametrize(("instructions", "accepted"), [(9, True), (10, True), (11, False)])
def test_a_pio_block_holds_32_instructions(data: dict[str, Any], instructions: int, accepted: bool) -> None:
    others = sum(
        p["max_instructions"] for n, p in data["pio"].items() if p["block"] == 0 and n != "heartbeat"
    )
    data["pio"]["heartbeat"]["max_instructions"] = instructions + (22 - others)
    assert (problems(data) == []) is accepted, f"{22 + instructions} instructions in a block of 32"


@pytest.mark.parametrize(
    ("frequency_hz", "accepted"), [(7, False), (8, True), (62_500_000, True), (62_500_001, False)]
)
def test_a_pwm_frequency_is_one_the_divider_can_make(
    data: dict[str, Any], frequency_hz: int, accepted: bool
) -> None:
    data["pins"]["BUZZER"]["pwm_hz"] = frequency_hz
    assert (problems(data) == []) is accepted, f"{frequency_hz} Hz"


def test_signals_on_one_slice_may_share_its_frequency(data: dict[str, Any]) -> None:
    data["pins"]["BUZZER"]["gpio"], data["pins"]["DEPTH_DOWN_N"]["gpio"] = 19, 21
    data["pins"]["BUZZER"]["pwm_hz"] = data["pins"]["PWM_N"]["pwm_hz"]
    assert problems(data) == []


def test_every_problem_is_reported_at_once(data: dict[str, Any]) -> None:
    for change in (put("pins.LED.gpio", 23), put("pins.PWM_N.safe", None), put("pio.heartbeat.machine", 0)):
        change(data)
    found = problems(data)
    assert [line.split(": ")[1] for line in found] == [
        "pins.LED.gpio",
        "pins.PWM_N.safe",
        "pio.heartbeat.machine",
    ]


def leaves(data: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield (*at, key)
            yield from leaves(value, (*at, key))


@pytest.mark.parametrize("junk", [None, "x", -1, True, [], {}, 10**30], ids=repr)
def test_no_value_of_any_key_causes_anything_but_a_board_error(data: dict[str, Any], junk: Any) -> None:
    for path in leaves(data):
        changed = copy.deepcopy(data)
        put(".".join(path), junk)(changed)
        for line in problems(changed):
            assert line.startswith("b.toml: ") and "\n" not in line, (path, junk, line)


def test_problems_of_a_file_name_its_line(tmp_path: Any) -> None:
    text = REFERENCE.read_text()
    line = text.splitlines().index("[pins.LED]") + 2
    path = tmp_path / "mine.toml"
    path.write_text(text.replace("gpio = 25\n", "gpio = 23\n"))
    with pytest.raises(board.BoardError) as caught:
        board.load(path)
    assert str(caught.value).startswith(f"{path}:{line}: pins.LED.gpio: ")
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[board\n", "not valid TOML"),
        (b"\xff\xfe", "not UTF-8"),
        (b"", "board: missing"),
        (b"a = 1\na = 2\n", "TOML"),
    ],
)
def test_a_file_that_is_no_board_is_refused(tmp_path: Any, content: bytes, reason: str) -> None:
    path = tmp_path / "junk.toml"
    path.write_bytes(content)
    with pytest.raises(board.BoardError, match=reason):
        board.load(path)


@pytest.mark.parametrize("name", ["no_such_board", "no/such.toml", "", "."])
def test_an_unknown_board_lists_the_known_ones(name: str) -> None:
    with pytest.raises(board.BoardError, match="pico_pen"):
        board.load(name)


def test_key_lines_finds_headers_keys_and_dotted_keys() -> None:
    found = key_lines('top = 1\n[a.b]\nc = 2\n# d = 3\n["x".y]\nz.w = 4\n')
    assert found == {"top": 1, "a": 2, "a.b": 2, "a.b.c": 3, "x": 5, "x.y": 5, "x.y.z": 6, "x.y.z.w": 6}


# ------------------------------------------------------------------ meaning of the reference board


def test_every_output_that_moves_the_motor_is_safe_in_brake() -> None:
    pen = board.load()
    safe = {name: pen.pins[name].safe_level for name in ("PWM_N", "RUN_N", "SUPPLY_EN", "DEPTH_SLEEP_N")}
    assert safe == {"PWM_N": 1, "RUN_N": 1, "SUPPLY_EN": 0, "DEPTH_SLEEP_N": 0}


def test_the_hardware_layer_is_at_least_as_fast_as_the_requirements() -> None:
    pen, needs = board.load(), requirements.load()
    assert pen.protection.overcurrent_a <= needs.limit("SR-09", "current_a")
    cut_us = (
        pen.protection.overcurrent_delay_us
        + pen.protection.supply_open_us
        + pen.protection.latch_brake_delay_us
    )
    assert cut_us <= needs.limit("SR-09", "trip_us")
    assert pen.protection.watchdog_max_ms <= needs.limit("SR-10", "external_brake_ms")
    assert pen.mechanics.protrusion_max_mm == needs.limit("PR-05", "depth_max_mm")
    assert pen.mechanics.depth_step_mm <= needs.limit("PR-05", "actuator_step_mm")
    assert pen.mechanics.hard_stop_mm <= needs.limit("SR-02", "hard_stop_mm")


@pytest.mark.parametrize(
    ("name", "value", "volts"),
    [
        ("MOTOR_CURRENT", 1.2, 1.2),
        ("DEPTH_POSITION", 1.25, 1.65),
        ("DEPTH_POSITION", 2.5, 2.45),
        ("BATTERY", 3.6, 1.2),
        ("NOSE_TEMPERATURE", 25.0, 1.65),
    ],
)
def test_converters_map_value_to_volts_and_back(name: str, value: float, volts: float) -> None:
    pen = board.load()
    converter = pen.converters[name]
    assert converter.volts(value, pen.adc.reference_v) == pytest.approx(volts, abs=1e-9)
    assert converter.value(volts, pen.adc.reference_v) == pytest.approx(value, abs=1e-9)


def test_a_ten_kilohm_ntc_of_b3435_has_its_table_value_at_43_c() -> None:
    # R(43 C) = 10 k x exp(3435 x (1/316.15 - 1/298.15)) = 5188 Ohm, so 1.127 V behind 10 k from 3.3 V.
    assert board.load().converters["NOSE_TEMPERATURE"].volts(43.0, 3.3) == pytest.approx(1.127, abs=0.001)


# ------------------------------------------------------------------ generated constants


def imported(source: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    exec(
        compile(source, "pen/board.py", "exec"), namespace
    )  # the generated module, as CPython tests import it
    del namespace["__builtins__"]
    return namespace


def test_the_generated_module_holds_the_constants_and_nothing_else() -> None:
    pen = board.load()
    assert imported(board_module(pen)) == board_constants(pen)


def test_generated_fixed_point_scales_agree_with_the_converters() -> None:
    pen, constants = board.load(), board_constants(board.load())
    for name, unit in (("MOTOR_CURRENT", "MA"), ("BATTERY", "MV"), ("DEPTH_POSITION", "UM")):
        for raw in (0, 1, 100, 2048, 4095):
            per_lsb = constants[f"ADC_{name}_{unit}_PER_LSB_Q16"]
            integer = (raw * int(per_lsb) >> 16) + int(constants[f"ADC_{name}_OFFSET_{unit}"])
            exact = pen.converters[name].value(raw * pen.adc.volts_per_lsb, pen.adc.reference_v) * 1000
            assert abs(integer - exact) <= 1.5, f"{name} raw {raw}: {integer} against {exact:.2f} {unit}"


def test_generated_constants_follow_the_board_file(data: dict[str, Any]) -> None:
    data["pins"]["LED"]["gpio"], data["pins"]["PIXEL"]["gpio"] = 25, 28
    data["pins"]["NOSE_TEMPERATURE"]["gpio"] = 22
    data["motor"]["resistance_ohm"] = 2.0
    del data["pins"]["NOSE_TEMPERATURE"], data["converters"]["NOSE_TEMPERATURE"]
    data["adc"] |= {"samples_per_mean": 8, "ring_samples": 24}
    constants = board_constants(board.Board.model_validate(data))
    assert constants["PIN_PIXEL"] == 28
    assert constants["LOOP_R_MOHM"] == 2380
    assert constants["ADC_ROUND_ROBIN_MASK"] == 0b1011
    assert (28, 0) in constants["SAFE_OUTPUTS"]  # type: ignore[operator]


def test_safe_outputs_cover_every_driven_pin_that_may_not_float() -> None:
    pen = board.load()
    covered = {gpio for gpio, _ in board_constants(pen)["SAFE_OUTPUTS"]}  # type: ignore[union-attr,misc]
    assert covered == {pin.gpio for pin in pen.pins.values() if pin.direction == "out"}


# ------------------------------------------------------------------ wiring table and command line


def test_the_wiring_table_in_the_documentation_is_the_board() -> None:
    assert wiring_part(board.load()).is_current(), "run: needlepen board wiring --write"


def test_a_drifted_wiring_table_fails_the_check(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "boards"
    folder.mkdir()
    (folder / "pico_pen.toml").write_text(REFERENCE.read_text())
    readme = folder / "README.md"
    good = (paths.boards_dir() / "README.md").read_text()
    readme.write_text(good.replace("| GP3 |", "| GP13 |"))
    monkeypatch.setattr(paths, "boards_dir", lambda: folder)
    assert isinstance(CliRunner().invoke(board_command, ["wiring", "--check"]).exception, ProductFailure)
    assert CliRunner().invoke(board_command, ["wiring", "--write"]).exit_code == 0
    assert readme.read_text() == good
    assert CliRunner().invoke(board_command, ["wiring", "--check"]).exit_code == 0
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_a_document_without_markers_is_refused() -> None:
    with pytest.raises(UsageError, match="no place for the wiring"):
        wiring_part(board.load()).within("# Boards\n")


def test_check_as_json_gives_the_problems_and_exit_code_4(tmp_path: Any) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(REFERENCE.read_text().replace("gpio = 25\n", "gpio = 23\n"))
    result = CliRunner().invoke(board_command, ["check", str(path), "--json"])
    assert result.exit_code == 4
    answer = json.loads(result.stdout)
    assert answer["ok"] is False and len(answer["problems"]) == 1


def test_show_marks_assumptions_and_gives_all_values_as_json() -> None:
    text = CliRunner().invoke(board_command, ["show"]).stdout
    assert "inertia_kg_m2 = 6.6e-08   (assumed)" in text
    assert (
        json.loads(CliRunner().invoke(board_command, ["show", "--json"]).stdout)["pins"]["PWM_N"]["gpio"] == 2
    )
