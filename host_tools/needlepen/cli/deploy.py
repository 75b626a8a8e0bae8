"""`needlepen deploy`: build the firmware and bring what differs onto a development pen."""

from __future__ import annotations

import json
from pathlib import Path

import click

from needlepen.devices.option import device_option


@click.command(epilog="Example:  needlepen deploy --device e660000000000001")
@device_option
@click.option(
    "--firmware", type=click.Path(path_type=Path), help="Folder with main.py and pen/, if not the project's."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def deploy(device: str | None, firmware: Path | None, as_json: bool) -> None:
    """Build the firmware for the board of the pen and install it: only files whose content differs are sent.

    The new program lies beside the old one until all of it is there and sound. Then the pen restarts into it, and takes
    it back by itself if it does not reach ready within 10 s. Exit code 1 then.
    """
    from needlepen import board
    from needlepen.build import app_image
    from needlepen.devices import open_pen
    from needlepen.errors import Refused
    from needlepen.update import Bundle
    from needlepen.update.install import first_report, install
    from needlepen.update.showing import shown, tell

    with open_pen(device, purpose="deploy") as pen:
        if not pen.identity.development:
            raise Refused(
                f"pen {pen.identity.unique_id} runs a production build, which takes signed bundles alone; use "
                "'needlepen bundle make' and 'needlepen update'"
            )
        built = app_image(board.load(pen.identity.board), "development", firmware)
        same_loader = first_report(pen).loader_crc == built.loader_crc
        with shown(as_json) as progress:
            done = install(pen, Bundle(built.program), progress)
        facts = {"unique_id": pen.identity.unique_id, "loader_is_current": same_loader}
    if as_json:
        click.echo(json.dumps(tell(done) | facts, indent=2))
        return
    click.echo(tell(done)["text"])
    if not same_loader:
        click.echo(
            "What starts the program (boot.py, main.py, pen_loader, pen_shelf) differs from what was built; only "
            "'needlepen flash' renews it."
        )
