"""The option `--device` of commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

F = TypeVar("F", bound=Callable[..., Any])


def device_option(command: F) -> F:
    """Give a command `--device TEXT`; hand the text to `open_pen` or `choose_device`."""
    return click.option(
        "--device",
        "-d",
        metavar="DEVICE",
        envvar="NEEDLEPEN_DEVICE",
        shell_complete=_known,
        help="Which one: unique ID (or its beginning), name, port, or path of an emulated pen. "
        "Not needed if only one is connected.",
    )(command)


def _known(context: click.Context, option: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """For the shell: names that the user gave and emulated pens that run. No port is opened."""
    from needlepen.devices import names, registry

    found = {name: f"pen {unique_id}" for name, unique_id in names.names().items()}
    found |= {entry.name: f"emulated, {entry.unique_id}" for entry in registry.entries()}
    return [
        CompletionItem(name, help=text) for name, text in sorted(found.items()) if name.startswith(incomplete)
    ]
