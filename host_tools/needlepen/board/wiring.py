"""The wiring of a board as Markdown tables, and the part of a document that holds them."""

from __future__ import annotations

from needlepen import paths
from needlepen.board.model import Board, LinearConverter
from needlepen.documents import Part, table


def wiring_tables(board: Board) -> str:
    """Markdown: every signal, the converters, the PIO machines."""
    return "\n\n".join((_pins(board), _converters(board), _pio(board)))


def _pins(board: Board) -> str:
    header = (
        "signal",
        "GPIO",
        "direction",
        "function",
        "active",
        "safe",
        "pull (chip / board)",
        "what it is",
    )
    rows: list[tuple[object, ...]] = []
    for name, pin in sorted(board.pins.items(), key=lambda item: item[1].gpio):
        function = f"{pin.function} {pin.pwm_hz} Hz" if pin.pwm_hz else pin.function
        pull = f"{pin.pull or '-'} / {pin.external_pull or '-'}"
        levels = (pin.active or "-", pin.safe or "-")
        rows.append((name, f"GP{pin.gpio}", pin.direction, function, *levels, pull, pin.note))
    return table(header, rows)


def _converters(board: Board) -> str:
    rows: list[tuple[object, ...]] = []
    for name, converter in board.converters.items():
        if isinstance(converter, LinearConverter):
            zero = f" from {converter.zero_v:g} V" if converter.zero_v else ""
            scale = f"{converter.units_per_v:g} {converter.unit}/V{zero}"
        else:
            ntc = f"NTC {converter.r25_ohm:g} Ohm, B {converter.beta_k:g} K"
            scale = f"{ntc}, divider {converter.divider_ohm:g} Ohm"
        assumed = " (assumed)" if converter.assumed else ""
        rows.append((name, f"ADC{converter.channel}", scale + assumed, converter.source))
    return table(("converter", "channel", "scale", "source"), rows)


def _pio(board: Board) -> str:
    rows: list[tuple[object, ...]] = []
    for name, program in board.pio.items():
        signals = (", ".join(program.outputs) or "-", ", ".join(program.inputs) or "-")
        rows.append(
            (name, program.block, program.machine, program.max_instructions, program.clock_hz, *signals)
        )
    return table(("PIO program", "block", "machine", "instructions", "clock Hz", "moves", "reads"), rows)


def wiring_part(board: Board) -> Part:
    """The wiring in boards/README.md."""
    return Part(
        "wiring",
        paths.boards_dir() / "README.md",
        "needlepen board wiring --write",
        lambda: wiring_tables(board),
    )
