"""`needlepen provision`: give a pen its keys."""

from __future__ import annotations

import dataclasses
import json

import click

from needlepen.devices.option import device_option


@click.command(epilog="Examples:  needlepen provision --device e660000000000001")
@device_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def provision(device: str | None, as_json: bool) -> None:
    """Give a pen its keys: once in its life, and kept on this computer first.

    The keys are random: the pen's own, from which those of its roles follow, the maker's for cartridges, and the
    maker's for firmware, of which the pen gets the public half. Run it again if it was interrupted.
    """
    from needlepen.access import open_store
    from needlepen.access.provisioning import provision as give_keys
    from needlepen.devices import open_pen

    store = open_store()
    with open_pen(device, purpose="provision") as pen:
        done = give_keys(pen, store)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(done), indent=2))
        return
    taken = "has its keys now" if done.fresh else "had its keys already"
    click.echo(f"Pen {done.unique_id} {taken}; they are kept in {done.where}.")
    if done.proven:
        click.echo("It answers to them.")
    else:
        click.echo("This is a development build, which does not use them: install a production build.")
    click.echo("Make a copy in a safe place: nobody can open the pen without them (needlepen keys export).")
