"""How the commands of this folder (`python -m mutation` and the like) end: errors as one line, with their exit code."""

from __future__ import annotations

import sys

import click

from needlepen.errors import NeedlepenError, UsageError


def run(main: click.Command, name: str) -> None:
    """Run a command; `name` stands before its errors."""
    try:
        main(standalone_mode=False)
    except click.ClickException as error:
        click.echo(f"{name}: {error.format_message()}", err=True)
        sys.exit(UsageError.exit_code)
    except click.Abort:
        sys.exit(2)
    except NeedlepenError as error:
        click.echo(f"{name}: {error}", err=True)
        sys.exit(error.exit_code)
