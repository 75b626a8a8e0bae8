"""`needlepen repl`: leave a pen's port to MicroPython, for an engineer."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import click

from needlepen.devices.option import device_option


@click.command(epilog="Examples:  needlepen repl --device e660000000000001")
@device_option
@click.option("--start/--no-start", default=True, show_default=True, help="Start mpremote on it.")
@click.option("--json", "as_json", is_flag=True, help="Say where the REPL is as JSON; starts nothing.")
def repl(device: str | None, start: bool, as_json: bool) -> None:
    """Stop a pen and open its REPL, with the key of an engineer.

    The motor is braked, all supervision ends, and the port is MicroPython's: mpremote works then. A reset of the pen
    closes it again: machine.reset(), or off and on.
    """
    from needlepen.access import Role, unlock
    from needlepen.devices import choose_device, open_pen
    from needlepen.link.client import messages

    chosen = choose_device(device)
    with open_pen(chosen, purpose="repl") as pen:
        unlock(pen, Role.ENGINEER)
        pen.command(messages.OPEN_REPL)
    command = [sys.executable, "-m", "mpremote", "connect", str(chosen.port), "repl"]
    if as_json:
        click.echo(json.dumps({"pen": chosen.unique_id, "port": chosen.port}, indent=2))
        return
    click.echo(
        f"Pen {chosen.unique_id} is stopped, its REPL is at {chosen.port}; a reset ends that.", err=True
    )
    if start and importlib.util.find_spec("mpremote") is not None:
        raise click.exceptions.Exit(subprocess.call(command))
    click.echo(f"mpremote connect {chosen.port} repl")
