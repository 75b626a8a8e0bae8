"""Board descriptions: read, checked, and turned into firmware constants and wiring tables."""

from needlepen.board.loading import BoardError, available, board_path, load, parse
from needlepen.board.model import Board, Converter, Pin, PioProgram

__all__ = [
    "Board",
    "BoardError",
    "Converter",
    "Pin",
    "PioProgram",
    "available",
    "board_path",
    "load",
    "parse",
]
