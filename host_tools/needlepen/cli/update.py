"""`needlepen update`: bring a bundle onto a pen."""

from __future__ import annotations

import json
from pathlib import Path

import click

from needlepen.devices.option import device_option


@click.command(epilog="Example:  needlepen update release.npb --device e660000000000001")
@click.argument("bundle", type=click.Path(path_type=Path))
@device_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def update(bundle: Path, device: str | None, as_json: bool) -> None:
    """Install the firmware in the file BUNDLE.

    A production pen is unlocked with the key of an engineer that this computer keeps, verifies the signature, and
    refuses a program that is older than one it has confirmed. A program that does not reach ready within 10 s is taken
    back: exit code 1.
    """
    from needlepen.access import unlock
    from needlepen.devices import open_pen
    from needlepen.errors import Refused
    from needlepen.update import read_bundle
    from needlepen.update.install import install
    from needlepen.update.showing import shown, tell

    found = read_bundle(bundle)
    about = found.program.about
    with open_pen(device, purpose="update") as pen:
        if about.board != pen.identity.board:
            raise Refused(
                f"{bundle} is for the board {about.board}, pen {pen.identity.unique_id} is a {pen.identity.board}; "
                "nothing was sent"
            )
        unlock(pen, "engineer")
        with shown(as_json) as progress:
            done = install(pen, found, progress)
        facts = {"unique_id": pen.identity.unique_id, "version": about.version}
    click.echo(json.dumps(tell(done) | facts, indent=2) if as_json else tell(done)["text"])
