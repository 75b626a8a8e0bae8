"""`needlepen runtime`: provide the MicroPython image that the board file pins."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from needlepen.cli._build_options import board_option
from needlepen.errors import UsageError


@click.command(epilog="Examples:  needlepen runtime  |  needlepen runtime --offline --json")
@board_option
@click.option(
    "--uf2", "given", type=click.Path(path_type=Path), help="Use this UF2 (also: NEEDLEPEN_RUNTIME)."
)
@click.option("--offline", is_flag=True, help="Only a given file or the cache; no download, no build.")
@click.option(
    "--rebuild", is_flag=True, help="Build from Debian's source packages even if there is an image."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def runtime(board_name: str, given: Path | None, offline: bool, rebuild: bool, as_json: bool) -> None:
    """Provide and verify the MicroPython image pinned in the board file.

    Taken from a given UF2, the cache, the publisher's download, or, where that cannot be reached, built from
    Debian's source packages (about a minute; installs the Arm compiler if it is missing).
    """
    from needlepen import board
    from needlepen.runtime import provide

    if rebuild and (offline or given is not None):
        raise UsageError(
            "--rebuild cannot be combined with --offline or --uf2: a build needs the network, not a file"
        )
    pinned = board.load(board_name).micropython
    found = provide(pinned.version, pinned.board, given=given, offline=offline, rebuild=rebuild)
    if as_json:
        click.echo(json.dumps({**asdict(found), "path": str(found.path)}, indent=2))
        return
    click.echo(f"MicroPython v{found.version} for {found.board}, verified")
    click.echo(f"  file    {found.path}")
    click.echo(f"  sha256  {found.sha256}")
    click.echo(f"  origin  {found.origin}")
