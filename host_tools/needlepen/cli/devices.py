"""`needlepen devices`: what is connected, who it is, who uses it; and names for pens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from needlepen.devices import Device


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

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in ("device", "name", "unique ID", "port", "firmware", "MicroPython", "calibration", "access"):
        table.add_column(header, overflow="fold", no_wrap=header in ("device", "unique ID"))
    for device in found:
        table.add_row(*_row(device))
    console = Console()
    console.print(table)
    for device in found:
        if device.held_by or device.note:
            console.print(
                f"{device}: {f'used by {device.held_by}' if device.held_by else device.note}", markup=False
            )


def _row(device: Device) -> list[str]:
    about, identity = device.about, device.identity
    port = str(device.volume or device.port or "")
    if device.usb_serial and device.usb_serial.lower() != device.unique_id:
        port += f" ({device.usb_serial})"
    firmware = ""
    if identity is not None:
        build = "development" if identity.development else "production"
        firmware = f"{identity.board} {identity.version} {identity.application_hash[:7]} {build}"
    return [
        device.kind + (" (emulated)" if device.emulated else ""),
        device.name or "",
        device.unique_id or "",
        port,
        firmware,
        about.micropython if about else "",
        about.calibration if about else "",
        about.role if about else "",
    ]
