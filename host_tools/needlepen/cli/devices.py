"""`needlepen devices`: what is connected, who it is, who uses it; and names for pens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from needlepen.devices import Device


WIDTH_IN_A_PIPE = 200


@click.group(
    invoke_without_command=True,
    epilog="Examples:  needlepen devices  |  needlepen devices --json  |  "
    "needlepen devices name e660000000000001 bench-left",
)
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
@click.pass_context
def devices(context: click.Context, as_json: bool) -> None:
    """List pens, boards in BOOTSEL mode and other boards: port, ID, build, calibration, access, and who uses them.

    A board that may be a pen gets one frame that asks who it is; anything else is not addressed at all. Emulated
    pens (`needlepen emulate`) are listed with the others.
    """
    if context.invoked_subcommand is not None:
        return
    from needlepen.devices import find_devices

    found = find_devices()
    if as_json:
        click.echo(json.dumps([device.as_dict() for device in found], indent=2))
    elif not found:
        click.echo("Nothing is connected. Plug a pen in, or start an emulated one: needlepen emulate")
    else:
        _print(found)


@devices.command(epilog="Examples:  needlepen devices name e660000000000001 left")
@click.argument("unique_id", metavar="ID")
@click.argument("name")
def name(unique_id: str, name: str) -> None:
    """Call the pen with this unique ID by a NAME, for --device."""
    from needlepen.devices import names

    names.give(unique_id, name)
    click.echo(f"{unique_id} is called {name} from now on.")


@devices.command(epilog="Examples:  needlepen devices forget left")
@click.argument("name")
def forget(name: str) -> None:
    """Forget a NAME."""
    from needlepen.devices import names

    names.forget(name)
    click.echo(f"{name} is forgotten.")


def _print(found: list[Device]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console.width = WIDTH_IN_A_PIPE
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in ("device", "name", "unique ID"):
        table.add_column(header, no_wrap=True)
    table.add_column("where, and what it says", overflow="fold")
    for device in found:
        kind = device.kind + (" (emulated)" if device.emulated else "")
        table.add_row(kind, device.name or "", device.unique_id or "", "\n".join(_details(device)))
    console.print(table)


def _details(device: Device) -> list[str]:
    about, identity = device.about, device.identity
    lines = [str(device.volume or device.port or "")]
    if device.usb_id:
        lines[0] += f" (USB {device.usb_id}, serial {device.usb_serial or 'none'})"
    if identity is not None:
        build = "development" if identity.development else "production"
        lines.append(
            f"{identity.board}, firmware {identity.version} {identity.application_hash}, {build} build"
        )
    if about is not None:
        reason = f" ({about.calibration_reason})" if about.calibration_reason else ""
        keys = "" if about.provisioned else ", no keys"
        lines.append(
            f"MicroPython {about.micropython}, calibration {about.calibration}{reason}, access {about.role}{keys}"
        )
    if device.held_by is not None:
        lines.append(f"used by {device.held_by}")
    elif device.note:
        lines.append(device.note)
    return lines
