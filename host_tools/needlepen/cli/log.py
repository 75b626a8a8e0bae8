"""`needlepen log`: the event log of a pen in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from needlepen.devices.option import device_option

if TYPE_CHECKING:
    from needlepen.records.log import LoggedEvent

_STYLES = {"fault": "red", "gap": "yellow", "remedy": "cyan", "event": None}


@click.command(
    epilog="Examples:  needlepen log  |  needlepen log --since 2h --faults  |  needlepen log flash.bin --csv"
)
@click.argument("image", type=click.Path(path_type=Path), required=False)
@device_option
@click.option("--since", metavar="N|DATE|2h", help="From this event number, date, or that long ago on.")
@click.option("--faults", "only_faults", is_flag=True, help="Faults only.")
@click.option("--pen-id", metavar="HEX", help="Whose IMAGE it is, if its records do not say.")
@click.option("--json", "as_json", is_flag=True, help="Print the events as JSON.")
@click.option("--csv", "as_table", is_flag=True, help="Print the events as CSV.")
def log(
    image: Path | None,
    device: str | None,
    since: str | None,
    only_faults: bool,
    pen_id: str | None,
    as_json: bool,
    as_table: bool,
) -> None:
    """Read the event log of a pen, or in IMAGE: its file system or its whole flash as a file.

    Each fault comes with its requirement and with what to do. Numbers that are missing are named.
    """
    from needlepen.errors import UsageError
    from needlepen.records import telling
    from needlepen.records.images import read_image
    from needlepen.records.log import gaps

    if as_json and as_table:
        raise UsageError("--json and --csv exclude each other; give one of them")
    if image is not None and device is not None:
        raise UsageError(f"{image} and --device exclude each other: read a file or a pen")
    unique_id, events = read_image(image, pen_id) if image is not None else _read_pen(device, since)
    told = telling.part_since(events, since)
    holes = gaps(told)
    if only_faults:
        told = [event for event in told if event.fault]
    if as_json:
        missing = [
            {"first_sequence": g.first_sequence, "count": g.count, "at_boot": g.at_boot} for g in holes
        ]
        content = {"pen": unique_id, "events": [telling.as_dict(event) for event in told], "gaps": missing}
        click.echo(json.dumps(content, indent=2))
    elif as_table:
        click.echo(telling.as_csv(told), nl=False)
    else:
        for kind, line in telling.lines(told, [] if only_faults else events):
            click.secho(line, fg=_STYLES[kind])
        faults = sum(bool(event.fault) for event in told)
        click.echo(
            f"pen {unique_id}: {len(told)} events, {faults} faults, {sum(g.count for g in holes)} missing"
        )


def _read_pen(device: str | None, since: str | None) -> tuple[str, list[LoggedEvent]]:
    """From a number on only what is asked for is read; a date is known when the event is."""
    from rich.console import Console

    from needlepen.devices import open_pen
    from needlepen.records.log import decode

    begin = int(since) if since is not None and since.isdecimal() else 0
    raw: list[bytes] = []
    with Console(stderr=True).status("reading the log") as shown, open_pen(device, purpose="log") as pen:
        for event in pen.events(begin):
            raw.append(event)
            shown.update(f"reading the log: {len(raw)} events")
        unique_id = pen.identity.unique_id
    return unique_id, decode(raw, bytes.fromhex(unique_id))
