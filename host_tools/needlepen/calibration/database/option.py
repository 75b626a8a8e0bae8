"""The option `--database` of commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def database_option(command: F) -> F:
    """Give a command `--database TEXT`; hand the text to `open_database`."""
    return click.option(
        "--database",
        metavar="URL",
        envvar="NEEDLEPEN_DATABASE",
        help="Calibration database: an SQLAlchemy URL such as postgresql://user@host/calibrations, or the path of an "
        "SQLite file. Without: a file of this user.",
    )(command)
