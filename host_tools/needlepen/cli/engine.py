"""`needlepen engine`: build the fast engine of the emulator into the cache."""

from __future__ import annotations

import json

import click


@click.command(epilog="Examples:  needlepen engine  |  needlepen engine --if-possible")
@click.option("--if-possible", is_flag=True, help="Without a C compiler say so and succeed.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def engine(if_possible: bool, as_json: bool) -> None:
    """Build the fast engine of the emulator.

    Compiles rp2040py's core and our own modules for this Python (about 40 s); only what has changed is built
    again. Without a C compiler the emulator gives the same results more slowly.
    """
    from needlepen.emulator import native_build

    if if_possible and native_build.compiler() is None:
        click.echo("No C compiler with Python's headers: the emulation will be exact but slow.", err=True)
        return
    files = native_build.build(lambda done, total, name: click.echo(f"  {done:2}/{total} {name}", err=True))
    if as_json:
        click.echo(json.dumps({name: str(path) for name, path in sorted(files.items())}, indent=2))
        return
    click.echo(f"The fast engine is ready ({len(files)} modules in {native_build.cache_folder()})")
