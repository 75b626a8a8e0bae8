"""The option `--device` of commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def device_option(command: F) -> F:
    """Give a command `--device TEXT`; hand the text to `open_pen` or `choose_device`."""
    return click.option(
        "--device",
        "-d",
        metavar="DEVICE",
        envvar="NEEDLEPEN_DEVICE",
        help="Which one: unique ID (or its beginning), name, port, or path of an emulated pen. "
        "Not needed if only one is connected.",
    )(command)
