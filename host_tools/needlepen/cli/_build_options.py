"""The options of commands that build or take a build: for which board, and of which kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def board_option(command: F) -> F:
    """Give a command `--board NAME_OR_PATH` as `board_name`; hand it to `needlepen.board.load`."""
    return click.option(
        "--board", "board_name", default="pico_pen", show_default=True, help="Board file: a name or a path."
    )(command)


def kind_option(default: str, help: str = "Which build of the firmware.") -> Callable[[F], F]:
    """`--kind` as `kind`, one of `needlepen.build.Kind`."""
    return click.option(
        "--kind",
        type=click.Choice(["development", "production"]),
        default=default,
        show_default=True,
        help=help,
    )
