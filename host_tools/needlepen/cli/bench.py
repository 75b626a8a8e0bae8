"""`needlepen bench`: the technicians' page."""

from __future__ import annotations

import json
import sys

import click


@click.command(
    epilog="Examples:  needlepen bench  |  needlepen bench --port 8080 --no-open  |  needlepen bench --json"
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, metavar="NUMBER",
    help="TCP port of this computer [default: a free one].",
)  # fmt: skip
@click.option("--open/--no-open", "opens", default=True, show_default=True, help="Open it in the browser.")
@click.option("--json", "as_json", is_flag=True, help="Print the address as one line of JSON; opens nothing.")
def bench(port: int, opens: bool, as_json: bool) -> None:
    """Open the page on which a pen is calibrated, checked and watched, until Ctrl-C.

    The page is served to this computer alone, and only under an address with a token in it that is new each time:
    whoever has the address can drive the pens. It needs no network. Readings are kept as they come; a calibration
    that was left is offered again when the page is opened the next time.
    """
    from needlepen.bench_page.connecting import measurement
    from needlepen.bench_page.server import serve
    from needlepen.bench_page.workbench import Workbench

    def ready(address: str) -> None:
        if as_json:
            click.echo(json.dumps({"url": address}))
        else:
            click.echo(f"The page: {address}")
            click.echo("Ctrl-C here ends it; readings are kept.")
            if opens:
                click.launch(address)
        sys.stdout.flush()

    serve(Workbench(measurement), port, ready)
