"""`needlepen config`: the settings of a pen, read, changed, kept in files, undone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from needlepen.devices.option import device_option

if TYPE_CHECKING:
    from needlepen.config.apply import Applied
    from needlepen.link.pen import Pen

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
FILE = click.Path(path_type=Path, dir_okay=False)


@click.group(
    epilog="Examples:  needlepen config get  |  needlepen config set rate_hz=120 depth_um=750  |  needlepen config undo"
)
def config() -> None:
    """Settings of a pen: rate_hz, depth_um, volume, profile.

    A change is checked against the limits before anything is sent, made as a whole or not at all, and can be undone.
    The depth is not kept by a pen that is switched off: it starts with its needles in.
    """


@config.command(epilog="Examples:  needlepen config get  |  needlepen config get rate_hz --json")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@device_option
@AS_JSON
def get(names: tuple[str, ...], device: str | None, as_json: bool) -> None:
    """Show all settings of a pen, or those that are named."""
    from needlepen.config import NAMES, model, read

    wanted = [model.known_name(name) for name in names] or NAMES
    with _open(device) as pen:
        found = read(pen)
        unique_id = pen.identity.unique_id
    if as_json:
        _print({"pen": unique_id, "settings": {name: found[name] for name in wanted}})
        return
    for name in wanted:
        click.echo(f"{name:8}  {model.described(name, found[name])}")


@config.command(
    epilog="Examples:  needlepen config set rate_hz=120  |  needlepen config set profile=scalp volume=0"
)
@click.argument("assignments", nargs=-1, metavar="NAME=VALUE...")
@device_option
@AS_JSON
def set(assignments: tuple[str, ...], device: str | None, as_json: bool) -> None:
    """Change settings, all that are given or none. A profile brings its own rate and may take the needles in."""
    from needlepen.config import parse_assignments
    from needlepen.config.change import change

    wanted = parse_assignments(assignments)
    with _open(device) as pen:
        _tell(pen, change(pen, wanted, _history(pen), f"set {' '.join(assignments)}"), as_json)


@config.command(
    epilog="Examples:  needlepen config diff mine.toml  |  needlepen config diff mine.toml other.toml"
)
@click.argument("file", type=FILE)
@click.argument("other", type=FILE, required=False)
@device_option
@AS_JSON
def diff(file: Path, other: Path | None, device: str | None, as_json: bool) -> None:
    """Compare FILE with the pen, or with a second file: what it has, what the file would make of it."""
    from needlepen.config import files, read
    from needlepen.config.change import differences, in_words
    from needlepen.errors import UsageError

    wanted = files.load(file).settings
    if other is not None:
        if device is not None:
            raise UsageError(f"{other} and --device exclude each other: compare with a file or with a pen")
        found = differences(wanted, files.load(other).settings)
    else:
        with _open(device) as pen:
            found = differences(read(pen), wanted)
    if as_json:
        _print({"differences": {name: list(pair) for name, pair in found.items()}})
    else:
        click.echo("\n".join(in_words(found)) or "no difference")


@config.command(
    epilog="Examples:  needlepen config export mine.toml  |  needlepen config export mine.json --device left"
)
@click.argument("file", type=FILE)
@device_option
@AS_JSON
def export(file: Path, device: str | None, as_json: bool) -> None:
    """Write the settings of a pen to FILE (.json, else TOML), with the pen's ID and the date."""
    from needlepen.config import files, read

    with _open(device) as pen:
        identity = pen.identity
        firmware = f"{identity.version} {identity.application_hash}"
        written = files.save(file, read(pen), identity.unique_id, firmware)
    if as_json:
        _print({"file": str(file), "pen": written.pen, "settings": written.settings})
    else:
        click.echo(f"{file}: settings of pen {written.pen}")


@config.command(
    name="import",
    epilog="Examples:  needlepen config import mine.toml  |  needlepen config import a.toml --other-pen",
)
@click.argument("file", type=FILE)
@click.option("--other-pen", is_flag=True, help="The file comes from another pen, and that is meant.")
@device_option
@AS_JSON
def import_(file: Path, other_pen: bool, device: str | None, as_json: bool) -> None:
    """Give a pen the settings in FILE, all of them or none."""
    from needlepen.config import files
    from needlepen.config.change import change
    from needlepen.errors import Refused

    found = files.load(file)
    with _open(device) as pen:
        if found.pen != pen.identity.unique_id and not other_pen:
            whose = f"pen {found.pen}" if found.pen else "an unnamed pen"
            raise Refused(
                f"{file} holds the settings of {whose}, this is pen {pen.identity.unique_id}; another pen has another "
                "calibration and use: give --other-pen if that is meant"
            )
        _tell(pen, change(pen, found.settings, _history(pen), f"import {file.name}"), as_json)


@config.command(epilog="Examples:  needlepen config undo  |  needlepen config undo --device left --json")
@device_option
@AS_JSON
def undo(device: str | None, as_json: bool) -> None:
    """Take back the newest change that `config set` or `config import` made on this pen; again for the one before."""
    from needlepen.config import change

    with _open(device) as pen:
        entry, done = change.undo(pen, _history(pen))
        _tell(pen, done, as_json, f"undone: {entry.command} ({entry.changed})")


@config.command(epilog="Examples:  needlepen config clock  |  needlepen config clock --device left")
@device_option
@AS_JSON
def clock(device: str | None, as_json: bool) -> None:
    """Give a pen the date of this computer: it forgets it when it is switched off, and its log has none then."""
    from datetime import UTC, datetime

    from needlepen.access import unlock
    from needlepen.config.change import ROLE

    with _open(device) as pen:
        unlock(pen, ROLE)
        now = datetime.now(UTC)
        pen.set_time(now)
        unique_id = pen.identity.unique_id
    date = now.isoformat(timespec="seconds")
    if as_json:
        _print({"pen": unique_id, "date": date})
    else:
        click.echo(f"pen {unique_id}: {date}")


def _open(device: str | None) -> Any:
    from needlepen.devices import open_pen

    return open_pen(device, purpose="config")


def _history(pen: Pen) -> Any:
    from needlepen.config.history import History

    return History(pen.identity.unique_id)


def _tell(pen: Pen, done: Applied, as_json: bool, headline: str = "") -> None:
    from needlepen.config.change import differences, in_words

    changes = differences(done.before, done.after)
    if as_json:
        _print({"pen": pen.identity.unique_id, "before": done.before, "after": done.after})
        return
    if headline:
        click.echo(headline)
    click.echo("\n".join(in_words(changes)) or "nothing changed: the pen had these settings already")


def _print(content: Mapping[str, Any]) -> None:
    click.echo(json.dumps(content, indent=2))
